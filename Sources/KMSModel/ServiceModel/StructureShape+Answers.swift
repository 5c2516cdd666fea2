// Written by Tools/service-model from AWS KMS's service model; not by hand.

extension StructureShape {
    package static let cancelKeyDeletionResponse = StructureShape(
        "CancelKeyDeletionResponse",
        [
            MemberShape(.keyID, .keyIDType)
        ])
    package static let connectCustomKeyStoreResponse = StructureShape(
        "ConnectCustomKeyStoreResponse",
        [])
    package static let xksProxyAuthenticationCredentialType = StructureShape(
        "XksProxyAuthenticationCredentialType",
        [
            MemberShape(.accessKeyID, .xksProxyAuthenticationAccessKeyIDType, isRequired: true),
            MemberShape(
                .rawSecretAccessKey, .xksProxyAuthenticationRawSecretAccessKeyType, isRequired: true
            ),
        ])
    package static let createCustomKeyStoreResponse = StructureShape(
        "CreateCustomKeyStoreResponse",
        [
            MemberShape(.customKeyStoreID, .customKeyStoreIDType)
        ])
    package static let grantConstraints = StructureShape(
        "GrantConstraints",
        [
            MemberShape(.encryptionContextSubset, .encryptionContextType),
            MemberShape(.encryptionContextEquals, .encryptionContextType),
            MemberShape(.sourceARN, .grantConstraintSourceARNType),
        ])
    package static let createGrantResponse = StructureShape(
        "CreateGrantResponse",
        [
            MemberShape(.grantToken, .grantTokenType),
            MemberShape(.grantID, .grantIDType),
        ])
    package static let tag = StructureShape(
        "Tag",
        [
            MemberShape(.tagKey, .tagKeyType, isRequired: true),
            MemberShape(.tagValue, .tagValueType, isRequired: true),
        ])
    package static let multiRegionKey = StructureShape(
        "MultiRegionKey",
        [
            MemberShape(.arn, .arnType),
            MemberShape(.region, .regionType),
        ])
    package static let multiRegionConfiguration = StructureShape(
        "MultiRegionConfiguration",
        [
            MemberShape(.multiRegionKeyType, .multiRegionKeyType),
            MemberShape(.primaryKey, .structure(.multiRegionKey)),
            MemberShape(.replicaKeys, .multiRegionKeyList),
        ])
    package static let xksKeyConfigurationType = StructureShape(
        "XksKeyConfigurationType",
        [
            MemberShape(.id, .xksKeyIDType)
        ])
    package static let keyMetadata = StructureShape(
        "KeyMetadata",
        [
            MemberShape(.awsAccountID, .awsAccountIDType),
            MemberShape(.keyID, .keyIDType, isRequired: true),
            MemberShape(.arn, .arnType),
            MemberShape(.creationDate, .dateType),
            MemberShape(.enabled, .booleanType),
            MemberShape(.description, .descriptionType),
            MemberShape(.keyUsage, .keyUsageType),
            MemberShape(.keyState, .keyState),
            MemberShape(.deletionDate, .dateType),
            MemberShape(.validTo, .dateType),
            MemberShape(.origin, .originType),
            MemberShape(.customKeyStoreID, .customKeyStoreIDType),
            MemberShape(.cloudHsmClusterID, .cloudHsmClusterIDType),
            MemberShape(.expirationModel, .expirationModelType),
            MemberShape(.keyManager, .keyManagerType),
            MemberShape(.customerMasterKeySpec, .customerMasterKeySpec),
            MemberShape(.keySpec, .keySpec),
            MemberShape(.encryptionAlgorithms, .encryptionAlgorithmSpecList),
            MemberShape(.signingAlgorithms, .signingAlgorithmSpecList),
            MemberShape(.keyAgreementAlgorithms, .keyAgreementAlgorithmSpecList),
            MemberShape(.encapsulationAlgorithms, .encapsulationAlgorithmSpecList),
            MemberShape(.multiRegion, .nullableBooleanType),
            MemberShape(.multiRegionConfiguration, .structure(.multiRegionConfiguration)),
            MemberShape(.pendingDeletionWindowInDays, .pendingWindowInDaysType),
            MemberShape(.macAlgorithms, .macAlgorithmSpecList),
            MemberShape(.xksKeyConfiguration, .structure(.xksKeyConfigurationType)),
            MemberShape(.currentKeyMaterialID, .backingKeyIDType),
        ])
    package static let createKeyResponse = StructureShape(
        "CreateKeyResponse",
        [
            MemberShape(.keyMetadata, .structure(.keyMetadata))
        ])
    package static let decapsulateResponse = StructureShape(
        "DecapsulateResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.sharedSecret, .plaintextType),
            MemberShape(.encapsulationAlgorithm, .encapsulationAlgorithmSpec),
        ])
    package static let recipientInfo = StructureShape(
        "RecipientInfo",
        [
            MemberShape(.keyEncryptionAlgorithm, .keyEncryptionMechanism),
            MemberShape(.attestationDocument, .attestationDocumentType),
        ])
    package static let decryptResponse = StructureShape(
        "DecryptResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.plaintext, .plaintextType),
            MemberShape(.encryptionAlgorithm, .encryptionAlgorithmSpec),
            MemberShape(.ciphertextForRecipient, .ciphertextType),
            MemberShape(.keyMaterialID, .backingKeyIDType),
        ])
    package static let deleteCustomKeyStoreResponse = StructureShape(
        "DeleteCustomKeyStoreResponse",
        [])
    package static let deleteImportedKeyMaterialResponse = StructureShape(
        "DeleteImportedKeyMaterialResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.keyMaterialID, .backingKeyIDResponseType),
        ])
    package static let deriveSharedSecretResponse = StructureShape(
        "DeriveSharedSecretResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.sharedSecret, .plaintextType),
            MemberShape(.ciphertextForRecipient, .ciphertextType),
            MemberShape(.keyAgreementAlgorithm, .keyAgreementAlgorithmSpec),
            MemberShape(.keyOrigin, .originType),
        ])
    package static let xksProxyConfigurationType = StructureShape(
        "XksProxyConfigurationType",
        [
            MemberShape(.connectivity, .xksProxyConnectivityType),
            MemberShape(.accessKeyID, .xksProxyAuthenticationAccessKeyIDType),
            MemberShape(.uriEndpoint, .xksProxyURIEndpointType),
            MemberShape(.uriPath, .xksProxyURIPathType),
            MemberShape(.vpcEndpointServiceName, .xksProxyVpcEndpointServiceNameType),
            MemberShape(.vpcEndpointServiceOwner, .accountIDType),
        ])
    package static let customKeyStoresListEntry = StructureShape(
        "CustomKeyStoresListEntry",
        [
            MemberShape(.customKeyStoreID, .customKeyStoreIDType),
            MemberShape(.customKeyStoreName, .customKeyStoreNameType),
            MemberShape(.cloudHsmClusterID, .cloudHsmClusterIDType),
            MemberShape(.trustAnchorCertificate, .trustAnchorCertificateType),
            MemberShape(.connectionState, .connectionStateType),
            MemberShape(.connectionErrorCode, .connectionErrorCodeType),
            MemberShape(.creationDate, .dateType),
            MemberShape(.customKeyStoreType, .customKeyStoreType),
            MemberShape(.xksProxyConfiguration, .structure(.xksProxyConfigurationType)),
        ])
    package static let describeCustomKeyStoresResponse = StructureShape(
        "DescribeCustomKeyStoresResponse",
        [
            MemberShape(.customKeyStores, .customKeyStoresList),
            MemberShape(.nextMarker, .markerType),
            MemberShape(.truncated, .booleanType),
        ])
    package static let describeKeyResponse = StructureShape(
        "DescribeKeyResponse",
        [
            MemberShape(.keyMetadata, .structure(.keyMetadata))
        ])
    package static let disconnectCustomKeyStoreResponse = StructureShape(
        "DisconnectCustomKeyStoreResponse",
        [])
    package static let encapsulateResponse = StructureShape(
        "EncapsulateResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.sharedSecret, .plaintextType),
            MemberShape(.sharedSecretCiphertextBlob, .ciphertextType),
            MemberShape(.encapsulationAlgorithm, .encapsulationAlgorithmSpec),
        ])
    package static let encryptResponse = StructureShape(
        "EncryptResponse",
        [
            MemberShape(.ciphertextBlob, .ciphertextType),
            MemberShape(.keyID, .keyIDType),
            MemberShape(.encryptionAlgorithm, .encryptionAlgorithmSpec),
        ])
    package static let generateDataKeyResponse = StructureShape(
        "GenerateDataKeyResponse",
        [
            MemberShape(.ciphertextBlob, .ciphertextType),
            MemberShape(.plaintext, .plaintextType),
            MemberShape(.keyID, .keyIDType),
            MemberShape(.ciphertextForRecipient, .ciphertextType),
            MemberShape(.keyMaterialID, .backingKeyIDType),
        ])
    package static let generateDataKeyPairResponse = StructureShape(
        "GenerateDataKeyPairResponse",
        [
            MemberShape(.privateKeyCiphertextBlob, .ciphertextType),
            MemberShape(.privateKeyPlaintext, .plaintextType),
            MemberShape(.publicKey, .publicKeyType),
            MemberShape(.keyID, .keyIDType),
            MemberShape(.keyPairSpec, .dataKeyPairSpec),
            MemberShape(.ciphertextForRecipient, .ciphertextType),
            MemberShape(.keyMaterialID, .backingKeyIDType),
        ])
    package static let generateDataKeyPairWithoutPlaintextResponse = StructureShape(
        "GenerateDataKeyPairWithoutPlaintextResponse",
        [
            MemberShape(.privateKeyCiphertextBlob, .ciphertextType),
            MemberShape(.publicKey, .publicKeyType),
            MemberShape(.keyID, .keyIDType),
            MemberShape(.keyPairSpec, .dataKeyPairSpec),
            MemberShape(.keyMaterialID, .backingKeyIDType),
        ])
    package static let generateDataKeyWithoutPlaintextResponse = StructureShape(
        "GenerateDataKeyWithoutPlaintextResponse",
        [
            MemberShape(.ciphertextBlob, .ciphertextType),
            MemberShape(.keyID, .keyIDType),
            MemberShape(.keyMaterialID, .backingKeyIDType),
        ])
    package static let generateMACResponse = StructureShape(
        "GenerateMacResponse",
        [
            MemberShape(.mac, .ciphertextType),
            MemberShape(.macAlgorithm, .macAlgorithmSpec),
            MemberShape(.keyID, .keyIDType),
        ])
    package static let generateRandomResponse = StructureShape(
        "GenerateRandomResponse",
        [
            MemberShape(.plaintext, .plaintextType),
            MemberShape(.ciphertextForRecipient, .ciphertextType),
        ])
    package static let keyLastUsageData = StructureShape(
        "KeyLastUsageData",
        [
            MemberShape(.operation, .keyLastUsageTrackingOperation),
            MemberShape(.timestamp, .dateType),
            MemberShape(.cloudTrailEventID, .cloudTrailEventIDType),
            MemberShape(.kmsRequestID, .kmsRequestIDType),
        ])
    package static let getKeyLastUsageResponse = StructureShape(
        "GetKeyLastUsageResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.keyLastUsage, .structure(.keyLastUsageData)),
            MemberShape(.trackingStartDate, .dateType),
            MemberShape(.keyCreationDate, .dateType),
        ])
    package static let getKeyPolicyResponse = StructureShape(
        "GetKeyPolicyResponse",
        [
            MemberShape(.policy, .policyType),
            MemberShape(.policyName, .policyNameType),
        ])
    package static let getKeyRotationStatusResponse = StructureShape(
        "GetKeyRotationStatusResponse",
        [
            MemberShape(.keyRotationEnabled, .booleanType),
            MemberShape(.keyID, .keyIDType),
            MemberShape(.rotationPeriodInDays, .rotationPeriodInDaysType),
            MemberShape(.nextRotationDate, .dateType),
            MemberShape(.onDemandRotationStartDate, .dateType),
        ])
    package static let getParametersForImportResponse = StructureShape(
        "GetParametersForImportResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.importToken, .ciphertextType),
            MemberShape(.publicKey, .plaintextType),
            MemberShape(.parametersValidTo, .dateType),
        ])
    package static let getPublicKeyResponse = StructureShape(
        "GetPublicKeyResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.publicKey, .publicKeyType),
            MemberShape(.customerMasterKeySpec, .customerMasterKeySpec),
            MemberShape(.keySpec, .keySpec),
            MemberShape(.keyUsage, .keyUsageType),
            MemberShape(.encryptionAlgorithms, .encryptionAlgorithmSpecList),
            MemberShape(.signingAlgorithms, .signingAlgorithmSpecList),
            MemberShape(.keyAgreementAlgorithms, .keyAgreementAlgorithmSpecList),
            MemberShape(.encapsulationAlgorithms, .encapsulationAlgorithmSpecList),
        ])
    package static let importKeyMaterialResponse = StructureShape(
        "ImportKeyMaterialResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.keyMaterialID, .backingKeyIDType),
        ])
    package static let aliasListEntry = StructureShape(
        "AliasListEntry",
        [
            MemberShape(.aliasName, .aliasNameType),
            MemberShape(.aliasARN, .arnType),
            MemberShape(.targetKeyID, .keyIDType),
            MemberShape(.creationDate, .dateType),
            MemberShape(.lastUpdatedDate, .dateType),
        ])
    package static let listAliasesResponse = StructureShape(
        "ListAliasesResponse",
        [
            MemberShape(.aliases, .aliasList),
            MemberShape(.nextMarker, .markerType),
            MemberShape(.truncated, .booleanType),
        ])
    package static let grantListEntry = StructureShape(
        "GrantListEntry",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.grantID, .grantIDType),
            MemberShape(.name, .grantNameType),
            MemberShape(.creationDate, .dateType),
            MemberShape(.granteePrincipal, .principalIDType),
            MemberShape(.retiringPrincipal, .principalIDType),
            MemberShape(.issuingAccount, .principalIDType),
            MemberShape(.operations, .grantOperationList),
            MemberShape(.constraints, .structure(.grantConstraints)),
            MemberShape(.granteeServicePrincipal, .servicePrincipalType),
            MemberShape(.retiringServicePrincipal, .servicePrincipalType),
        ])
    package static let listGrantsResponse = StructureShape(
        "ListGrantsResponse",
        [
            MemberShape(.grants, .grantList),
            MemberShape(.nextMarker, .markerType),
            MemberShape(.truncated, .booleanType),
        ])
    package static let listKeyPoliciesResponse = StructureShape(
        "ListKeyPoliciesResponse",
        [
            MemberShape(.policyNames, .policyNameList),
            MemberShape(.nextMarker, .markerType),
            MemberShape(.truncated, .booleanType),
        ])
    package static let rotationsListEntry = StructureShape(
        "RotationsListEntry",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.keyMaterialID, .backingKeyIDType),
            MemberShape(.keyMaterialDescription, .keyMaterialDescriptionType),
            MemberShape(.importState, .importState),
            MemberShape(.keyMaterialState, .keyMaterialState),
            MemberShape(.expirationModel, .expirationModelType),
            MemberShape(.validTo, .dateType),
            MemberShape(.rotationDate, .dateType),
            MemberShape(.rotationType, .rotationType),
        ])
    package static let listKeyRotationsResponse = StructureShape(
        "ListKeyRotationsResponse",
        [
            MemberShape(.rotations, .rotationsList),
            MemberShape(.nextMarker, .markerType),
            MemberShape(.truncated, .booleanType),
        ])
    package static let keyListEntry = StructureShape(
        "KeyListEntry",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.keyARN, .arnType),
        ])
    package static let listKeysResponse = StructureShape(
        "ListKeysResponse",
        [
            MemberShape(.keys, .keyList),
            MemberShape(.nextMarker, .markerType),
            MemberShape(.truncated, .booleanType),
        ])
    package static let listResourceTagsResponse = StructureShape(
        "ListResourceTagsResponse",
        [
            MemberShape(.tags, .tagList),
            MemberShape(.nextMarker, .markerType),
            MemberShape(.truncated, .booleanType),
        ])
    package static let reEncryptResponse = StructureShape(
        "ReEncryptResponse",
        [
            MemberShape(.ciphertextBlob, .ciphertextType),
            MemberShape(.sourceKeyID, .keyIDType),
            MemberShape(.keyID, .keyIDType),
            MemberShape(.sourceEncryptionAlgorithm, .encryptionAlgorithmSpec),
            MemberShape(.destinationEncryptionAlgorithm, .encryptionAlgorithmSpec),
            MemberShape(.sourceKeyMaterialID, .backingKeyIDType),
            MemberShape(.destinationKeyMaterialID, .backingKeyIDType),
        ])
    package static let replicateKeyResponse = StructureShape(
        "ReplicateKeyResponse",
        [
            MemberShape(.replicaKeyMetadata, .structure(.keyMetadata)),
            MemberShape(.replicaPolicy, .policyType),
            MemberShape(.replicaTags, .tagList),
        ])
    package static let rotateKeyOnDemandResponse = StructureShape(
        "RotateKeyOnDemandResponse",
        [
            MemberShape(.keyID, .keyIDType)
        ])
    package static let scheduleKeyDeletionResponse = StructureShape(
        "ScheduleKeyDeletionResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.deletionDate, .dateType),
            MemberShape(.keyState, .keyState),
            MemberShape(.pendingWindowInDays, .pendingWindowInDaysType),
        ])
    package static let signResponse = StructureShape(
        "SignResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.signature, .ciphertextType),
            MemberShape(.signingAlgorithm, .signingAlgorithmSpec),
        ])
    package static let updateCustomKeyStoreResponse = StructureShape(
        "UpdateCustomKeyStoreResponse",
        [])
    package static let verifyResponse = StructureShape(
        "VerifyResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.signatureValid, .booleanType),
            MemberShape(.signingAlgorithm, .signingAlgorithmSpec),
        ])
    package static let verifyMACResponse = StructureShape(
        "VerifyMacResponse",
        [
            MemberShape(.keyID, .keyIDType),
            MemberShape(.macValid, .booleanType),
            MemberShape(.macAlgorithm, .macAlgorithmSpec),
        ])
}
