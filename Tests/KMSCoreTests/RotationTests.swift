import KMSCore
import KMSModel
import Testing

@Suite struct RotationTests {
    let kms: TestKeystore
    let key: String

    init() throws {
        kms = try TestKeystore()
        key = try kms.newKey().arn.description
    }

    private func version() throws -> UInt32 {
        try #require(try kms.service.describeKey(key, as: kms.owner).currentVersion)
    }

    private func rotations(includesFirst: Bool = false) throws -> [KeyRotation] {
        try kms.service.listKeyRotations(
            key, includesFirstMaterial: includesFirst, PageRequest(), as: kms.owner
        ).elements
    }

    @Test func `after a rotation old blobs open and new ones name the new version`() throws {
        let old = try kms.service.encrypt(
            secret("old"), under: key, context: .empty, as: kms.owner)
        try kms.service.rotateKeyOnDemand(key, as: kms.owner)
        let new = try kms.service.encrypt(
            secret("new"), under: key, context: .empty, as: kms.owner)
        #expect(SymmetricBlob(decoding: old.blob)?.keyVersion == 1)
        #expect(SymmetricBlob(decoding: new.blob)?.keyVersion == 2)
        var materials: [KeyMaterialID?] = []
        for (wrapped, plaintext) in [(old, "old"), (new, "new")] {
            let opened = try kms.service.decrypt(
                wrapped.blob, under: key, context: .empty, as: kms.owner)
            #expect(text(opened.plaintext) == plaintext)
            materials.append(opened.materialID)
        }
        #expect(materials[0] != materials[1])
        let metadata = try kms.service.describeKey(key, as: kms.owner)
        #expect(metadata.currentMaterialID == materials[1])
    }

    @Test func `rotations are listed oldest first, the first material only when asked for`()
        throws
    {
        for _ in 0..<2 {
            kms.clock.advance(days: 1)
            _ = try kms.service.rotateKeyOnDemand(key, as: kms.owner)
        }
        let listed = try rotations()
        #expect(listed.count == 2)
        #expect(listed.map(\.rotationType) == [.onDemand, .onDemand])
        #expect(listed.last?.rotationDate == kms.clock.now())
        #expect(listed.map(\.isCurrent) == [false, true])
        let all = try rotations(includesFirst: true)
        #expect(all.count == 3)
        #expect(Array(all.dropFirst()) == listed)
        #expect(all.first?.rotationDate == nil)
        let first = try kms.service.listKeyRotations(
            key, includesFirstMaterial: true, PageRequest(limit: 2), as: kms.owner)
        let second = try kms.service.listKeyRotations(
            key, includesFirstMaterial: true, PageRequest(limit: 2, marker: first.nextMarker),
            as: kms.owner)
        #expect((first.elements + second.elements) == all)
    }

