extension GrantTerms {
    /// How CreateGrant names the two principals.
    private enum Party: String {
        case grantee = "grantee", retiring = "retiring"
    }

    /// As CreateGrant is asked; operations by their names.
    ///
    /// - Throws: ``KMSError/validation(_:)`` or ``KMSError/invalidARN(_:)`` for what no grant for
    ///   any key may have.
    package init(
        granteePrincipal: String?, granteeServicePrincipal: String?, retiringPrincipal: String?,
        retiringServicePrincipal: String?, operations: [String], constraints: GrantConstraints,
        name: String?
    ) throws(KMSError) {
        let grantee = try Self.party(.grantee, granteePrincipal, granteeServicePrincipal)
        guard let grantee else {
            throw .validation(
                "You must specify either GranteePrincipal or GranteeServicePrincipal.")
        }
        let retiring = try Self.party(.retiring, retiringPrincipal, retiringServicePrincipal)
        self.init(
            grantee: grantee, retiringPrincipal: retiring,
            operations: try KMSActionSet(grantOperations: operations), constraints: constraints,
            name: name)
        if granteeServicePrincipal != nil {
            guard constraints.sourceARN != nil else {
                throw .validation(
                    "A SourceArn constraint is required when GranteeServicePrincipal is "
                        + "specified.")
            }
            guard retiring != nil else {
                throw .validation(
                    "Either RetiringPrincipal or RetiringServicePrincipal is required when "
                        + "GranteeServicePrincipal is specified.")
            }
        }
    }

    private static func party(
        _ party: Party, _ principal: String?, _ service: String?
    ) throws(KMSError) -> Principal? {
        switch (principal, service) {
        case (nil, nil): return nil
        case (_?, _?):
            let name = party == .grantee ? "Grantee" : "Retiring"
            throw .validation(
                "You can specify either \(name)Principal or \(name)ServicePrincipal, but not both."
            )
        case (let text?, nil):
            guard (1...256).contains(text.utf8.count), let principal = Principal(text) else {
                throw .invalidARN(
                    "ARN does not refer to a valid principal: \(text.firstScalars(256))")
            }
            return principal
        case (nil, let text?):
            guard let principal = Principal(text), principal.kind == .service else {
                throw .validation(
                    "1 validation error detected: Value '\(text.firstScalars(256))' at "
                        + "'\(party.rawValue)ServicePrincipal' failed to satisfy constraint: "
                        + "Member must satisfy regular expression pattern: "
                        + #"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$"#)
            }
            return principal
        }
    }

    /// Refuses terms that do not fit the key.
    ///
    /// - Parameter keySpec: as DescribeKey tells it.
    /// - Throws: ``KMSError/validation(_:)``. In AWS's words where they are known.
    package func validate(usage: KeyUsage, keySpec: String) throws(KMSError) {
        let isSymmetric = keySpec == KeySpec.symmetricDefault.rawValue
        guard !operations.isEmpty else {
            throw .validation(
                "1 validation error detected: Value '[]' at 'operations' failed to satisfy "
                    + "constraint: Member must have length greater than or equal to 1")
        }
        let valid = KMSActionSet.grantable(for: usage, isSymmetric: isSymmetric)
        let foreign = operations.subtracting(valid)
        guard foreign.isEmpty else {
            let isAsymmetric = KeySpec(rawValue: keySpec)?.isAsymmetric ?? false
            let kind = isAsymmetric ? "an asymmetric" : "a symmetric"
            throw .validation(
                "Operations [\(foreign.nameList)] are not supported when creating a grant for "
                    + "\(kind) KMS key with key usage \(usage.rawValue). Valid operations are "
                    + "[\(valid.nameList)]")
        }
        guard operations != KMSActionSet(.createGrant) else {
            throw .validation("Grants must not contain only the CreateGrant operation.")
        }
        try validateName()
        try validateConstraints(isSymmetric: isSymmetric)
    }

    private func validateName() throws(KMSError) {
        guard let name else { return }
        let isNameByte = { (byte: UInt8) in
            byte.isASCIIDigit || byte.isASCIILetter || byte == UInt8(ascii: ":")
                || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: "-")
        }
        let constraint: String
        if name.isEmpty {
            constraint = "have length greater than or equal to 1"
        } else if name.unicodeScalars.count > 256 {
            constraint = "have length less than or equal to 256"
        } else if !name.utf8.allSatisfy(isNameByte) {
            constraint = "satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
        } else {
            return
        }
        throw .validation(
            "1 validation error detected: Value '\(name.firstScalars(257))' at 'name' failed to satisfy "
                + "constraint: Member must \(constraint)")
    }

    private func validateConstraints(isSymmetric: Bool) throws(KMSError) {
        if let source = constraints.sourceARN, !Self.isSourceARN(source) {
            throw .validation(
                "1 validation error detected: Value '\(source.firstScalars(513))' at "
                    + "'constraints.sourceArn' failed to satisfy constraint: Member must satisfy "
                    + "regular expression pattern: "
                    + "^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$")
        }
        guard constraints.context == nil || isSymmetric else {
            throw .validation(
                "EncryptionContext is supported only when creating a grant for a symmetric "
                    + "encryption KMS key.")
        }
    }

    /// The service model's GrantConstraintSourceArnType: 20…512 characters.
    private static func isSourceARN(_ text: String) -> Bool {
        let parts = text.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        let isWord = { (part: Substring) in
            part.utf8.allSatisfy { byte in
                byte.isASCIIDigit || byte == UInt8(ascii: "-")
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            }
        }
        return (20...512).contains(text.unicodeScalars.count) && parts.count == 6
            && parts[0] == "arn" && parts[1].hasPrefix("aws") && isWord(parts[1])
            && !parts[2].isEmpty && isWord(parts[2]) && isWord(parts[3])
            && AccountID(String(parts[4])) != nil && !parts[5].isEmpty
    }
}

extension KMSActionSet {
    /// As AWS lists them in a message.
    fileprivate var nameList: String { grantOperationNames.joined(separator: ", ") }
}
