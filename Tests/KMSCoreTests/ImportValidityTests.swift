import KMSModel
import Testing

/// How long imported material is there: until a date, until it is deleted, and after that.
@Suite struct ImportValidityTests {
    @Test func `material expires by default, and needs a date within a year`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let now = kms.clock.now()
        func importing(_ model: String?, _ date: Timestamp?) throws {
            try kms.importMaterial(
                ImportTests.material, into: key,
                options: [
                    .expirationModel: model.map(Value.text), .validTo: date.map(Value.time),
                ])
        }
        let needsDate = KMSError.validation(
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
        #expect(throws: needsDate) { try importing(nil, nil) }
        #expect(throws: needsDate) { try importing("KEY_MATERIAL_EXPIRES", nil) }
        #expect(
            throws: KMSError.validation(
                "A validTo date cannot be set if the ExpirationModel is "
                    + "KEY_MATERIAL_DOES_NOT_EXPIRE")
        ) { try importing("KEY_MATERIAL_DOES_NOT_EXPIRE", now.advanced(byDays: 1)) }
        for date in [now, now.advanced(byDays: -1)] {
            #expect(throws: KMSError.validation("ValidTo must be in the future")) {
                try importing(nil, date)
            }
        }
        #expect(
            throws: KMSError.validation("ValidTo must be less than 365 days in the future")
        ) { try importing(nil, now.advanced(byMilliseconds: 365 * 86_400_000 + 1)) }
        try importing(nil, now.advanced(byDays: 365))
        #expect(try kms.metadata(key).time(.validTo) == now.advanced(byDays: 365))
        // Importing again changes the model.
        try importing("KEY_MATERIAL_DOES_NOT_EXPIRE", nil)
        #expect(try kms.metadata(key).text(.expirationModel) == "KEY_MATERIAL_DOES_NOT_EXPIRE")
        #expect(try kms.metadata(key)[.validTo] == nil)
    }

    @Test func `expired material is gone, and the same material brings its ciphertexts back`()
        throws
    {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let date = kms.clock.now().advanced(byDays: 2)
        let id = try #require(
            try kms.importMaterial(
                ImportTests.material, into: key,
                options: [.expirationModel: nil, .validTo: .time(date)]
            ).text(.keyMaterialID))
        let blob = try StateTableTests.blob(kms, key)
        let opening = Structure([.ciphertextBlob: .bytes(blob)])
        kms.clock.advance(minutes: 2 * 24 * 60 - 1)
        #expect(try kms.refusal(.decrypt, opening) == nil)
        kms.clock.advance(minutes: 1)
        #expect(
            try kms.refusal(.decrypt, opening) == .invalidState("\(key) is pending import."))
        let metadata = try kms.metadata(key)
        #expect(metadata.text(.keyState) == "PendingImport")
        #expect(metadata.text(.currentKeyMaterialID) == id)
        #expect(metadata[.expirationModel] == nil && metadata[.validTo] == nil)
        let events = try kms.events().filter { $0.eventName == "DeleteExpiredKeyMaterial" }
        // Nothing was rotated.
        #expect(
            !events.contains { String(decoding: $0.json, as: UTF8.self).contains("rotationType") })
        #expect(events.count == 1 && events.first?.keyARNs == [key])
        #expect(throws: ImportTests.isOther(than: id)) {
            try kms.importMaterial(ImportTests.material.reversed(), into: key)
        }
        #expect(
            try kms.importMaterial(ImportTests.material, into: key).text(.keyMaterialID) == id)
        #expect(try kms.refusal(.decrypt, opening) == nil)
    }

    @Test func `deleted material is gone, also where it was in use`() throws {
        let kms = try TestKeystore()
        for spec in [KeySpec.symmetricDefault, .hmac256, .eccNistP256] {
            let key = try kms.key(spec, nil, .external)
            let material = try ImportTests.material(spec)
            try kms.importMaterial(material, into: key)
            var use: (KMSOperation, Structure) =
                switch spec {
                case .symmetricDefault: (.encrypt, Structure([.plaintext: .secret(secret("x"))]))
                case .hmac256: (.generateMAC, StateTableTests.coding)
                default: (.sign, StateTableTests.signing)
                }
            use.1[.keyID] = .text(key)
            #expect(try kms.refusal(use.0, use.1) == nil)
            let answer = try kms.ask(.deleteImportedKeyMaterial, Structure([.keyID: .text(key)]))
            #expect((answer.text(.keyMaterialID) != nil) == (spec == .symmetricDefault))
            #expect(
                try kms.refusal(use.0, use.1) == .invalidState("\(key) is pending import."))
            // Nothing happens the second time.
            try kms.ask(.deleteImportedKeyMaterial, Structure([.keyID: .text(key)]))
            let wrong = spec == .eccNistP256 ? try ImportTests.material(spec) : material.reversed()
            let refusal = #expect(throws: KMSError.self) {
                try kms.importMaterial(wrong, into: key)
            }
            #expect(refusal?.code == .incorrectKeyMaterial)
            #expect(
                refusal?.message.hasPrefix(
                    "Imported key material does not have the expected identifier (") == true)
            try kms.importMaterial(material, into: key)
            #expect(try kms.refusal(use.0, use.1) == nil)
        }
    }

    @Test func `a deletion leaves the state of a key alone that waits for its own`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        let input = Structure([.keyID: .text(key)])
        try kms.importMaterial(ImportTests.material, into: key)
        try kms.ask(.scheduleKeyDeletion, input)
        try kms.ask(.deleteImportedKeyMaterial, input)
        #expect(try kms.state(key) == "PendingDeletion")
        try kms.ask(.cancelKeyDeletion, input)
        // Without its material it cannot be more than this.
        #expect(try kms.state(key) == "PendingImport")
        #expect(
            try kms.refusal(.enableKey, input) == .invalidState("\(key) is pending import."))
        try kms.importMaterial(ImportTests.material, into: key)
        #expect(try kms.state(key) == "Enabled")
        try kms.ask(.scheduleKeyDeletion, input)
        try kms.ask(.cancelKeyDeletion, input)
        #expect(try kms.state(key) == "Disabled")
    }

    @Test func `the same material again enables a disabled key, and other material does not`()
        throws
    {
        let kms = try TestKeystore()
        let key = try kms.key(.symmetricDefault, nil, .external)
        try kms.importMaterial(ImportTests.material, into: key)
        try kms.ask(.disableKey, Structure([.keyID: .text(key)]))
        try kms.importMaterial(
            ImportTests.material.reversed(), into: key,
            options: [.importType: .text("NEW_KEY_MATERIAL")])
        #expect(try kms.state(key) == "Disabled")
        try kms.importMaterial(ImportTests.material, into: key)
        #expect(try kms.state(key) == "Enabled")
    }
}
