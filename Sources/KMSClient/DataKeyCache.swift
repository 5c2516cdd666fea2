internal import Cryptography
package import KMSModel
internal import KMSWire
internal import Platform

/// Plaintext data keys that were unwrapped lately, so that opening a file again asks no service.
///
/// What it costs: until an entry is too old, a key that was disabled still opens these files, and
/// the service's log does not show it. It is for one set of credentials: whoever asks gets what any
/// other caller got.
///
/// Thread-safe. Of callers that want the same key at once one asks, and the others take its answer.
/// Failures are never kept. A key is wiped when it has left the cache and nobody uses it any more.
package final class DataKeyCache: Sendable {
    package struct Limits: Sendable, Hashable {
        package static let ageSeconds = 1...86_400
        package static let entries = 1...100_000

        package let maximumAge: Duration
        package let maximumEntries: Int

        /// nil outside 1 s…24 h and 1…100,000 entries.
        package init?(maximumAge: Duration, maximumEntries: Int) {
            let seconds = Int(maximumAge.components.seconds)
            guard Self.ageSeconds.contains(seconds), Self.entries.contains(maximumEntries) else {
                return nil
            }
            self.maximumAge = maximumAge
            self.maximumEntries = maximumEntries
        }

        /// Reads `5m,1000`: an age in s, m or h, and a number of entries, which may be left out
        /// (1000).
        package init?(_ text: String) {
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), let unit = parts[0].last,
                let secondsPerUnit = ["s": 1, "m": 60, "h": 3600][unit],
                let age = Self.number(parts[0].dropLast()),
                let entries = parts.count == 2 ? Self.number(parts[1]) : 1000
            else { return nil }
            self.init(maximumAge: .seconds(age * secondsPerUnit), maximumEntries: entries)
        }

        private static func number(_ text: Substring) -> Int? {
            guard (1...9).contains(text.utf8.count),
                text.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains)
            else { return nil }
            return Int(text)
        }
    }

    /// What a key is asked for with.
    package struct Request: Sendable, Hashable {
        package var blob: [UInt8]
        package var context: EncryptionContext
        /// As in the request: nil where any key may have made the blob.
        package var key: String?

        package init(blob: [UInt8], context: EncryptionContext, key: String?) {
            self.blob = blob
            self.context = context
            self.key = key
        }

        /// One digest for one request, since the parts stand behind their lengths.
        fileprivate var digest: [UInt8] {
            let key: [UInt8] = key.map { Array($0.utf8) + [1] } ?? [0]
            var bytes: [UInt8] = []
            for part in [blob, context.canonicalBytes, key] {
                for shift in stride(from: 56, through: 0, by: -8) {
                    bytes.append(UInt8(truncatingIfNeeded: UInt64(part.count) >> UInt64(shift)))
                }
                bytes.append(contentsOf: part)
            }
            return SHA256.hash(bytes)
        }
    }

    private let now: @Sendable () -> ContinuousClock.Instant
    private let table: Monitor<DataKeyTable>

    package init(
        limits: Limits, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.now = now
        table = Monitor(DataKeyTable(limits))
    }

    package var count: Int { table.withLock { $0.count } }

    /// The key from the cache, or what `unwrap` gives, which then is kept.
    ///
    /// `unwrap` runs in the calling thread, without a lock; others may wait for it, so it must end.
    /// - Throws: what `unwrap` throws, to all that waited for it.
    package func key(
        for request: Request, orUnwrap unwrap: () throws(KMSError) -> UnwrappedData
    ) throws(KMSError) -> UnwrappedData {
        let name = request.digest
        let started = now()
        switch table.withLock({ $0.begin(name, now: started) }) {
        case .found(let data): return data
        case .underWay(let flight):
            return try table.wait { $0.takeResult(of: flight) }.get()
        case .absent(let flight):
            let result: Result<UnwrappedData, KMSError>
            do throws(KMSError) {
                result = .success(try unwrap())
            } catch {
                result = .failure(error)
            }
            table.withLock { $0.end(flight, result, started: started) }
            return try result.get()
        }
    }

    /// The time, for ``keep(_:for:since:)``.
    package var instant: ContinuousClock.Instant { now() }

    /// Keeps a key that was just made, which is about to be used.
    ///
    /// - Parameter asked: when the service was asked for it: later it may have been switched off.
    package func keep(
        _ data: UnwrappedData, for request: Request, since asked: ContinuousClock.Instant
    ) {
        let name = request.digest
        table.withLock { $0.keep(data, name, since: asked) }
    }

    /// Lets go of what is too old. Whoever owns the cache calls it now and then: an entry that
    /// nobody asks for stays in memory until it is called.
    ///
    /// - Returns: when to call again; nil when nothing is left.
    @discardableResult
    package func removeExpired() -> ContinuousClock.Instant? {
        table.withLock { $0.removeExpired(now: now()) }
    }

    /// Lets go of everything; answers that are under way are given out, and not kept.
    package func removeAll() {
        table.withLock { $0.removeAll() }
    }
}
