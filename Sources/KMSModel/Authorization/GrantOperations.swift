extension KMSAction {
    /// The operations that a grant may allow, in the order of the service model's GrantOperation.
    package static let grantOperations: [KMSAction] = [
        .decrypt, .encrypt, .generateDataKey, .generateDataKeyWithoutPlaintext, .reEncryptFrom,
        .reEncryptTo, .sign, .verify, .getPublicKey, .createGrant, .retireGrant, .describeKey,
        .generateDataKeyPair, .generateDataKeyPairWithoutPlaintext, .generateMac, .verifyMac,
        .deriveSharedSecret, .encapsulate, .decapsulate,
    ]

    /// Whether a request for it carries an encryption context, which a grant may constrain.
    package var takesEncryptionContext: Bool { KMSActionSet.takingEncryptionContext.contains(self) }
}

extension KMSActionSet {
    fileprivate static let takingEncryptionContext = KMSActionSet([
        .decrypt, .encrypt, .generateDataKey, .generateDataKeyWithoutPlaintext,
        .generateDataKeyPair, .generateDataKeyPairWithoutPlaintext, .reEncryptFrom, .reEncryptTo,
    ])

    /// What a grant may allow for any key, and for no key in particular.
    private static let aboutTheKey = KMSActionSet([.createGrant, .describeKey, .retireGrant])

    /// What a grant may allow for a key of this usage (KMS developer guide, "Grant operations").
    ///
    /// - Parameter isSymmetric: whether its spec is SYMMETRIC_DEFAULT.
    package static func grantable(for usage: KeyUsage, isSymmetric: Bool) -> KMSActionSet {
        let own: KMSActionSet =
            switch usage {
            case .encryptDecrypt where isSymmetric: takingEncryptionContext
            case .encryptDecrypt:
                KMSActionSet([.decrypt, .encrypt, .reEncryptFrom, .reEncryptTo, .getPublicKey])
            case .signVerify: KMSActionSet([.sign, .verify, .getPublicKey])
            case .generateVerifyMac: KMSActionSet([.generateMac, .verifyMac])
            case .keyAgreement: KMSActionSet([.deriveSharedSecret, .getPublicKey])
            case .encapsulateDecapsulate:
                KMSActionSet([.encapsulate, .decapsulate, .getPublicKey])
            }
        return own.union(aboutTheKey)
    }

    /// Reads the names of CreateGrant's `Operations`.
    ///
    /// - Throws: ``KMSError/validation(_:)`` for a name that no grant operation has.
    package init(grantOperations names: [String]) throws(KMSError) {
        self = []
        for name in names {
            guard let action = KMSAction.grantOperations.first(where: { $0.operation == name })
            else {
                let all = KMSAction.grantOperations.map(\.operation).joined(separator: ", ")
                throw .validation(
                    "1 validation error detected: Value '[\(names.joined(separator: ", "))]' at "
                        + "'operations' failed to satisfy constraint: Member must satisfy "
                        + "constraint: [Member must satisfy enum value set: [\(all)]]")
            }
            formUnion(KMSActionSet(action))
        }
    }

    /// The names for ListGrants, in the service model's order.
    package var grantOperationNames: [String] {
        KMSAction.grantOperations.filter { contains($0) }.map(\.operation)
    }
}
