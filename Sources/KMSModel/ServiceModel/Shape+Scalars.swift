// Written by Tools/service-model from AWS KMS's service model; not by hand.

extension Shape {
    static let awsAccountIDType: Shape = .text(TextRule(nil, nil, nil))
    static let accountIDType: Shape = .text(TextRule(12, 12, .accountID))
    static let algorithmSpec: Shape = .choice(WrappingAlgorithm.allCases.map(\.rawValue))
    static let aliasList: Shape = .list(.structure(.aliasListEntry), SizeRule(nil, nil))
    static let aliasNameType: Shape = .text(TextRule(1, 256, .resourceName))
    static let arnType: Shape = .text(TextRule(20, 2048, nil))
    static let attestationDocumentType: Shape = .bytes(SizeRule(1, 262144))
    static let backingKeyIDResponseType: Shape = .text(TextRule(0, 64, .lowercaseHex))
    static let backingKeyIDType: Shape = .text(TextRule(64, 64, .lowercaseHex))
    static let booleanType: Shape = .flag
    static let ciphertextType: Shape = .bytes(SizeRule(1, 6144))
    static let cloudHsmClusterIDType: Shape = .text(TextRule(19, 24, .clusterID))
    static let cloudTrailEventIDType: Shape = .text(TextRule(nil, nil, nil))
    static let connectionErrorCodeType: Shape = .choice(
        ConnectionErrorCode.allCases.map(\.rawValue))
    static let connectionStateType: Shape = .choice(ConnectionState.allCases.map(\.rawValue))
    static let customKeyStoreIDType: Shape = .text(TextRule(1, 64, nil))
    static let customKeyStoreNameType: Shape = .text(TextRule(1, 256, nil))
    static let customKeyStoreType: Shape = .choice(["AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"])
    static let customKeyStoresList: Shape = .list(
        .structure(.customKeyStoresListEntry), SizeRule(nil, nil))
    static let customerMasterKeySpec: Shape = .choice([
        "RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521",
        "ECC_SECG_P256K1", "SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512",
        "SM2",
    ])
    static let dataKeyPairSpec: Shape = .choice(DataKeyPairSpec.allCases.map(\.rawValue))
    static let dataKeySpec: Shape = .choice(DataKeySpec.allCases.map(\.rawValue))
    static let dateType: Shape = .time
    static let descriptionType: Shape = .text(TextRule(0, 8192, nil))
    static let dryRunModifierList: Shape = .list(.dryRunModifierType, SizeRule(nil, nil))
    static let dryRunModifierType: Shape = .choice(["IGNORE_CIPHERTEXT"])
    static let encapsulationAlgorithmSpec: Shape = .choice(
        EncapsulationAlgorithm.allCases.map(\.rawValue))
    static let encapsulationAlgorithmSpecList: Shape = .list(
        .encapsulationAlgorithmSpec, SizeRule(nil, nil))
    static let encryptionAlgorithmSpec: Shape = .choice(
        EncryptionAlgorithm.allCases.map(\.rawValue))
    static let encryptionAlgorithmSpecList: Shape = .list(
        .encryptionAlgorithmSpec, SizeRule(nil, nil))
    static let encryptionContextType: Shape = .context
    static let expirationModelType: Shape = .choice(ExpirationModel.allCases.map(\.rawValue))
    static let grantConstraintSourceARNType: Shape = .text(TextRule(20, 512, .sourceARN))
    static let grantIDType: Shape = .text(TextRule(1, 128, nil))
    static let grantList: Shape = .list(.structure(.grantListEntry), SizeRule(nil, nil))
    static let grantNameType: Shape = .text(TextRule(1, 256, .resourceName))
    static let grantOperation: Shape = .choice([
        "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom",
        "ReEncryptTo", "Sign", "Verify", "GetPublicKey", "CreateGrant", "RetireGrant",
        "DescribeKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac",
        "VerifyMac", "DeriveSharedSecret", "Encapsulate", "Decapsulate",
    ])
    static let grantOperationList: Shape = .list(.grantOperation, SizeRule(nil, nil))
    static let grantTokenList: Shape = .list(.grantTokenType, SizeRule(0, 10))
    static let grantTokenType: Shape = .text(TextRule(1, 8192, nil))
    static let importState: Shape = .choice(["IMPORTED", "PENDING_IMPORT"])
    static let importType: Shape = .choice(ImportType.allCases.map(\.rawValue))
    static let includeKeyMaterial: Shape = .choice(["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"])
    static let keyAgreementAlgorithmSpec: Shape = .choice(
        KeyAgreementAlgorithm.allCases.map(\.rawValue))
    static let keyAgreementAlgorithmSpecList: Shape = .list(
        .keyAgreementAlgorithmSpec, SizeRule(nil, nil))
    static let keyEncryptionMechanism: Shape = .choice(["RSAES_OAEP_SHA_256"])
    static let keyIDType: Shape = .text(TextRule(1, 2048, nil))
    static let keyLastUsageTrackingOperation: Shape = .choice([
        "Decrypt", "DeriveSharedSecret", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac",
        "ReEncrypt", "Sign", "Verify", "VerifyMac", "Encapsulate", "Decapsulate",
    ])
    static let keyList: Shape = .list(.structure(.keyListEntry), SizeRule(nil, nil))
    static let keyManagerType: Shape = .choice(["AWS", "CUSTOMER"])
    static let keyMaterialDescriptionType: Shape = .text(TextRule(0, 256, .materialDescription))
    static let keyMaterialState: Shape = .choice([
        "NON_CURRENT", "CURRENT", "PENDING_ROTATION", "PENDING_MULTI_REGION_IMPORT_AND_ROTATION",
    ])
    static let keySpec: Shape = .choice(KeySpec.allCases.map(\.rawValue))
    static let keyState: Shape = .choice([
        "Creating", "Enabled", "Disabled", "PendingDeletion", "PendingImport",
        "PendingReplicaDeletion", "Unavailable", "Updating",
    ])
    static let keyStorePasswordType: Shape = .secretText(TextRule(7, 32, nil))
    static let keyUsageType: Shape = .choice(KeyUsage.allCases.map(\.rawValue))
    static let kmsRequestIDType: Shape = .text(TextRule(nil, nil, nil))
    static let limitType: Shape = .number(SizeRule(1, 1000))
    static let macAlgorithmSpec: Shape = .choice(MACAlgorithm.allCases.map(\.rawValue))
    static let macAlgorithmSpecList: Shape = .list(.macAlgorithmSpec, SizeRule(nil, nil))
    static let markerType: Shape = .text(TextRule(1, 1024, .latinText))
    static let messageType: Shape = .choice(MessageType.allCases.map(\.rawValue))
    static let multiRegionKeyList: Shape = .list(.structure(.multiRegionKey), SizeRule(nil, nil))
    static let multiRegionKeyType: Shape = .choice(["PRIMARY", "REPLICA"])
    static let nullableBooleanType: Shape = .flag
    static let numberOfBytesType: Shape = .number(SizeRule(1, 1024))
    static let originType: Shape = .choice(KeyOrigin.allCases.map(\.rawValue))
    static let pendingWindowInDaysType: Shape = .number(SizeRule(1, 365))
    static let plaintextType: Shape = .secret(SizeRule(1, 4096))
    static let policyNameList: Shape = .list(.policyNameType, SizeRule(nil, nil))
    static let policyNameType: Shape = .text(TextRule(1, 128, .word))
    static let policyType: Shape = .text(TextRule(1, 131072, .policyText))
    static let principalIDType: Shape = .text(TextRule(1, 256, .principal))
    static let publicKeyType: Shape = .bytes(SizeRule(1, 8192))
    static let regionType: Shape = .text(TextRule(1, 32, .region))
    static let resourceOwnerType: Shape = .choice(["SELF", "OTHER_ACCOUNTS_VIA_RAM"])
    static let resourceOwnersList: Shape = .list(.resourceOwnerType, SizeRule(1, 2))
    static let rotationPeriodInDaysType: Shape = .number(SizeRule(90, 2560))
    static let rotationType: Shape = .choice(["AUTOMATIC", "ON_DEMAND"])
    static let rotationsList: Shape = .list(.structure(.rotationsListEntry), SizeRule(nil, nil))
    static let servicePrincipalType: Shape = .text(TextRule(1, 128, .servicePrincipal))
    static let signingAlgorithmSpec: Shape = .choice(SigningAlgorithm.allCases.map(\.rawValue))
    static let signingAlgorithmSpecList: Shape = .list(.signingAlgorithmSpec, SizeRule(nil, nil))
    static let tagKeyList: Shape = .list(.tagKeyType, SizeRule(nil, nil))
    static let tagKeyType: Shape = .text(TextRule(1, 128, nil))
    static let tagList: Shape = .list(.structure(.tag), SizeRule(nil, nil))
    static let tagValueType: Shape = .text(TextRule(0, 256, nil))
    static let trustAnchorCertificateType: Shape = .text(TextRule(1, 5000, nil))
    static let wrappingKeySpec: Shape = .choice(WrappingKeySpec.allCases.map(\.rawValue))
    static let xksKeyIDType: Shape = .text(TextRule(1, 128, .externalKeyID))
    static let xksProxyAuthenticationAccessKeyIDType: Shape = .secretText(TextRule(20, 30, .base32))
    static let xksProxyAuthenticationRawSecretAccessKeyType: Shape = .secretText(
        TextRule(43, 64, .base64))
    static let xksProxyConnectivityType: Shape = .choice([
        "PUBLIC_ENDPOINT", "VPC_ENDPOINT_SERVICE",
    ])
    static let xksProxyURIEndpointType: Shape = .text(TextRule(10, 128, .endpoint))
    static let xksProxyURIPathType: Shape = .text(TextRule(10, 128, .proxyPath))
    static let xksProxyVpcEndpointServiceNameType: Shape = .text(TextRule(20, 64, .endpointService))
}
