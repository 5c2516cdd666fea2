internal import Cryptography
internal import Glibc
package import KMSModel
internal import KMSWire

/// Why a request got no answer from the service.
package enum ConnectionError: Error, Hashable, Sendable {
    case credentials(CredentialError)
    case transport(TransportError)
}

/// Requests to one service that speaks AWS KMS's protocol (AWS JSON 1.1): signed, repeated where
/// that helps, and over by their deadline. What is in them it does not know.
///
/// Thread-safe. The caller wipes the bodies it gives, and finds answers in memory that is wiped.
package struct KMSConnection: Sendable {
    /// What is not this module's to decide, for tests to put in its place.
    package struct Surroundings: Sendable {
        let clock: any WallClock
        let pause: @Sendable (Duration) -> Void
        let draw: @Sendable () -> Double

        package init(
            clock: any WallClock, pause: @escaping @Sendable (Duration) -> Void,
            draw: @escaping @Sendable () -> Double
        ) {
            self.clock = clock
            self.pause = pause
            self.draw = draw
        }

        /// Sleeps, and draws at random.
        package init(clock: any WallClock) {
            self.init(
                clock: clock,
                pause: { duration in
                    let (seconds, attoseconds) = duration.components
                    let microseconds = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
                    usleep(UInt32(clamping: microseconds))
                }, draw: { Double.random(in: 0...1) })
        }
    }

    let endpoint: Endpoint
    private let credentials: AWSCredentialSource
    private let transport: any HTTPPosting
    private let policy: RetryPolicy
    private let surroundings: Surroundings
    private let signer: SigV4Signer
    private let userAgent: String

    package init(
        endpoint: Endpoint, region: String, credentials: AWSCredentialSource,
        transport: any HTTPPosting, policy: RetryPolicy = RetryPolicy(), userAgent: String,
        surroundings: Surroundings
    ) {
        self.endpoint = endpoint
        self.credentials = credentials
        self.transport = transport
        self.policy = policy
        self.surroundings = surroundings
        self.userAgent = userAgent
        signer = SigV4Signer(region: region)
    }

    /// Makes a request, again and again where the policy says so.
    ///
    /// - Parameters:
    ///   - operation: for example `Decrypt`.
    ///   - isIdempotent: false for operations that must not be carried out twice.
    ///   - timeLimit: for everything, waits included, but for a helper that gives credentials
    ///     (``AWSCredentialSource/processSeconds`` at most).
    ///   - userAgent: for this request, instead of the connection's.
    ///   - exceptionName: reads an answer other than 2xx; its exception decides what is repeated.
    /// - Returns: the last answer, whatever its status.
    /// - Throws: why there was none at last.
    package func call(
        _ operation: String, body: [UInt8], isIdempotent: Bool = true, timeLimit: Duration,
        userAgent: String? = nil, exceptionName: (HTTPResponse) -> String?
    ) throws(ConnectionError) -> HTTPResponse {
        let deadline = ContinuousClock.now.advanced(by: timeLimit)
        var attempts = RetryPolicy.Attempts(policy, isIdempotent: isIdempotent)
        while true {
            let used = try currentCredentials()
            let result = attempt(
                operation, body, used, isIdempotent, userAgent: userAgent ?? self.userAgent,
                deadline: min(deadline, .now.advanced(by: policy.attemptTimeout)))
            let decision = attempts.next(
                after: Self.outcome(result, exceptionName), timeLeft: deadline - .now,
                draw: surroundings.draw())
            switch decision {
            case .stop: return try Self.answer(result)
            case .again(let delay): surroundings.pause(delay)
            case .againWithNewCredentials: credentials.discard(used)
            }
        }
    }

    private func attempt(
        _ operation: String, _ body: [UInt8], _ credentials: AWSCredentials, _ isIdempotent: Bool,
        userAgent: String, deadline: ContinuousClock.Instant
    ) -> Result<HTTPResponse, TransportError> {
        var head = HTTPRequestHead(
            path: endpoint.path,
            headers: [
                HTTPHeader("Host", endpoint.authority),
                HTTPHeader("Content-Type", "application/x-amz-json-1.1"),
                HTTPHeader("X-Amz-Target", "TrentService.\(operation)"),
                HTTPHeader("User-Agent", userAgent),
            ])
        head.headers += signer.headers(
            for: head, body: body, credentials: credentials, at: surroundings.clock.now())
        do throws(TransportError) {
            return .success(
                try transport.post(
                    headers: head.headers, body: body, deadline: deadline,
                    isIdempotent: isIdempotent))
        } catch {
            return .failure(error)
        }
    }

    private func currentCredentials() throws(ConnectionError) -> AWSCredentials {
        do throws(CredentialError) {
            return try credentials.credentials()
        } catch {
            throw .credentials(error)
        }
    }

    private static func outcome(
        _ result: Result<HTTPResponse, TransportError>, _ exceptionName: (HTTPResponse) -> String?
    ) -> RetryPolicy.Outcome {
        switch result {
        case .success(let response):
            let isFine = (200...299).contains(response.status)
            return .answered(
                status: response.status, exception: isFine ? nil : exceptionName(response))
        case .failure(let error): return .failed(error)
        }
    }

    private static func answer(
        _ result: Result<HTTPResponse, TransportError>
    ) throws(ConnectionError) -> HTTPResponse {
        switch result {
        case .success(let response): return response
        case .failure(let error): throw .transport(error)
        }
    }
}
