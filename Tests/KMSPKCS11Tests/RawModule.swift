import CPKCS11
import Glibc
import TestSupport
import Testing

@testable import KMSPKCS11

/// A module's functions as they are, for what ``PKCS11Token`` does not offer: what another program
/// would do. It shares the process's login, so a ``PKCS11Token`` must be open.
struct RawModule {
    private let functions: CK_FUNCTION_LIST
    private let session: CK_SESSION_HANDLE

    init(_ path: String, label: String) throws {
        // SAFETY: strings and variables live as long as the calls that use them; the function's type
        // is the standard's.
        guard let library = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL),
            let symbol = unsafe dlsym(library, "C_GetFunctionList")
        else { throw NoSuchFunction(name: "C_GetFunctionList") }
        var list: CK_FUNCTION_LIST_PTR?
        _ = unsafe unsafeBitCast(symbol, to: CK_C_GetFunctionList.self)(&list)
        guard let list = unsafe list else { throw NoSuchFunction(name: "the list") }
        functions = unsafe list.pointee
        let slot = try #require(
            PKCS11Module.load(path: path).slots().first { $0.token?.label == label }?.number)
        var session: CK_SESSION_HANDLE = 0
        let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION
        let answer = unsafe functions.C_OpenSession(slot, flags, nil, nil, &session)
        try #require(answer == CKR_OK)
        self.session = session
    }

    func close() { _ = functions.C_CloseSession(session) }

    /// Puts an AES key into the token whose value is known.
    func importKey(_ value: [UInt8], _ id: PKCS11KeyID, canDecrypt: Bool = true) throws {
        var template = AttributeTemplate()
        template.add(CKA_CLASS, CKO_SECRET_KEY)
        template.add(CKA_KEY_TYPE, CKK_AES)
        template.add(CKA_VALUE, value)
        template.add(CKA_ID, id.bytes)
        for attribute in [CKA_TOKEN, CKA_PRIVATE, CKA_ENCRYPT] { template.add(attribute, true) }
        template.add(CKA_DECRYPT, canDecrypt)
        var key: CK_OBJECT_HANDLE = 0
        let answer = unsafe template.withAttributes { attributes, count in
            // SAFETY: the template's own memory.
            unsafe functions.C_CreateObject(session, attributes, count, &key)
        }
        try #require(answer == CKR_OK)
    }

    func makeKey(_ id: PKCS11KeyID) throws {
        var template = AttributeTemplate()
        template.add(CKA_ID, id.bytes)
        template.add(CKA_LABEL, [])
        var mechanism = unsafe CK_MECHANISM(
            mechanism: CKM_AES_KEY_GEN, pParameter: nil, ulParameterLen: 0)
        var key: CK_OBJECT_HANDLE = 0
        let answer = unsafe template.withAttributes { attributes, count in
            // SAFETY: the template's own memory, and variables that outlive the call.
            unsafe functions.C_GenerateKey(session, &mechanism, attributes, count, &key)
        }
        try #require(answer == CKR_OK)
    }

    /// Destroys a key behind the back of whoever uses it.
    func destroyKey(_ id: PKCS11KeyID) throws {
        var template = AttributeTemplate()
        template.add(CKA_ID, id.bytes)
        var key: CK_OBJECT_HANDLE = 0
        var count: CK_ULONG = 0
        let answer = unsafe template.withAttributes { attributes, attributeCount in
            // SAFETY: the template's own memory.
            unsafe functions.C_FindObjectsInit(session, attributes, attributeCount)
        }
        try #require(answer == CKR_OK)
        _ = unsafe functions.C_FindObjects(session, &key, 1, &count)
        _ = functions.C_FindObjectsFinal(session)
        try #require(count == 1)
        try #require(functions.C_DestroyObject(session, key) == CKR_OK)
    }
}
