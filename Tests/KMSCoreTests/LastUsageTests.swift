import KMSCore
import KMSModel
import Testing

import enum TestSupport.Deadline

/// GetKeyLastUsage over events that are on the disk, and over those that are not yet.
@Suite struct LastUsageTests {
    private let kms: TestKeystore
    private let key: String

    init() throws {
        kms = try TestKeystore()
        key = try kms.key()
    }

    /// - Returns: the event's id.
    private func encrypt() throws -> String {
        kms.clock.advance(minutes: 1)
        _ = try kms.service.encrypt(secret("x"), under: key, context: .empty, as: kms.owner)
        return try #require(try kms.events().last { $0.eventName == "Encrypt" }).eventID
    }

    private func told(by keystore: Keystore) throws -> String? {
        try keystore.service.answer(
            .getKeyLastUsage, Structure([.keyID: .text(key)]), as: kms.owner
        ).structure(.keyLastUsage)?.text(.cloudTrailEventID)
    }

    @Test func `a use is told before it is synced and anchored`() throws {
        var wasAhead = false
        // The log's thread may anchor at any moment.
        for _ in 0..<50 where !wasAhead {
            let event = try encrypt()
            #expect(try told(by: kms.keystore) == event)
            wasAhead = try kms.keystore.lastUse(ofKey: key)?.eventID != event
        }
        #expect(wasAhead)
    }

    @Test func `an earlier use in the open segment gives way to a later one of a closed segment`()
        throws
    {
        _ = try encrypt()
        let other = try kms.again()
        kms.clock.advance(minutes: 1)
        _ = try other.service.encrypt(secret("x"), under: key, context: .empty, as: kms.owner)
        let event = try #require(try kms.events().last { $0.eventName == "Encrypt" }).eventID
        other.close()
        #expect(try told(by: kms.keystore) == event)
    }

    @Test func `a use in another process is told as soon as that has anchored it`() throws {
        let other = try kms.again()
        defer { other.close() }
        #expect(try told(by: other) == nil)
        let event = try encrypt()
        #expect(try Deadline.wait(seconds: 30) { try told(by: other) == event })
    }
}
