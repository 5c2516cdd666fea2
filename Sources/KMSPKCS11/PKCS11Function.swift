/// The functions of a PKCS#11 module that are called here, by their names in the standard.
package enum PKCS11Function: String, Hashable, Sendable {
    case initialize = "C_Initialize"
    case finalize = "C_Finalize"
    case getFunctionList = "C_GetFunctionList"
    case getSlotList = "C_GetSlotList"
    case getSlotInfo = "C_GetSlotInfo"
    case getTokenInfo = "C_GetTokenInfo"
    case getMechanismInfo = "C_GetMechanismInfo"
    case openSession = "C_OpenSession"
    case closeSession = "C_CloseSession"
    case closeAllSessions = "C_CloseAllSessions"
    case getSessionInfo = "C_GetSessionInfo"
    case login = "C_Login"
    case logout = "C_Logout"
    case findObjectsInit = "C_FindObjectsInit"
    case findObjects = "C_FindObjects"
    case findObjectsFinal = "C_FindObjectsFinal"
    case getAttributeValue = "C_GetAttributeValue"
    case generateKey = "C_GenerateKey"
    case destroyObject = "C_DestroyObject"
    case encryptInit = "C_EncryptInit"
    case encrypt = "C_Encrypt"
    case decryptInit = "C_DecryptInit"
    case decrypt = "C_Decrypt"
    case generateRandom = "C_GenerateRandom"
}

extension PKCS11Function: CustomStringConvertible {
    package var description: String { rawValue }
}
