internal import KMSModel

/// When credentials are used, loaded anew, or waited for: a rule without clock and threads.
///
/// Times are milliseconds. Credentials that expire within five minutes are loaded anew while they
/// still serve; a load that has failed is not tried again for two seconds, and one that gave
/// credentials of a short life not for ten.
struct CredentialRefresh: Hashable, Sendable {
    static let windowMilliseconds: Int64 = 5 * 60 * 1000
    static let pauseMilliseconds: Int64 = 10 * 1000
    static let pauseAfterFailureMilliseconds: Int64 = 2 * 1000

    enum Action: Hashable {
        case use
        case load
        /// Somebody loads already, and there is nothing to use.
        case wait
        /// The last load failed just now.
        case fail
    }

    /// Whether there are credentials, and when they expire.
    enum Held: Hashable {
        case nothing
        case lasting
        case until(Timestamp)
    }

    var held = Held.nothing
    var isLoading = false
    /// When the last load began, if it ended well.
    var loadedAt: Timestamp?
    var failedAt: Timestamp?

    func action(now: Timestamp) -> Action {
        let isUsable = isUsable(now: now)
        guard !isUsable || isExpiring(now: now) else { return .use }
        if isLoading { return isUsable ? .use : .wait }
        if Self.isWithin(Self.pauseAfterFailureMilliseconds, of: failedAt, now: now) {
            return isUsable ? .use : .fail
        }
        if isUsable, Self.isWithin(Self.pauseMilliseconds, of: loadedAt, now: now) { return .use }
        return .load
    }

    /// A clock that was set back does not make a pause longer.
    private static func isWithin(
        _ milliseconds: Int64, of start: Timestamp?, now: Timestamp
    ) -> Bool {
        guard let start else { return false }
        return start <= now && now < start.advanced(byMilliseconds: milliseconds)
    }

    func isUsable(now: Timestamp) -> Bool {
        switch held {
        case .nothing: false
        case .lasting: true
        case .until(let end): now < end
        }
    }

    private func isExpiring(now: Timestamp) -> Bool {
        guard case .until(let end) = held else { return false }
        return now >= end.advanced(byMilliseconds: -Self.windowMilliseconds)
    }
}
