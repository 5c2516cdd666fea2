internal import Cryptography
package import KMSModel

/// What the events of a log add up to: of each key its last use, and how often it was asked for.
///
/// A pure function of the events, and one that does not care for their order: tallies of parts of a
/// log add up to the tally of the log.
package struct UsageTally: Sendable {
    /// The last successful use of a key in a cryptographic operation, as GetKeyLastUsage tells it.
    package struct LastUse: Hashable, Sendable {
        package let operation: String
        package let time: Timestamp
        package let eventID: String
        package let requestID: String

        /// By time; of several at one time, always the same one.
        fileprivate func isAfter(_ other: LastUse) -> Bool {
            (time, eventID) > (other.time, other.eventID)
        }

        package static func latest(_ one: LastUse?, _ other: LastUse?) -> LastUse? {
            guard let one, let other else { return one ?? other }
            return other.isAfter(one) ? other : one
        }
    }

    package struct Period: Hashable, Sendable {
        package let month: CalendarMonth
        package let priceClass: PriceClass
    }

    package struct Requests: Hashable, Sendable {
        package let period: Period
        /// All that were answered, refusals and dry runs included.
        package var count: UInt64
        /// Of them, those that were refused.
        package var refusedCount: UInt64
    }

    /// Of one key, or of no key.
    package struct Key: Hashable, Sendable {
        package var lastUse: LastUse?
        /// In the order of their first event.
        fileprivate var counts: [Requests] = []

        package var requests: [Requests] {
            counts.sorted {
                ($0.period.month, $0.period.priceClass) < ($1.period.month, $1.period.priceClass)
            }
        }

        package static func == (a: Key, b: Key) -> Bool {
            a.lastUse == b.lastUse && a.requests == b.requests
        }

        package func hash(into hasher: inout Hasher) {
            hasher.combine(lastUse)
            hasher.combine(requests)
        }

        fileprivate mutating func add(_ requests: Requests) {
            // The newest month is looked for most, and stands last.
            if let index = counts.lastIndex(where: { $0.period == requests.period }) {
                counts[index].count += requests.count
                counts[index].refusedCount += requests.refusedCount
            } else {
                counts.append(requests)
            }
        }

        fileprivate mutating func note(_ use: LastUse) {
            if let lastUse, !use.isAfter(lastUse) { return }
            lastUse = use
        }
    }

    private var places: [String: Int] = [:]
    private var arns: [String] = []
    private var entries: [Key] = []
    /// Of the key that was added to last; most events are about the same key as the one before.
    private var lastPlace = 0
    private var lastOperation = ""
    private var lastOperationUsesKeys = false
    private var lastMonth = CalendarMonth(index: 0)
    private var lastMonthTimes: Range<Int64> = 0..<0

    package init() {}

    /// By the key's ARN; what names no key is under "".
    package var keys: [String: Key] { places.mapValues { entries[$0] } }

    package subscript(arn: String) -> Key? { places[arn].map { entries[$0] } }

    package var isEmpty: Bool { arns.isEmpty }

    // MARK: Events

    /// Adds an event. A request counts once, for the first key that it names.
    package mutating func add(_ event: some MeteredEvent) {
        let resources = event.resources
        let isFirstKnown = lastPlace < arns.count && resources.first == arns[lastPlace]
        let firstKey =
            isFirstKnown ? resources.startIndex : resources.firstIndex(where: UsageTally.isKey)
        if event.isRequest {
            let period = Period(month: month(of: event.time), priceClass: event.priceClass)
            entries[place(of: firstKey.map { resources[$0] } ?? "")].add(
                Requests(period: period, count: 1, refusedCount: event.isRefused ? 1 : 0))
        }
        guard let firstKey, !event.isRefused, usesKeys(event.operation) else { return }
        let use = LastUse(
            operation: event.operation, time: event.time, eventID: event.id,
            requestID: event.idOfRequest)
        entries[place(of: resources[firstKey])].note(use)
        for arn in resources.dropFirst(firstKey + 1) where UsageTally.isKey(arn) {
            entries[place(of: arn)].note(use)
        }
    }

    /// Aliases are resources of some events, too.
    private static func isKey(_ arn: String) -> Bool {
        let bytes = arn.utf8
        guard let slash = bytes.firstIndex(of: UInt8(ascii: "/")) else { return false }
        return bytes[..<slash].suffix(4).elementsEqual(":key".utf8)
    }

    /// Whether an operation uses a key's material (GetKeyLastUsage's `Operation`).
    private mutating func usesKeys(_ operation: String) -> Bool {
        if operation != lastOperation {
            lastOperation = operation
            lastOperationUsesKeys = UsageTally.cryptographicOperations.contains(operation)
        }
        return lastOperationUsesKeys
    }

    private static let cryptographicOperations: Set<String> = [
        "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt",
        "Sign", "Verify", "GenerateMac", "VerifyMac", "DeriveSharedSecret", "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext", "Encapsulate", "Decapsulate",
    ]

    package mutating func add(_ other: UsageTally) {
        for (place, arn) in other.arns.enumerated() { add(other.entries[place], of: arn) }
    }

    private mutating func add(_ key: Key, of arn: String) {
        let place = place(of: arn)
        for requests in key.counts { entries[place].add(requests) }
        if let use = key.lastUse { entries[place].note(use) }
    }

    private mutating func place(of arn: String) -> Int {
        if lastPlace < arns.count, arns[lastPlace] == arn { return lastPlace }
        if let place = places[arn] {
            lastPlace = place
            return place
        }
        lastPlace = arns.count
        places[arn] = lastPlace
        arns.append(arn)
        entries.append(Key())
        return lastPlace
    }

    private mutating func month(of time: Timestamp) -> CalendarMonth {
        let milliseconds = time.millisecondsSinceEpoch
        if !lastMonthTimes.contains(milliseconds) {
            lastMonth = CalendarMonth(containing: time)
            let start = lastMonth.start.millisecondsSinceEpoch
            lastMonthTimes = start..<max(start, lastMonth.next.start.millisecondsSinceEpoch)
        }
        return lastMonth
    }
}

