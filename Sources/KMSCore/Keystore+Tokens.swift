internal import Cryptography
package import KMSModel
internal import KMSStore

/// A token that custom key stores may use, by the id that AWS's API calls a cluster.
package struct KeyStoreToken: Sendable, Hashable {
    package let clusterID: String
    package let modulePath: String
    package let tokenLabel: String
}

/// Why a token is not noted or forgotten.
package enum TokenError: Error, Hashable, Sendable {
    /// Not an absolute path.
    case invalidPath(String)
    /// Not 1…32 bytes.
    case invalidLabel(String)
    case missing(String)
    /// A custom key store is made of it.
    case inUse(String)
    case keystore(KeystoreError)
}

extension Keystore {
    /// Sorted by id.
    package func tokens() throws(KeystoreError) -> [KeyStoreToken] {
        try store.snapshot().tokens.values.map {
            KeyStoreToken(
                clusterID: $0.clusterID, modulePath: $0.modulePath, tokenLabel: $0.tokenLabel)
        }.sorted { $0.clusterID < $1.clusterID }
    }

    /// Notes where a token is, so that CreateCustomKeyStore can name it. Nothing is opened.
    ///
    /// - Returns: its cluster id.
    package func addToken(
        modulePath: String, tokenLabel: String, as caller: Caller
    ) throws(TokenError) -> String {
        guard modulePath.hasPrefix("/"), modulePath.utf8.count <= 4096 else {
            throw .invalidPath(modulePath)
        }
        guard (1...32).contains(tokenLabel.utf8.count) else { throw .invalidLabel(tokenLabel) }
        let letters = Array("234567abcdefghijklmnopqrstuvwxyz".utf8)
        let id =
            "cluster-"
            + String(decoding: Random.bytes(13).map { letters[Int($0 & 31)] }, as: UTF8.self)
        let record = TokenRecord(
            clusterID: id, modulePath: modulePath, tokenLabel: tokenLabel,
            creationDate: clock.now())
        try change(.addToken, as: caller) { _, change throws(TokenError) in
            change.tokens = [record]
            return record.parameters
        }
        return id
    }

    package func removeToken(_ clusterID: String, as caller: Caller) throws(TokenError) {
        try change(.removeToken, as: caller) { snapshot, change throws(TokenError) in
            guard let record = snapshot.tokens[clusterID] else { throw .missing(clusterID) }
            let isUsed = snapshot.regions.values.contains { region in
                region.keyStores.values.contains { $0.clusterID == clusterID }
            }
            guard !isUsed else { throw .inUse(clusterID) }
            change.deletedTokens = [clusterID]
            return record.parameters
        }
    }

    private func change(
        _ kind: AdministrativeChange, as caller: Caller,
        _ decide: (KeystoreSnapshot, inout KeystoreChange) throws(TokenError)
            -> [UsageEvent.Parameter]
    ) throws(TokenError) {
        let outcome: Result<Void, TokenError>
        do throws(KeystoreError) {
            outcome = try keyService.administer(kind, as: caller, decide)
        } catch {
            throw .keystore(error)
        }
        try outcome.get()
    }
}

extension TokenRecord {
    /// What the log tells of it.
    fileprivate var parameters: [UsageEvent.Parameter] {
        [
            .init("clusterId", .text(clusterID)), .init("modulePath", .text(modulePath)),
            .init("tokenLabel", .text(tokenLabel)),
        ]
    }
}
