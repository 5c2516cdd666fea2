import KMSCore
import KMSModel
import Testing

/// The service's own key, `alias/aws/keyfold`: it gets a new version every year, and nobody stops
/// that (AWS KMS developer guide, "Rotating AWS managed keys").
@Suite struct ServiceKeyTests {
    private static let alias = Keystore.serviceAlias

    let kms: TestKeystore
    let key: String

    init() throws {
        kms = try TestKeystore()
        key = try kms.service.describeKey(Self.alias, as: kms.owner).arn.description
    }

    private func version() throws -> UInt32 {
        try #require(try kms.service.describeKey(key, as: kms.owner).currentVersion)
    }

    private func encrypt(_ text: String) throws -> [UInt8] {
        try kms.service.encrypt(secret(text), under: Self.alias, context: .empty, as: kms.owner)
            .blob
    }

    private func decrypt(_ blob: [UInt8], by service: any KeyService) throws -> String {
        text(
            try service.decrypt(blob, under: nil, context: .empty, as: kms.owner).plaintext)
    }

    @Test func `it gets a new version every year, and what it encrypted before opens after`()
        throws
    {
        let start = kms.clock.now()
        var blobs = [try encrypt("version 1")]
        for year in 1...3 {
            #expect(
                try kms.service.keyRotationStatus(key, as: kms.owner)
                    == KeyRotationStatus(
                        isEnabled: true, periodDays: 365,
                        nextRotationDate: start.advanced(byDays: year * 365)))
            kms.clock.advance(days: 364)
            #expect(try version() == UInt32(year))
            kms.clock.advance(days: 1)
            blobs.append(try encrypt("version \(year + 1)"))
            #expect(try version() == UInt32(year + 1))
        }
        #expect(blobs.map { SymmetricBlob(decoding: $0)?.keyVersion } == [1, 2, 3, 4])
        for (index, blob) in blobs.enumerated() {
            #expect(try decrypt(blob, by: kms.service) == "version \(index + 1)")
        }
        let rotations = try kms.service.listKeyRotations(
            key, includesFirstMaterial: false, PageRequest(), as: kms.owner
        ).elements
        #expect(rotations.map(\.rotationType) == [.automatic, .automatic, .automatic])
        #expect(
            rotations.map(\.rotationDate) == (1...3).map { start.advanced(byDays: $0 * 365) })
        let events = try kms.events().filter { $0.eventName == "RotateKey" }
        #expect(events.count == 3)
    }

    @Test func `a keystore that was closed for years rotates it once, when it is opened`() throws {
        let blob = try encrypt("old")
        kms.keystore.close()
        kms.clock.advance(days: 3 * 365 + 5)
        let again = try kms.again()
        defer { again.close() }
        #expect(try again.service.describeKey(key, as: kms.owner).currentVersion == 2)
        #expect(
            try again.service.keyRotationStatus(key, as: kms.owner).nextRotationDate
                == kms.clock.now().advanced(byDays: 365))
        #expect(try decrypt(blob, by: again.service) == "old")
    }

    /// What changes a key, with what the request needs beside the key.
    private static let changes: [(operation: KMSOperation, members: Structure)] = [
        (.disableKey, Structure()),
        (.enableKey, Structure()),
        (.scheduleKeyDeletion, Structure([.pendingWindowInDays: .number(7)])),
        (.cancelKeyDeletion, Structure()),
        (.disableKeyRotation, Structure()),
        (.enableKeyRotation, Structure([.rotationPeriodInDays: .number(2560)])),
        (.rotateKeyOnDemand, Structure()),
        (.updateKeyDescription, Structure([.description: .text("mine")])),
        (
            .putKeyPolicy,
            Structure([
                .policy: .text(
                    #"{"Version":"2012-10-17","Statement":{"Effect":"Allow","#
                        + #""Principal":{"AWS":"arn:aws:iam::111122223333:root"},"#
                        + #""Action":"kms:*","Resource":"*"}}"#)
            ])
        ),
        (
            .createGrant,
            Structure([
                .granteePrincipal: .text("arn:aws:iam::111122223333:root"),
                .operations: .texts(["Decrypt"]),
            ])
        ),
        (
            .tagResource,
            Structure([
                .tags: .list([
                    .structure(Structure([.tagKey: .text("a"), .tagValue: .text("b")]))
                ])
            ])
        ),
        (.untagResource, Structure([.tagKeys: .texts(["a"])])),
    ]

    @Test func `nothing about it can be changed, and its rotation goes on`() throws {
        let before = try kms.service.describeKey(key, as: kms.owner)
        let policyRequest = Structure([.keyID: .text(key)])
        let policy = try kms.ask(.getKeyPolicy, policyRequest).text(.policy)
        for (operation, members) in Self.changes {
            var input = members
            input[.keyID] = .text(key)
            for caller in [kms.owner, kms.stranger] {
                let refusal = try kms.refusal(operation, input, as: caller)
                #expect(refusal?.code == .accessDenied, "\(operation.rawValue)")
            }
            #expect(
                try kms.refusal(operation, input)?.message.contains(
                    "no resource-based policy allows the kms:\(operation.rawValue) action") == true)
        }
        #expect(try kms.service.describeKey(key, as: kms.owner) == before)
        #expect(try kms.ask(.getKeyPolicy, policyRequest).text(.policy) == policy)
        #expect(try kms.ask(.listGrants, policyRequest).structures(.grants).isEmpty)
        kms.clock.advance(days: 365)
        #expect(try version() == 2)
    }
}
