internal import Cryptography
internal import KMSModel
internal import KMSStore

extension EmbeddedKeyService {
    func createCustomKeyStore(_ request: inout Request) throws(KMSError) -> Structure {
        let input = request.input
        guard input.text(.customKeyStoreType) ?? "AWS_CLOUDHSM" == "AWS_CLOUDHSM" else {
            throw .unsupportedOperation("External key stores (XKS) are not supported.")
        }
        guard let clusterID = input.text(.cloudHsmClusterID),
            let anchor = input.text(.trustAnchorCertificate),
            let password = input.secret(.keyStorePassword)
        else {
            throw .validation(
                "CloudHsmClusterId, KeyStorePassword and TrustAnchorCertificate are required for "
                    + "key stores of the type AWS_CLOUDHSM.")
        }
        let name = try request.text(.customKeyStoreName)
        let id = "cks-" + String(hexText(Random.bytes(9)).prefix(17))
        let now = request.now
        let scope = scope
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            try authorizer.authorize(request, in: snapshot)
            let region = snapshot.region(scope)
            try refuse(name: name, in: region)
            _ = try freeToken(of: clusterID, in: snapshot)
            guard region.keyStores.count < KMSLimit.customKeyStores else {
                throw .limitExceeded(
                    "The Region has reached its quota of \(KMSLimit.customKeyStores) custom key "
                        + "stores.")
            }
            change.keyStores = [
                CustomKeyStoreRecord(
                    region: region.storedName, id: id, name: name, clusterID: clusterID,
                    trustAnchor: anchor, password: password, creationDate: now)
            ]
            request.event.customKeyStoreID = id
            request.answer("customKeyStoreId", id)
        }
        return Structure([.customKeyStoreID: .text(id)])
    }

    private func refuse(name: String, in region: RegionSnapshot) throws(KMSError) {
        guard !region.keyStores.values.contains(where: { $0.name == name }) else {
            throw KMSError(
                .keyStoreNameInUse, "The name \(name) belongs to another custom key store.")
        }
    }

    /// A token belongs to one key store, in whichever Region: a process opens it once.
    private func refuseUsed(
        _ clusterID: String, in snapshot: KeystoreSnapshot
    ) throws(KMSError) {
        let isUsed = snapshot.regions.values.contains { region in
            region.keyStores.values.contains { $0.clusterID == clusterID }
        }
        guard !isUsed else {
            throw KMSError(
                .clusterInUse, "The cluster \(clusterID) belongs to another key store.")
        }
    }

    func connectCustomKeyStore(_ request: inout Request) throws(KMSError) -> Structure {
        let snapshot = try state(for: request)
        try authorizer.authorize(request, in: snapshot)
        let store = try keyStore(for: &request, in: snapshot)
        // One that is connected connects anew; one that failed is disconnected first.
        guard store.state != .failed else { throw mustBeDisconnected(store) }
        // The token first: what it answers is what the keystore is to remember.
        let failure = try keyStores.connect(store, snapshot.tokens[store.clusterID])
        defer {
            let newest = try? self.store.snapshot()
            keyStores.tokens.settle(store.id, at: (newest ?? snapshot).revision)
        }
        request.event.connectionFailure = failure?.reason
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            var record = try keyStore(for: &request, in: snapshot)
            // Others may work with it although we could not connect anew.
            if failure == nil || record.state != .connected {
                record.state = failure == nil ? .connected : .failed
                record.connectionError = failure?.code
            }
            change.keyStores = [record]
        }
        return Structure()
    }

    func disconnectCustomKeyStore(_ request: inout Request) throws(KMSError) -> Structure {
        let id = try change(for: &request) { snapshot, change, request throws(KMSError) in
            try authorizer.authorize(request, in: snapshot)
            var record = try keyStore(for: &request, in: snapshot)
            guard record.state != .disconnected else {
                throw KMSError(
                    .keyStoreInvalidState, "The custom key store \(record.id) is not connected.")
            }
            record.state = .disconnected
            record.connectionError = nil
            change.keyStores = [record]
            return record.id
        }
        keyStores.tokens.disconnect(id)
        return Structure()
    }

    func updateCustomKeyStore(_ request: inout Request) throws(KMSError) -> Structure {
        let input = request.input
        let before = try state(for: request)
        try authorizer.authorize(request, in: before)
        // Not within the transaction: a token takes its time.
        let isRelated = try newClusterIsRelated(&request, in: before)
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            try authorizer.authorize(request, in: snapshot)
            var record = try keyStore(for: &request, in: snapshot)
            try refuseUpdate(of: record, by: input)
            if let name = input.text(.newCustomKeyStoreName), name != record.name {
                try refuse(name: name, in: snapshot.region(scope))
                record.name = name
            }
            if let password = input.secret(.keyStorePassword) { record.password = password }
            if let cluster = input.text(.cloudHsmClusterID), cluster != record.clusterID {
                _ = try freeToken(of: cluster, in: snapshot)
                guard isRelated || keys(of: record, in: snapshot).isEmpty else {
                    throw KMSError(
                        .clusterNotRelated,
                        "The token of the cluster \(cluster) holds no key of the custom key store "
                            + "\(record.id). Name the cluster of its own token, or of a backup.")
                }
                record.clusterID = cluster
            }
            change.keyStores = [record]
        }
        return Structure()
    }

    /// Whether the token that UpdateCustomKeyStore names, if it does, has the store's keys: what a
    /// common backup history is to AWS. One key is enough, since a backup may be older than others.
    ///
    /// - Throws: ``KMSError``, also where the token cannot be looked into.
    private func newClusterIsRelated(
        _ request: inout Request, in snapshot: KeystoreSnapshot
    ) throws(KMSError) -> Bool {
        let input = request.input
        let record = try keyStore(for: &request, in: snapshot)
        try refuseUpdate(of: record, by: input)
        guard let cluster = input.text(.cloudHsmClusterID), cluster != record.clusterID else {
            return true
        }
        let token = try freeToken(of: cluster, in: snapshot)
        let keys = keys(of: record, in: snapshot)
        guard !keys.isEmpty else { return true }
        let password = input.secret(.keyStorePassword) ?? record.password
        return try keyStores.holdsAny(of: keys, of: record, in: token, password)
    }

    private func keys(
        of store: CustomKeyStoreRecord, in snapshot: KeystoreSnapshot
    ) -> Set<KeyID> {
        let keys = snapshot.region(scope).keys.values
        return Set(keys.filter { $0.record.customKeyStoreID == store.id }.map(\.record.id))
    }

    /// The token of a cluster that no key store has.
    private func freeToken(
        of clusterID: String, in snapshot: KeystoreSnapshot
    ) throws(KMSError) -> TokenRecord {
        guard let token = snapshot.tokens[clusterID] else {
            throw KMSError(
                .clusterNotFound,
                "There is no cluster \(clusterID); 'keyfold token add' makes one of a token.")
        }
        try refuseUsed(clusterID, in: snapshot)
        return token
    }

    func deleteCustomKeyStore(_ request: inout Request) throws(KMSError) -> Structure {
        try change(for: &request) { snapshot, change, request throws(KMSError) in
            try authorizer.authorize(request, in: snapshot)
            let record = try keyStore(for: &request, in: snapshot)
            guard record.state == .disconnected else { throw mustBeDisconnected(record) }
            guard keys(of: record, in: snapshot).isEmpty else {
                throw KMSError(
                    .keyStoreHasKeys, "The custom key store \(record.id) contains KMS keys.")
            }
            change.deletedKeyStores = [record]
        }
        return Structure()
    }

    func describeCustomKeyStores(_ request: inout Request) throws(KMSError) -> Structure {
        let input = request.input
        guard input[.customKeyStoreID] == nil || input[.customKeyStoreName] == nil else {
            throw .validation(
                "You can specify either CustomKeyStoreId or CustomKeyStoreName, but not both.")
        }
        let snapshot = try state(for: request)
        try authorizer.authorize(request, in: snapshot)
        keyStores.tokens.endUnwanted(in: snapshot)
        var stores = snapshot.region(scope).keyStores.values.sorted { $0.name < $1.name }
        if input.text(.customKeyStoreID) != nil {
            stores = [try keyStore(for: &request, in: snapshot)]
        } else if let name = input.text(.customKeyStoreName) {
            stores = stores.filter { $0.name == name }
            guard !stores.isEmpty else {
                throw KMSError(
                    .keyStoreNotFound, "The custom key store named \(name) does not exist.")
            }
        }
        return try PageSize.keyStores.answer(
            request, .customKeyStores, stores, by: \.name, \.structure)
    }

    /// Whether UpdateCustomKeyStore is asked for a name alone: what a connected store can get.
    private static func onlyRenames(_ input: Structure) -> Bool {
        input[.newCustomKeyStoreName] != nil
            && input.members.allSatisfy {
                $0.member == .customKeyStoreID || $0.member == .newCustomKeyStoreName
            }
    }

    private func refuseUpdate(
        of store: CustomKeyStoreRecord, by input: Structure
    ) throws(KMSError) {
        guard
            store.state == .disconnected
                || (store.state == .connected && EmbeddedKeyService.onlyRenames(input))
        else { throw mustBeDisconnected(store) }
    }

    private func mustBeDisconnected(_ store: CustomKeyStoreRecord) -> KMSError {
        KMSError(
            .keyStoreInvalidState, "The custom key store \(store.id) must be disconnected first.")
    }

    /// Finds the custom key store that a request names, and notes it in the event.
    private func keyStore(
        for request: inout Request, in snapshot: KeystoreSnapshot
    ) throws(KMSError) -> CustomKeyStoreRecord {
        let id = try request.text(.customKeyStoreID)
        guard let store = snapshot.region(scope).keyStores[id] else {
            throw KMSError(.keyStoreNotFound, "The custom key store \(id) does not exist.")
        }
        request.event.customKeyStoreID = store.id
        return store
    }
}

extension CustomKeyStoreRecord {
    /// As DescribeCustomKeyStores shows it.
    fileprivate var structure: Structure {
        Structure([
            .customKeyStoreID: .text(id), .customKeyStoreName: .text(name),
            .cloudHsmClusterID: .text(clusterID), .trustAnchorCertificate: .text(trustAnchor),
            .connectionState: .choice(state),
            .connectionErrorCode: connectionError.map(Value.choice),
            .creationDate: .time(creationDate), .customKeyStoreType: .text("AWS_CLOUDHSM"),
        ])
    }
}
