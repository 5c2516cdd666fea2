import Cryptography
import KMSCore
import KMSModel
import Testing

/// Regions of one keystore, and the keys that go over them.
@Suite struct RegionTests {
    private let home = "us-east-1"
    private let away = "eu-west-1"

    private func id(_ key: String) -> Structure { Structure([.keyID: .text(key)]) }

    private func blob(_ kms: TestKeystore, _ key: String, in region: String) throws -> [UInt8] {
        try #require(
            try kms.ask(
                .encrypt, Structure([.keyID: .text(key), .plaintext: .secret(secret("x"))]),
                in: region
            ).bytes(.ciphertextBlob))
    }

    private func opens(_ kms: TestKeystore, _ blob: [UInt8], in region: String) throws -> KMSError?
    {
        try kms.refusal(.decrypt, Structure([.ciphertextBlob: .bytes(blob)]), in: region)
    }

    @Test func `a Region sees its own keys and aliases alone`() throws {
        let kms = try TestKeystore()
        let (key, other) = (try kms.key(), try kms.key(in: away))
        #expect(other.hasPrefix("arn:aws:kms:eu-west-1:111122223333:key/"))
        for (name, region) in [(key, home), (other, away)] {
            try kms.ask(
                .createAlias,
                Structure([.aliasName: .text("alias/same"), .targetKeyID: .text(name)]),
                in: region)
        }
        for (name, region) in [(key, home), (other, away)] {
            let keys = try kms.ask(.listKeys, in: region).structures(.keys)
            let mine = keys.compactMap { $0.text(.keyARN) }
            #expect(mine.contains(name))
            #expect(mine.allSatisfy { $0.contains(":\(region):") })
            #expect(try kms.metadata("alias/same", in: region).text(.arn) == name)
        }
        let bare = try #require(KeyARN(key)).keyID.description
        #expect(
            try kms.refusal(.describeKey, id(bare), in: away)
                == .notFound("Key '\(kms.sibling(of: key, in: away))' does not exist"))
        #expect(
            try kms.refusal(.describeKey, id(key), in: away) == .notFound("Invalid arn us-east-1"))
        #expect(
            try kms.refusal(
                .describeKey, id("arn:aws:kms:us-east-1:111122223333:alias/same"), in: away)
                == .notFound("Invalid arn us-east-1"))
        #expect(
            try opens(kms, try blob(kms, key, in: home), in: away)
                == .accessDenied(unknownKeyMessage))
        #expect(
            try kms.refusal(
                .encrypt, id("alias/aws/keyfold").with(.plaintext, .secret(secret("x"))), in: away)
                == .notFound(
                    "Alias arn:aws:kms:eu-west-1:111122223333:alias/aws/keyfold is not found."))
    }

    @Test func `a replica opens what its primary sealed, and the other way round`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        #expect(replica == kms.sibling(of: key, in: away))
        #expect(try #require(KeyARN(key)).keyID.description.hasPrefix("mrk-"))
        #expect(try opens(kms, try blob(kms, key, in: home), in: away) == nil)
        #expect(try opens(kms, try blob(kms, replica, in: away), in: home) == nil)
        // By the sibling's own ARN.
        let sealed = try blob(kms, key, in: home)
        #expect(
            try kms.refusal(
                .decrypt,
                Structure([.keyID: .text(replica), .ciphertextBlob: .bytes(sealed)]), in: away)
                == nil)
        #expect(try opens(kms, sealed, in: "ap-south-1") == .accessDenied(unknownKeyMessage))
    }

    @Test func `a sibling's ARN in another Region is the wrong key, not a missing one`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        try kms.replicate(key, to: away)
        let sealed = Structure([
            .ciphertextBlob: .bytes(try blob(kms, key, in: home)), .keyID: .text(key),
        ])
        #expect(try kms.refusal(.decrypt, sealed, in: away) == .incorrectKey)
        #expect(
            try kms.refusal(.decrypt, sealed, as: kms.stranger, in: away)?.message
                == PermissionTests.hiddenDenial("Decrypt", kms.stranger, cause: nil).message)
        // No key of this Region, or another key's ciphertext: not found, as for other operations.
        let missing = KMSError.notFound("Invalid arn us-east-1")
        #expect(try kms.refusal(.decrypt, sealed, in: "ap-south-1") == missing)
        let other = try blob(kms, try kms.key(), in: home)
        #expect(
            try kms.refusal(.decrypt, sealed.with(.ciphertextBlob, .bytes(other)), in: away)
                == missing)
    }

    @Test func `both siblings tell the same of each other`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replicas = try ["eu-west-1", "ap-south-1"].map { try kms.replicate(key, to: $0) }
        for (name, region, type) in [
            (key, home, "PRIMARY"), (replicas[0], away, "REPLICA"),
            (replicas[1], "ap-south-1", "REPLICA"),
        ] {
            let metadata = try kms.metadata(name, in: region)
            #expect(metadata.flag(.multiRegion))
            let view = try #require(metadata.structure(.multiRegionConfiguration))
            #expect(view.text(.multiRegionKeyType) == type)
            #expect(view.structure(.primaryKey)?.text(.arn) == key)
            #expect(view.structure(.primaryKey)?.text(.region) == home)
            #expect(
                view.structures(.replicaKeys).compactMap { $0.text(.arn) } == replicas.sorted())
        }
        #expect(try kms.metadata(try kms.key())[.multiRegionConfiguration] == nil)
    }

    @Test func `ReplicateKey takes what is asked for, and shares the rest`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        try kms.ask(.updateKeyDescription, id(key).with(.description, .text("original")))
        try kms.ask(.tagResource, id(key).with(.tags, .tags([Tag(key: "a", value: "b")])))
        let answer = try kms.ask(
            .replicateKey,
            Structure([
                .keyID: .text(key), .replicaRegion: .text(away), .description: .text("copy"),
                .tags: .tags([Tag(key: "c", value: "d")]),
                .policy: .text(StateTableTests.ownersPolicy),
            ]))
        #expect(answer.text(.replicaPolicy) == StateTableTests.ownersPolicy)
        #expect(answer.structures(.replicaTags).compactMap { $0.text(.tagKey) } == ["c"])
        let metadata = try kms.metadata(kms.sibling(of: key, in: away), in: away)
        #expect(metadata.text(.description) == "copy")
        #expect(
            metadata.text(.currentKeyMaterialID)
                == (try kms.metadata(key)).text(.currentKeyMaterialID))
        // The primary's aliases, tags and grants are its own.
        let bare = try kms.ask(
            .replicateKey, id(key).with(.replicaRegion, .text("ap-south-1")))
        #expect(bare[.replicaTags] == nil)
        let third = try kms.metadata(kms.sibling(of: key, in: "ap-south-1"), in: "ap-south-1")
        #expect(third.text(.description) == "")
        #expect(
            try kms.ask(.listResourceTags, id(third.text(.keyID) ?? ""), in: "ap-south-1")
                .structures(.tags).isEmpty)
    }

    @Test func `ReplicateKey refuses what is no primary key or has a replica there`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        let there = Structure([.keyID: .text(key), .replicaRegion: .text(away)])
        #expect(
            try kms.refusal(.replicateKey, there)
                == .alreadyExists(
                    "You can create only one replica of each primary key in each AWS Region."))
        let single = try kms.key()
        #expect(
            try kms.refusal(.replicateKey, there.with(.keyID, .text(single)))
                == .unsupportedOperation("\(single) is not a multi-region primary key."))
        #expect(
            try kms.refusal(
                .replicateKey,
                Structure([.keyID: .text(replica), .replicaRegion: .text("ap-south-1")]), in: away)
                == .unsupportedOperation("\(replica) is not a multi-region primary key."))
        // The account has to let the caller make keys in the other Region.
        let bob = try kms.newUser("bob")
        try kms.ask(
            .putKeyPolicy, id(key).with(.policy, .text(PolicyTexts.everything(to: ["bob"]))))
        #expect(
            try kms.refusal(.replicateKey, there.with(.replicaRegion, .text("ap-south-1")), as: bob)
                == .accessDenied(
                    "User: \(bob.principalARN) is not authorized to perform: kms:CreateKey because "
                        + "no identity-based policy allows the kms:CreateKey action"))
    }

    @Test func `rotations of the primary reach its replicas, which have none of their own`() throws
    {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        let old = try blob(kms, replica, in: away)
        for operation in [
            KMSOperation.rotateKeyOnDemand, .enableKeyRotation, .disableKeyRotation,
        ] {
            #expect(
                try kms.refusal(operation, id(replica), in: away)
                    == .unsupportedOperation(
                        "\(replica) is a multi-region replica key which is not valid for "
                            + "\(operation.rawValue)."))
        }
        func current(_ region: String) throws -> String? {
            try kms.metadata(kms.sibling(of: key, in: region), in: region)
                .text(.currentKeyMaterialID)
        }
        let first = try current(home)
        try kms.ask(.rotateKeyOnDemand, id(key))
        #expect(try current(home) == current(away))
        #expect(try current(home) != first)
        try kms.ask(.enableKeyRotation, id(key).with(.rotationPeriodInDays, .number(90)))
        let status = try kms.ask(.getKeyRotationStatus, id(replica), in: away)
        #expect(status.flag(.keyRotationEnabled))
        #expect(status.number(.rotationPeriodInDays) == 90)
        let second = try current(home)
        kms.clock.advance(days: 90)
        #expect(try current(away) != second)
        #expect(try current(home) == current(away))
        for region in [home, away] { #expect(try opens(kms, old, in: region) == nil) }
        #expect(
            try opens(kms, try blob(kms, replica, in: away), in: home) == nil)
    }

    @Test func `UpdatePrimaryRegion swaps the two, and the schedule goes along`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        try kms.ask(.enableKeyRotation, id(key).with(.rotationPeriodInDays, .number(100)))
        let input = id(key).with(.primaryRegion, .text(away))
        try kms.ask(.updatePrimaryRegion, input)
        #expect(
            try kms.refusal(.updatePrimaryRegion, input)
                == .invalidState("\(key) is not a multi-Region primary key."))
        for (name, region, type) in [(key, home, "REPLICA"), (replica, away, "PRIMARY")] {
            let view = try kms.metadata(name, in: region).structure(.multiRegionConfiguration)
            #expect(view?.text(.multiRegionKeyType) == type)
            #expect(view?.structure(.primaryKey)?.text(.arn) == replica)
            let status = try kms.ask(.getKeyRotationStatus, id(name), in: region)
            #expect(status.number(.rotationPeriodInDays) == 100)
        }
        try kms.ask(.rotateKeyOnDemand, id(replica), in: away)
        let keyID = try #require(KeyARN(key)).keyID
        #expect(
            try kms.refusal(
                .updatePrimaryRegion, id(replica).with(.primaryRegion, .text("ap-south-1")),
                in: away)
                == .validation("\(keyID) does not have a replica key in the specified Region."))
        // What is so already.
        try kms.ask(.updatePrimaryRegion, id(replica).with(.primaryRegion, .text(away)), in: away)
        let single = try kms.key()
        #expect(
            try kms.refusal(
                .updatePrimaryRegion, id(single).with(.primaryRegion, .text(home)))
                == .unsupportedOperation("\(single) is not a multi-region primary key."))
    }

    @Test func `UpdatePrimaryRegion needs both keys' permission`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        let bob = try kms.newUser("bob")
        try kms.ask(
            .putKeyPolicy, id(key).with(.policy, .text(PolicyTexts.everything(to: ["bob"]))))
        let input = id(key).with(.primaryRegion, .text(away))
        #expect(
            try kms.refusal(.updatePrimaryRegion, input, as: bob)
                == .accessDenied(
                    "User: \(bob.principalARN) is not authorized to perform: "
                        + "kms:UpdatePrimaryRegion on resource: \(replica) because no "
                        + "identity-based policy allows the kms:UpdatePrimaryRegion action"))
        try kms.ask(
            .putKeyPolicy, id(replica).with(.policy, .text(PolicyTexts.everything(to: ["bob"]))),
            in: away)
        #expect(try kms.refusal(.updatePrimaryRegion, input, as: bob) == nil)
    }

    @Test func `a primary's deletion waits until its last replica is gone`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replicas = try [away, "ap-south-1"].map { try kms.replicate(key, to: $0) }
        let answer = try kms.ask(
            .scheduleKeyDeletion, id(key).with(.pendingWindowInDays, .number(10)))
        #expect(answer.text(.keyState) == "PendingReplicaDeletion")
        #expect(answer[.deletionDate] == nil)
        #expect(answer.number(.pendingWindowInDays) == 10)
        var metadata = try kms.metadata(key)
        #expect(metadata.number(.pendingDeletionWindowInDays) == 10)
        #expect(metadata[.deletionDate] == nil)
        kms.clock.advance(days: 100)
        #expect(try kms.state(key) == "PendingReplicaDeletion")
        for (replica, region) in zip(replicas, [away, "ap-south-1"]) {
            try kms.ask(
                .scheduleKeyDeletion, id(replica).with(.pendingWindowInDays, .number(7)), in: region
            )
            for days in [6, 1] {
                kms.clock.advance(days: days)
                #expect(try kms.state(key) == "PendingReplicaDeletion")
            }
            kms.clock.advance(days: 1)
            if region == away { #expect(try kms.state(key) == "PendingReplicaDeletion") }
        }
        metadata = try kms.metadata(key)
        #expect(metadata.text(.keyState) == "PendingDeletion")
        #expect(metadata.time(.deletionDate) == kms.clock.now().advanced(byDays: 10))
        #expect(metadata[.pendingDeletionWindowInDays] == nil)
        kms.waitForDeletion(days: 10)
        #expect(try kms.refusal(.describeKey, id(key))?.code == .notFound)
        #expect(try kms.events().filter { $0.eventName == "DeleteKey" }.count == 3)
    }

    @Test func `a primary that waits for its replicas can be kept`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        try kms.ask(.scheduleKeyDeletion, id(key))
        try kms.ask(.scheduleKeyDeletion, id(replica), in: away)
        try kms.ask(.cancelKeyDeletion, id(key))
        #expect(try kms.state(key) == "Disabled")
        kms.waitForDeletion(days: 30)
        #expect(try kms.refusal(.describeKey, id(replica), in: away)?.code == .notFound)
        #expect(try kms.state(key) == "Disabled")
        try kms.ask(.enableKey, id(key))
        #expect(
            try kms.metadata(key).structure(.multiRegionConfiguration)?.structures(.replicaKeys)
                .isEmpty == true)
    }

    @Test func `a clock that jumps over everything deletes the replica first`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        try kms.ask(.scheduleKeyDeletion, id(key).with(.pendingWindowInDays, .number(7)))
        try kms.ask(
            .scheduleKeyDeletion, id(replica).with(.pendingWindowInDays, .number(7)), in: away)
        kms.clock.advance(days: 400)
        #expect(try kms.state(key) == "PendingReplicaDeletion")
        kms.clock.advance(days: 400)
        // The primary's own window begins when the replica is gone, which was noticed just now.
        #expect(try kms.state(key) == "PendingDeletion")
        #expect(
            try kms.metadata(key).time(.deletionDate) == kms.clock.now().advanced(byDays: 7))
    }

    @Test(arguments: [false, true])
    func `a replica goes at the moment at which its primary rotates`(_ reopens: Bool) throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        try kms.ask(.enableKeyRotation, id(key).with(.rotationPeriodInDays, .number(90)))
        let old = try blob(kms, key, in: home)
        try kms.ask(
            .scheduleKeyDeletion, id(replica).with(.pendingWindowInDays, .number(7)), in: away)
        kms.clock.advance(days: 89)
        kms.keystore.runDueWork()
        if reopens { kms.keystore.close() }
        kms.clock.advance(days: 1)
        let keystore = reopens ? try kms.again() : kms.keystore
        defer { if reopens { keystore.close() } }
        let service = try #require(keystore.service(inRegion: away))
        let refusal = #expect(throws: KMSError.self) {
            try service.answer(.describeKey, id(replica), as: kms.owner)
        }
        #expect(refusal?.code == .notFound)
        #expect(try keystore.service.describeKey(key, as: kms.owner).currentVersion == 2)
        let opened = try keystore.service.decrypt(old, under: key, context: .empty, as: kms.owner)
        #expect(text(opened.plaintext) == "x")
        // What was written opens again, too.
        let third = try kms.again()
        defer { third.close() }
        #expect(try third.service.describeKey(key, as: kms.owner).currentVersion == 2)
    }
}

