/// What the log needs from the keystore: a place for its segments' records, its checkpoints and its
/// totals, that is safe from whoever can write the log's directory.
///
/// Called from any thread, and by several processes at once.
package protocol LogAnchorStore: Sendable {
    /// Runs `body` over one consistent state.
    func read<Value: Sendable>(_ body: (any LogView) throws -> Value) throws -> Value

    /// Runs `body` as one transaction, which excludes all others from its start: durable when this
    /// returns, and undone when `body` throws.
    func change<Value: Sendable>(_ body: (any LogTransaction) throws -> Value) throws -> Value
}

package protocol LogView {
    /// ``LedgerState`` as it was set last; empty before. It holds a secret.
    func state() throws -> [UInt8]
    /// nil when it is not registered.
    func segment(_ id: SegmentID) throws -> SegmentRecord?
    /// In the order of registration.
    func segments() throws -> [SegmentRecord]
    /// All, in their order.
    func checkpoints() throws -> [[UInt8]]
    /// nil when there is none.
    func checkpoint(_ number: UInt64) throws -> [UInt8]?
    /// One of ``UsageTally``'s parts; nil when there is none.
    func tally(_ id: [UInt8]) throws -> [UInt8]?
    func tallies() throws -> [[UInt8]]
}

package protocol LogTransaction: LogView {
    /// What was there before is to be erased as well as the store can.
    func setState(_ state: [UInt8]) throws
    /// - Throws: when the ordinal or the id is taken.
    func insert(_ segment: SegmentRecord) throws
    func replace(_ segment: SegmentRecord) throws
    func appendCheckpoint(_ number: UInt64, _ bytes: [UInt8]) throws
    func setTally(_ id: [UInt8], _ bytes: [UInt8]) throws
}

extension LogAnchorStore {
    func allSegments() throws(UsageLogError) -> [SegmentRecord] {
        try reading { try $0.segments() }
    }

    func reading<Value: Sendable>(_ body: (any LogView) throws -> Value) throws(UsageLogError)
        -> Value
    {
        do {
            return try read(body)
        } catch {
            throw .anchorStore(error)
        }
    }

    func changing<Value: Sendable>(
        _ body: (any LogTransaction) throws -> Value
    ) throws(UsageLogError) -> Value {
        do {
            return try change(body)
        } catch {
            throw .anchorStore(error)
        }
    }
}
