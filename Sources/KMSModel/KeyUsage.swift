/// What a key may be used for.
package enum KeyUsage: String, Sendable, Hashable, CaseIterable {
    case encryptDecrypt = "ENCRYPT_DECRYPT"
    case signVerify = "SIGN_VERIFY"
    case generateVerifyMAC = "GENERATE_VERIFY_MAC"
    case keyAgreement = "KEY_AGREEMENT"
    case encapsulateDecapsulate = "ENCAPSULATE_DECAPSULATE"
}
