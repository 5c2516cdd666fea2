// Written by Tools/service-model from AWS KMS's service model; not by hand.

package enum KeySpec: String, CaseIterable, Sendable, Hashable {
    case rsa2048 = "RSA_2048"
    case rsa3072 = "RSA_3072"
    case rsa4096 = "RSA_4096"
    case eccNistP256 = "ECC_NIST_P256"
    case eccNistP384 = "ECC_NIST_P384"
    case eccNistP521 = "ECC_NIST_P521"
    case eccSecgP256k1 = "ECC_SECG_P256K1"
    case symmetricDefault = "SYMMETRIC_DEFAULT"
    case hmac224 = "HMAC_224"
    case hmac256 = "HMAC_256"
    case hmac384 = "HMAC_384"
    case hmac512 = "HMAC_512"
    case sm2 = "SM2"
    case mlDsa44 = "ML_DSA_44"
    case mlDsa65 = "ML_DSA_65"
    case mlDsa87 = "ML_DSA_87"
    case eccNistEdwards25519 = "ECC_NIST_EDWARDS25519"
    case mlKem512 = "ML_KEM_512"
    case mlKem768 = "ML_KEM_768"
    case mlKem1024 = "ML_KEM_1024"
}

package enum KeyUsage: String, CaseIterable, Sendable, Hashable {
    case signVerify = "SIGN_VERIFY"
    case encryptDecrypt = "ENCRYPT_DECRYPT"
    case generateVerifyMac = "GENERATE_VERIFY_MAC"
    case keyAgreement = "KEY_AGREEMENT"
    case encapsulateDecapsulate = "ENCAPSULATE_DECAPSULATE"
}

package enum KeyOrigin: String, CaseIterable, Sendable, Hashable {
    case awsKms = "AWS_KMS"
    case external = "EXTERNAL"
    case awsCloudhsm = "AWS_CLOUDHSM"
    case externalKeyStore = "EXTERNAL_KEY_STORE"
}

package enum EncryptionAlgorithm: String, CaseIterable, Sendable, Hashable {
    case symmetricDefault = "SYMMETRIC_DEFAULT"
    case rsaesOaepSha1 = "RSAES_OAEP_SHA_1"
    case rsaesOaepSha256 = "RSAES_OAEP_SHA_256"
    case sm2pke = "SM2PKE"
}

package enum SigningAlgorithm: String, CaseIterable, Sendable, Hashable {
    case rsassaPssSha256 = "RSASSA_PSS_SHA_256"
    case rsassaPssSha384 = "RSASSA_PSS_SHA_384"
    case rsassaPssSha512 = "RSASSA_PSS_SHA_512"
    case rsassaPkcs1V15Sha256 = "RSASSA_PKCS1_V1_5_SHA_256"
    case rsassaPkcs1V15Sha384 = "RSASSA_PKCS1_V1_5_SHA_384"
    case rsassaPkcs1V15Sha512 = "RSASSA_PKCS1_V1_5_SHA_512"
    case ecdsaSha256 = "ECDSA_SHA_256"
    case ecdsaSha384 = "ECDSA_SHA_384"
    case ecdsaSha512 = "ECDSA_SHA_512"
    case sm2dsa = "SM2DSA"
    case mlDsaShake256 = "ML_DSA_SHAKE_256"
    case ed25519Sha512 = "ED25519_SHA_512"
    case ed25519PhSha512 = "ED25519_PH_SHA_512"
}

package enum MACAlgorithm: String, CaseIterable, Sendable, Hashable {
    case hmacSha224 = "HMAC_SHA_224"
    case hmacSha256 = "HMAC_SHA_256"
    case hmacSha384 = "HMAC_SHA_384"
    case hmacSha512 = "HMAC_SHA_512"
}

package enum KeyAgreementAlgorithm: String, CaseIterable, Sendable, Hashable {
    case ecdh = "ECDH"
}

package enum EncapsulationAlgorithm: String, CaseIterable, Sendable, Hashable {
    case mlKem = "ML_KEM"
}

package enum MessageType: String, CaseIterable, Sendable, Hashable {
    case raw = "RAW"
    case digest = "DIGEST"
    case externalMu = "EXTERNAL_MU"
}

