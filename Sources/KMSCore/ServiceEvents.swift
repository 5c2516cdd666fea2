internal import Cryptography
internal import KMSModel
internal import KMSStore

/// Events of what the service does by itself, or in another Region than that of a request.
extension UsageEvent {
    /// What the service did by itself to a key. Of most AWS KMS tells no more than the key's id.
    static func ofService(
        _ name: String, on entry: KeyEntry, _ material: MaterialRecord? = nil, at time: Timestamp
    ) -> UsageEvent {
        var event = UsageEvent(
            eventID: RandomUUID.text(), eventTime: time, eventName: name, scope: entry.arn.scope,
            caller: Caller(
                principalARN: entry.arn.scope.rootPrincipalARN, process: nil,
                userAgent: UsageEvent.Source.keyService.rawValue))
        event.isReadOnly = false
        event.resources = [entry.arnText]
        event.keyMaterialID = material?.materialID
        event.keyVersion = material?.version
        event.requestParameters = [.init("keyId", .text(entry.record.id.description))]
        return event
    }

    /// Source: AWS KMS developer guide, "RotateKey" among the examples of log entries.
    static func rotation(
        of entry: KeyEntry, to material: MaterialRecord, _ type: RotationType, at time: Timestamp
    ) -> UsageEvent {
        var event = ofService("RotateKey", on: entry, material, at: time)
        event.requestParameters = [
            .init("rotationType", .text(type.rawValue)),
            .init("keyOrigin", .text(entry.record.origin.rawValue)),
        ]
        if let previous = entry.current {
            event.requestParameters.append(
                .init("previousKeyMaterialId", .text(previous.materialID.description)))
        }
        event.requestParameters += [
            .init("currentKeyMaterialId", .text(material.materialID.description)),
            .init("keyId", .text(entry.record.id.description)),
        ]
        return event
    }

    /// A replica took over what it shares with its primary key.
    ///
    /// Source: AWS KMS developer guide, "SynchronizeMultiRegionKey" among the examples of log
    /// entries. Its text says that the key is the primary one, but the Region of its example is
    /// that of the replica in the example of ReplicateKey.
    static func synchronization(of replica: KeyEntry, at time: Timestamp) -> UsageEvent {
        var event = ofService("SynchronizeMultiRegionKey", on: replica, at: time)
        event.requestParameters = []
        event.responseElements = [.init("keyId", .text(replica.arnText))]
        return event
    }
}

extension Request {
    /// What replicas share with their primary key has changed.
    mutating func noteSynchronization(of replicas: [KeyEntry]) {
        serviceEvents += replicas.map { .synchronization(of: $0, at: now) }
    }

    /// The same of the replicas in which the change touches materials.
    mutating func noteSynchronization(
        of primary: KeyEntry, by change: KeystoreChange, in snapshot: KeystoreSnapshot
    ) {
        let touched = Set((change.materials + change.deletedMaterials).map(\.place))
        noteSynchronization(
            of: snapshot.replicas(of: primary).filter { touched.contains($0.record.place) })
    }

    /// The making of a replica is an event in its own Region, too: AWS KMS calls CreateKey there
    /// (API reference, ReplicateKey), and what the two share is synchronized.
    ///
    /// AWS shows no record of this call. This one is as the one in the other Region of
    /// UpdatePrimaryRegion (developer guide), which AWS KMS makes in the same way.
    mutating func noteCreation(of replica: KeyEntry, _ metadata: KeyMetadata) {
        let record = replica.record
        var creation = forwarded(
            .createKey,
            Structure([
                .description: .text(record.description), .keySpec: .choice(record.spec),
                .keyUsage: .choice(record.usage), .origin: .choice(record.origin),
                .multiRegion: .flag(true), .policy: input[.policy],
                .bypassPolicyLockoutSafetyCheck: input[.bypassPolicyLockoutSafetyCheck],
                .tags: input[.tags],
            ]), to: replica.arn.scope)
        creation.noteNewKey(of: replica, metadata)
        serviceEvents.append(creation.event)
        noteSynchronization(of: [replica])
    }

    /// The key that becomes the primary one has the event of UpdatePrimaryRegion in its Region, too.
    ///
    /// Source: AWS KMS developer guide, the second of the log entries of UpdatePrimaryRegion.
    mutating func notePromotion(of replica: KeyEntry) {
        var promotion = forwarded(
            .updatePrimaryRegion,
            Structure([
                .keyID: .text("\(replica.record.id)"), .primaryRegion: input[.primaryRegion],
            ]), to: replica.arn.scope)
        promotion.note(replica)
        promotion.answer("keyId", replica.arnText)
        serviceEvents.append(promotion.event)
    }

    /// What AWS KMS asks for in another Region on behalf of the caller.
    private func forwarded(
        _ operation: KMSOperation, _ input: Structure, to scope: AccountScope
    ) -> Request {
        var caller = caller
        caller.userAgent = "AWS Internal"
        caller.requestID = event.requestID ?? event.eventID
        var request = Request(operation, input, caller: caller, scope: scope, at: reading)
        request.event.isForwarded = true
        return request
    }

    /// What CreateKey's event tells of the new key.
    mutating func noteNewKey(of entry: KeyEntry, _ metadata: KeyMetadata) {
        note(entry)
        if let material = entry.current { note(material) }
        answer("keyId", entry.record.id.description)
        answer("arn", entry.arnText)
        answer("keyState", entry.record.state.name)
        answer("keyManager", entry.record.manager.rawValue)
        answer(.keyMetadata, metadata.structure)
    }
}
