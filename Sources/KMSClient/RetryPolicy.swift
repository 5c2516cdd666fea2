/// When a request is made again, and how long after: a rule without clock, network and chance.
///
/// Exponential backoff with full jitter: the wait is drawn from zero to a border that doubles with
/// each attempt. Source: AWS SDKs and Tools reference guide, "Retry behavior"; of its list of
/// throttling exceptions LimitExceededException is left out, which in KMS is a quota that waiting
/// does not raise.
package struct RetryPolicy: Sendable, Hashable {
    /// The first one included.
    package var maximumAttempts: Int
    package var firstDelay: Duration
    package var maximumDelay: Duration
    /// How long one attempt may take of the time that all have.
    package var attemptTimeout: Duration

    package init(
        maximumAttempts: Int = 4, firstDelay: Duration = .milliseconds(50),
        maximumDelay: Duration = .seconds(2), attemptTimeout: Duration = .seconds(5)
    ) {
        precondition(maximumAttempts > 0, "BUG: a request is made at least once")
        self.maximumAttempts = maximumAttempts
        self.firstDelay = firstDelay
        self.maximumDelay = maximumDelay
        self.attemptTimeout = attemptTimeout
    }

    package enum Outcome: Sendable {
        /// - Parameter exception: its name without a namespace, where the answer has one.
        case answered(status: Int, exception: String?)
        case failed(TransportError)
    }

    package enum Decision: Sendable, Hashable {
        /// The outcome stands.
        case stop
        case again(after: Duration)
        /// At once, after the credentials were loaded anew.
        case againWithNewCredentials
    }

    static let throttlingExceptions: Set<String> = [
        "BandwidthLimitExceeded", "EC2ThrottledException", "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled",
        "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling",
        "ThrottlingException", "TooManyRequestsException", "TransactionInProgressException",
    ]
    static let transientExceptions: Set<String> = ["RequestTimeout", "RequestTimeoutException"]
    /// With status 503: the service has no room for the request.
    static let busyException = "ServiceUnavailableException"
    static let staleCredentialExceptions: Set<String> = [
        "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId",
        "UnrecognizedClientException",
    ]

    /// One request's attempts.
    package struct Attempts: Sendable {
        private let policy: RetryPolicy
        private let isIdempotent: Bool
        package private(set) var count = 0
        private var hasRenewedCredentials = false

        package init(_ policy: RetryPolicy, isIdempotent: Bool) {
            self.policy = policy
            self.isIdempotent = isIdempotent
        }

        /// What to do after one more attempt.
        ///
        /// - Parameters:
        ///   - timeLeft: for all further attempts; a wait that would use it up is not begun.
        ///   - draw: a random number, from 0 to 1.
        package mutating func next(
            after outcome: Outcome, timeLeft: Duration, draw: Double
        ) -> Decision {
            count += 1
            let isOver = policy.maximumAttempts <= count || timeLeft <= .zero
            if isOver { return .stop }
            if !hasRenewedCredentials, outcome.isByStaleCredentials {
                hasRenewedCredentials = true
                return .againWithNewCredentials
            }
            guard outcome.isWorthAnother(isIdempotent: isIdempotent) else { return .stop }
            let delay = policy.border(attempt: count) * min(max(draw, 0), 1)
            return delay < timeLeft ? .again(after: delay) : .stop
        }
    }

    /// The longest wait after an attempt, counted from 1.
    func border(attempt: Int) -> Duration {
        min(maximumDelay, firstDelay * (1 << min(attempt - 1, 20)))
    }
}

extension RetryPolicy.Outcome {
    fileprivate var isByStaleCredentials: Bool {
        guard case .answered(_, let exception?) = self else { return false }
        return RetryPolicy.staleCredentialExceptions.contains(exception)
    }

    /// Whether the same request may get another outcome, and does no harm if it was carried out.
    fileprivate func isWorthAnother(isIdempotent: Bool) -> Bool {
        switch self {
        case .answered(let status, let exception):
            if Self.wasTurnedAway(status, exception) { return true }
            // Any other answer may have come after the work was done.
            guard isIdempotent else { return false }
            if let exception, RetryPolicy.transientExceptions.contains(exception) { return true }
            return (500...599).contains(status) && status != 501 && status != 505
        case .failed(.unreachable): return true
        case .failed(.timedOut(let wasSent)), .failed(.connectionLost(let wasSent, _)):
            return isIdempotent || !wasSent
        case .failed(.insecure), .failed(.tooLong), .failed(.malformedAnswer),
            .failed(.malformedHeader), .failed(.library):
            return false
        }
    }

    /// Whether the service says that it did not begin: it is asked too much, or has no room.
    private static func wasTurnedAway(_ status: Int, _ exception: String?) -> Bool {
        if status == 429 { return true }
        guard let exception else { return false }
        return RetryPolicy.throttlingExceptions.contains(exception)
            || status == 503 && exception == RetryPolicy.busyException
    }
}
