import KMSModel
import Testing

/// The people and the key of one account, and of a second one.
enum Sample {
    static let account = account("111122223333")
    static let otherAccount = account("444455556666")
    static let root = Principal.root(of: account)
    static let otherRoot = Principal.root(of: otherAccount)
    static let alice = principal("arn:aws:iam::111122223333:user/team/Alice")
    static let bob = principal("arn:aws:iam::111122223333:user/Bob")
    static let stranger = principal("arn:aws:iam::444455556666:user/Bob")
    static let localUser = principal("arn:aws:iam::111122223333:user/local/uid-1000")
    static let role = principal("arn:aws:iam::111122223333:role/Admin")
    static let session = principal("arn:aws:sts::111122223333:assumed-role/Admin/one-session")
    static let service = principal("ec2.amazonaws.com")
    static let keyText =
        "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    static let key = {
        guard let key = KeyARN(keyText) else { preconditionFailure("a key's ARN") }
        return key
    }()

    static func principal(_ text: String) -> Principal {
        guard let principal = Principal(text) else { preconditionFailure("no principal: \(text)") }
        return principal
    }

    private static func account(_ text: String) -> AccountID {
        guard let account = AccountID(text) else { preconditionFailure("no account: \(text)") }
        return account
    }
}

/// A statement in JSON, with the elements given here and with those that every statement has,
/// unless they are given: Effect, Principal, Action, Resource.
func statementText(_ elements: String) -> String {
    let defaults = [
        ("Effect", #""Allow""#), ("Principal", #""*""#), ("Action", #""kms:*""#),
        ("Resource", #""*""#),
    ]
    let missing = defaults.filter { name, _ in
        !elements.contains("\"\(name)\":") && !elements.contains("\"Not\(name)\":")
    }
    let all = missing.map { "\"\($0)\": \($1)" } + (elements.isEmpty ? [] : [elements])
    return "{" + all.joined(separator: ", ") + "}"
}

func policyText(version: String = "2012-10-17", _ statements: [String]) -> String {
    let all = statements.map(statementText).joined(separator: ", ")
    return "{\"Version\": \"\(version)\", \"Statement\": [\(all)]}"
}

func request(
    _ principal: Principal = Sample.alice, _ action: KMSAction = .decrypt,
    context: [String: String]? = nil, on resource: String = Sample.keyText
) -> AuthorizationRequest {
    AuthorizationRequest(
        principal: principal, action: action, resource: resource,
        encryptionContext: context.map { EncryptionContext($0) })
}

func verdict(
    _ statements: String..., on request: AuthorizationRequest,
    values: ConditionValues = ConditionValues()
) throws -> PolicyVerdict {
    try PolicyDocument(parsing: policyText(statements)).verdict(on: request, from: values)
}

extension PolicyVerdict {
    /// Without the statement, for tables.
    var word: String {
        switch self {
        case .denied: "denied"
        case .allowed: "allowed"
        case .delegated: "delegated"
        case .silent: "silent"
        }
    }
}
