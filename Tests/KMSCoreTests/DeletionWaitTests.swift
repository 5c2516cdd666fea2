import KMSModel
import Testing

@testable import KMSCore
@testable import KMSStore

/// A deletion whose date has come waits for a day, so that a clock that is ahead for a moment ends
/// nothing.
@Suite struct DeletionWaitTests {
    private let kms: TestKeystore
    private let key: String

    /// With a key whose deletion is a week away.
    init() throws {
        kms = try TestKeystore()
        key = try kms.newKey(.pendingDeletion(at: kms.clock.now())).description
    }

    private func isGone() throws -> Bool {
        try kms.refusal(.describeKey, Structure([.keyID: .text(key)]))?.code == .notFound
    }

    private func record() throws -> KeyRecord {
        let id = try #require(KeyARN(key)).keyID
        let region = try kms.keystore.store.snapshot().region(TestKeystore.scope)
        return try #require(region.keys[id]).record
    }

    /// As a process that starts while the clock is so far ahead.
    private func open(aheadByDays days: Int) throws {
        kms.clock.turn(days: days)
        try kms.again().close()
        #expect(try !isGone())
        kms.clock.turn(days: -days)
    }

    @Test func `a clock that is ahead when a keystore is opened deletes nothing`() throws {
        try open(aheadByDays: 3650)
        #expect(try !isGone())
        try kms.ask(.cancelKeyDeletion, Structure([.keyID: .text(key)]))
        #expect(try kms.state(key) == "Disabled")
    }

    @Test func `a clock that was ahead some days ago does not shorten the wait`() throws {
        try open(aheadByDays: 3650)
        #expect(try !isGone())
        kms.clock.advance(days: 7)
        #expect(try !isGone())
        kms.clock.advance(minutes: 24 * 60 - 1)
        #expect(try !isGone())
        kms.clock.advance(minutes: 1)
        #expect(try isGone())
    }

    @Test func `the day is one of the clock that nobody can set`() throws {
        kms.clock.advance(days: 7)
        #expect(try !isGone())
        kms.clock.turn(days: 365)
        #expect(try !isGone())
        kms.clock.advance(minutes: 24 * 60 - 1)
        #expect(try !isGone())
        kms.clock.advance(minutes: 1)
        #expect(try isGone())
        let events = try kms.events().filter { $0.eventName == "DeleteKey" }
        #expect(events.map(\.keyARNs) == [[key]])
    }

    @Test func `the wait goes on over a restart by the wall clock`() throws {
        kms.clock.advance(days: 7)
        #expect(try !isGone())
        kms.clock.restart()
        kms.clock.advance(minutes: 24 * 60 - 1)
        #expect(try !isGone())
        kms.clock.advance(minutes: 1)
        #expect(try isGone())
    }

    @Test func `where no boot is told from another the wall clock counts`() {
        let unknown = [UInt8](repeating: 0, count: ClockReading.bootIDBytes)
        let seen = ClockReading(wall: kms.clock.now(), bootID: unknown, bootMilliseconds: 0)
        let later = ClockReading(
            wall: seen.wall, bootID: unknown, bootMilliseconds: 7 * 86_400_000)
        #expect(!later.hasReached(seen.advanced(byDays: 1)))
        #expect(seen.advanced(byDays: 1).hasReached(seen.advanced(byDays: 1)))
    }

    @Test func `while a deletion waits nothing is written, and it can be taken back`() throws {
        kms.clock.advance(days: 7)
        #expect(try !isGone())
        #expect(try record().deletionWait.firstSeen == kms.clock.reading())
        let revision = try kms.keystore.store.snapshot().revision
        kms.clock.advance(minutes: 60)
        kms.keystore.runDueWork()
        #expect(try !isGone())
        #expect(try kms.keystore.store.snapshot().revision == revision)

        try kms.ask(.cancelKeyDeletion, Structure([.keyID: .text(key)]))
        #expect(try record().deletionWait == DeletionWait())
        kms.clock.advance(days: 1)
        #expect(try kms.state(key) == "Disabled")
        // Another deletion has a wait of its own.
        _ = try kms.service.scheduleKeyDeletion(key, windowDays: 7, as: kms.owner)
        kms.clock.advance(days: 7)
        #expect(try !isGone())
        kms.clock.advance(days: 1)
        #expect(try isGone())
    }

    @Test func `who finds that the date is still to come takes the note back`() throws {
        kms.clock.turn(days: 8)
        kms.keystore.runDueWork()
        #expect(try record().deletionWait.firstSeen != nil)
        kms.clock.turn(days: -8)
        #expect(try !isGone())
        #expect(try record().deletionWait == DeletionWait())
    }

