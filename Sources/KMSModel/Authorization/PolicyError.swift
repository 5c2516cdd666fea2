/// Why a text is refused as a key policy.
package enum PolicyError: Error, Hashable, Sendable {
    /// An element of the document, or of a statement (from 0 on).
    package struct Place: Hashable, Sendable, CustomStringConvertible {
        package let element: String
        package let statement: Int?

        package init(_ element: String, in statement: Int? = nil) {
            self.element = element
            self.statement = statement
        }

        package var description: String {
            element + (statement.map { " of statement \($0 + 1)" } ?? "")
        }
    }

    /// What a quantifier makes useless, and lets through what is meant to be kept out.
    package enum SingleValued: Hashable, Sendable { case encryptionContext, tag }

    case empty
    case tooLong(byteCount: Int)
    /// Something else than tab, line feed, carriage return and U+0020…U+00FF.
    case forbiddenCharacter
    case syntax(JSONError)
    case missing(Place)
    case unknown(Place)
    case wrongType(Place)
    case invalidValue(String, Place)
    /// `Action` and `NotAction`, for example; the place names the second.
    case contradiction(Place)
    case duplicateStatementID(String)
    case noPrincipal(statement: Int)
    /// It has not the form of a principal, or there is none of this name.
    case invalidPrincipal(String)
    case unknownOperator(String, statement: Int)
    case overlyPermissive(SingleValued)
    /// Whoever puts the policy could not put another one.
    case lockout
}

extension PolicyError: CustomStringConvertible {
    package var description: String { KMSError(self).message }
}

extension KMSError {
    /// The only place where a refused policy becomes an exception. AWS's words where they are
    /// known; AWS KMS sends no text for most of the others.
    package init(_ error: PolicyError) {
        switch error {
        case .empty:
            self = .validation(
                "1 validation error detected: Value '' at 'policy' failed to satisfy constraint: "
                    + "Member must have length greater than or equal to 1")
        case .tooLong(let count):
            self = .limitExceeded(
                "The key policy has \(count) bytes; at most \(PolicyDocument.maximumBytes) are "
                    + "allowed.")
        case .forbiddenCharacter:
            self = .validation(
                "1 validation error detected: Value at 'policy' failed to satisfy constraint: "
                    + "Member must satisfy regular expression pattern: "
                    + #"[\u0009\u000A\u000D\u0020-\u00FF]+"#)
        case .syntax(let error):
            self = .malformedPolicyDocument("Syntax error in the policy: \(error).")
        case .missing(let place):
            self = .malformedPolicyDocument("\(place) is missing.")
        case .unknown(let place):
            self = .malformedPolicyDocument("\(place) is not an element of a key policy.")
        case .wrongType(let place):
            self = .malformedPolicyDocument("\(place) has a value of the wrong type.")
        case .invalidValue(let value, let place):
            self = .malformedPolicyDocument("\(place) has the invalid value '\(value)'.")
        case .contradiction(let place):
            self = .malformedPolicyDocument("\(place) contradicts another element.")
        case .duplicateStatementID:
            self = .malformedPolicyDocument(
                "Statement IDs (SID) in a single policy must be unique.")
        case .noPrincipal:
            self = .malformedPolicyDocument("Policy contains a statement with no principal.")
        case .invalidPrincipal:
            self = .malformedPolicyDocument(
                "Policy contains a statement with one or more invalid principals.")
        case .unknownOperator(let name, let statement):
            self = .malformedPolicyDocument(
                "\(PolicyError.Place("Condition", in: statement)) has the unknown operator "
                    + "'\(name)'.")
        case .overlyPermissive(let what):
            self = .malformedPolicyDocument(what.message)
        case .lockout:
            self = .malformedPolicyDocument(
                "The new key policy will not allow you to update the key policy in the future.")
        }
    }
}

extension PolicyError.SingleValued {
    /// KMS developer guide, "AWS KMS condition keys".
    fileprivate var message: String {
        let (prefix, what) =
            switch self {
            case .encryptionContext:
                ("OverlyPermissiveCondition:EncryptionContext", "encryption context")
            case .tag: ("OverlyPermissiveCondition", "tag")
            }
        return "\(prefix): Using the ForAllValues set operator with a single-valued condition key "
            + "matches requests without the specified \(what) or with an unspecified \(what). "
            + "To fix, remove ForAllValues."
    }
}
