package import KMSModel

/// A CMK without its material: what DescribeKey, the tags, the policy and the rotation tell.
package struct KeyRecord: Hashable, Sendable {
    /// "" is the keystore's default Region.
    package var region = ""
    package var id: KeyID
    package var creationDate: Timestamp
    /// Never `.unavailable`: that follows from the custom key store's state.
    package var state: KeyState {
        // What is noted of a deletion is about this one.
        didSet { if state != oldValue { deletionWait = DeletionWait() } }
    }
    package var description: String
    package var manager: KeyManager
    /// Sorted by key, no key twice.
    package var tags: [Tag]
    package var rotation: RotationSchedule?
    package var spec = KeySpec.symmetricDefault
    package var usage = KeyUsage.encryptDecrypt
    package var origin = KeyOrigin.awsKms
    /// Of a multi-Region key: whether this is its primary one.
    package var isPrimary = false
    package var customKeyStoreID: String?
    /// The key policy's text as it was put; nil is the default one.
    package var policy: String?
    /// Something else than at first only in the state `.pendingDeletion`.
    package var deletionWait = DeletionWait()

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

    package var place: KeyPlace { KeyPlace(region: region, id: id) }
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

extension KeyRecord {
    private var form: UInt8 {
        if deletionWait != DeletionWait() { return RecordForm.third }
        return fitsFirstForm ? RecordForm.first : RecordForm.second
    }

    private var fitsFirstForm: Bool {
        switch state {
        case .enabled, .disabled, .pendingDeletion: break
        case .pendingImport, .pendingReplicaDeletion, .unavailable: return false
        }
        return region.isEmpty && spec == .symmetricDefault && usage == .encryptDecrypt
            && origin == .awsKms && !isPrimary && customKeyStoreID == nil && policy == nil
    }

    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        let form = self.form
        writer.append(form)
        writer.append(id)
        writer.append(creationDate)
        append(state, to: &writer)
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
        if form >= RecordForm.second {
            writer.append(region)
            writer.append(spec.rawValue)
            writer.append(usage.rawValue)
            writer.append(origin.rawValue)
            writer.append(isPrimary)
            writer.append(customKeyStoreID)
            writer.append(policy)
        }
        if form == RecordForm.third { deletionWait.append(to: &writer) }
        return writer.finish()
    }

    private func append(_ state: KeyState, to writer: inout RecordWriter) {
        switch state {
        case .enabled: writer.append(UInt8(0))
        case .disabled: writer.append(UInt8(1))
        case .pendingDeletion(let date):
            writer.append(UInt8(2))
            writer.append(date)
        case .pendingImport: writer.append(UInt8(3))
        case .pendingReplicaDeletion(let days):
            writer.append(UInt8(4))
            writer.append(UInt32(days))
        case .unavailable: preconditionFailure("BUG: this state is never stored")
        }
    }

    private static func state(
        _ reader: inout RecordReader
    ) throws(MalformedRecord) -> KeyState {
        switch try reader.number(UInt8.self) {
        case 0: .enabled
        case 1: .disabled
        case 2: .pendingDeletion(at: try reader.time())
        case 3: .pendingImport
        case 4: .pendingReplicaDeletion(windowDays: Int(try reader.number(UInt32.self)))
        default: throw MalformedRecord()
        }
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        let form = try reader.number(UInt8.self)
        guard (RecordForm.first...RecordForm.third).contains(form) else {
            throw MalformedRecord()
        }
        let id = try reader.keyID()
        let creationDate = try reader.time()
        let state = try KeyRecord.state(&reader)
        let description = try reader.text()
        let manager = try reader.choice(KeyManager.self)
        var tags: [Tag] = []
        for _ in 0..<(try reader.number(UInt32.self)) {
            tags.append(Tag(key: try reader.text(), value: try reader.text()))
        }
        var rotation: RotationSchedule?
        if try reader.flag() {
            rotation = RotationSchedule(
                periodDays: Int(try reader.number(UInt32.self)), base: try reader.time())
        }
        self.init(
            id: id, creationDate: creationDate, state: state, description: description,
            manager: manager, tags: tags, rotation: rotation)
        if form >= RecordForm.second {
            region = try reader.text()
            spec = try reader.choice()
            usage = try reader.choice()
            origin = try reader.choice()
            isPrimary = try reader.flag()
            customKeyStoreID = try reader.optionalText()
            policy = try reader.optionalText()
        }
        if form == RecordForm.third {
            guard case .pendingDeletion = state else { throw MalformedRecord() }
            deletionWait = try DeletionWait(&reader)
        }
        try reader.finish()
        guard form == self.form else { throw MalformedRecord() }
    }
}
