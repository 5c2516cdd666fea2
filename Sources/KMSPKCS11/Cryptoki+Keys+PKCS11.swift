internal import CPKCS11

extension Cryptoki {
    /// The handle of the one AES key with this id that lies in the token; nil for none.
    ///
    /// - Throws: ``PKCS11Error/ambiguousKey(_:)`` for several.
    func findKey(
        _ id: PKCS11KeyID, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> CK_OBJECT_HANDLE? {
        var template = AttributeTemplate()
        template.add(CKA_CLASS, CKO_SECRET_KEY)
        template.add(CKA_KEY_TYPE, CKK_AES)
        template.add(CKA_TOKEN, true)
        template.add(CKA_ID, id.bytes)
        let handles = try search(&template, atMost: 2, session)
        guard handles.count <= 1 else { throw .ambiguousKey(id) }
        return handles.first
    }

    /// The names of the AES keys that lie in the token, at most ``PKCS11Token/maximumListedKeys``;
    /// without those that have no id.
    func listKeys(_ session: CK_SESSION_HANDLE) throws(PKCS11Error) -> [PKCS11KeyName] {
        var template = AttributeTemplate()
        template.add(CKA_CLASS, CKO_SECRET_KEY)
        template.add(CKA_KEY_TYPE, CKK_AES)
        template.add(CKA_TOKEN, true)
        var names: [PKCS11KeyName] = []
        for handle in try search(&template, atMost: PKCS11Token.maximumListedKeys, session) {
            do throws(PKCS11Error) {
                if let name = try name(of: handle, session) { names.append(name) }
            } catch {
                // Somebody destroyed it a moment ago.
                guard case .failed(let failure) = error, failure.value.verdict == .staleKey
                else { throw error }
            }
        }
        return names
    }

    private func name(
        of object: CK_OBJECT_HANDLE, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> PKCS11KeyName? {
        let id = try attribute(CKA_ID, of: object, session, atMost: PKCS11KeyID.maximumBytes)
        guard let id = id.flatMap({ PKCS11KeyID($0) }) else { return nil }
        return PKCS11KeyName(id: id, label: try label(of: object, session))
    }

    private func search(
        _ template: inout AttributeTemplate, atMost limit: Int, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> [CK_OBJECT_HANDLE] {
        let start = unsafe template.withAttributes { attributes, count in
            // SAFETY: the module reads `count` attributes.
            unsafe functions.C_FindObjectsInit(session, attributes, count)
        }
        try check(.findObjectsInit, start)
        let found = Result { () throws(PKCS11Error) in
            try foundObjects(atMost: limit, session)
        }
        // The search ends also where it failed; what failed first is what is told.
        let end = functions.C_FindObjectsFinal(session)
        let handles = try found.get()
        try check(.findObjectsFinal, end)
        return handles
    }

    /// Handles of the search that runs.
    private func foundObjects(
        atMost limit: Int, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> [CK_OBJECT_HANDLE] {
        let batch = 64
        var handles: [CK_OBJECT_HANDLE] = []
        while handles.count < limit {
            let room = min(batch, limit - handles.count)
            var next = [CK_OBJECT_HANDLE](repeating: CK_INVALID_HANDLE, count: room)
            var count: CK_ULONG = 0
            let answer = unsafe next.withUnsafeMutableBufferPointer { next in
                // SAFETY: the list has room for as many handles as it says.
                unsafe functions.C_FindObjects(
                    session, next.baseAddress, CK_ULONG(next.count), &count)
            }
            try check(.findObjects, answer)
            guard count <= room else { throw .malformedAnswer(.findObjects) }
            let new = next.prefix(Int(count))
            guard !new.contains(CK_INVALID_HANDLE) else { throw .malformedAnswer(.findObjects) }
            guard !new.isEmpty else { break }
            handles.append(contentsOf: new)
        }
        return handles
    }

    /// An AES-256 key that never leaves the token, and encrypts and decrypts only.
    func generateKey(
        _ id: PKCS11KeyID, label: [UInt8], _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> CK_OBJECT_HANDLE {
        var template = AttributeTemplate()
        template.add(CKA_CLASS, CKO_SECRET_KEY)
        template.add(CKA_KEY_TYPE, CKK_AES)
        template.add(CKA_VALUE_LEN, CK_ULONG(PKCS11Token.keyBytes))
        template.add(CKA_ID, id.bytes)
        template.add(CKA_LABEL, label)
        for attribute in [CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_ENCRYPT, CKA_DECRYPT] {
            template.add(attribute, true)
        }
        for attribute in [
            CKA_EXTRACTABLE, CKA_WRAP, CKA_UNWRAP, CKA_SIGN, CKA_VERIFY, CKA_DERIVE,
        ] {
            template.add(attribute, false)
        }
        var mechanism = unsafe CK_MECHANISM(
            mechanism: CKM_AES_KEY_GEN, pParameter: nil, ulParameterLen: 0)
        var key = CK_INVALID_HANDLE
        let answer = unsafe template.withAttributes { attributes, count in
            // SAFETY: the module reads the mechanism and `count` attributes, and writes the handle.
            unsafe functions.C_GenerateKey(session, &mechanism, attributes, count, &key)
        }
        try check(.generateKey, answer)
        guard key != CK_INVALID_HANDLE else { throw .malformedAnswer(.generateKey) }
        return key
    }

    func destroy(
        _ object: CK_OBJECT_HANDLE, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) {
        try check(.destroyObject, functions.C_DestroyObject(session, object))
    }

    /// Whether the object is the key with this id still, which a cached handle need not be.
    func isKey(
        _ object: CK_OBJECT_HANDLE, _ id: PKCS11KeyID, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> Bool {
        try attribute(CKA_ID, of: object, session, atMost: PKCS11KeyID.maximumBytes) == id.bytes
    }

    /// - Throws: ``PKCS11Error/keyMissing(_:)`` when the object is no key of 256 bits.
    func describeKey(
        _ object: CK_OBJECT_HANDLE, _ id: PKCS11KeyID, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> PKCS11Key {
        let size = try attribute(
            CKA_VALUE_LEN, of: object, session, atMost: MemoryLayout<CK_ULONG>.size)
        if let size, number(size) != CK_ULONG(PKCS11Token.keyBytes) { throw .keyMissing(id) }
        let label = try label(of: object, session)
        let isSensitive = try flag(CKA_SENSITIVE, of: object, session)
        let isExtractable = try flag(CKA_EXTRACTABLE, of: object, session)
        let wasSensitive = try flag(CKA_ALWAYS_SENSITIVE, of: object, session)
        let wasInextractable = try flag(CKA_NEVER_EXTRACTABLE, of: object, session)
        let isLocal = try flag(CKA_LOCAL, of: object, session)
        return PKCS11Key(
            id: id, label: label,
            isProtected: all([isSensitive, isExtractable.map { !$0 }]),
            wasAlwaysProtected: all([wasSensitive, wasInextractable, isLocal]))
    }

    /// Empty where there is none, or a longer one than Keyfold gives.
    private func label(
        of object: CK_OBJECT_HANDLE, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> String {
        let label = try attribute(
            CKA_LABEL, of: object, session, atMost: PKCS11Token.maximumLabelBytes)
        return printable(String(decoding: label ?? [], as: UTF8.self))
    }

    /// nil unless each is known, or one is known to be false.
    private func all(_ facts: [Bool?]) -> Bool? {
        if facts.contains(false) { return false }
        return facts.contains(nil) ? nil : true
    }

    private func number(_ bytes: [UInt8]) -> CK_ULONG? {
        guard bytes.count == MemoryLayout<CK_ULONG>.size else { return nil }
        // SAFETY: the guard saw as many bytes as are read.
        return unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: CK_ULONG.self) }
    }

    private func flag(
        _ type: CK_ATTRIBUTE_TYPE, of object: CK_OBJECT_HANDLE, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Error) -> Bool? {
        guard let value = try attribute(type, of: object, session, atMost: 1) else { return nil }
        guard value.count == 1 else { throw .malformedAnswer(.getAttributeValue) }
        return value[0] != CK_BBOOL(CK_FALSE)
    }

    /// An attribute's value; nil where the object has none, keeps it to itself, or has a longer one.
    private func attribute(
        _ type: CK_ATTRIBUTE_TYPE, of object: CK_OBJECT_HANDLE, _ session: CK_SESSION_HANDLE,
        atMost capacity: Int
    ) throws(PKCS11Error) -> [UInt8]? {
        var value = [UInt8](repeating: 0, count: capacity)
        var length = CK_ULONG(0)
        let answer = unsafe value.withUnsafeMutableBytes { value in
            var attribute = unsafe CK_ATTRIBUTE(
                type: type, pValue: value.baseAddress, ulValueLen: CK_ULONG(value.count))
            // SAFETY: the one attribute outlives the call, and says how much it has room for.
            let answer = unsafe functions.C_GetAttributeValue(session, object, &attribute, 1)
            length = unsafe attribute.ulValueLen
            return answer
        }
        switch answer {
        case CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_SENSITIVE, CKR_BUFFER_TOO_SMALL: return nil
        default: break
        }
        try check(.getAttributeValue, answer)
        guard length <= capacity else { throw .malformedAnswer(.getAttributeValue) }
        return Array(value.prefix(Int(length)))
    }
}
