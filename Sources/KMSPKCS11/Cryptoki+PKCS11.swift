internal import CPKCS11
internal import Cryptography

/// The functions of one module, called with memory that is as large as they are told, and with
/// every length and handle that they answer checked.
///
/// Errors are ``PKCS11Error/failed(_:)`` and ``PKCS11Error/malformedAnswer(_:)``. Whatever the
/// standard demands of callers beyond that (initialization, threads) is the caller's.
// SAFETY: `functions` is a copy that never changes, and its pointers lead into a library that is
// never unloaded. That the library's code behaves is what everybody who loads one trusts in.
@safe
struct Cryptoki: @unchecked Sendable {  // SAFETY: above
    let functions: CK_FUNCTION_LIST

    /// nil when a function that is called here is missing.
    init?(_ functions: CK_FUNCTION_LIST) {
        // SAFETY: only compared with nil.
        let isComplete =
            unsafe functions.C_Initialize != nil && functions.C_Finalize != nil
            && functions.C_GetSlotList != nil && functions.C_GetSlotInfo != nil
            && functions.C_GetTokenInfo != nil && functions.C_GetMechanismInfo != nil
            && functions.C_OpenSession != nil && functions.C_CloseSession != nil
            && functions.C_CloseAllSessions != nil && functions.C_GetSessionInfo != nil
            && functions.C_Login != nil && functions.C_Logout != nil
            && functions.C_FindObjectsInit != nil && functions.C_FindObjects != nil
            && functions.C_FindObjectsFinal != nil && functions.C_GetAttributeValue != nil
            && functions.C_GenerateKey != nil && functions.C_DestroyObject != nil
            && functions.C_EncryptInit != nil && functions.C_Encrypt != nil
            && functions.C_DecryptInit != nil && functions.C_Decrypt != nil
            && functions.C_GenerateRandom != nil
        guard isComplete else { return nil }
        self.functions = functions
    }

    func check(_ function: PKCS11Function, _ answer: CK_RV) throws(PKCS11Error) {
        guard answer == CKR_OK else {
            throw .failed(PKCS11Failure(function, ReturnValue(rawValue: answer)))
        }
    }

    // MARK: The module

    /// - Returns: false when somebody else in this process did it before.
    func initialize() throws(PKCS11Error) -> Bool {
        var arguments = unsafe CK_C_INITIALIZE_ARGS(
            CreateMutex: nil, DestroyMutex: nil, LockMutex: nil, UnlockMutex: nil,
            flags: CKF_OS_LOCKING_OK, pReserved: nil)
        // SAFETY: the module reads the arguments during the call.
        let answer = unsafe functions.C_Initialize(&arguments)
        if answer == CKR_CRYPTOKI_ALREADY_INITIALIZED { return false }
        try check(.initialize, answer)
        return true
    }

    func finalize() throws(PKCS11Error) {
        try check(.finalize, functions.C_Finalize(nil))
    }

    // MARK: Slots

    private static let maximumSlots = 4096

    /// The slots that hold a token.
    func occupiedSlots() throws(PKCS11Error) -> [CK_SLOT_ID] {
        try slots(isTokenPresent: CK_BBOOL(CK_TRUE))
    }

    func allSlots() throws(PKCS11Error) -> [CK_SLOT_ID] {
        try slots(isTokenPresent: CK_BBOOL(CK_FALSE))
    }

    private func slots(isTokenPresent: CK_BBOOL) throws(PKCS11Error) -> [CK_SLOT_ID] {
        // Tokens may come in between the two calls, but not for ever.
        for _ in 0..<8 {
            // The call without a list is also what lets a module look for new slots (§5.5).
            var count: CK_ULONG = 0
            // SAFETY: the count outlives the call; without a list nothing else is written.
            try check(.getSlotList, unsafe functions.C_GetSlotList(isTokenPresent, nil, &count))
            guard count <= Self.maximumSlots else { throw .malformedAnswer(.getSlotList) }
            guard count > 0 else { return [] }
            let capacity = Int(count)
            var list = [CK_SLOT_ID](repeating: 0, count: capacity)
            let answer = unsafe list.withUnsafeMutableBufferPointer { list in
                // SAFETY: the list has room for `count` numbers.
                unsafe functions.C_GetSlotList(isTokenPresent, list.baseAddress, &count)
            }
            if answer == CKR_BUFFER_TOO_SMALL { continue }
            try check(.getSlotList, answer)
            guard count <= capacity else { throw .malformedAnswer(.getSlotList) }
            return Array(list.prefix(Int(count)))
        }
        throw .malformedAnswer(.getSlotList)
    }

    func slotDescription(_ slot: CK_SLOT_ID) throws(PKCS11Error) -> String {
        var info = CK_SLOT_INFO()
        // SAFETY: the module fills the structure, whose size the standard fixes.
        try check(.getSlotInfo, unsafe functions.C_GetSlotInfo(slot, &info))
        return text(info.slotDescription)
    }

