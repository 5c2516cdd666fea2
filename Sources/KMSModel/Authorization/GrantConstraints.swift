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
        case (.equals(let wanted), .equals(let own)):
            return FoldedContext(own).hasSamePairs(as: wanted)
        case (.equals, .subset): return false
        case (.subset(let wanted), .equals(let own)), (.subset(let wanted), .subset(let own)):
            return FoldedContext(own).includes(wanted)
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
    func admits(_ context: FoldedContext) -> Bool {
        switch self {
        case .equals(let pairs): context.hasSamePairs(as: pairs)
        case .subset(let pairs): context.includes(pairs)
        }
    }
}

/// An encryption context as grants' constraints ask for it: in a constraint the case of a pair's name
/// does not count, that of its value does (API reference, GrantConstraints).
struct FoldedContext {
    /// Up to so many pairs looking through them is quicker than a table, which is made for each
    /// request.
    private static let shortPairs = 16

    private let context: EncryptionContext
    private let values: [ConditionKey.CaselessName: [String]]

    init(_ context: EncryptionContext) {
        self.context = context
        var values: [ConditionKey.CaselessName: [String]] = [:]
        if context.pairs.count > Self.shortPairs {
            for pair in context.pairs {
                values[ConditionKey.CaselessName(pair.name), default: []].append(pair.value)
            }
        }
        self.values = values
    }

    func hasSamePairs(as other: EncryptionContext) -> Bool {
        context.pairs.count == other.pairs.count && includes(other)
            && FoldedContext(other).includes(context)
    }

    func includes(_ other: EncryptionContext) -> Bool {
        other.pairs.allSatisfy { wanted in
            let name = ConditionKey.CaselessName(wanted.name)
            guard values.isEmpty else {
                return values[name]?.contains { $0.isIdentical(to: wanted.value) } ?? false
            }
            return context.pairs.contains {
                name.matches($0.name) && $0.value.isIdentical(to: wanted.value)
            }
        }
    }
}
