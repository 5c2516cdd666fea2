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
        let oldID = try #require(
            try kms.importMaterial(ImportTests.material, into: key).text(.keyMaterialID))
        let old = try StateTableTests.blob(kms, key)
        #expect(
            try kms.refusal(.rotateKeyOnDemand, input)
                == .invalidState(
                    "No available key material pending rotation for the key: \(key)."))
        #expect(throws: ImportTests.isOther(than: oldID)) {
            try kms.importMaterial(Self.second, into: key)
        }
        let id = try #require(
            try kms.importMaterial(Self.second, into: key, options: Self.new).text(.keyMaterialID))
        #expect(try states(kms, key) == ["CURRENT", "PENDING_ROTATION"])
        let waiting = try #require(try rotations(kms, key).last)
        #expect(waiting[.rotationDate] == nil && waiting[.rotationType] == nil)
        #expect(waiting.text(.importState) == "IMPORTED")
        let refusal = #expect(throws: KMSError.self) {
            try kms.importMaterial(Self.third, into: key, options: Self.new)
        }
        #expect(refusal?.message.hasPrefix("New key material (id: ") == true)
        #expect(
            refusal?.message.hasSuffix(
                " cannot be imported into KMS key \(key), because another key material (id: "
                    + "\(id)) is pending rotation.") == true)
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
        #expect(try states(kms, key) == ["CURRENT"])
        #expect(
            try kms.refusal(
                .deleteImportedKeyMaterial,
                Structure([.keyID: .text(key), .keyMaterialID: .text(id)]))
                == .validation(
                    "Key material (id: \(id)) has never been imported into KMS key \(key)."))
        // It may come back as new, and another one may take its place.
        #expect(
            try kms.importMaterial(Self.second, into: key, options: Self.new)
                .text(.keyMaterialID) == id)
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(id)]))
        try kms.importMaterial(Self.third, into: key, options: Self.new)
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        #expect(try states(kms, key) == ["NON_CURRENT", "CURRENT"])
    }

    @Test func `waiting material that goes is gone for other processes and for later ones`() throws
    {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        try kms.importMaterial(ImportTests.material, into: key)
        let blob = try StateTableTests.blob(kms, key)
        let id = try #require(
            try kms.importMaterial(Self.second, into: key, options: Self.new).text(.keyMaterialID))
        let all = Structure([
            .keyID: .text(key), .includeKeyMaterial: .text("ALL_KEY_MATERIAL"),
        ])
        let other = try kms.again()
        defer { other.close() }
        #expect(
            try other.service.answer(.listKeyRotations, all, as: kms.owner)
                .structures(.rotations).count == 2)
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(id)]))
        let later = try kms.again()
        defer { later.close() }
        for keystore in [other, later] {
            #expect(
                try keystore.service.answer(.listKeyRotations, all, as: kms.owner)
                    .structures(.rotations).count == 1)
            _ = try keystore.service.answer(
                .decrypt, Structure([.ciphertextBlob: .bytes(blob)]), as: kms.owner)
        }
    }

    @Test func `material that waits may outlive its date, and ends the key once it is current`()
        throws
    {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        try kms.importMaterial(ImportTests.material, into: key)
        let opening = Structure([.ciphertextBlob: .bytes(try StateTableTests.blob(kms, key))])
        let date = kms.clock.now().advanced(byDays: 1)
        let id = try kms.importMaterial(
            Self.second, into: key,
            options: [
                .importType: .text("NEW_KEY_MATERIAL"), .expirationModel: nil,
                .validTo: .time(date),
            ]
        ).text(.keyMaterialID)
        kms.clock.advance(days: 2)
        let metadata = try kms.metadata(key)
        #expect(metadata.text(.keyState) == "Enabled")
        #expect(metadata.text(.expirationModel) == "KEY_MATERIAL_DOES_NOT_EXPIRE")
        #expect(try kms.refusal(.decrypt, opening) == nil)
        #expect(try states(kms, key) == ["CURRENT", "PENDING_ROTATION"])
        let waiting = try #require(try rotations(kms, key).last)
        #expect(waiting.text(.importState) == "IMPORTED")
        #expect(waiting.time(.validTo) == date)
        #expect(try !kms.eventNames().contains("DeleteExpiredKeyMaterial"))
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        #expect(
            try kms.refusal(.decrypt, opening) == .invalidState("\(key) is pending import."))
        #expect(try kms.metadata(key).text(.keyState) == "PendingImport")
        #expect(try kms.metadata(key).text(.currentKeyMaterialID) == id)
        // Everything comes back with it.
        try kms.importMaterial(Self.second, into: key)
        #expect(try kms.state(key) == "Enabled")
        #expect(try kms.refusal(.decrypt, opening) == nil)
    }

    @Test func `a key is valid as long as all the material that it works with`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let (near, far) = (
            kms.clock.now().advanced(byDays: 5), kms.clock.now().advanced(byDays: 9)
        )
        func importing(_ material: [UInt8], until date: Timestamp?, _ type: String? = nil) throws {
            try kms.importMaterial(
                material, into: key,
                options: [
                    .importType: type.map(Value.text), .validTo: date.map(Value.time),
                    .expirationModel: .text(
                        date == nil ? "KEY_MATERIAL_DOES_NOT_EXPIRE" : "KEY_MATERIAL_EXPIRES"),
                ])
        }
        func validTo() throws -> Timestamp? { try kms.metadata(key).time(.validTo) }
        try importing(ImportTests.material, until: near)
        try importing(Self.second, until: far, "NEW_KEY_MATERIAL")
        #expect(try validTo() == near)
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        // Not the current material's date, but the first.
        #expect(try validTo() == near)
        let first = try #require(try rotations(kms, key).first?.text(.keyMaterialID))
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(first)]))
        let metadata = try kms.metadata(key)
        #expect(metadata.text(.keyState) == "PendingImport")
        #expect(metadata[.validTo] == nil && metadata[.expirationModel] == nil)
        try importing(ImportTests.material, until: nil)
        #expect(try validTo() == far)
        try importing(Self.second, until: nil)
        #expect(try kms.metadata(key).text(.expirationModel) == "KEY_MATERIAL_DOES_NOT_EXPIRE")
        #expect(try validTo() == nil)
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
        let empty = try kms.key(.symmetricDefault, nil, .external)
        for key in [key, empty] {
            #expect(throws: ImportTests.isOther(than: wrong)) {
                try kms.importMaterial(
                    ImportTests.material, into: key, options: [.keyMaterialID: .text(wrong)])
            }
            #expect(
                try kms.refusal(
                    .deleteImportedKeyMaterial,
                    Structure([.keyID: .text(key), .keyMaterialID: .text(wrong)]))
                    == .validation(
                        "Key material (id: \(wrong)) has never been imported into KMS key "
                            + "\(key)."))
        }
        #expect(try kms.state(empty) == "PendingImport")
        #expect(
            throws: KMSError(
                .incorrectKeyMaterial,
                "Key material (id: \(id)) being imported as NEW_KEY_MATERIAL is already "
                    + "associated with KMS key \(key).")
        ) { try kms.importMaterial(ImportTests.material, into: key, options: Self.new) }
        #expect(
            throws: KMSError.validation(
                "Input parameter keyMaterialId cannot be used with NEW_KEY_MATERIAL importType.")
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
        let refusal = #expect(throws: KMSError.self) {
            try kms.importMaterial(
                ImportTests.material, into: key,
                options: [.importType: .text("EXISTING_KEY_MATERIAL")])
        }
        #expect(refusal?.code == .incorrectKeyMaterial)
    }

    @Test func `only symmetric keys have material by names`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.hmac256, nil, .external)
        for (member, name, value) in [
            (Member.importType, "importType", "NEW_KEY_MATERIAL"),
            (.keyMaterialDescription, "keyMaterialDescription", "x"),
            (.keyMaterialID, "keyMaterialId", String(repeating: "0", count: 64)),
        ] {
            #expect(
                throws: KMSError.validation(
                    "Input parameter \(name) cannot be used with HMAC_256 imported keys.")
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
        let first = try #require(
            try kms.importMaterial(ImportTests.material, into: key).text(.keyMaterialID))
        let replica = try kms.replicate(key, to: "eu-west-1")
        #expect(try kms.state(replica, in: "eu-west-1") == "PendingImport")
        // Another material than the primary's.
        #expect(throws: ImportTests.isOther(than: first)) {
            try kms.importMaterial(Self.second, into: replica, in: "eu-west-1")
        }
        try kms.importMaterial(ImportTests.material, into: replica, in: "eu-west-1")
        let blob = try StateTableTests.blob(kms, key)
        #expect(
            try kms.refusal(
                .decrypt, Structure([.ciphertextBlob: .bytes(blob)]), in: "eu-west-1") == nil)
        #expect(
            throws: KMSError.validation(
                "Input parameter ImportType NEW_KEY_MATERIAL cannot be used on replica "
                    + "Multi-Region keys")
        ) { try kms.importMaterial(Self.second, into: replica, in: "eu-west-1", options: Self.new) }
        #expect(
            throws: KMSError.validation(
                "Key material description can only be specified on primary Multi-Region keys")
        ) {
            try kms.importMaterial(
                ImportTests.material, into: replica, in: "eu-west-1",
                options: [.keyMaterialDescription: .text("x")])
        }
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
        // A replica's goes alone, and is still awaited.
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(replica), .keyMaterialID: .text(id)]), in: "eu-west-1")
        #expect(
            try rotations(kms, replica, in: "eu-west-1").last?.text(.importState)
                == "PENDING_IMPORT")
        #expect(try rotations(kms, key).last?.text(.importState) == "IMPORTED")
        try kms.importMaterial(Self.second, into: replica, in: "eu-west-1")
        try kms.ask(
            .deleteImportedKeyMaterial,
            Structure([.keyID: .text(key), .keyMaterialID: .text(id)]))
        for (name, region) in [(key, "us-east-1"), (replica, "eu-west-1")] {
            #expect(try kms.state(name, in: region) == "Enabled")
            #expect(try states(kms, name, in: region) == ["CURRENT"])
        }
        // It may come back as new.
        try kms.importMaterial(Self.second, into: key, options: Self.new)
        try kms.importMaterial(Self.second, into: replica, in: "eu-west-1")
        try kms.ask(.rotateKeyOnDemand, Structure([.keyID: .text(key)]))
        #expect(try states(kms, replica, in: "eu-west-1") == ["NON_CURRENT", "CURRENT"])
    }
}
