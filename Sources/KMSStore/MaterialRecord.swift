package import Cryptography
package import KMSModel

/// One version of a key's material.
package struct MaterialRecord: Sendable {
    package var region = ""
    package var keyID: KeyID
    /// From 1.
    package var version: UInt32
    package var materialID: KeyMaterialID
    /// Raw bytes of symmetric and HMAC keys, PKCS#8 of asymmetric ones, the name of the object in
    /// the token of a custom key store; nil where imported material was deleted or has expired.
    package var material: SecretBytes?
    /// When it was made or first imported; of the first version of a key made here, when that was.
    package var creationDate: Timestamp
    /// nil for material that no rotation has made current.
    package var rotationType: RotationType?
    /// What is known of material that was imported.
    package var imported: ImportedMaterial?

    package init(
        keyID: KeyID, version: UInt32, materialID: KeyMaterialID, material: SecretBytes?,
        creationDate: Timestamp, rotationType: RotationType?
    ) {
        self.keyID = keyID
        self.version = version
        self.materialID = materialID
        self.material = material
        self.creationDate = creationDate
        self.rotationType = rotationType
    }

    package var place: KeyPlace { KeyPlace(region: region, id: keyID) }

    /// Imported, and waiting to be made current by a rotation.
    package var isPendingRotation: Bool { imported?.isPendingRotation ?? false }

    /// When a rotation made it current.
    package var rotationDate: Timestamp? {
        rotationType == nil ? nil : imported?.rotationDate ?? creationDate
    }
}

package struct ImportedMaterial: Sendable, Hashable {
    /// SHA-256 over key id and material: only the same material may be imported again.
    package var fingerprint: [UInt8]
    package var validity: MaterialValidity
    /// What the importer called it.
    package var description: String?
    package var isPendingRotation: Bool
    package var rotationDate: Timestamp?

    package init(
        fingerprint: [UInt8], validity: MaterialValidity, description: String?,
        isPendingRotation: Bool
    ) {
        self.fingerprint = fingerprint
        self.validity = validity
        self.description = description
        self.isPendingRotation = isPendingRotation
    }
}

extension MaterialRecord {
    /// RSA-4096 in PKCS#8 has 2.4 kB; ML-DSA and ML-KEM less, as seeds.
    static let materialBytes = 1...8192

    private var fitsFirstForm: Bool {
        region.isEmpty && material?.count == 32 && imported == nil
    }

    /// Holds the material itself: the caller wipes it.
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        let form = fitsFirstForm ? RecordForm.first : RecordForm.second
        writer.append(form)
        writer.append(keyID)
        writer.append(version)
        writer.append(materialID.bytes)
        writer.append(creationDate)
        writer.append(rotationType?.rawValue ?? "")
        if form == RecordForm.first, let material {
            writer.append(material)
            return writer.finish()
        }
        writer.append(region)
        writer.append(material != nil)
        if let material { writer.append(material) }
        writer.append(imported != nil)
        if let imported { imported.append(to: &writer) }
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        let form = try reader.number(UInt8.self)
        guard form == RecordForm.first || form == RecordForm.second else {
            throw MalformedRecord()
        }
        let keyID = try reader.keyID()
        let version = try reader.number(UInt32.self)
        guard version > 0, let materialID = KeyMaterialID(bytes: try reader.byteString()) else {
            throw MalformedRecord()
        }
        let creationDate = try reader.time()
        let typeName = try reader.text()
        let rotationType = RotationType(rawValue: typeName)
        guard typeName.isEmpty == (rotationType == nil) else { throw MalformedRecord() }
        self.init(
            keyID: keyID, version: version, materialID: materialID, material: nil,
            creationDate: creationDate, rotationType: rotationType)
        if form == RecordForm.first {
            material = try reader.secret()
        } else {
            region = try reader.text()
            if try reader.flag() { material = try reader.secret() }
            if try reader.flag() { imported = try ImportedMaterial(&reader) }
        }
        try reader.finish()
        if let material, !MaterialRecord.materialBytes.contains(material.count) {
            throw MalformedRecord()
        }
        guard (form == RecordForm.first) == fitsFirstForm else { throw MalformedRecord() }
    }
}

extension ImportedMaterial {
    fileprivate func append(to writer: inout RecordWriter) {
        writer.append(fingerprint)
        writer.append(validity.validTo)
        writer.append(description)
        writer.append(isPendingRotation)
        writer.append(rotationDate)
    }

    fileprivate init(_ reader: inout RecordReader) throws(MalformedRecord) {
        self.init(
            fingerprint: try reader.byteString(),
            validity: MaterialValidity(validTo: try reader.optionalTime()),
            description: try reader.optionalText(), isPendingRotation: try reader.flag())
        rotationDate = try reader.optionalTime()
        guard fingerprint.count == 32 else { throw MalformedRecord() }
    }
}
