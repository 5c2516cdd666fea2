// Written by Tools/service-model from AWS KMS's service model; not by hand.

extension StructureShape {
    package static let cancelKeyDeletionRequest = StructureShape(
        "CancelKeyDeletionRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true)
        ])
    package static let connectCustomKeyStoreRequest = StructureShape(
        "ConnectCustomKeyStoreRequest",
        [
            MemberShape(.customKeyStoreID, .customKeyStoreIDType, isRequired: true)
        ])
    package static let createAliasRequest = StructureShape(
        "CreateAliasRequest",
        [
            MemberShape(.aliasName, .aliasNameType, isRequired: true),
            MemberShape(.targetKeyID, .keyIDType, isRequired: true),
        ])
    package static let createCustomKeyStoreRequest = StructureShape(
        "CreateCustomKeyStoreRequest",
        [
            MemberShape(.customKeyStoreName, .customKeyStoreNameType, isRequired: true),
            MemberShape(.cloudHsmClusterID, .cloudHsmClusterIDType),
            MemberShape(.trustAnchorCertificate, .trustAnchorCertificateType),
            MemberShape(.keyStorePassword, .keyStorePasswordType),
            MemberShape(.customKeyStoreType, .customKeyStoreType),
            MemberShape(.xksProxyURIEndpoint, .xksProxyURIEndpointType),
            MemberShape(.xksProxyURIPath, .xksProxyURIPathType),
            MemberShape(.xksProxyVpcEndpointServiceName, .xksProxyVpcEndpointServiceNameType),
            MemberShape(.xksProxyVpcEndpointServiceOwner, .accountIDType),
            MemberShape(
                .xksProxyAuthenticationCredential, .structure(.xksProxyAuthenticationCredentialType)
            ),
            MemberShape(.xksProxyConnectivity, .xksProxyConnectivityType),
        ])
    package static let createGrantRequest = StructureShape(
        "CreateGrantRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.granteePrincipal, .principalIDType),
            MemberShape(.retiringPrincipal, .principalIDType),
            MemberShape(.operations, .grantOperationList, isRequired: true),
            MemberShape(.constraints, .structure(.grantConstraints)),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.name, .grantNameType),
            MemberShape(.dryRun, .nullableBooleanType),
            MemberShape(.granteeServicePrincipal, .servicePrincipalType),
            MemberShape(.retiringServicePrincipal, .servicePrincipalType),
        ])
    package static let createKeyRequest = StructureShape(
        "CreateKeyRequest",
        [
            MemberShape(.policy, .policyType),
            MemberShape(.description, .descriptionType),
            MemberShape(.keyUsage, .keyUsageType),
            MemberShape(.customerMasterKeySpec, .customerMasterKeySpec),
            MemberShape(.keySpec, .keySpec),
            MemberShape(.origin, .originType),
            MemberShape(.customKeyStoreID, .customKeyStoreIDType),
            MemberShape(.bypassPolicyLockoutSafetyCheck, .booleanType),
            MemberShape(.tags, .tagList),
            MemberShape(.multiRegion, .nullableBooleanType),
            MemberShape(.xksKeyID, .xksKeyIDType),
        ])
    package static let decapsulateRequest = StructureShape(
        "DecapsulateRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.sharedSecretCiphertextBlob, .ciphertextType, isRequired: true),
            MemberShape(.encapsulationAlgorithm, .encapsulationAlgorithmSpec, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let decryptRequest = StructureShape(
        "DecryptRequest",
        [
            MemberShape(.ciphertextBlob, .ciphertextType),
            MemberShape(.encryptionContext, .encryptionContextType),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.keyID, .keyIDType),
            MemberShape(.encryptionAlgorithm, .encryptionAlgorithmSpec),
            MemberShape(.recipient, .structure(.recipientInfo)),
            MemberShape(.dryRun, .nullableBooleanType),
            MemberShape(.dryRunModifiers, .dryRunModifierList),
        ])
    package static let deleteAliasRequest = StructureShape(
        "DeleteAliasRequest",
        [
            MemberShape(.aliasName, .aliasNameType, isRequired: true)
        ])
    package static let deleteCustomKeyStoreRequest = StructureShape(
        "DeleteCustomKeyStoreRequest",
        [
            MemberShape(.customKeyStoreID, .customKeyStoreIDType, isRequired: true)
        ])
    package static let deleteImportedKeyMaterialRequest = StructureShape(
        "DeleteImportedKeyMaterialRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.keyMaterialID, .backingKeyIDType),
        ])
    package static let deriveSharedSecretRequest = StructureShape(
        "DeriveSharedSecretRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.keyAgreementAlgorithm, .keyAgreementAlgorithmSpec, isRequired: true),
            MemberShape(.publicKey, .publicKeyType, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.dryRun, .nullableBooleanType),
            MemberShape(.recipient, .structure(.recipientInfo)),
        ])
    package static let describeCustomKeyStoresRequest = StructureShape(
        "DescribeCustomKeyStoresRequest",
        [
            MemberShape(.customKeyStoreID, .customKeyStoreIDType),
            MemberShape(.customKeyStoreName, .customKeyStoreNameType),
            MemberShape(.limit, .limitType),
            MemberShape(.marker, .markerType),
        ])
    package static let describeKeyRequest = StructureShape(
        "DescribeKeyRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
        ])
    package static let disableKeyRequest = StructureShape(
        "DisableKeyRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true)
        ])
    package static let disableKeyRotationRequest = StructureShape(
        "DisableKeyRotationRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true)
        ])
    package static let disconnectCustomKeyStoreRequest = StructureShape(
        "DisconnectCustomKeyStoreRequest",
        [
            MemberShape(.customKeyStoreID, .customKeyStoreIDType, isRequired: true)
        ])
    package static let enableKeyRequest = StructureShape(
        "EnableKeyRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true)
        ])
    package static let enableKeyRotationRequest = StructureShape(
        "EnableKeyRotationRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.rotationPeriodInDays, .rotationPeriodInDaysType),
        ])
    package static let encapsulateRequest = StructureShape(
        "EncapsulateRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.encapsulationAlgorithm, .encapsulationAlgorithmSpec, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let encryptRequest = StructureShape(
        "EncryptRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.plaintext, .plaintextType, isRequired: true),
            MemberShape(.encryptionContext, .encryptionContextType),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.encryptionAlgorithm, .encryptionAlgorithmSpec),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let generateDataKeyRequest = StructureShape(
        "GenerateDataKeyRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.encryptionContext, .encryptionContextType),
            MemberShape(.numberOfBytes, .numberOfBytesType),
            MemberShape(.keySpec, .dataKeySpec),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.recipient, .structure(.recipientInfo)),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let generateDataKeyPairRequest = StructureShape(
        "GenerateDataKeyPairRequest",
        [
            MemberShape(.encryptionContext, .encryptionContextType),
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.keyPairSpec, .dataKeyPairSpec, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.recipient, .structure(.recipientInfo)),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let generateDataKeyPairWithoutPlaintextRequest = StructureShape(
        "GenerateDataKeyPairWithoutPlaintextRequest",
        [
            MemberShape(.encryptionContext, .encryptionContextType),
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.keyPairSpec, .dataKeyPairSpec, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let generateDataKeyWithoutPlaintextRequest = StructureShape(
        "GenerateDataKeyWithoutPlaintextRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.encryptionContext, .encryptionContextType),
            MemberShape(.keySpec, .dataKeySpec),
            MemberShape(.numberOfBytes, .numberOfBytesType),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let generateMACRequest = StructureShape(
        "GenerateMacRequest",
        [
            MemberShape(.message, .plaintextType, isRequired: true),
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.macAlgorithm, .macAlgorithmSpec, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let generateRandomRequest = StructureShape(
        "GenerateRandomRequest",
        [
            MemberShape(.numberOfBytes, .numberOfBytesType),
            MemberShape(.customKeyStoreID, .customKeyStoreIDType),
            MemberShape(.recipient, .structure(.recipientInfo)),
        ])
    package static let getKeyLastUsageRequest = StructureShape(
        "GetKeyLastUsageRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true)
        ])
    package static let getKeyPolicyRequest = StructureShape(
        "GetKeyPolicyRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.policyName, .policyNameType),
        ])
    package static let getKeyRotationStatusRequest = StructureShape(
        "GetKeyRotationStatusRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true)
        ])
    package static let getParametersForImportRequest = StructureShape(
        "GetParametersForImportRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.wrappingAlgorithm, .algorithmSpec, isRequired: true),
            MemberShape(.wrappingKeySpec, .wrappingKeySpec, isRequired: true),
        ])
    package static let getPublicKeyRequest = StructureShape(
        "GetPublicKeyRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
        ])
    package static let importKeyMaterialRequest = StructureShape(
        "ImportKeyMaterialRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.importToken, .ciphertextType, isRequired: true),
            MemberShape(.encryptedKeyMaterial, .ciphertextType, isRequired: true),
            MemberShape(.validTo, .dateType),
            MemberShape(.expirationModel, .expirationModelType),
            MemberShape(.importType, .importType),
            MemberShape(.keyMaterialDescription, .keyMaterialDescriptionType),
            MemberShape(.keyMaterialID, .backingKeyIDType),
        ])
    package static let listAliasesRequest = StructureShape(
        "ListAliasesRequest",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.limit, .limitType),
            MemberShape(.marker, .markerType),
        ])
    package static let listGrantsRequest = StructureShape(
        "ListGrantsRequest",
        [
            MemberShape(.limit, .limitType),
            MemberShape(.marker, .markerType),
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.grantID, .grantIDType),
            MemberShape(.granteePrincipal, .principalIDType),
            MemberShape(.granteeServicePrincipal, .servicePrincipalType),
        ])
    package static let listKeyPoliciesRequest = StructureShape(
        "ListKeyPoliciesRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.limit, .limitType),
            MemberShape(.marker, .markerType),
        ])
    package static let listKeyRotationsRequest = StructureShape(
        "ListKeyRotationsRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.includeKeyMaterial, .includeKeyMaterial),
            MemberShape(.limit, .limitType),
            MemberShape(.marker, .markerType),
        ])
    package static let listKeysRequest = StructureShape(
        "ListKeysRequest",
        [
            MemberShape(.limit, .limitType),
            MemberShape(.marker, .markerType),
            MemberShape(.resourceOwners, .resourceOwnersList),
        ])
    package static let listResourceTagsRequest = StructureShape(
        "ListResourceTagsRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.limit, .limitType),
            MemberShape(.marker, .markerType),
        ])
    package static let listRetirableGrantsRequest = StructureShape(
        "ListRetirableGrantsRequest",
        [
            MemberShape(.limit, .limitType),
            MemberShape(.marker, .markerType),
            MemberShape(.retiringPrincipal, .principalIDType),
            MemberShape(.retiringServicePrincipal, .servicePrincipalType),
        ])
    package static let putKeyPolicyRequest = StructureShape(
        "PutKeyPolicyRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.policyName, .policyNameType),
            MemberShape(.policy, .policyType, isRequired: true),
            MemberShape(.bypassPolicyLockoutSafetyCheck, .booleanType),
        ])
    package static let reEncryptRequest = StructureShape(
        "ReEncryptRequest",
        [
            MemberShape(.ciphertextBlob, .ciphertextType),
            MemberShape(.sourceEncryptionContext, .encryptionContextType),
            MemberShape(.sourceKeyID, .keyIDType),
            MemberShape(.destinationKeyID, .keyIDType, isRequired: true),
            MemberShape(.destinationEncryptionContext, .encryptionContextType),
            MemberShape(.sourceEncryptionAlgorithm, .encryptionAlgorithmSpec),
            MemberShape(.destinationEncryptionAlgorithm, .encryptionAlgorithmSpec),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.dryRun, .nullableBooleanType),
            MemberShape(.dryRunModifiers, .dryRunModifierList),
        ])
    package static let replicateKeyRequest = StructureShape(
        "ReplicateKeyRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.replicaRegion, .regionType, isRequired: true),
            MemberShape(.policy, .policyType),
            MemberShape(.bypassPolicyLockoutSafetyCheck, .booleanType),
            MemberShape(.description, .descriptionType),
            MemberShape(.tags, .tagList),
        ])
    package static let retireGrantRequest = StructureShape(
        "RetireGrantRequest",
        [
            MemberShape(.grantToken, .grantTokenType),
            MemberShape(.keyID, .keyIDType),
            MemberShape(.grantID, .grantIDType),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let revokeGrantRequest = StructureShape(
        "RevokeGrantRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.grantID, .grantIDType, isRequired: true),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let rotateKeyOnDemandRequest = StructureShape(
        "RotateKeyOnDemandRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true)
        ])
    package static let scheduleKeyDeletionRequest = StructureShape(
        "ScheduleKeyDeletionRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.pendingWindowInDays, .pendingWindowInDaysType),
        ])
    package static let signRequest = StructureShape(
        "SignRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.message, .plaintextType, isRequired: true),
            MemberShape(.messageType, .messageType),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.signingAlgorithm, .signingAlgorithmSpec, isRequired: true),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let tagResourceRequest = StructureShape(
        "TagResourceRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.tags, .tagList, isRequired: true),
        ])
    package static let untagResourceRequest = StructureShape(
        "UntagResourceRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.tagKeys, .tagKeyList, isRequired: true),
        ])
    package static let updateAliasRequest = StructureShape(
        "UpdateAliasRequest",
        [
            MemberShape(.aliasName, .aliasNameType, isRequired: true),
            MemberShape(.targetKeyID, .keyIDType, isRequired: true),
        ])
    package static let updateCustomKeyStoreRequest = StructureShape(
        "UpdateCustomKeyStoreRequest",
        [
            MemberShape(.customKeyStoreID, .customKeyStoreIDType, isRequired: true),
            MemberShape(.newCustomKeyStoreName, .customKeyStoreNameType),
            MemberShape(.keyStorePassword, .keyStorePasswordType),
            MemberShape(.cloudHsmClusterID, .cloudHsmClusterIDType),
            MemberShape(.xksProxyURIEndpoint, .xksProxyURIEndpointType),
            MemberShape(.xksProxyURIPath, .xksProxyURIPathType),
            MemberShape(.xksProxyVpcEndpointServiceName, .xksProxyVpcEndpointServiceNameType),
            MemberShape(.xksProxyVpcEndpointServiceOwner, .accountIDType),
            MemberShape(
                .xksProxyAuthenticationCredential, .structure(.xksProxyAuthenticationCredentialType)
            ),
            MemberShape(.xksProxyConnectivity, .xksProxyConnectivityType),
        ])
    package static let updateKeyDescriptionRequest = StructureShape(
        "UpdateKeyDescriptionRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.description, .descriptionType, isRequired: true),
        ])
    package static let updatePrimaryRegionRequest = StructureShape(
        "UpdatePrimaryRegionRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.primaryRegion, .regionType, isRequired: true),
        ])
    package static let verifyRequest = StructureShape(
        "VerifyRequest",
        [
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.message, .plaintextType, isRequired: true),
            MemberShape(.messageType, .messageType),
            MemberShape(.signature, .ciphertextType, isRequired: true),
            MemberShape(.signingAlgorithm, .signingAlgorithmSpec, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
    package static let verifyMACRequest = StructureShape(
        "VerifyMacRequest",
        [
            MemberShape(.message, .plaintextType, isRequired: true),
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.macAlgorithm, .macAlgorithmSpec, isRequired: true),
            MemberShape(.mac, .ciphertextType, isRequired: true),
            MemberShape(.grantTokens, .grantTokenList),
            MemberShape(.dryRun, .nullableBooleanType),
        ])
}
