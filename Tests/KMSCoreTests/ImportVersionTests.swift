import KMSModel
import Testing

/// Imported keys with several versions: material that waits, names for it, and other Regions.
@Suite struct ImportVersionTests {
    private func rotations(_ kms: TestKeystore, _ key: String, in region: String = "us-east-1")
        throws -> [Structure]
    {
        try kms.ask(
            .listKeyRotations,
            Structure([.keyID: .text(key), .includeKeyMaterial: .text("ALL_KEY_MATERIAL")]),
            in: region
        ).structures(.rotations)
    }

    private func states(_ kms: TestKeystore, _ key: String, in region: String = "us-east-1")
        throws -> [String]
    {
        try rotations(kms, key, in: region).compactMap { $0.text(.keyMaterialState) }
    }

    private static let new: KeyValuePairs<Member, Value?> = [.importType: .text("NEW_KEY_MATERIAL")]
    private static let second = [UInt8](repeating: 2, count: 32)
    private static let third = [UInt8](repeating: 3, count: 32)

    @Test func `new material waits for a rotation on demand, and the old one still opens`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let input = Structure([.keyID: .text(key)])
        try kms.importMaterial(ImportTests.material, into: key)
        let old = try StateTableTests.blob(kms, key)
        #expect(
            try kms.refusal(.rotateKeyOnDemand, input)
                == .invalidState(
                    "No available key material pending rotation for the key: \(key)."))
        #expect(throws: ImportTests.isOther) { try kms.importMaterial(Self.second, into: key) }
        let id = try #require(
            try kms.importMaterial(Self.second, into: key, options: Self.new).text(.keyMaterialID))
        #expect(try states(kms, key) == ["CURRENT", "PENDING_ROTATION"])
        let waiting = try #require(try rotations(kms, key).last)
        #expect(waiting[.rotationDate] == nil && waiting[.rotationType] == nil)
        #expect(waiting.text(.importState) == "IMPORTED")
        let refusal = #expect(throws: KMSError.self) {
            try kms.importMaterial(Self.third, into: key, options: Self.new)
        }
        #expect(
            refusal?.message.hasPrefix("New key material (id: ") == true
                && refusal?.message.hasSuffix(
                    "because another key material (id: \(id)) is pending rotation.") == true
        )
        #expect(refusal?.code == .invalidState)
        #expect(try kms.metadata(key).text(.currentKeyMaterialID) != id)
        try kms.ask(.rotateKeyOnDemand, input)
        #expect(try states(kms, key) == ["NON_CURRENT", "CURRENT"])
        #expect(try kms.metadata(key).text(.currentKeyMaterialID) == id)
        let current = try #require(try rotations(kms, key).last)
        #expect(current.text(.rotationType) == "ON_DEMAND")
        #expect(current.time(.rotationDate) == kms.clock.now())
        for blob in [old, try StateTableTests.blob(kms, key)] {
            #expect(try kms.refusal(.decrypt, Structure([.ciphertextBlob: .bytes(blob)])) == nil)
        }
        // Without any one of them the key rests.
        let first = try #require(try rotations(kms, key).first?.text(.keyMaterialID))
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(first)]))
        #expect(try kms.state(key) == "PendingImport")
        #expect(
            try rotations(kms, key).compactMap { $0.text(.importState) } == [
                "PENDING_IMPORT", "IMPORTED",
            ])
        try kms.importMaterial(
            ImportTests.material, into: key, options: [.keyMaterialID: .text(first)])
        #expect(try kms.state(key) == "Enabled")
    }

    @Test func `material that waits comes and goes without touching the key`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        try kms.importMaterial(ImportTests.material, into: key)
        let id = try #require(
            try kms.importMaterial(Self.second, into: key, options: Self.new).text(.keyMaterialID))
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(id)]))
        #expect(try kms.state(key) == "Enabled")
        #expect(
            try kms.refusal(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))?.code
                == .invalidState)
        // Another one may take its place.
        try kms.importMaterial(Self.third, into: key, options: Self.new)
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        #expect(try states(kms, key) == ["NON_CURRENT", "CURRENT"])
    }

    @Test func `an id follows from key and material, and must be the material's`() throws {
        let kms = try TestKeystore()
        let (key, other) = (
            try kms.key(.symmetricDefault, nil, .external),
            try kms.key(.symmetricDefault, nil, .external)
        )
        let id = try #require(
            try kms.importMaterial(ImportTests.material, into: key).text(.keyMaterialID))
        #expect(
            try kms.importMaterial(ImportTests.material, into: other).text(.keyMaterialID) != id)
        let wrong = String(repeating: "0", count: 64)
        #expect(throws: ImportTests.isOther) {
            try kms.importMaterial(
                ImportTests.material, into: key, options: [.keyMaterialID: .text(wrong)])
        }
        #expect(
            try kms.refusal(
                .deleteImportedKeyMaterial,
                Structure([.keyID: .text(key), .keyMaterialID: .text(wrong)]))?.code == .notFound)
        #expect(
            throws: KMSError.validation(
                "KeyMaterialId cannot be specified when ImportType is NEW_KEY_MATERIAL.")
        ) {
            try kms.importMaterial(
                Self.second, into: key,
                options: [
                    .importType: .text("NEW_KEY_MATERIAL"), .keyMaterialID: .text(id),
                ])
        }
    }

    @Test func `a first import that calls itself the second is refused`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        #expect(throws: ImportTests.isOther) {
            try kms.importMaterial(
                ImportTests.material, into: key,
                options: [.importType: .text("EXISTING_KEY_MATERIAL")])
        }
    }

    @Test func `only symmetric keys have material by names`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.hmac256, nil, .external)
        for (member, value) in [
            (Member.importType, "NEW_KEY_MATERIAL"), (.keyMaterialDescription, "x"),
            (.keyMaterialID, String(repeating: "0", count: 64)),
        ] {
            #expect(
                throws: KMSError.validation(
                    "\(member.rawValue) is only valid for symmetric encryption KMS keys.")
            ) {
                try kms.importMaterial(
                    ImportTests.material, into: key, options: [member: .text(value)])
            }
        }
    }

    @Test func `a description stays until another comes with the same material`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        func described(_ text: String?) throws -> String? {
            try kms.importMaterial(
                ImportTests.material, into: key,
                options: [.keyMaterialDescription: text.map(Value.text)])
            return try rotations(kms, key).first?.text(.keyMaterialDescription)
        }
        #expect(try described("one") == "one")
        #expect(try described(nil) == "one")
        #expect(try described("two") == "two")
    }

    // MARK: Regions

    @Test func `a multi-Region key rotates when all its Regions have the new material`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external, isMultiRegion: true)
        try kms.importMaterial(ImportTests.material, into: key)
        let replica = try kms.replicate(key, to: "eu-west-1")
        #expect(try kms.state(replica, in: "eu-west-1") == "PendingImport")
        // Another material than the primary's.
        #expect(throws: ImportTests.isOther) {
            try kms.importMaterial(Self.second, into: replica, in: "eu-west-1")
        }
        try kms.importMaterial(ImportTests.material, into: replica, in: "eu-west-1")
        let blob = try StateTableTests.blob(kms, key)
        #expect(
            try kms.refusal(
                .decrypt, Structure([.ciphertextBlob: .bytes(blob)]), in: "eu-west-1") == nil)
        #expect(
            throws: KMSError.unsupportedOperation("\(replica) is not a multi-region primary key.")
        ) { try kms.importMaterial(Self.second, into: replica, in: "eu-west-1", options: Self.new) }
        let id = try kms.importMaterial(Self.second, into: key, options: Self.new)
            .text(.keyMaterialID)
        let waiting = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
        #expect(try states(kms, key) == ["CURRENT", waiting])
        #expect(try states(kms, replica, in: "eu-west-1") == ["CURRENT", waiting])
        #expect(try kms.state(replica, in: "eu-west-1") == "Enabled")
        #expect(
            try kms.refusal(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
                == .invalidState(
                    "No available key material pending rotation for the key: \(key)."))
        #expect(
            try kms.importMaterial(Self.second, into: replica, in: "eu-west-1")
                .text(.keyMaterialID) == id)
        #expect(try states(kms, key) == ["CURRENT", "PENDING_ROTATION"])
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        for (name, region) in [(key, "us-east-1"), (replica, "eu-west-1")] {
            #expect(try states(kms, name, in: region) == ["NON_CURRENT", "CURRENT"])
            #expect(
                try kms.metadata(name, in: region).text(.currentKeyMaterialID) == id)
        }
    }

    @Test func `the primary's waiting material takes that of its replicas along`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external, isMultiRegion: true)
        try kms.importMaterial(ImportTests.material, into: key)
        let replica = try kms.replicate(key, to: "eu-west-1")
        try kms.importMaterial(ImportTests.material, into: replica, in: "eu-west-1")
        let id = try #require(
            try kms.importMaterial(Self.second, into: key, options: Self.new).text(.keyMaterialID))
        try kms.importMaterial(Self.second, into: replica, in: "eu-west-1")
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(id)]))
        #expect(
            try rotations(kms, replica, in: "eu-west-1").last?.text(.importState)
                == "PENDING_IMPORT")
        for (name, region) in [(key, "us-east-1"), (replica, "eu-west-1")] {
            #expect(try kms.state(name, in: region) == "Enabled")
        }
    }
}
