/// When a grant's permissions may be used.
package struct GrantConstraints: Hashable, Sendable {
    /// What the encryption context of a request must be. Only one kind in a grant.
    package enum Context: Sendable {
        /// These pairs and no others.
        case equals(EncryptionContext)
        /// At least these pairs.
        case subset(EncryptionContext)

        package var pairs: EncryptionContext {
            switch self {
            case .equals(let pairs), .subset(let pairs): pairs
            }
        }

        /// The value of `kms:GrantConstraintType`.
        package var type: String {
            switch self {
            case .equals: "EncryptionContextEquals"
            case .subset: "EncryptionContextSubset"
            }
        }
    }

    /// Of an encryption context, in each constraint (API reference, GrantConstraints).
    package static let maximumPairs = 8
    /// Of names and values together, in Unicode scalars.
    package static let maximumCharacters = 384

    package let context: Context?
    /// The resource on whose behalf a service must ask, as `aws:SourceArn` has it.
    package let sourceARN: String?

    package static let none = GrantConstraints(context: nil)

    package init(context: Context?, sourceARN: String? = nil) {
        self.context = context
        self.sourceARN = sourceARN
    }

    /// As CreateGrant is asked.
    ///
    /// - Throws: ``KMSError/validation(_:)`` if there are both kinds for the context, or one that
    ///   is too large. Whoever judges the constraints can rely on their size.
    package init(
        encryptionContextEquals: EncryptionContext?, encryptionContextSubset: EncryptionContext?,
        sourceARN: String?
    ) throws(KMSError) {
        let context: Context?
        switch (encryptionContextEquals, encryptionContextSubset) {
        case (_?, _?): throw .validation("More than one constraint supplied")
        case (let pairs?, nil): context = .equals(pairs)
        case (nil, let pairs?): context = .subset(pairs)
        case (nil, nil): context = nil
        }
        try context?.checkSize()
        self.init(context: context, sourceARN: sourceARN)
    }

    /// Whether what these constraints let through, `other` lets through too.
    package func isAtLeastAsStrict(as other: GrantConstraints) -> Bool {
        if let source = other.sourceARN, sourceARN?.isIdentical(to: source) != true {
            return false
        }
        guard let wanted = other.context else { return true }
        guard let context else { return false }
        switch (wanted, context) {
        case (.equals(let wanted), .equals(let own)): return own.hasSamePairs(as: wanted)
        case (.equals, .subset): return false
        case (.subset(let wanted), .equals(let own)), (.subset(let wanted), .subset(let own)):
            return own.includes(wanted)
        }
    }
}

extension GrantConstraints.Context {
    fileprivate func checkSize() throws(KMSError) {
        let pairs = pairs.pairs
        guard pairs.count <= GrantConstraints.maximumPairs else {
            throw .validation(
                "\(type) has \(pairs.count) encryption context pairs; at most "
                    + "\(GrantConstraints.maximumPairs) are allowed.")
        }
        let characters = pairs.reduce(0) {
            $0 + $1.name.unicodeScalars.count + $1.value.unicodeScalars.count
        }
        guard characters <= GrantConstraints.maximumCharacters else {
            throw .validation(
                "\(type) has \(characters) characters; at most "
                    + "\(GrantConstraints.maximumCharacters) are allowed.")
        }
    }
}

extension GrantConstraints.Context: Hashable {
    // By bytes: strings that Unicode calls canonically equivalent are different contexts.
    package static func == (a: Self, b: Self) -> Bool {
        a.type == b.type && a.pairs.canonicalBytes == b.pairs.canonicalBytes
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        hasher.combine(pairs.canonicalBytes)
    }

    /// Whether a request with this encryption context is let through.
    package func admits(_ context: EncryptionContext) -> Bool {
        switch self {
        case .equals(let pairs): context.hasSamePairs(as: pairs)
        case .subset(let pairs): context.includes(pairs)
        }
    }
}

// In a constraint the case of a pair's name does not count, that of its value does (API reference,
// GrantConstraints).
extension EncryptionContext {
    fileprivate func includes(_ other: EncryptionContext) -> Bool {
        other.pairs.allSatisfy { wanted in
            let name = ConditionKey.CaselessName(wanted.name)
            return pairs.contains {
                name.matches($0.name) && $0.value.isIdentical(to: wanted.value)
            }
        }
    }

    fileprivate func hasSamePairs(as other: EncryptionContext) -> Bool {
        pairs.count == other.pairs.count && includes(other) && other.includes(self)
    }
}
