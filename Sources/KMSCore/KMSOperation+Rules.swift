internal import KMSModel

/// What the rules ask of an operation.
extension KMSOperation {
    private enum Kind { case cryptographic, publicKey, reading, changing, alias, keyStore }

    private var kind: Kind {
        switch self {
        case .encrypt, .decrypt, .reEncrypt, .generateDataKey, .generateDataKeyWithoutPlaintext,
            .generateDataKeyPair, .generateDataKeyPairWithoutPlaintext, .generateRandom, .sign,
            .verify, .generateMAC, .verifyMAC, .deriveSharedSecret, .encapsulate, .decapsulate:
            .cryptographic
        case .getPublicKey: .publicKey
        case .describeKey, .listKeys, .listResourceTags, .listAliases, .getKeyRotationStatus,
            .listKeyRotations, .getKeyPolicy, .listKeyPolicies, .listGrants,
            .listRetirableGrants, .getParametersForImport, .getKeyLastUsage,
            .describeCustomKeyStores:
            .reading
        case .createAlias, .updateAlias, .deleteAlias: .alias
        case .createKey, .updateKeyDescription, .enableKey, .disableKey, .scheduleKeyDeletion,
            .cancelKeyDeletion, .tagResource, .untagResource, .enableKeyRotation,
            .disableKeyRotation, .rotateKeyOnDemand, .createGrant, .retireGrant, .revokeGrant,
            .putKeyPolicy, .importKeyMaterial, .deleteImportedKeyMaterial, .replicateKey,
            .updatePrimaryRegion:
            .changing
        case .createCustomKeyStore, .connectCustomKeyStore, .disconnectCustomKeyStore,
            .updateCustomKeyStore, .deleteCustomKeyStore:
            .keyStore
        }
    }

    /// AWS calls everything read-only that leaves the keys as they are, Encrypt too.
    var isReadOnly: Bool {
        switch kind {
        case .cryptographic, .publicKey, .reading: true
        case .changing, .alias, .keyStore: false
        }
    }

    /// Only these take alias names and alias ARNs for a key.
    var takesAliases: Bool {
        switch kind {
        case .cryptographic, .publicKey: true
        case .reading: self == .describeKey
        case .changing, .alias, .keyStore: false
        }
    }

    /// What the service lets the account do with a key that it manages itself.
    var isAllowedOnServiceKey: Bool {
        switch kind {
        case .cryptographic, .publicKey, .reading: true
        case .changing, .alias, .keyStore: false
        }
    }

    /// Whether it uses key material: what GetKeyLastUsage is about.
    var isCryptographic: Bool { kind == .cryptographic }

    var isAboutAlias: Bool { kind == .alias }
}
