package import Cryptography
package import KMSModel

/// A CMK without its material: what DescribeKey, the tags and the rotation settings tell.
package struct KeyRecord: Hashable, Sendable {
    package var id: KeyID
    package var creationDate: Timestamp
    package var state: KeyState
    package var description: String
    package var manager: KeyManager
    /// Sorted by key, no key twice.
    package var tags: [Tag]
    package var rotation: RotationSchedule?

    package init(
        id: KeyID, creationDate: Timestamp, state: KeyState, description: String,
        manager: KeyManager, tags: [Tag], rotation: RotationSchedule?
    ) {
        self.id = id
        self.creationDate = creationDate
        self.state = state
        self.description = description
        self.manager = manager
        self.tags = tags
        self.rotation = rotation
    }
}

/// Automatic rotation: each period after `base`, which is when it was switched on or last done.
package struct RotationSchedule: Hashable, Sendable {
    package var periodDays: Int
    package var base: Timestamp

    package init(periodDays: Int, base: Timestamp) {
        self.periodDays = periodDays
        self.base = base
    }

    package var next: Timestamp { base.advanced(byDays: periodDays) }
}

/// One version of a key's material.
package struct MaterialRecord: Sendable {
    package var keyID: KeyID
    /// From 1.
    package var version: UInt32
    package var materialID: KeyMaterialID
    /// 32 bytes.
    package var material: SecretBytes
    /// When it was made; of the first version, when the key was.
    package var creationDate: Timestamp
    /// nil for the first version.
    package var rotationType: RotationType?

    package init(
        keyID: KeyID, version: UInt32, materialID: KeyMaterialID, material: SecretBytes,
        creationDate: Timestamp, rotationType: RotationType?
    ) {
        self.keyID = keyID
        self.version = version
        self.materialID = materialID
        self.material = material
        self.creationDate = creationDate
        self.rotationType = rotationType
    }
}

/// One segment of the usage log and how far it surely goes; UsageLog's words, kept as plain values.
package struct SegmentRow: Hashable, Sendable {
    /// 16 bytes.
    package var id: [UInt8]
    package var ordinal: UInt64
    package var createdAt: Timestamp
    package var previousDigest: [UInt8]
    package var eventCount: UInt64
    package var chainHash: [UInt8]
    package var isClosed: Bool
    /// Of the segment's format. The fields below are those of version 2 and later.
    package var version: UInt32
    package var bootID: [UInt8]
    package var treeRoot: [UInt8]
    package var tally: [UInt8]

    package init(
        id: [UInt8], ordinal: UInt64, createdAt: Timestamp, previousDigest: [UInt8],
        eventCount: UInt64, chainHash: [UInt8], isClosed: Bool, version: UInt32 = 1,
        bootID: [UInt8] = [], treeRoot: [UInt8] = [], tally: [UInt8] = []
    ) {
        self.version = version
        self.bootID = bootID
        self.treeRoot = treeRoot
        self.tally = tally
        self.id = id
        self.ordinal = ordinal
        self.createdAt = createdAt
        self.previousDigest = previousDigest
        self.eventCount = eventCount
        self.chainHash = chainHash
        self.isClosed = isClosed
    }
}

// Each record begins with the number of its form, so that later versions can add fields.
private let recordForm: UInt8 = 1

private func expectForm(_ reader: inout RecordReader) throws(MalformedRecord) {
    guard try reader.number(UInt8.self) == recordForm else { throw MalformedRecord() }
}

extension KeyRecord {
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(recordForm)
        writer.append(id)
        writer.append(creationDate)
        switch state {
        case .enabled: writer.append(UInt8(0))
        case .disabled: writer.append(UInt8(1))
        case .pendingDeletion(let date):
            writer.append(UInt8(2))
            writer.append(date)
        }
        writer.append(description)
        writer.append(manager.rawValue)
        writer.append(UInt32(tags.count))
        for tag in tags {
            writer.append(tag.key)
            writer.append(tag.value)
        }
        writer.append(rotation != nil)
        if let rotation {
            writer.append(UInt32(rotation.periodDays))
            writer.append(rotation.base)
        }
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        try expectForm(&reader)
        let id = try reader.keyID()
        let creationDate = try reader.time()
        let state: KeyState
        switch try reader.number(UInt8.self) {
        case 0: state = .enabled
        case 1: state = .disabled
        case 2: state = .pendingDeletion(at: try reader.time())
        default: throw MalformedRecord()
        }
        let description = try reader.text()
        guard let manager = KeyManager(rawValue: try reader.text()) else { throw MalformedRecord() }
        var tags: [Tag] = []
        for _ in 0..<(try reader.number(UInt32.self)) {
            tags.append(Tag(key: try reader.text(), value: try reader.text()))
        }
        var rotation: RotationSchedule?
        if try reader.flag() {
            rotation = RotationSchedule(
                periodDays: Int(try reader.number(UInt32.self)), base: try reader.time())
        }
        try reader.finish()
        self.init(
            id: id, creationDate: creationDate, state: state, description: description,
            manager: manager, tags: tags, rotation: rotation)
    }
}

extension MaterialRecord {
    /// Holds the material itself: the caller wipes it.
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(recordForm)
        writer.append(keyID)
        writer.append(version)
        writer.append(materialID.bytes)
        writer.append(creationDate)
        writer.append(rotationType?.rawValue ?? "")
        writer.append(material)
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        try expectForm(&reader)
        let keyID = try reader.keyID()
        let version = try reader.number(UInt32.self)
        guard let materialID = KeyMaterialID(bytes: try reader.byteString()) else {
            throw MalformedRecord()
        }
        let creationDate = try reader.time()
        let typeName = try reader.text()
        let rotationType = RotationType(rawValue: typeName)
        guard typeName.isEmpty == (rotationType == nil) else { throw MalformedRecord() }
        let material = try reader.secret()
        try reader.finish()
        guard version > 0, material.count == 32 else { throw MalformedRecord() }
        self.init(
            keyID: keyID, version: version, materialID: materialID, material: material,
            creationDate: creationDate, rotationType: rotationType)
    }
}

extension AliasEntry {
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(recordForm)
        writer.append(name.description)
        writer.append(target)
        writer.append(creationDate)
        writer.append(lastUpdatedDate)
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        try expectForm(&reader)
        guard let name = AliasName(try reader.text()) else { throw MalformedRecord() }
        self.init(
            name: name, target: try reader.keyID(), creationDate: try reader.time(),
            lastUpdatedDate: try reader.time())
        try reader.finish()
    }
}

extension SegmentRow {
    /// Form 1 for segments of version 1, as it always was; form 2 has the fields of later ones.
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(version == 1 ? recordForm : 2)
        writer.append(id)
        writer.append(ordinal)
        writer.append(createdAt)
        writer.append(previousDigest)
        writer.append(eventCount)
        writer.append(chainHash)
        writer.append(isClosed)
        if version > 1 {
            writer.append(version)
            writer.append(bootID)
            writer.append(treeRoot)
            writer.append(tally)
        }
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        let form = try reader.number(UInt8.self)
        guard form == recordForm || form == 2 else { throw MalformedRecord() }
        self.init(
            id: try reader.byteString(), ordinal: try reader.number(), createdAt: try reader.time(),
            previousDigest: try reader.byteString(), eventCount: try reader.number(),
            chainHash: try reader.byteString(), isClosed: try reader.flag())
        if form == 2 {
            version = try reader.number()
            bootID = try reader.byteString()
            treeRoot = try reader.byteString()
            tally = try reader.byteString()
            guard version > 1 else { throw MalformedRecord() }
        }
        try reader.finish()
    }
}
