import Foundation
import KMSCore
import KMSModel
import KMSStore
import Testing
import UsageLog

/// What the keystore keeps of its usage log.
@Suite struct LogAnchorTests {
    @Test func `a checkpoint leaves nothing of the state before in the journal`() throws {
        let kms = try TestKeystore()
        _ = try kms.newKey()
        let journal = kms.path + "/keystore.db-wal"
        try kms.keystore.synchronizeLog()
        #expect(try FileManager.default.attributesOfItem(atPath: journal)[.size] as? Int != 0)
        try kms.keystore.sealLog()
        #expect(try FileManager.default.attributesOfItem(atPath: journal)[.size] as? Int == 0)
    }

    @Test func `heads, totals and last uses are those of the log`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn.description
        for _ in 0..<3 {
            _ = try kms.service.encrypt(secret("x"), under: key, context: .empty, as: kms.owner)
        }
        _ = try? kms.service.encrypt(secret("x"), under: key, context: .empty, as: kms.stranger)
        try kms.keystore.sealLog()
        let head = try #require(try kms.keystore.logNotary.head())
        #expect(head.checkpoint == 1)
        let usage = try #require(try kms.keystore.usageTally()[key])
        // CreateKey is a request of the key, too.
        #expect(usage.requests.map(\.count) == [5])
        #expect(usage.requests.map(\.refusedCount) == [1])
        let last = try #require(try kms.keystore.lastUse(ofKey: key))
        #expect(last.operation == "Encrypt")
        #expect(last.time == kms.clock.now())
        #expect(
            try kms.keystore.lastUse(ofKey: "arn:aws:kms:us-east-1:111122223333:key/none") == nil)

        let report = try kms.keystore.usageLogVerifier().verify(
            against: [AnchoredHead(name: "anchor", head: head)],
            verificationKey: head.verificationKey)
        #expect(report.problems == [])
        #expect(report.agreeingAnchors == ["anchor"])
    }

    @Test func `a key that is to be deleted is free from when that was asked for`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn.description
        kms.clock.advance(days: 2)
        let asked = kms.clock.now()
        _ = try kms.service.scheduleKeyDeletion(key, windowDays: 7, as: kms.owner)
        kms.clock.advance(days: 1)
        let billed = try #require(try kms.keystore.billedKeys().first { $0.arn == key })
        #expect(billed.freeSince == asked)
        #expect(billed.manager == .customer)
        #expect(try kms.keystore.billedKeys().contains { $0.manager == .aws })
    }

    @Test func `the setting of the log's durability is kept, and the old form stays readable`()
        throws
    {
        let kms = try TestKeystore()
        #expect(try kms.keystore.logDurability() == .withinASecond)
        try kms.keystore.setLogDurability(.beforeRelease)
        kms.keystore.close()
        let again = try Keystore.open(
            at: kms.path, unlocking: .passphrase(secret(TestKeystore.passphrase)),
            clock: kms.clock)
        #expect(try again.logDurability() == .beforeRelease)
        _ = try again.service.listKeys(PageRequest(), as: kms.owner)
        try again.setLogDurability(.withinASecond)
        #expect(try again.logDurability() == .withinASecond)
        again.close()
    }
}
