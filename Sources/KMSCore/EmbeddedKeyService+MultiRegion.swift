internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func replicateKey(_ request: inout Request) throws(KMSError) -> Structure {
        let name = try request.text(.keyID)
        let target = try otherRegion(try request.text(.replicaRegion))
        let policy = try newPolicy(for: request, member: .policy)
        let tags = try TagSet().adding(request.input.structures(.tags).compactMap(Tag.init)).sorted
        let description = request.input.text(.description)
        let now = request.now
        let (metadata, text) = try change(for: &request) {
            snapshot, change, request throws(KMSError) in
            let primary = try self.key(
                named: name, in: snapshot, group: .replicate, for: &request)
            try refuseUnlessPrimary(primary)
            try permitCreation(request, in: target, snapshot)
            let siblings = snapshot.siblings(of: primary.record.id)
            guard !siblings.contains(where: { $0.arn.scope.region == target.region }) else {
                throw .alreadyExists(
                    "The replica key already exists in the Region \(target.region).")
            }
            guard snapshot.region(target).keys.count < KMSLimit.keys else {
                throw .limitExceeded("The account has reached its quota of keys.")
            }
            let (record, materials) = replica(
                of: primary, in: snapshot.storedName(of: target), now: now)
            var replica = record
            replica.policy = policy
            replica.tags = tags
            replica.description = description ?? ""
            change.keys = [replica]
            change.materials = materials
            let entry = KeyEntry(new: replica, materials: materials, scope: target)
            request.event.resources.append(entry.arnText)
            request.answer("replicaKeyId", entry.arn.keyID.description)
            request.answer("replicaArn", entry.arnText)
            var metadata = entry.metadata(in: snapshot)
            metadata.multiRegion = MultiRegionView(
                isPrimary: false, primary: primary.arn,
                replicas: (siblings.filter { !$0.record.isPrimary }.map(\.arn) + [entry.arn])
                    .sorted { $0.scope.region < $1.scope.region })
            return (metadata, policy ?? PolicyDocument.defaultText(account: authorizer.account))
        }
        return Structure([
            .replicaKeyMetadata: .structure(metadata.structure), .replicaPolicy: .text(text),
            .replicaTags: .tags(tags),
        ])
    }

    /// A replica is a new key of its Region: that is the account's to allow.
    private func permitCreation(
        _ request: Request, in target: AccountScope, _ snapshot: KeystoreSnapshot
    ) throws(KMSError) {
        var creation = request
        creation.facts.action = .createKey
        try Authorizer(scope: target).authorize(creation, in: snapshot)
    }

    /// Material that is imported is imported into each Region anew; other material is shared.
    private func replica(
        of primary: KeyEntry, in region: String, now: Timestamp
    ) -> (KeyRecord, [MaterialRecord]) {
        var record = primary.record
        record.region = region
        record.isPrimary = false
        record.creationDate = now
        record.rotation = nil
        let materials = primary.materials.map { material in
            var copy = material
            copy.region = region
            if copy.imported != nil { copy.material = nil }
            return copy
        }
        record.state = record.origin == .external ? .pendingImport : .enabled
        return (record, materials)
    }

    func updatePrimaryRegion(_ request: inout Request) throws(KMSError) -> Structure {
        let name = try request.text(.keyID)
        let target = try otherRegion(try request.text(.primaryRegion))
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            let primary = try self.key(
                named: name, in: snapshot, group: .updatePrimary, for: &request)
            try refuseUnlessPrimary(primary)
            let replica = snapshot.siblings(of: primary.record.id)
                .first { $0.arn.scope.region == target.region }
            guard let replica else {
                throw .notFound(
                    "Key '\(KeyARN(scope: target, keyID: primary.record.id))' does not exist")
            }
            request.note(replica)
            // Both keys' policies have to allow it.
            try authorizer.authorize(request, on: replica, in: snapshot)
            try replica.record.state.permit(.updatePrimary, on: replica.arn)
            var old = primary.record
            var new = replica.record
            old.isPrimary = false
            new.isPrimary = true
            // The schedule is the primary's.
            new.rotation = old.rotation
            old.rotation = nil
            change.keys = [old, new]
        }
        return Structure()
    }

    private func refuseUnlessPrimary(_ entry: KeyEntry) throws(KMSError) {
        guard entry.record.id.isMultiRegion, entry.record.isPrimary else {
            throw .unsupportedOperation("\(entry.arnText) is not a multi-region primary key.")
        }
    }

    private func otherRegion(_ name: String) throws(KMSError) -> AccountScope {
        guard let other = AccountScope(account: scope.account, region: name) else {
            throw .validation("The Region \(name) is not valid.")
        }
        guard other.region != scope.region else {
            throw .validation("The Region must differ from the Region of the primary key.")
        }
        return other
    }
}