    func token(in slot: CK_SLOT_ID) throws(PKCS11Error) -> PKCS11TokenDescription {
        var info = CK_TOKEN_INFO()
        // SAFETY: as above.
        try check(.getTokenInfo, unsafe functions.C_GetTokenInfo(slot, &info))
        // 0 is CK_EFFECTIVELY_INFINITE, all ones CK_UNAVAILABLE_INFORMATION.
        let maximum = info.ulMaxSessionCount
        return PKCS11TokenDescription(
            label: text(info.label), serial: text(info.serialNumber), model: text(info.model),
            manufacturer: text(info.manufacturerID), flags: PKCS11TokenFlags(rawValue: info.flags),
            maximumSessions: maximum == 0 ? nil : Int(exactly: maximum))
    }

    /// Whether the token in the slot can encrypt and decrypt with AES-GCM.
    func hasAESGCM(_ slot: CK_SLOT_ID) throws(PKCS11Error) -> Bool {
        var info = CK_MECHANISM_INFO()
        // SAFETY: as above.
        let answer = unsafe functions.C_GetMechanismInfo(slot, CKM_AES_GCM, &info)
        if answer == CKR_MECHANISM_INVALID { return false }
        try check(.getMechanismInfo, answer)
        return info.flags & CKF_ENCRYPT != 0 && info.flags & CKF_DECRYPT != 0
    }

    // MARK: Sessions

    func openSession(
        _ slot: CK_SLOT_ID, isReadWrite: Bool
    ) throws(PKCS11Error) -> CK_SESSION_HANDLE {
        let flags = CKF_SERIAL_SESSION | (isReadWrite ? CKF_RW_SESSION : 0)
        var session: CK_SESSION_HANDLE = 0
        // SAFETY: the handle outlives the call; no callback is given.
        try check(.openSession, unsafe functions.C_OpenSession(slot, flags, nil, nil, &session))
        guard session != CK_INVALID_HANDLE else { throw .malformedAnswer(.openSession) }
        return session
    }

    func closeSession(_ session: CK_SESSION_HANDLE) throws(PKCS11Error) {
        try check(.closeSession, functions.C_CloseSession(session))
    }

    func closeAllSessions(_ slot: CK_SLOT_ID) throws(PKCS11Error) {
        try check(.closeAllSessions, functions.C_CloseAllSessions(slot))
    }

    /// Whether the session is in the slot and its user logged in.
    func isLoggedIn(
        _ session: CK_SESSION_HANDLE, in slot: CK_SLOT_ID
    ) throws(PKCS11Error) -> Bool {
        var info = CK_SESSION_INFO()
        // SAFETY: the module fills the structure, whose size the standard fixes.
        try check(.getSessionInfo, unsafe functions.C_GetSessionInfo(session, &info))
        return info.slotID == slot
            && (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS)
    }

    func login(_ session: CK_SESSION_HANDLE, pin: SecretBytes) throws(PKCS11Error) {
        let answer = pin.withBytes { pin in
            unsafe pin.withUnsafeBytes { pin in
                // SAFETY: the module reads the PIN, although the C signature lacks `const`.
                unsafe functions.C_Login(session, CKU_USER, pin.octets, CK_ULONG(pin.count))
            }
        }
        try check(.login, answer)
    }

    func logout(_ session: CK_SESSION_HANDLE) throws(PKCS11Error) {
        try check(.logout, functions.C_Logout(session))
    }

    /// Fills the whole span.
    func fillRandom(
        _ span: inout MutableRawSpan, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) {
        let answer = unsafe span.withUnsafeMutableBytes { buffer in
            // SAFETY: the module writes as many bytes as the buffer has.
            unsafe functions.C_GenerateRandom(session, buffer.octets, CK_ULONG(buffer.count))
        }
        try check(.generateRandom, answer)
    }
}

/// The text in a field of fixed length, padded with spaces and not terminated. Each control
/// character becomes U+FFFD, as what is no UTF-8 does.
private func text<Field>(_ field: Field) -> String {
    // SAFETY: the fields are tuples of CK_UTF8CHAR: bytes without padding.
    let whole = unsafe withUnsafeBytes(of: field) { unsafe String(decoding: $0, as: UTF8.self) }
    return printable(String(whole.trimmingPadding))
}

func printable(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { scalar in
                scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar
            }))
}

extension UnsafeRawBufferPointer {
    /// As the C signatures want it, which never say what is only read.
    var octets: UnsafeMutablePointer<CK_BYTE>? {
        // SAFETY: a view of bytes as bytes; nobody writes through it, and it ends with the closure.
        unsafe UnsafeMutablePointer(
            mutating: baseAddress?.assumingMemoryBound(to: CK_BYTE.self))
    }
}

extension UnsafeMutableRawBufferPointer {
    var octets: UnsafeMutablePointer<CK_BYTE>? {
        // SAFETY: a view of bytes as bytes, which ends with the closure.
        unsafe baseAddress?.assumingMemoryBound(to: CK_BYTE.self)
    }
}