package enum DataKeySpec: String, CaseIterable, Sendable, Hashable {
    case aes256 = "AES_256"
    case aes128 = "AES_128"
}

package enum DataKeyPairSpec: String, CaseIterable, Sendable, Hashable {
    case rsa2048 = "RSA_2048"
    case rsa3072 = "RSA_3072"
    case rsa4096 = "RSA_4096"
    case eccNistP256 = "ECC_NIST_P256"
    case eccNistP384 = "ECC_NIST_P384"
    case eccNistP521 = "ECC_NIST_P521"
    case eccSecgP256k1 = "ECC_SECG_P256K1"
    case sm2 = "SM2"
    case eccNistEdwards25519 = "ECC_NIST_EDWARDS25519"
    case mlKem512 = "ML_KEM_512"
    case mlKem768 = "ML_KEM_768"
    case mlKem1024 = "ML_KEM_1024"
}

package enum WrappingAlgorithm: String, CaseIterable, Sendable, Hashable {
    case rsaesPkcs1V15 = "RSAES_PKCS1_V1_5"
    case rsaesOaepSha1 = "RSAES_OAEP_SHA_1"
    case rsaesOaepSha256 = "RSAES_OAEP_SHA_256"
    case rsaAesKeyWrapSha1 = "RSA_AES_KEY_WRAP_SHA_1"
    case rsaAesKeyWrapSha256 = "RSA_AES_KEY_WRAP_SHA_256"
    case sm2pke = "SM2PKE"
}

package enum WrappingKeySpec: String, CaseIterable, Sendable, Hashable {
    case rsa2048 = "RSA_2048"
    case rsa3072 = "RSA_3072"
    case rsa4096 = "RSA_4096"
    case sm2 = "SM2"
}

package enum ExpirationModel: String, CaseIterable, Sendable, Hashable {
    case keyMaterialExpires = "KEY_MATERIAL_EXPIRES"
    case keyMaterialDoesNotExpire = "KEY_MATERIAL_DOES_NOT_EXPIRE"
}

package enum ImportType: String, CaseIterable, Sendable, Hashable {
    case newKeyMaterial = "NEW_KEY_MATERIAL"
    case existingKeyMaterial = "EXISTING_KEY_MATERIAL"
}

package enum ConnectionState: String, CaseIterable, Sendable, Hashable {
    case connected = "CONNECTED"
    case connecting = "CONNECTING"
    case failed = "FAILED"
    case disconnected = "DISCONNECTED"
    case disconnecting = "DISCONNECTING"
}

package enum ConnectionErrorCode: String, CaseIterable, Sendable, Hashable {
    case invalidCredentials = "INVALID_CREDENTIALS"
    case clusterNotFound = "CLUSTER_NOT_FOUND"
    case networkErrors = "NETWORK_ERRORS"
    case internalError = "INTERNAL_ERROR"
    case insufficientCloudhsmHsms = "INSUFFICIENT_CLOUDHSM_HSMS"
    case userLockedOut = "USER_LOCKED_OUT"
    case userNotFound = "USER_NOT_FOUND"
    case userLoggedIn = "USER_LOGGED_IN"
    case subnetNotFound = "SUBNET_NOT_FOUND"
    case insufficientFreeAddressesInSubnet = "INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET"
    case xksProxyAccessDenied = "XKS_PROXY_ACCESS_DENIED"
    case xksProxyNotReachable = "XKS_PROXY_NOT_REACHABLE"
    case xksVpcEndpointServiceNotFound = "XKS_VPC_ENDPOINT_SERVICE_NOT_FOUND"
    case xksProxyInvalidResponse = "XKS_PROXY_INVALID_RESPONSE"
    case xksProxyInvalidConfiguration = "XKS_PROXY_INVALID_CONFIGURATION"
    case xksVpcEndpointServiceInvalidConfiguration =
        "XKS_VPC_ENDPOINT_SERVICE_INVALID_CONFIGURATION"
    case xksProxyTimedOut = "XKS_PROXY_TIMED_OUT"
    case xksProxyInvalidTlsConfiguration = "XKS_PROXY_INVALID_TLS_CONFIGURATION"
}
