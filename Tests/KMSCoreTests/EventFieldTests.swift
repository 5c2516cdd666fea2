import Cryptography
import Foundation
import KMSModel
import Testing

/// One event of each operation, with the fields that CloudTrail records of it (AWS KMS developer
/// guide, "Examples of AWS KMS log entries").
@Suite struct EventFieldTests {
    /// The JSON of the events that `body` leaves.
    private func records(
        _ kms: TestKeystore, _ body: () throws -> Void
    ) throws -> [[String: Any]] {
        let before = try kms.events().count
        try body()
        return try kms.events().dropFirst(before).map { try $0.record() }
    }

    private func resources(_ record: [String: Any]) -> [String] {
        (record["resources"] as? [[String: Any]] ?? []).compactMap { $0["ARN"] as? String }
    }

    @Test(arguments: StateTableTests.rows)
    func `each request leaves one event that names it, its key and its caller`(
        _ row: StateTableTests.Row
    ) throws {
        let kms = try TestKeystore()
        let key = try kms.key(
            row.spec, row.usage, row.isImported ? .external : .awsKms,
            isMultiRegion: row.isMultiRegion)
        if row.isImported { try kms.importMaterial(ImportTests.material, into: key) }
        var input = try row.members(kms, key)
        if input[row.name] == nil { input[row.name] = .text(key) }
        for caller in [kms.owner, kms.stranger] {
            var refusal: KMSError?
            let records = try records(kms) {
                refusal = try kms.refusal(row.operation, input, as: caller)
            }.filter { ($0["userIdentity"] as? [String: Any])?["invokedBy"] == nil }
            let record = try #require(records.first)
            #expect(records.count == 1)
            #expect(record["eventName"] as? String == row.operation.rawValue)
            #expect(record["eventVersion"] as? String == "1.11")
            #expect(record["eventSource"] as? String == "kms.amazonaws.com")
            #expect(record["awsRegion"] as? String == "us-east-1")
            #expect(record["errorCode"] as? String == refusal?.exceptionName)
            if let message = refusal?.message, !message.isEmpty {
                #expect(record["errorMessage"] as? String == message)
            }
            #expect((record["readOnly"] as? Bool) == readOnly.contains(row.operation))
            let identity = try #require(record["userIdentity"] as? [String: Any])
            #expect(identity["arn"] as? String == caller.principalARN)
            // Of ReEncrypt the first key that refuses ends it, and ListAliases looks for its key only
            // once the account allows it.
            let mayStopBefore: Set<KMSOperation> = [.reEncrypt, .listAliases]
            if !mayStopBefore.contains(row.operation) || caller == kms.owner {
                #expect(
                    resources(record).contains { $0 == key || $0.contains(":alias/") })
            }
            expectNoSecrets(record, input)
            if caller.principalARN == kms.stranger.principalARN {
                #expect(
                    refusal?.code == .accessDenied || refusal?.code == .notFound,
                    "\(row.operation)")
            }
        }
    }

    private let readOnly: Set<KMSOperation> = [
        .encrypt, .decrypt, .reEncrypt, .generateDataKey, .generateDataKeyWithoutPlaintext,
        .generateDataKeyPair, .generateDataKeyPairWithoutPlaintext, .generateRandom, .sign, .verify,
        .generateMAC, .verifyMAC, .deriveSharedSecret, .encapsulate, .decapsulate, .getPublicKey,
        .describeKey, .listKeys, .listResourceTags, .listAliases, .getKeyRotationStatus,
        .listKeyRotations, .getKeyPolicy, .listKeyPolicies, .listGrants, .listRetirableGrants,
        .getParametersForImport, .getKeyLastUsage, .describeCustomKeyStores,
    ]

    /// Neither plaintext nor ciphertext nor tokens.
    private func expectNoSecrets(_ record: [String: Any], _ input: Structure) {
        let parameters = record["requestParameters"] as? [String: Any] ?? [:]
        for (member, value) in input.members {
            switch value {
            case .bytes, .secret: #expect(parameters[member.lowerName] == nil, "\(member)")
            case .text, .number:
                #expect(parameters[member.lowerName] != nil, "\(member)")
            default: break
            }
        }
        for member: Member in [.grantTokens, .grantToken, .keyStorePassword] {
            #expect(parameters[member.lowerName] == nil)
        }
    }

    @Test func `ReEncrypt names both keys, an alias is named beside its key, GenerateRandom none`()
        throws
    {
        let kms = try TestKeystore()
        let (key, other) = (try kms.key(), try kms.key())
        let alias = "arn:aws:kms:us-east-1:111122223333:alias/a"
        let records = try records(kms) {
            try kms.ask(
                .createAlias, Structure([.aliasName: .text("alias/a"), .targetKeyID: .text(key)]))
            try kms.ask(
                .reEncrypt,
                Structure([
                    .ciphertextBlob: .bytes(try StateTableTests.blob(kms, key)),
                    .destinationKeyID: .text(other),
                ]))
            try kms.ask(.generateRandom, Structure([.numberOfBytes: .number(8)]))
            try kms.ask(
                .encrypt,
                Structure([.keyID: .text("alias/a"), .plaintext: .secret(secret("x"))]))
            try kms.ask(.deleteAlias, Structure([.aliasName: .text("alias/a")]))
        }
        let named = records.filter { $0["eventName"] as? String != "Encrypt" }.map(resources)
        #expect(Set(named[0]) == [alias, key])
        #expect(Set(named[1]) == [key, other])
        #expect(named[2].isEmpty)
        #expect(Set(named[3]) == [alias, key])
        #expect(resources(records[4]).contains(key))
    }

    @Test func `each of ReEncrypt's contexts has its own name`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let (old, new) = (["keyfold:file": "old"], ["keyfold:file": "new"])
        let sealed = try kms.service.encrypt(
            secret("x"), under: key, context: EncryptionContext(old), as: kms.owner)
        let input = Structure([
            .ciphertextBlob: .bytes(sealed.blob), .destinationKeyID: .text(key),
            .destinationEncryptionContext: .context(EncryptionContext(new)),
        ])
        let records = try records(kms) {
            try kms.ask(
                .reEncrypt, input.with(.sourceEncryptionContext, .context(EncryptionContext(old))))
        }
        let parameters = records.first?["requestParameters"] as? [String: Any]
        #expect(parameters?["sourceEncryptionContext"] as? [String: String] == old)
        #expect(parameters?["destinationEncryptionContext"] as? [String: String] == new)
        #expect(parameters?["encryptionContext"] == nil)
        #expect(
            try kms.events().last?.encryptionContext.map(\.value) == ["old"])
    }

    @Test func `what changes something answers in the event, what reads does not`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let records = try records(kms) {
            try kms.ask(.createKey)
            try kms.ask(
                .createGrant, StateTableTests.granting.with(.keyID, .text(key)))
            try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text(key)]))
            try kms.ask(.describeKey, Structure([.keyID: .text(key)]))
            try kms.ask(.generateRandom, Structure([.numberOfBytes: .number(8)]))
        }
        let answers = records.map { $0["responseElements"] as? [String: Any] }
        #expect(answers[0]?["keyId"] != nil)
        #expect(answers[1]?["grantId"] != nil && answers[1]?["grantToken"] == nil)
        #expect(answers[2]?["keyState"] as? String == "PendingDeletion")
        #expect(answers[2]?["deletionDate"] != nil)
        #expect(answers[2]?["pendingWindowInDays"] as? Int == 30)
        #expect(answers[3] == nil && answers[4] == nil)
        let metadata = answers[0]?["keyMetadata"] as? [String: Any]
        #expect(metadata?["keyId"] as? String == answers[0]?["keyId"] as? String)
        #expect(metadata?["arn"] as? String == resources(records[0]).first)
        #expect(metadata?["keyState"] as? String == "Enabled")
        #expect(metadata?["encryptionAlgorithms"] as? [String] == ["SYMMETRIC_DEFAULT"])
    }

    /// So does AWS since December 2022.
    @Test func `a change that answers nothing names its key in the event's answer`() throws {
        let kms = try TestKeystore()
        let (key, other) = (try kms.key(), try kms.key())
        let name = Structure([.keyID: .text(key)])
        let alias = Structure([.aliasName: .text("alias/a")])
        let records = try records(kms) {
            try kms.ask(.createAlias, alias.with(.targetKeyID, .text(key)))
            try kms.ask(.updateAlias, alias.with(.targetKeyID, .text(other)))
            try kms.ask(.deleteAlias, alias)
            try kms.ask(.disableKey, name)
            // Nothing changes by this one.
            try kms.ask(.disableKey, name)
            _ = try kms.refusal(.rotateKeyOnDemand, name)
        }
        let answers = records.map { $0["responseElements"] as? [String: String] }
        #expect(answers.map { $0?["keyId"] } == [key, other, other, key, key, nil])
        #expect(answers.last == .some(nil))
    }

    @Test func `a replica is described in the event that makes it`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let records = try records(kms) { try kms.replicate(key, to: "eu-west-1") }
        let answer = try #require(records.first?["responseElements"] as? [String: Any])
        let metadata = try #require(answer["replicaKeyMetadata"] as? [String: Any])
        let siblings = metadata["multiRegionConfiguration"] as? [String: Any]
        #expect(siblings?["multiRegionKeyType"] as? String == "REPLICA")
        #expect(metadata["arn"] as? String == answer["replicaArn"] as? String)
        #expect(answer["keyId"] == nil)
    }

    @Test(arguments: ["AUTOMATIC", "ON_DEMAND"])
    func `a rotation tells both materials`(_ type: String) throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let old = try #require(try kms.metadata(key).text(.currentKeyMaterialID))
        if type == "AUTOMATIC" {
            try kms.ask(.enableKeyRotation, Structure([.keyID: .text(key)]))
            kms.clock.advance(days: 366)
        } else {
            try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        }
        let new = try #require(try kms.metadata(key).text(.currentKeyMaterialID))
        let event = try #require(
            try kms.events().first { $0.eventName == "RotateKey" && $0.keyARNs == [key] })
        let record = try JSONSerialization.jsonObject(with: Data(event.json)) as? [String: Any]
        let id = try #require(KeyARN(key)).keyID.description
        #expect(
            record?["serviceEventDetails"] as? [String: String] == [
                "rotationType": type, "keyOrigin": "AWS_KMS", "previousKeyMaterialId": old,
                "currentKeyMaterialId": new, "keyId": id,
            ])
    }

    private func additional(_ record: [String: Any], _ name: String) -> String? {
        (record["additionalEventData"] as? [String: Any])?[name] as? String
    }

    @Test func `an event names the grant that allowed it, and the one that was retired`() throws {
        let people = try PermissionTests.People()
        let kms = people.store
        let key = try kms.key()
        let granted = try people.grant(key, to: people.bob, ["Encrypt", "CreateGrant"])
        let id = try #require(granted.text(.grantID))
        let records = try records(kms) {
            #expect(try people.encrypt(key, as: people.bob) == nil)
            #expect(try people.encrypt(key, as: kms.owner) == nil)
            try people.grant(key, to: people.alice, ["Encrypt"], as: people.bob)
            try people.grant(key, to: people.alice, ["Decrypt"])
            try kms.ask(.retireGrant, Structure([.grantToken: granted[.grantToken]]))
            #expect(try people.encrypt(key, as: people.bob) != nil)
        }
        #expect(records.map { additional($0, "grantId") } == [id, nil, id, nil, id, nil])
        // What CreateGrant made is in its answer.
        let made = records[2]["responseElements"] as? [String: Any]
        #expect(made?["grantId"] != nil && made?["grantId"] as? String != id)
    }

    @Test func `an event names the custom key store that it is about`() throws {
        let kms = try TestKeystore()
        let key = try kms.unavailableKey()
        let store = Structure([.customKeyStoreID: .text("cks-0123456789abcdef0")])
        let records = try records(kms) {
            try kms.ask(.connectCustomKeyStore, store)
            try kms.ask(.disconnectCustomKeyStore, store)
            _ = try kms.refusal(.deleteCustomKeyStore, store)
            _ = try kms.refusal(.generateRandom, store.with(.numberOfBytes, .number(8)))
            try kms.ask(.describeKey, Structure([.keyID: .text(key)]))
            _ = try kms.refusal(
                .encrypt, Structure([.keyID: .text(key), .plaintext: .secret(secret("x"))]))
            try kms.ask(.describeKey, Structure([.keyID: .text(try kms.key())]))
        }
        // The last two are about a key that is in none.
        #expect(
            records.map { additional($0, "customKeyStoreId") }
                == [String?](repeating: "cks-0123456789abcdef0", count: 6) + [nil, nil])
    }

    @Test func `denials and dry runs are logged, and count as no use of the key`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let input = Structure([.keyID: .text(key), .plaintext: .secret(secret("x"))])
        let records = try records(kms) {
            _ = try kms.refusal(.encrypt, input, as: kms.stranger)
            _ = try kms.refusal(.encrypt, input.with(.dryRun, .flag(true)))
        }
        #expect(
            records.map { $0["errorCode"] as? String } == [
                "AccessDeniedException", "DryRunOperationException",
            ])
        let usage = Structure([.keyID: .text(key)])
        let unused = try #require(
            try kms.ask(.getKeyLastUsage, usage).structure(.keyLastUsage))
        #expect(unused.isEmpty)
        kms.clock.advance(minutes: 5)
        try kms.ask(.encrypt, input)
        let last = try kms.ask(.getKeyLastUsage, usage).structure(.keyLastUsage)
        #expect(last?.text(.operation) == "Encrypt")
        #expect(last?.time(.timestamp) == kms.clock.now())
    }
}
