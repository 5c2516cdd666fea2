import KMSModel
import Testing

@testable import KMSClient

@Suite struct CredentialRefreshTests {
    private let now = Timestamp(secondsSinceEpoch: 1_000_000)

    private func later(_ seconds: Int64) -> Timestamp {
        now.advanced(byMilliseconds: seconds * 1000)
    }

    @Test func `the first one loads, the others wait`() {
        var refresh = CredentialRefresh()
        #expect(refresh.action(now: now) == .load)
        refresh.isLoading = true
        #expect(refresh.action(now: now) == .wait)
    }

    @Test func `credentials that last are used for ever`() {
        let refresh = CredentialRefresh(held: .lasting)
        #expect(refresh.action(now: later(1_000_000_000)) == .use)
    }

    @Test func `credentials are loaded anew five minutes before they expire`() {
        var refresh = CredentialRefresh(held: .until(later(3600)), loadedAt: now)
        #expect(refresh.action(now: later(3299)) == .use)
        #expect(refresh.action(now: later(3300)) == .load)
        refresh.isLoading = true
        #expect(refresh.action(now: later(3599)) == .use)
        #expect(refresh.action(now: later(3600)) == .wait)
    }

    @Test func `credentials of a short life are not loaded with every request`() {
        let refresh = CredentialRefresh(held: .until(later(60)), loadedAt: now)
        #expect(refresh.action(now: later(9)) == .use)
        #expect(refresh.action(now: later(10)) == .load)
        #expect(refresh.action(now: later(61)) == .load)
    }

    @Test func `after a failure there is a pause`() {
        var refresh = CredentialRefresh(failedAt: now)
        #expect(refresh.action(now: later(1)) == .fail)
        #expect(refresh.action(now: later(2)) == .load)
        refresh.held = .until(later(60))
        #expect(refresh.action(now: later(1)) == .use)
        #expect(refresh.action(now: later(2)) == .load)
    }

    @Test func `a clock that was set back makes no pause longer`() {
        #expect(CredentialRefresh(failedAt: later(3600)).action(now: now) == .load)
        let refresh = CredentialRefresh(held: .until(later(60)), loadedAt: later(3600))
        #expect(refresh.action(now: now) == .load)
    }
}
