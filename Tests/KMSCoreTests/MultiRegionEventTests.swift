import KMSModel
import Testing
import UsageLog

/// What the log tells of a replica's Region: there CloudTrail has events of its own (AWS KMS API
/// reference, ReplicateKey; developer guide, "SynchronizeMultiRegionKey").
@Suite struct MultiRegionEventTests {
    private let home = "us-east-1"
    private let away = "eu-west-1"
    private let farther = "ap-south-1"

    private func id(_ key: String) -> Structure { Structure([.keyID: .text(key)]) }

    /// The events that `body` leaves.
    private func events(_ kms: TestKeystore, _ body: () throws -> Void) throws -> [LoggedEvent] {
        let before = try kms.events().count
        try body()
        return Array(try kms.events().dropFirst(before))
    }

    /// The replicas that were synchronized.
    private func synchronized(
        _ kms: TestKeystore, _ body: () throws -> Void
    ) throws -> [String] {
        try events(kms, body).filter { $0.eventName == "SynchronizeMultiRegionKey" }
            .flatMap(\.keyARNs)
    }

    @Test func `ReplicateKey is CreateKey in the replica's Region, for the same caller`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = kms.sibling(of: key, in: away)
        let admin = try kms.newUser("admin", isAdministrator: true)
        let records = try events(kms) {
            try kms.ask(
                .replicateKey,
                id(key).with(.replicaRegion, .text(away)).with(.description, .text("copy"))
                    .with(.policy, .text(StateTableTests.ownersPolicy))
                    .with(.tags, .tags([Tag(key: "a", value: "b")])), as: admin)
        }.map { try $0.record() }
        #expect(
            records.map { $0["eventName"] as? String } == [
                "ReplicateKey", "CreateKey", "SynchronizeMultiRegionKey",
            ])
        #expect(records.map { $0["awsRegion"] as? String } == [home, away, away])
        #expect(Set(records.map { $0["eventID"] as? String }).count == 3)
        let made = records[1]
        let identity = try #require(made["userIdentity"] as? [String: Any])
        #expect(identity["arn"] as? String == admin.principalARN)
        #expect(identity["invokedBy"] as? String == "kms.amazonaws.com")
        #expect(made["userAgent"] as? String == "AWS Internal")
        #expect(made["eventType"] as? String == "AwsApiCall")
        #expect(made["readOnly"] as? Bool == false)
        #expect(made["requestID"] as? String == records[0]["requestID"] as? String)
        #expect(resources(made) == [replica])
        let asked = try #require(made["requestParameters"] as? [String: Any])
        #expect(asked["description"] as? String == "copy")
        #expect(asked["keySpec"] as? String == "SYMMETRIC_DEFAULT")
        #expect(asked["origin"] as? String == "AWS_KMS")
        #expect(asked["multiRegion"] as? Bool == true)
        #expect(asked["policy"] as? String == StateTableTests.ownersPolicy)
        #expect((asked["tags"] as? [[String: String]])?.count == 1)
        let metadata = (made["responseElements"] as? [String: Any])?["keyMetadata"]
        let siblings = (metadata as? [String: Any])?["multiRegionConfiguration"] as? [String: Any]
        #expect(siblings?["multiRegionKeyType"] as? String == "REPLICA")
        #expect(
            records[2]["responseElements"] as? [String: String] == ["keyId": replica])
        #expect(resources(records[2]) == [replica])
    }

    /// Source: AWS KMS developer guide, "UpdatePrimaryRegion" among the examples of log entries.
    @Test func `UpdatePrimaryRegion has an event in each of the two Regions`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        let input = id(key).with(.primaryRegion, .text(away))
        let records = try events(kms) { try kms.ask(.updatePrimaryRegion, input) }
            .map { try $0.record() }
        #expect(
            records.map { $0["eventName"] as? String } == [
                "UpdatePrimaryRegion", "UpdatePrimaryRegion",
            ])
        #expect(records.map { $0["awsRegion"] as? String } == [home, away])
        #expect(records.map(resources) == [[key], [replica]])
        #expect(Set(records.map { $0["requestID"] as? String }).count == 1)
        let callers = records.map { $0["userIdentity"] as? [String: Any] }
        #expect(callers.map { $0?["invokedBy"] as? String } == [nil, "kms.amazonaws.com"])
        for (record, arn) in zip(records, [key, replica]) {
            #expect(record["responseElements"] as? [String: String] == ["keyId": arn])
            let asked = record["requestParameters"] as? [String: Any]
            #expect(asked?["primaryRegion"] as? String == away)
        }
        // What is so already changes nothing there.
        let again = try events(kms) {
            try kms.ask(
                .updatePrimaryRegion, id(replica).with(.primaryRegion, .text(away)), in: away)
        }
        #expect(again.count == 1)
    }

    private func resources(_ record: [String: Any]) -> [String] {
        (record["resources"] as? [[String: Any]] ?? []).compactMap { $0["ARN"] as? String }
    }

    @Test func `a request that came over a network has its id and address in both Regions`() throws
    {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        var caller = kms.owner
        caller.requestID = "b3b5ad2f-19a4-4e7d-9f4b-3a9e5fd0a1c2"
        caller.transport = .network(address: "192.0.2.7", usesTLS: true)
        let records = try events(kms) {
            try kms.ask(
                .replicateKey, id(key).with(.replicaRegion, .text(away)), as: caller)
        }.map { try $0.record() }
        for record in records.prefix(2) {
            #expect(record["requestID"] as? String == caller.requestID)
            #expect(record["sourceIPAddress"] as? String == caller.sourceAddress)
        }
        #expect(records[2]["requestID"] as? String == records[2]["eventID"] as? String)
    }

    @Test func `a replication that is refused leaves nothing in the other Region`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        try kms.replicate(key, to: away)
        var refusal: KMSError?
        let left = try events(kms) {
            refusal = try kms.refusal(
                .replicateKey, id(key).with(.replicaRegion, .text(away)))
        }
        #expect(refusal?.code == .alreadyExists)
        #expect(left.map(\.eventName) == ["ReplicateKey"])
    }

    @Test func `replicas are synchronized when what they share changes, and only then`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replicas = try [farther, away].map { try kms.replicate(key, to: $0) }
        let schedule = id(key).with(.rotationPeriodInDays, .number(90))
        let changes: [(KMSOperation, Structure)] = [
            (.enableKeyRotation, schedule), (.rotateKeyOnDemand, id(key)),
            (.disableKeyRotation, id(key)),
        ]
        for (operation, input) in changes {
            #expect(try synchronized(kms) { try kms.ask(operation, input) } == replicas)
        }
        let single = try kms.key()
        let others: [(KMSOperation, Structure)] = [
            (.disableKeyRotation, id(key)), (.rotateKeyOnDemand, id(single)),
            (.updateKeyDescription, id(key).with(.description, .text("primary"))),
            (.disableKey, id(key)), (.enableKey, id(key)),
            (.updatePrimaryRegion, id(key).with(.primaryRegion, .text(away))),
        ]
        for (operation, input) in others {
            #expect(try synchronized(kms) { try kms.ask(operation, input) } == [])
        }
        // The key that was the primary one is synchronized as well now.
        #expect(
            try synchronized(kms) { try kms.ask(.rotateKeyOnDemand, id(replicas[1]), in: away) }
                == [replicas[0], key])
    }

    @Test func `an automatic rotation reaches the replicas that stay`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let gone = try kms.replicate(key, to: away)
        let kept = try kms.replicate(key, to: farther)
        try kms.ask(.enableKeyRotation, id(key).with(.rotationPeriodInDays, .number(90)))
        try kms.ask(
            .scheduleKeyDeletion, id(gone).with(.pendingWindowInDays, .number(7)), in: away)
        // Its date has come, and the day that it waits for goes by.
        kms.clock.advance(days: 89)
        try kms.ask(.listKeys)
        kms.clock.advance(days: 1)
        let left = try events(kms) { try kms.ask(.listKeys) }
        func names(_ key: String) -> [String] {
            left.filter { $0.keyARNs == [key] }.map(\.eventName)
        }
        #expect(names(key) == ["RotateKey"])
        #expect(names(kept) == ["SynchronizeMultiRegionKey"])
        #expect(names(gone) == ["DeleteKey"])
    }

    @Test func `of imported material replicas learn which one their primary key has`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external, isMultiRegion: true)
        try kms.importMaterial(ImportTests.material, into: key)
        let replica = try kms.replicate(key, to: away)
        let second = [UInt8](repeating: 2, count: 32)
        func synchronizedByImport(
            _ material: [UInt8], in region: String, _ options: KeyValuePairs<Member, Value?> = [:]
        ) throws -> [String] {
            try synchronized(kms) {
                try kms.importMaterial(
                    material, into: kms.sibling(of: key, in: region), in: region, options: options)
            }
        }
        // Each Region has its own copy.
        #expect(try synchronizedByImport(ImportTests.material, in: away) == [])
        #expect(try synchronizedByImport(ImportTests.material, in: home) == [])
        let new: KeyValuePairs<Member, Value?> = [.importType: .text("NEW_KEY_MATERIAL")]
        #expect(try synchronizedByImport(second, in: home, new) == [replica])
        let rotations = try kms.ask(
            .listKeyRotations, id(key).with(.includeKeyMaterial, .text("ALL_KEY_MATERIAL")))
        let waiting = try #require(rotations.structures(.rotations).last?[.keyMaterialID])
        #expect(
            try synchronized(kms) {
                try kms.ask(.deleteImportedKeyMaterial, id(key).with(.keyMaterialID, waiting))
            } == [replica])
        #expect(try synchronizedByImport(second, in: home, new) == [replica])
        #expect(try synchronizedByImport(second, in: away) == [])
        #expect(try synchronized(kms) { try kms.ask(.rotateKeyOnDemand, id(key)) } == [replica])
    }

    @Test func `nobody pays for what the service does in other Regions`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: away)
        try kms.ask(.rotateKeyOnDemand, id(key))
        try kms.keystore.synchronizeLog()
        let tally = try kms.keystore.usageTally()
        // CreateKey, ReplicateKey, RotateKeyOnDemand.
        #expect(tally[key]?.requests.map(\.count) == [3])
        #expect(tally[replica] == nil)
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
    }
}
