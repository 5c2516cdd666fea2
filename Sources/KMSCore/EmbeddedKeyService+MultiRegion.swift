internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func replicateKey(_ request: inout Request) throws(KMSError) -> Structure {
        let name = try request.text(.keyID)
        let region = try request.text(.replicaRegion)
        let tags = try TagSet().adding(request.input.structures(.tags).compactMap(Tag.init)).sorted
        let (made, policy) = try change(for: &request) {
            snapshot, change, request throws(KMSError) in
            let primary = try self.key(
                named: name, in: snapshot, group: .replicate, for: &request)
            try refuseUnlessPrimary(primary)
            let target = try replicaScope(region, in: snapshot)
            try permitCreation(request, in: target, snapshot)
            try refuseSecondReplica(of: primary, in: target, snapshot)
            let (shared, materials) = replica(
                of: primary, in: snapshot.storedName(of: target), now: request.now)
            var record = shared
            record.tags = tags
            record.description = request.input.text(.description) ?? ""
            record.policy = try newPolicy(
                of: KeyEntry(new: record, materials: [], scope: target), for: request,
                in: snapshot)
            change.keys = [record]
            change.materials = materials
            let entry = KeyEntry(new: record, materials: materials, scope: target)
            request.event.resources.append(entry.arnText)
            request.answer("replicaKeyId", entry.arn.keyID.description)
            request.answer("replicaArn", entry.arnText)
            let metadata = metadata(of: entry, replicating: primary, in: snapshot)
            request.answer(.replicaKeyMetadata, metadata.structure)
            request.noteCreation(of: entry, metadata)
            return (metadata, record.policy)
        }
        return Structure([
            .replicaKeyMetadata: .structure(made.structure),
            .replicaPolicy: .text(
                policy ?? PolicyDocument.defaultText(account: authorizer.account)),
            // Recorded from AWS: not an empty list.
            .replicaTags: tags.isEmpty ? nil : .tags(tags),
        ])
    }

    /// What DescribeKey will say of a replica that the snapshot does not hold yet.
    private func metadata(
        of replica: KeyEntry, replicating primary: KeyEntry, in snapshot: KeystoreSnapshot
    ) -> KeyMetadata {
        let others = snapshot.siblings(of: primary.record.id).filter { !$0.record.isPrimary }
        var metadata = replica.metadata(in: snapshot)
        metadata.multiRegion = MultiRegionView(
            isPrimary: false, primary: primary.arn,
            replicas: (others.map(\.arn) + [replica.arn])
                .sorted { $0.scope.region < $1.scope.region })
        return metadata
    }

    /// A keystore may have Regions of its owner's own naming. So a name that AWS does not know is
    /// refused only to a key in a Region of AWS, and only while the keystore has no such Region.
    private func replicaScope(
        _ region: String, in snapshot: KeystoreSnapshot
    ) throws(KMSError) -> AccountScope {
        guard region != scope.region else {
            throw .validation("\(region) cannot have a replica because it contains the primary.")
        }
        let invalid = KMSError.validation(
            "Region \(region) is not a valid Region or multi-Region keys are not supported in "
                + "Region \(region).")
        guard let target = AccountScope(account: scope.account, region: region) else {
            throw invalid
        }
        guard target.partition == scope.partition else {
            throw .validation(
                "The replica key Region must be in the same AWS partition as the primary key "
                    + "Region.")
        }
        guard target.isOfAWS || !scope.isOfAWS || snapshot.regions[region] != nil else {
            throw invalid
        }
        return target
    }

    private func refuseSecondReplica(
        of primary: KeyEntry, in target: AccountScope, _ snapshot: KeystoreSnapshot
    ) throws(KMSError) {
        let keys = snapshot.region(target).keys
        guard keys[primary.record.id] == nil else {
            throw .alreadyExists(
                "You can create only one replica of each primary key in each AWS Region.")
        }
        guard keys.count < KMSLimit.keys else {
            throw .limitExceeded("The account has reached its quota of keys.")
        }
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
        let region = try request.text(.primaryRegion)
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            let primary = try self.key(
                named: name, in: snapshot, group: .updatePrimary, for: &request)
            try refuseReplica(primary)
            try refuseUnlessPrimary(primary)
            // Recorded from AWS: what is so already succeeds.
            if region != scope.region {
                try promoteReplica(
                    of: primary, in: region, snapshot: snapshot, &change, for: &request)
            }
        }
        return Structure()
    }

    private func promoteReplica(
        of primary: KeyEntry, in region: String, snapshot: KeystoreSnapshot,
        _ change: inout KeystoreChange, for request: inout Request
    ) throws(KMSError) {
        let siblings = snapshot.siblings(of: primary.record.id)
        guard let replica = siblings.first(where: { $0.arn.scope.region == region }) else {
            throw .validation(
                "\(primary.record.id) does not have a replica key in the specified Region.")
        }
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
        request.notePromotion(of: replica)
    }

    /// Recorded from AWS: of a replica, UpdatePrimaryRegion speaks otherwise than ReplicateKey.
    private func refuseReplica(_ entry: KeyEntry) throws(KMSError) {
        guard !entry.record.id.isMultiRegion || entry.record.isPrimary else {
            throw .invalidState("\(entry.arnText) is not a multi-Region primary key.")
        }
    }

    private func refuseUnlessPrimary(_ entry: KeyEntry) throws(KMSError) {
        guard entry.record.id.isMultiRegion, entry.record.isPrimary else {
            throw .unsupportedOperation("\(entry.arnText) is not a multi-region primary key.")
        }
    }
}