extension UsageTally: Hashable {
    package static func == (a: UsageTally, b: UsageTally) -> Bool { a.keys == b.keys }

    package func hash(into hasher: inout Hasher) { hasher.combine(keys) }
}

// MARK: - Encoding

/// One key's part: `form 1 = 1 | ARN | last use 0, or 1 and operation, time 8, event id, request
/// id | count 4 | month 4, class 1, requests 8, refused 8 each`; texts behind their 32-bit length,
/// numbers big-endian. A tally is its parts, each behind its 32-bit length, by their ARNs.
extension UsageTally {
    private static let form: UInt8 = 1

    /// Where the store keeps the total of a key.
    private static func id(of arn: String) -> [UInt8] {
        Array(SHA256.hash(Array(arn.utf8)).prefix(16))
    }

    /// Empty for an empty tally.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        for arn in arns.sorted() {
            guard let place = places[arn] else { continue }
            bytes.appendText(UsageTally.part(entries[place], of: arn))
        }
        return bytes
    }

    private static func part(_ key: Key, of arn: String) -> [UInt8] {
        var bytes = [form]
        bytes.appendText(Array(arn.utf8))
        bytes.append(key.lastUse == nil ? 0 : 1)
        if let use = key.lastUse {
            bytes.appendText(Array(use.operation.utf8))
            bytes.appendBigEndian(use.time.millisecondsSinceEpoch)
            bytes.appendText(Array(use.eventID.utf8))
            bytes.appendText(Array(use.requestID.utf8))
        }
        bytes.appendBigEndian(UInt32(key.counts.count))
        for requests in key.requests {
            bytes.appendBigEndian(requests.period.month.index)
            bytes.append(requests.period.priceClass.rawValue)
            bytes.appendBigEndian(requests.count)
            bytes.appendBigEndian(requests.refusedCount)
        }
        return bytes
    }

    /// nil when the bytes are no tally.
    package init?(decoding bytes: [UInt8]) {
        self.init()
        var reader = ByteReader(bytes[...])
        while !reader.isAtEnd {
            guard let part = reader.lengthPrefixed(), add(part: part) else { return nil }
        }
    }

    /// - Returns: false when the bytes are no part.
    private mutating func add(part bytes: [UInt8]) -> Bool {
        var reader = ByteReader(bytes[...])
        guard reader.number(UInt8.self) == UsageTally.form, let arn = reader.text(),
            let hasUse = reader.number(UInt8.self), hasUse <= 1
        else { return false }
        var key = Key()
        if hasUse == 1 {
            guard let operation = reader.text(), let time = reader.number(Int64.self),
                let eventID = reader.text(), let requestID = reader.text()
            else { return false }
            key.lastUse = LastUse(
                operation: operation, time: Timestamp(millisecondsSinceEpoch: time),
                eventID: eventID, requestID: requestID)
        }
        guard let count = reader.number(UInt32.self) else { return false }
        for _ in 0..<count {
            guard let month = reader.number(UInt32.self),
                let priceClass = reader.number(UInt8.self).flatMap(PriceClass.init),
                let all = reader.number(UInt64.self), let refused = reader.number(UInt64.self)
            else { return false }
            let period = Period(month: CalendarMonth(index: month), priceClass: priceClass)
            key.add(Requests(period: period, count: all, refusedCount: refused))
        }
        guard reader.isAtEnd else { return false }
        add(key, of: arn)
        return true
    }

    // MARK: Totals

    /// Adds this tally to the totals of closed segments that the store keeps, key by key.
    func addToTotals(_ transaction: any LogTransaction) throws {
        for arn in arns.sorted() {
            guard let place = places[arn] else { continue }
            let id = UsageTally.id(of: arn)
            var total = UsageTally()
            if let stored = try transaction.tally(id), !total.add(part: stored) {
                throw LogLedger.Failure.damagedState
            }
            total.add(entries[place], of: arn)
            if let key = total[arn] { try transaction.setTally(id, UsageTally.part(key, of: arn)) }
        }
    }

    /// Of one key, over all closed segments.
    static func total(of arn: String, _ view: any LogView) throws -> UsageTally {
        var total = UsageTally()
        if let stored = try view.tally(id(of: arn)), !total.add(part: stored) {
            throw LogLedger.Failure.damagedState
        }
        return total
    }

    /// Of all closed segments.
    static func totals(_ view: any LogView) throws -> UsageTally {
        var total = UsageTally()
        for part in try view.tallies() {
            guard total.add(part: part) else { throw LogLedger.Failure.damagedState }
        }
        return total
    }
}

extension [UInt8] {
    mutating func appendText(_ text: [UInt8]) {
        appendBigEndian(UInt32(text.count))
        append(contentsOf: text)
    }
}

extension ByteReader {
    mutating func lengthPrefixed() -> [UInt8]? {
        number(UInt32.self).flatMap { take(Int($0)) }
    }

    mutating func text() -> String? {
        lengthPrefixed().flatMap { String(validating: $0, as: UTF8.self) }
    }
}