    @Test func `a replica that waits holds its primary key up`() throws {
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: "eu-west-1")
        let input = Structure([.pendingWindowInDays: .number(7)])
        try kms.ask(.scheduleKeyDeletion, input.with(.keyID, .text(key)))
        try kms.ask(.scheduleKeyDeletion, input.with(.keyID, .text(replica)), in: "eu-west-1")
        kms.clock.advance(days: 7)
        #expect(try kms.state(key) == "PendingReplicaDeletion")
        kms.clock.advance(days: 1)
        #expect(try kms.state(key) == "PendingDeletion")
        #expect(
            try kms.metadata(key).time(.deletionDate) == kms.clock.now().advanced(byDays: 7))
    }

    // MARK: Scheduled by a wrong clock

    /// Of another key: how many days it stays once its date has come.
    private func daysBehindTheDate(_ key: String) throws -> Int {
        _ = try kms.service.scheduleKeyDeletion(key, windowDays: 7, as: kms.owner)
        // A clock that was behind is set right here.
        kms.clock.turn(days: 400)
        for days in 0..<30 {
            guard try kms.refusal(.describeKey, Structure([.keyID: .text(key)])) == nil else {
                return days
            }
            kms.clock.advance(days: 1)
        }
        return 30
    }

    @Test func `by a clock from before the key its deletion waits for a whole window`() throws {
        let key = try kms.newKey().arn.description
        kms.clock.turn(days: -300)
        #expect(try daysBehindTheDate(key) == 7)
    }

    @Test func `by a clock that was set back by some minutes it waits for a day`() throws {
        let key = try kms.newKey().arn.description
        kms.clock.turn(days: -1)
        kms.clock.advance(minutes: 24 * 60 - 30)
        #expect(try daysBehindTheDate(key) == 1)
    }

    @Test(arguments: [false, true])
    func `a key from when the clock was ahead can be deleted, and waits for a whole window`(
        _ isRotatedOnly: Bool
    ) throws {
        var key = try kms.newKey().arn.description
        kms.clock.turn(days: 3650)
        if isRotatedOnly {
            try kms.service.rotateKeyOnDemand(key, as: kms.owner)
        } else {
            key = try kms.newKey().arn.description
        }
        kms.clock.turn(days: -3650)
        #expect(try daysBehindTheDate(key) == 7)
    }

    @Test func `a primary key that is from later than its last replica's end waits, too`() throws {
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: "eu-west-1")
        kms.clock.turn(days: 3650)
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        kms.clock.turn(days: -3650)
        let input = Structure([.pendingWindowInDays: .number(7)])
        try kms.ask(.scheduleKeyDeletion, input.with(.keyID, .text(key)))
        try kms.ask(.scheduleKeyDeletion, input.with(.keyID, .text(replica)), in: "eu-west-1")
        kms.waitForDeletion(days: 7)
        // The replica has the same material.
        kms.clock.advance(days: 6)
        #expect(try kms.state(key) == "PendingDeletion")
        kms.waitForDeletion(days: 7)
        #expect(try kms.state(key) == "PendingDeletion")
        kms.clock.advance(days: 6)
        #expect(try kms.refusal(.describeKey, Structure([.keyID: .text(key)]))?.code == .notFound)
    }

    @Test func `no deletion is scheduled by a clock from before the log's last checkpoint`() throws
    {
        let key = try kms.newKey().arn.description
        kms.clock.turn(days: 8)
        try kms.keystore.sealLog()
        let sealed = kms.clock.now()
        kms.clock.turn(days: -8)
        #expect(
            throws: KMSError.invalidState(
                "The deletion of \(key) is not scheduled: the clock is behind. It says "
                    + "\(kms.clock.now().iso8601), and the keystore has records of "
                    + "\(sealed.iso8601).")
        ) { try kms.service.scheduleKeyDeletion(key, windowDays: 7, as: kms.owner) }
        #expect(try kms.state(key) == "Enabled")
        // It was ahead then, which the next checkpoint says.
        try kms.keystore.sealLog()
        _ = try kms.service.scheduleKeyDeletion(key, windowDays: 7, as: kms.owner)
        #expect(try kms.state(key) == "PendingDeletion")
    }

    // MARK: Records

    @Test func `a record without a note is as it always was, and one with a note has one form`()
        throws
    {
        var record = try record()
        #expect(record.encoded().first == RecordForm.first)
        record.deletionWait.firstSeen = kms.clock.reading()
        let bytes = record.encoded()
        #expect(bytes.first == RecordForm.third)
        #expect(try KeyRecord(decoding: bytes) == record)
        for count in bytes.indices {
            let part = Array(bytes.prefix(count))
            #expect(throws: MalformedRecord.self) { try KeyRecord(decoding: part) }
        }
        // A note belongs to its deletion.
        record.state = .disabled
        #expect(record.deletionWait == DeletionWait())
        #expect(record.encoded().first == RecordForm.first)
    }
}
