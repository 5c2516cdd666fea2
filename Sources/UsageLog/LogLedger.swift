internal import Cryptography
internal import KMSModel
internal import Platform

/// Where the next segment and the next checkpoint go, and the key that signs the latter.
///
/// Encoding, numbers big-endian: `form 1 = 1 | number of checkpoints 8 | hash of the last 32 |
/// verification key 32 | seed of the next key 32 | last ordinal 8 | last digest 32 |
/// boot id of the last checkpoint 16 | milliseconds since that boot 8 | count 4 | ids 16 each`.
struct LedgerState: Sendable {
    private static let form: UInt8 = 1

    var checkpointCount: UInt64 = 0
    var lastHash = SegmentFormat.zeroHash
    /// The public key of the first checkpoint.
    let verificationKey: [UInt8]
    /// Signs the next checkpoint and nothing else.
    var nextKey: Ed25519PrivateKey
    var lastOrdinal: UInt64 = 0
    var lastDigest = SegmentFormat.zeroHash
    var sealedInBoot = [UInt8](repeating: 0, count: SegmentFormat.bootIDBytes)
    var sealedAtMilliseconds: UInt64 = 0
    /// Segments whose end is in no checkpoint yet, by ordinal.
    var unsealed: [SegmentID] = []

    /// Of a log that never had a checkpoint; its segments, if any, are of version 1.
    init(segments: [SegmentRecord]) {
        nextKey = Ed25519PrivateKey()
        verificationKey = nextKey.publicKey
        if let last = segments.last {
            lastOrdinal = last.ordinal
            lastDigest = last.digest
        }
        unsealed = segments.map(\.id)
    }

    func encoded() -> [UInt8] {
        var bytes = [LedgerState.form]
        bytes.reserveCapacity(180 + SegmentID.byteCount * unsealed.count)
        bytes.appendBigEndian(checkpointCount)
        bytes += lastHash + verificationKey
        nextKey.seed.withBytes { seed in
            // SAFETY: the span is the secret's own 32 bytes; whoever stores the copy wipes it.
            unsafe seed.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
        }
        bytes.appendBigEndian(lastOrdinal)
        bytes += lastDigest + sealedInBoot
        bytes.appendBigEndian(sealedAtMilliseconds)
        bytes.appendBigEndian(UInt32(unsealed.count))
        for id in unsealed { bytes += id.bytes }
        return bytes
    }

    init?(decoding bytes: [UInt8]) {
        var reader = ByteReader(bytes[...])
        guard reader.number(UInt8.self) == LedgerState.form,
            let count = reader.number(UInt64.self), let lastHash = reader.take(32),
            let verificationKey = reader.take(32), var seed = reader.take(32),
            let nextKey = try? Ed25519PrivateKey(seed: SecretBytes(consuming: &seed)),
            let ordinal = reader.number(UInt64.self), let digest = reader.take(32),
            let boot = reader.take(SegmentFormat.bootIDBytes),
            let time = reader.number(UInt64.self), let idCount = reader.number(UInt32.self)
        else { return nil }
        var ids: [SegmentID] = []
        for _ in 0..<idCount {
            guard let id = reader.take(SegmentID.byteCount).flatMap(SegmentID.init) else {
                return nil
            }
            ids.append(id)
        }
        guard reader.isAtEnd else { return nil }
        self.verificationKey = verificationKey
        self.nextKey = nextKey
        checkpointCount = count
        self.lastHash = lastHash
        lastOrdinal = ordinal
        lastDigest = digest
        sealedInBoot = boot
        sealedAtMilliseconds = time
        unsealed = ids
    }
}

/// Where a segment may begin.
struct LogPlace: Hashable, Sendable {
    var lastOrdinal: UInt64
    var lastDigest: [UInt8]
}

/// The rules of what the keystore keeps of the log.
struct LogLedger: Sendable {
    /// A living writer sees to it that there is a checkpoint this often, events or not.
    static let epochMilliseconds: UInt64 = 15 * 60_000
    /// Until a checkpoint that could not be made is tried again.
    static let sealRetryMilliseconds: UInt64 = 5000

    enum Failure: Error {
        case damagedState
        case unknownSegment(SegmentID)
        case wentBack(SegmentID)
        case noCheckpoint
    }

    let store: any LogAnchorStore
    let clock: any WallClock
    /// ``Boot``'s, but for tests.
    var bootMilliseconds: @Sendable () -> UInt64 = { Boot.milliseconds() }

    // MARK: Segments

    /// Where the next segment goes, and those that were never closed.
    func place() throws(UsageLogError) -> (place: LogPlace, open: [SegmentRecord]) {
        try store.reading { view in
            guard let state = try LogLedger.state(view) else {
                let segments = try view.segments()
                let place = LogPlace(
                    lastOrdinal: segments.last?.ordinal ?? 0,
                    lastDigest: segments.last?.digest ?? SegmentFormat.zeroHash)
                return (place, segments.filter { !$0.isClosed })
            }
            let open = try state.unsealed.map { try LogLedger.segment($0, view) }
            return (
                LogPlace(lastOrdinal: state.lastOrdinal, lastDigest: state.lastDigest),
                open.filter { !$0.isClosed }
            )
        }
    }

