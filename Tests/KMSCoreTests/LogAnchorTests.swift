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

    @Test func `ReEncrypt is one request, at the price of the dearer of its keys`() throws {
        let kms = try TestKeystore()
        let symmetric = try kms.key()
        let pairs = try [KeySpec.rsa2048, .sm2].map { try kms.key($0, .encryptDecrypt) }
        func move(
            _ blob: [UInt8], from key: String, _ from: EncryptionAlgorithm = .symmetricDefault,
            to other: String, _ to: EncryptionAlgorithm = .symmetricDefault
        ) throws -> [UInt8] {
            try #require(
                try kms.ask(
                    .reEncrypt,
                    Structure([
                        .ciphertextBlob: .bytes(blob), .sourceKeyID: .text(key),
                        .sourceEncryptionAlgorithm: .choice(from),
                        .destinationKeyID: .text(other),
                        .destinationEncryptionAlgorithm: .choice(to),
                    ])
                ).bytes(.ciphertextBlob))
        }
        var blob = try StateTableTests.blob(kms, symmetric)
        blob = try move(blob, from: symmetric, to: symmetric)
        blob = try move(blob, from: symmetric, to: pairs[0], .rsaesOaepSha256)
        blob = try move(blob, from: pairs[0], .rsaesOaepSha256, to: pairs[1], .sm2pke)
        _ = try move(blob, from: pairs[1], .sm2pke, to: symmetric)
        try kms.keystore.synchronizeLog()
        let tally = try kms.keystore.usageTally()
        func counts(_ key: String) -> [String] {
            tally[key]?.requests.map { "\($0.period.priceClass.name) \($0.count)" } ?? []
        }
        // Each with its CreateKey, and the symmetric key with an Encrypt.
        #expect(counts(symmetric) == ["symmetric 3", "rsa-2048 1"])
        #expect(counts(pairs[0]) == ["symmetric 1", "asymmetric 1"])
        #expect(counts(pairs[1]) == ["symmetric 1", "asymmetric 1"])
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
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

    @Test func `a key that is gone is billed until its deletion was asked for`() throws {
        let kms = try TestKeystore()
        let kept = try kms.newKey().arn.description
        #expect(try kms.keystore.deletedKeys(in: kms.keystore.usageTally()).isEmpty)
        let key = try kms.key(isMultiRegion: true)
        let made = kms.clock.now()
        kms.clock.advance(days: 1)
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        let rotated = kms.clock.now()
        kms.clock.advance(days: 1)
        let replica = try kms.replicate(key, to: "eu-west-1")
        let replicated = kms.clock.now()
        // One that is taken back, which is as if it never was.
        try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text(replica)]), in: "eu-west-1")
        kms.clock.advance(days: 1)
        try kms.ask(.cancelKeyDeletion, Structure([.keyID: .text(replica)]), in: "eu-west-1")
        let asked = kms.clock.now()
        try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text(replica)]), in: "eu-west-1")
        kms.waitForDeletion(days: 30)
        _ = try kms.ask(.listKeys)
        let askedLast = kms.clock.now()
        try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text(key)]))
        kms.waitForDeletion(days: 30)
        _ = try kms.ask(.listKeys)
        #expect(try kms.eventNames().count { $0 == "DeleteKey" } == 2)

        try kms.keystore.synchronizeLog()
        let billed = try kms.keystore.deletedKeys(in: kms.keystore.usageTally())
        #expect(Set(billed.map(\.arn)) == [key, replica])
        #expect(
            billed.contains(
                BilledKey(
                    arn: key, manager: .customer, creationDate: made, freeSince: askedLast,
                    rotations: [rotated])))
        #expect(
            billed.contains(
                BilledKey(
                    arn: replica, manager: .customer, creationDate: replicated, freeSince: asked,
                    rotations: [rotated])))
        #expect(
            try kms.keystore.billedKeys().filter { $0.manager == .customer }.map(\.arn) == [kept])
    }

    @Test func `many keys that are gone are billed, too`() throws {
        let kms = try TestKeystore()
        let keys = try (0..<20).map { _ in try kms.newKey().arn.description }
        for key in keys { try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text(key)])) }
        kms.waitForDeletion(days: 30)
        _ = try kms.ask(.listKeys)
        try kms.keystore.synchronizeLog()
        let billed = try kms.keystore.deletedKeys(in: kms.keystore.usageTally())
        #expect(Set(billed.map(\.arn)) == Set(keys))
    }

    @Test func `the setting of the log's durability is kept, and the old form stays readable`()
        throws
    {
        let kms = try TestKeystore()
        #expect(try kms.keystore.logDurability() == .withinASecond)
        try kms.keystore.setLogDurability(.beforeRelease, as: kms.owner)
        kms.keystore.close()
        let again = try Keystore.open(
            at: kms.path, unlocking: .passphrase(secret(TestKeystore.passphrase)),
            clock: kms.clock)
        #expect(try again.logDurability() == .beforeRelease)
        _ = try again.service.listKeys(PageRequest(), as: kms.owner)
        try again.setLogDurability(.withinASecond, as: kms.owner)
        #expect(try again.logDurability() == .withinASecond)
        again.close()
    }
}