    @Test func `25 rotations on demand are the limit`() throws {
        for _ in 0..<25 { _ = try kms.service.rotateKeyOnDemand(key, as: kms.owner) }
        #expect(
            throws: KMSError.limitExceeded(
                "The on-demand rotations limit has been reached for the given keyId. No more "
                    + "on-demand rotations can be performed for this key: \(key)")
        ) { try kms.service.rotateKeyOnDemand(key, as: kms.owner) }
        // Automatic ones do not count.
        try kms.service.enableKeyRotation(key, periodDays: 90, as: kms.owner)
        kms.clock.advance(days: 90)
        #expect(try version() == 27)
    }

    @Test(arguments: [(89, "greater than or equal to 90"), (2561, "less than or equal to 2560")])
    func `rotation periods have bounds`(_ days: Int, _ bound: String) {
        #expect(
            throws: KMSError.validation(
                "1 validation error detected: Value '\(days)' at 'rotationPeriodInDays' failed to "
                    + "satisfy constraint: Member must have value \(bound)")
        ) { try kms.service.enableKeyRotation(key, periodDays: days, as: kms.owner) }
    }

    @Test func `automatic rotation happens when it is due, and again a period later`() throws {
        try kms.service.enableKeyRotation(key, periodDays: nil, as: kms.owner)
        let start = kms.clock.now()
        #expect(
            try kms.service.keyRotationStatus(key, as: kms.owner)
                == KeyRotationStatus(
                    isEnabled: true, periodDays: 365, nextRotationDate: start.advanced(byDays: 365))
        )
        kms.clock.advance(days: 364)
        #expect(try version() == 1)
        kms.clock.advance(days: 1)
        #expect(try version() == 2)
        #expect(try rotations().map(\.rotationType) == [.automatic])
        #expect(
            try kms.service.keyRotationStatus(key, as: kms.owner).nextRotationDate
                == start.advanced(byDays: 730))
        kms.clock.advance(days: 365)
        #expect(try version() == 3)
        #expect(try kms.eventNames().filter { $0 == "RotateKey" }.count >= 2)
    }

    @Test func `what came due while nobody had the keystore open happens when it is opened`()
        throws
    {
        try kms.service.enableKeyRotation(key, periodDays: 90, as: kms.owner)
        kms.keystore.close()
        kms.clock.advance(days: 90)
        let again = try kms.again()
        defer { again.close() }
        var names: [String] = []
        try again.usageLog().forEach(.init()) { names.append($0.eventName) }
        #expect(names.last == "RotateKey")
        #expect(try again.service.describeKey(key, as: kms.owner).currentVersion == 2)
    }

    @Test func `a rotation that was planned by a clock that was ahead is planned anew`() throws {
        kms.clock.turn(days: 400)
        try kms.service.enableKeyRotation(key, periodDays: 90, as: kms.owner)
        kms.keystore.close()
        kms.clock.turn(days: -400)
        let again = try kms.again()
        defer { again.close() }
        #expect(
            try again.service.keyRotationStatus(key, as: kms.owner).nextRotationDate
                == kms.clock.now().advanced(byDays: 90))
        kms.clock.advance(days: 90)
        #expect(try again.service.describeKey(key, as: kms.owner).currentVersion == 2)
    }

    @Test func `a clock from before the key leaves its rotation as it is`() throws {
        try kms.service.enableKeyRotation(key, periodDays: 90, as: kms.owner)
        let next = try status(key).nextRotationDate
        kms.keystore.close()
        kms.clock.turn(days: -10_000)
        let again = try kms.again()
        defer { again.close() }
        #expect(
            try again.service.keyRotationStatus(key, as: kms.owner).nextRotationDate == next)
    }

    @Test func `a disabled key does not rotate, and rotates at once when it is enabled`() throws {
        try kms.service.enableKeyRotation(key, periodDays: 90, as: kms.owner)
        try kms.service.disableKey(key, as: kms.owner)
        kms.clock.advance(days: 100)
        #expect(try version() == 1)
        #expect(try kms.service.keyRotationStatus(key, as: kms.owner).isEnabled)
        try kms.service.enableKey(key, as: kms.owner)
        #expect(try rotations().map(\.rotationType) == [.automatic])
    }

    @Test func `a key that waits for its deletion reads as not rotating until it is cancelled`()
        throws
    {
        try kms.service.enableKeyRotation(key, periodDays: 90, as: kms.owner)
        _ = try kms.service.scheduleKeyDeletion(key, windowDays: 30, as: kms.owner)
        #expect(try kms.service.keyRotationStatus(key, as: kms.owner).isEnabled == false)
        _ = try kms.service.cancelKeyDeletion(key, as: kms.owner)
        #expect(try kms.service.keyRotationStatus(key, as: kms.owner).periodDays == 90)
    }

    private func status(_ key: String) throws -> KeyRotationStatus {
        try kms.service.keyRotationStatus(key, as: kms.owner)
    }

    @Test func `a primary key that waits for its replicas still reads as rotating`() throws {
        let key = try kms.key(isMultiRegion: true)
        let replica = try kms.replicate(key, to: "eu-west-1")
        try kms.service.enableKeyRotation(key, periodDays: 90, as: kms.owner)
        let before = try status(key)
        try kms.ask(.scheduleKeyDeletion, Structure([.keyID: .text(key)]))
        #expect(try status(key) == before)
        try kms.ask(
            .scheduleKeyDeletion, Structure([.keyID: .text(replica)]), in: "eu-west-1")
        #expect(
            try kms.ask(
                .getKeyRotationStatus, Structure([.keyID: .text(replica)]), in: "eu-west-1"
            ).flag(.keyRotationEnabled) == false)
        #expect(try status(key).periodDays == 90)
    }

    @Test func `enabling again without a period keeps the period and the next date`() throws {
        try kms.service.enableKeyRotation(key, periodDays: 2560, as: kms.owner)
        let before = try status(key)
        kms.clock.advance(days: 1)
        try kms.service.enableKeyRotation(key, periodDays: nil, as: kms.owner)
        #expect(try status(key) == before)
        try kms.service.disableKeyRotation(key, as: kms.owner)
        try kms.service.enableKeyRotation(key, periodDays: nil, as: kms.owner)
        #expect(try status(key).periodDays == 365)
        #expect(try status(key).nextRotationDate == kms.clock.now().advanced(byDays: 365))
    }

    @Test func `imported keys read as not rotating, and their rotation cannot be set`() throws {
        let key = try kms.key(.symmetricDefault, nil, .external)
        let answer = try kms.ask(.getKeyRotationStatus, Structure([.keyID: .text(key)]))
        #expect(answer[.keyRotationEnabled] != nil)
        #expect(answer.flag(.keyRotationEnabled) == false)
        #expect(answer.text(.keyID) == key)
        for operation in [KMSOperation.enableKeyRotation, .disableKeyRotation] {
            #expect(
                try kms.refusal(operation, Structure([.keyID: .text(key)]))
                    == .unsupportedOperation(
                        "\(key) origin is EXTERNAL which is not valid for this operation."))
        }
    }

    @Test func `a key of another kind has no rotations, and may be told to have none`() throws {
        let key = try kms.key(.hmac256)
        let input = Structure([.keyID: .text(key)])
        #expect(try kms.ask(.listKeyRotations, input).structures(.rotations).isEmpty)
        #expect(
            try kms.refusal(
                .listKeyRotations, input.with(.includeKeyMaterial, .text("ALL_KEY_MATERIAL")))
                == .validation(
                    "Input parameter includeKeyMaterial can only be used with symmetric keys."))
        try kms.ask(.disableKeyRotation, input)
        #expect(try status(key).isEnabled == false)
        for operation in [KMSOperation.enableKeyRotation, .rotateKeyOnDemand] {
            #expect(try kms.refusal(operation, input) == KMSError(.unsupportedOperation))
        }
    }

    @Test func `no rotation on demand within 20 minutes of an automatic one`() throws {
        try kms.service.enableKeyRotation(key, periodDays: 90, as: kms.owner)
        let next = try #require(
            try kms.service.keyRotationStatus(key, as: kms.owner).nextRotationDate)
        kms.clock.advance(days: 89)
        kms.clock.advance(minutes: 24 * 60 - 21)
        _ = try kms.service.rotateKeyOnDemand(key, as: kms.owner)
        kms.clock.advance(minutes: 1)
        #expect(
            throws: KMSError.conflict(
                "An automatic rotation of the key \(key) is in progress or due within 20 minutes.")
        ) { try kms.service.rotateKeyOnDemand(key, as: kms.owner) }
        // One on demand leaves the schedule alone.
        #expect(try kms.service.keyRotationStatus(key, as: kms.owner).nextRotationDate == next)
    }
}
