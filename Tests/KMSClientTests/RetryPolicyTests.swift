import KMSClient
import Testing

@Suite struct RetryPolicyTests {
    private typealias Outcome = RetryPolicy.Outcome

    private static func decision(
        _ outcome: RetryPolicy.Outcome, isIdempotent: Bool = true
    ) -> RetryPolicy.Decision {
        var attempts = RetryPolicy.Attempts(RetryPolicy(), isIdempotent: isIdempotent)
        return attempts.next(after: outcome, timeLeft: .seconds(10), draw: 0)
    }

    @Test(arguments: [500, 502, 503, 504, 599, 429])
    func `what may pass is tried again`(_ status: Int) {
        #expect(Self.decision(.answered(status: status, exception: nil)) == .again(after: .zero))
    }

    @Test(
        arguments: [
            (500, nil), (500, "KMSInternalException"), (500, "DependencyTimeoutException"),
            (502, nil),
            (503, nil), (504, nil), (400, "RequestTimeout"), (408, "RequestTimeoutException"),
            (500, "ServiceUnavailableException"),
        ] as [(Int, String?)])
    func `an answer that may come after the work is tried again only if that does no harm`(
        _ status: Int, _ exception: String?
    ) {
        let outcome = Outcome.answered(status: status, exception: exception)
        #expect(Self.decision(outcome, isIdempotent: false) == .stop)
        #expect(Self.decision(outcome) == .again(after: .zero))
    }

    @Test(
        arguments: [
            (429, nil), (503, "ServiceUnavailableException"), (503, "SlowDown"),
            (400, "ThrottlingException"),
        ] as [(Int, String?)])
    func `what was turned away before any work is tried again, whatever it was`(
        _ status: Int, _ exception: String?
    ) {
        let outcome = Outcome.answered(status: status, exception: exception)
        for isIdempotent in [true, false] {
            #expect(Self.decision(outcome, isIdempotent: isIdempotent) == .again(after: .zero))
        }
    }

    @Test(arguments: [200, 204, 301, 400, 403, 404, 413, 501, 505])
    func `other answers stand`(_ status: Int) {
        #expect(Self.decision(.answered(status: status, exception: nil)) == .stop)
    }

    @Test(arguments: ["ThrottlingException", "TooManyRequestsException", "RequestThrottled"])
    func `throttling is waited out, though it is the client's error`(_ name: String) {
        let outcome = Outcome.answered(status: 400, exception: name)
        #expect(Self.decision(outcome) == .again(after: .zero))
        #expect(Self.decision(outcome, isIdempotent: false) == .again(after: .zero))
    }

    @Test(arguments: [
        "AccessDeniedException", "DisabledException", "LimitExceededException",
        "ValidationException",
        "InvalidSignatureException", "KMSInvalidStateException", "NotFoundException",
    ])
    func `a refusal stands`(_ name: String) {
        #expect(Self.decision(.answered(status: 400, exception: name)) == .stop)
    }

    @Test(arguments: [
        TransportError.unreachable(detail: ""), .timedOut(wasSent: false),
        .connectionLost(wasSent: false, detail: ""),
    ])
    func `what was never sent is tried again`(_ error: TransportError) {
        for isIdempotent in [true, false] {
            #expect(
                Self.decision(.failed(error), isIdempotent: isIdempotent) == .again(after: .zero))
        }
    }

    @Test(arguments: [
        TransportError.timedOut(wasSent: true), .connectionLost(wasSent: true, detail: ""),
    ])
    func `what may have been carried out is tried again only if that does no harm`(
        _ error: TransportError
    ) {
        #expect(Self.decision(.failed(error), isIdempotent: true) == .again(after: .zero))
        #expect(Self.decision(.failed(error), isIdempotent: false) == .stop)
    }

    @Test(arguments: [
        TransportError.insecure(detail: ""), .tooLong(limitBytes: 1), .malformedAnswer(detail: ""),
        .malformedHeader("A"), .library(code: 1, detail: ""),
    ])
    func `what will not change is not tried again`(_ error: TransportError) {
        #expect(Self.decision(.failed(error)) == .stop)
    }

    @Test(arguments: ["UnrecognizedClientException", "ExpiredTokenException"])
    func `credentials are loaded anew once`(_ name: String) {
        var attempts = RetryPolicy.Attempts(RetryPolicy(), isIdempotent: false)
        let outcome = Outcome.answered(status: 400, exception: name)
        let first = attempts.next(after: outcome, timeLeft: .seconds(1), draw: 1)
        #expect(first == .againWithNewCredentials)
        #expect(attempts.next(after: outcome, timeLeft: .seconds(1), draw: 1) == .stop)
    }

    @Test func `waits double up to their border, and are drawn from zero on`() {
        let policy = RetryPolicy(
            maximumAttempts: 8, firstDelay: .milliseconds(100), maximumDelay: .seconds(1))
        func delays(_ draw: Double) -> [RetryPolicy.Decision] {
            var attempts = RetryPolicy.Attempts(policy, isIdempotent: true)
            return (0..<8).map { _ in
                attempts.next(
                    after: .answered(status: 503, exception: nil), timeLeft: .seconds(60),
                    draw: draw)
            }
        }
        let borders = [100, 200, 400, 800, 1000, 1000, 1000]
        #expect(delays(1) == borders.map { .again(after: .milliseconds($0)) } + [.stop])
        #expect(delays(0.5) == borders.map { .again(after: .milliseconds($0 / 2)) } + [.stop])
        #expect(delays(0) == borders.map { _ in .again(after: .zero) } + [.stop])
        #expect(delays(7) == delays(1))
    }

    @Test func `a wait that would use up the time is not begun`() {
        let policy = RetryPolicy(firstDelay: .seconds(1))
        let outcome = Outcome.answered(status: 503, exception: nil)
        var attempts = RetryPolicy.Attempts(policy, isIdempotent: true)
        #expect(attempts.next(after: outcome, timeLeft: .seconds(1), draw: 1) == .stop)
        attempts = RetryPolicy.Attempts(policy, isIdempotent: true)
        let decision = attempts.next(after: outcome, timeLeft: .milliseconds(1001), draw: 1)
        #expect(decision == .again(after: .seconds(1)))
        attempts = RetryPolicy.Attempts(policy, isIdempotent: true)
        #expect(attempts.next(after: outcome, timeLeft: .zero, draw: 0) == .stop)
    }
}