    /// Returns when the record is durable; the segment's first event is written after that.
    ///
    /// - Returns: whether it is registered; false when its place is taken by now.
    func register(_ segment: SegmentRecord) throws(UsageLogError) -> Bool {
        try store.changing { transaction in
            var state = try LogLedger.stateOrNew(transaction)
            guard state.lastOrdinal == segment.ordinal - 1,
                state.lastDigest == segment.previousDigest
            else { return false }
            try transaction.insert(segment)
            state.lastOrdinal = segment.ordinal
            state.lastDigest = segment.digest
            state.unsealed.append(segment.id)
            try LogLedger.set(state, transaction)
            return true
        }
    }

    /// Moves a segment's head on, durably.
    func advance(
        _ id: SegmentID, to head: SegmentHead, tally: UsageTally
    ) throws(UsageLogError) {
        try store.changing { transaction in
            var segment = try LogLedger.segment(id, transaction)
            guard !segment.isClosed, head.eventCount >= segment.head.eventCount else {
                throw Failure.wentBack(id)
            }
            segment.head = head
            segment.tally = segment.version > 1 ? tally.encoded() : []
            try transaction.replace(segment)
        }
    }

    /// Closes a segment for good, adds what it says to the totals, and seals it with a checkpoint,
    /// all at once.
    func close(
        _ id: SegmentID, at head: SegmentHead, tally: UsageTally
    ) throws(UsageLogError) {
        try store.changing { transaction in
            var segment = try LogLedger.segment(id, transaction)
            guard !segment.isClosed, head.eventCount >= segment.head.eventCount else {
                throw Failure.wentBack(id)
            }
            segment.head = head
            segment.isClosed = true
            segment.tally = []
            try transaction.replace(segment)
            // Metering begins with version 2: the totals are those of its segments.
            if segment.version > 1 { try tally.addToTotals(transaction) }
            var state = try LogLedger.stateOrNew(transaction)
            try seal(&state, transaction)
            try LogLedger.set(state, transaction)
        }
        store.eraseOldStates()
    }

    // MARK: Checkpoints

    /// A checkpoint now.
    func seal() throws(UsageLogError) {
        try store.changing { transaction in
            var state = try LogLedger.stateOrNew(transaction)
            try seal(&state, transaction)
            try LogLedger.set(state, transaction)
        }
        store.eraseOldStates()
    }

    /// A checkpoint when the last one, of whichever process, is an epoch old.
    ///
    /// - Returns: when the last one was made, this one included, by ``bootMilliseconds``.
    @discardableResult
    func sealWhenDue() throws(UsageLogError) -> UInt64 {
        let (isSealed, sealedAt) = try store.changing { transaction -> (Bool, UInt64) in
            var state = try LogLedger.stateOrNew(transaction)
            let isSameBoot = state.sealedInBoot == Boot.id
            let age = bootMilliseconds() &- state.sealedAtMilliseconds
            guard !isSameBoot || age >= LogLedger.epochMilliseconds else {
                return (false, state.sealedAtMilliseconds)
            }
            try seal(&state, transaction)
            try LogLedger.set(state, transaction)
            return (true, state.sealedAtMilliseconds)
        }
        if isSealed { store.eraseOldStates() }
        return sealedAt
    }

    private func seal(_ state: inout LedgerState, _ transaction: any LogTransaction) throws {
        let segments = try state.unsealed.map { try LogLedger.segment($0, transaction) }
        let next = Ed25519PrivateKey()
        let checkpoint = Checkpoint(
            number: state.checkpointCount + 1, milliseconds: clock.now().millisecondsSinceEpoch,
            bootID: Boot.id, previousHash: state.lastHash, nextKey: next.publicKey,
            seals: segments.map { Checkpoint.Seal($0) })
        let bytes = try checkpoint.encoded(signedWith: state.nextKey)
        try transaction.appendCheckpoint(checkpoint.number, bytes)
        state.checkpointCount = checkpoint.number
        state.lastHash = Checkpoint.hash(bytes)
        state.nextKey = next
        state.sealedInBoot = Boot.id
        state.sealedAtMilliseconds = bootMilliseconds()
        state.unsealed = segments.filter { !$0.isClosed }.map(\.id)
    }

    // MARK: State

    static func state(_ view: any LogView) throws -> LedgerState? {
        var bytes = try view.state()
        guard !bytes.isEmpty else { return nil }
        defer { wipe(&bytes) }
        guard let state = LedgerState(decoding: bytes) else { throw Failure.damagedState }
        return state
    }

    private static func stateOrNew(_ view: any LogView) throws -> LedgerState {
        if let state = try state(view) { return state }
        return LedgerState(segments: try view.segments())
    }

    private static func set(_ state: LedgerState, _ transaction: any LogTransaction) throws {
        var bytes = state.encoded()
        defer { wipe(&bytes) }
        try transaction.setState(bytes)
    }

    private static func segment(_ id: SegmentID, _ view: any LogView) throws -> SegmentRecord {
        guard let segment = try view.segment(id) else { throw Failure.unknownSegment(id) }
        return segment
    }
}
