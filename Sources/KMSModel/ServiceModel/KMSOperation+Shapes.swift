// Written by Tools/service-model from AWS KMS's service model; not by hand.

extension KMSOperation {
    /// What the request is made of.
    package var input: StructureShape {
        switch self {
        case .cancelKeyDeletion: .cancelKeyDeletionRequest
        case .connectCustomKeyStore: .connectCustomKeyStoreRequest
        case .createAlias: .createAliasRequest
        case .createCustomKeyStore: .createCustomKeyStoreRequest
        case .createGrant: .createGrantRequest
        case .createKey: .createKeyRequest
        case .decapsulate: .decapsulateRequest
        case .decrypt: .decryptRequest
        case .deleteAlias: .deleteAliasRequest
        case .deleteCustomKeyStore: .deleteCustomKeyStoreRequest
        case .deleteImportedKeyMaterial: .deleteImportedKeyMaterialRequest
        case .deriveSharedSecret: .deriveSharedSecretRequest
        case .describeCustomKeyStores: .describeCustomKeyStoresRequest
        case .describeKey: .describeKeyRequest
        case .disableKey: .disableKeyRequest
        case .disableKeyRotation: .disableKeyRotationRequest
        case .disconnectCustomKeyStore: .disconnectCustomKeyStoreRequest
        case .enableKey: .enableKeyRequest
        case .enableKeyRotation: .enableKeyRotationRequest
        case .encapsulate: .encapsulateRequest
        case .encrypt: .encryptRequest
        case .generateDataKey: .generateDataKeyRequest
        case .generateDataKeyPair: .generateDataKeyPairRequest
        case .generateDataKeyPairWithoutPlaintext: .generateDataKeyPairWithoutPlaintextRequest
        case .generateDataKeyWithoutPlaintext: .generateDataKeyWithoutPlaintextRequest
        case .generateMAC: .generateMACRequest
        case .generateRandom: .generateRandomRequest
        case .getKeyLastUsage: .getKeyLastUsageRequest
        case .getKeyPolicy: .getKeyPolicyRequest
        case .getKeyRotationStatus: .getKeyRotationStatusRequest
        case .getParametersForImport: .getParametersForImportRequest
        case .getPublicKey: .getPublicKeyRequest
        case .importKeyMaterial: .importKeyMaterialRequest
        case .listAliases: .listAliasesRequest
        case .listGrants: .listGrantsRequest
        case .listKeyPolicies: .listKeyPoliciesRequest
        case .listKeyRotations: .listKeyRotationsRequest
        case .listKeys: .listKeysRequest
        case .listResourceTags: .listResourceTagsRequest
        case .listRetirableGrants: .listRetirableGrantsRequest
        case .putKeyPolicy: .putKeyPolicyRequest
        case .reEncrypt: .reEncryptRequest
        case .replicateKey: .replicateKeyRequest
        case .retireGrant: .retireGrantRequest
        case .revokeGrant: .revokeGrantRequest
        case .rotateKeyOnDemand: .rotateKeyOnDemandRequest
        case .scheduleKeyDeletion: .scheduleKeyDeletionRequest
        case .sign: .signRequest
        case .tagResource: .tagResourceRequest
        case .untagResource: .untagResourceRequest
        case .updateAlias: .updateAliasRequest
        case .updateCustomKeyStore: .updateCustomKeyStoreRequest
        case .updateKeyDescription: .updateKeyDescriptionRequest
        case .updatePrimaryRegion: .updatePrimaryRegionRequest
        case .verify: .verifyRequest
        case .verifyMAC: .verifyMACRequest
        }
    }

    /// What the answer is made of.
    package var output: StructureShape {
        switch self {
        case .cancelKeyDeletion: .cancelKeyDeletionResponse
        case .connectCustomKeyStore: .connectCustomKeyStoreResponse
        case .createAlias: .empty
        case .createCustomKeyStore: .createCustomKeyStoreResponse
        case .createGrant: .createGrantResponse
        case .createKey: .createKeyResponse
        case .decapsulate: .decapsulateResponse
        case .decrypt: .decryptResponse
        case .deleteAlias: .empty
        case .deleteCustomKeyStore: .deleteCustomKeyStoreResponse
        case .deleteImportedKeyMaterial: .deleteImportedKeyMaterialResponse
        case .deriveSharedSecret: .deriveSharedSecretResponse
        case .describeCustomKeyStores: .describeCustomKeyStoresResponse
        case .describeKey: .describeKeyResponse
        case .disableKey: .empty
        case .disableKeyRotation: .empty
        case .disconnectCustomKeyStore: .disconnectCustomKeyStoreResponse
        case .enableKey: .empty
        case .enableKeyRotation: .empty
        case .encapsulate: .encapsulateResponse
        case .encrypt: .encryptResponse
        case .generateDataKey: .generateDataKeyResponse
        case .generateDataKeyPair: .generateDataKeyPairResponse
        case .generateDataKeyPairWithoutPlaintext: .generateDataKeyPairWithoutPlaintextResponse
        case .generateDataKeyWithoutPlaintext: .generateDataKeyWithoutPlaintextResponse
        case .generateMAC: .generateMACResponse
        case .generateRandom: .generateRandomResponse
        case .getKeyLastUsage: .getKeyLastUsageResponse
        case .getKeyPolicy: .getKeyPolicyResponse
        case .getKeyRotationStatus: .getKeyRotationStatusResponse
        case .getParametersForImport: .getParametersForImportResponse
        case .getPublicKey: .getPublicKeyResponse
        case .importKeyMaterial: .importKeyMaterialResponse
        case .listAliases: .listAliasesResponse
        case .listGrants: .listGrantsResponse
        case .listKeyPolicies: .listKeyPoliciesResponse
        case .listKeyRotations: .listKeyRotationsResponse
        case .listKeys: .listKeysResponse
        case .listResourceTags: .listResourceTagsResponse
        case .listRetirableGrants: .listGrantsResponse
        case .putKeyPolicy: .empty
        case .reEncrypt: .reEncryptResponse
        case .replicateKey: .replicateKeyResponse
        case .retireGrant: .empty
        case .revokeGrant: .empty
        case .rotateKeyOnDemand: .rotateKeyOnDemandResponse
        case .scheduleKeyDeletion: .scheduleKeyDeletionResponse
        case .sign: .signResponse
        case .tagResource: .empty
        case .untagResource: .empty
        case .updateAlias: .empty
        case .updateCustomKeyStore: .updateCustomKeyStoreResponse
        case .updateKeyDescription: .empty
        case .updatePrimaryRegion: .empty
        case .verify: .verifyResponse
        case .verifyMAC: .verifyMACResponse
        }
    }
}