extension Structure {
    /// A copy with one more member.
    func with(_ member: Member, _ value: Value?) -> Structure {
        var copy = self
        copy[member] = value
        return copy
    }
}

/// Key policies as texts.
enum PolicyTexts {
    static func statement(
        _ principals: [String], _ actions: [String], effect: String = "Allow",
        condition: String? = nil
    ) -> String {
        let arns = principals.map { name in
            name == "*" || name.hasPrefix("arn:")
                ? "\"\(name)\""
                : name == "root"
                    ? "\"arn:aws:iam::111122223333:root\""
                    : "\"arn:aws:iam::111122223333:user/\(name)\""
        }
        let tail = condition.map { ", \"Condition\": \($0)" } ?? ""
        return """
            {"Effect": "\(effect)", "Principal": {"AWS": [\(arns.joined(separator: ", "))]}, \
            "Action": [\(actions.map { "\"\($0)\"" }.joined(separator: ", "))], \
            "Resource": "*"\(tail)}
            """
    }

    static func document(_ statements: [String]) -> String {
        "{\"Version\": \"2012-10-17\", \"Statement\": [\(statements.joined(separator: ", "))]}"
    }

    /// To the account's root, and directly to users.
    static func everything(to users: [String]) -> String {
        document([statement(["root"] + users, ["kms:*"])])
    }
}
