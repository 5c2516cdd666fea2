/// Whether a statement allows or denies.
package enum PolicyEffect: String, Hashable, Sendable {
    case allow = "Allow"
    case deny = "Deny"
}

/// A key policy that was read and found well formed.
///
/// The text itself is not kept: whoever stores the policy stores its text.
/// Source: IAM user guide, "Grammar of the IAM JSON policy language"; KMS developer guide, "Key
/// policies in AWS KMS".
package struct PolicyDocument: Equatable, Sendable {
    /// The text's limit in bytes of UTF-8.
    package static let maximumBytes = 32_768

    package enum Version: String, Hashable, Sendable {
        /// Also that of a document that names none. Without variables.
        case first = "2008-10-17"
        case current = "2012-10-17"
    }

    package let version: Version
    package let id: String?
    /// Never empty.
    let statements: [Statement]
    /// What some statement may allow, or deny, to someone.
    let allowedActions: KMSActionSet
    let deniedActions: KMSActionSet

    init(version: Version, id: String?, statements: [Statement]) {
        self.version = version
        self.id = id
        self.statements = statements
        func actions(_ effect: PolicyEffect) -> KMSActionSet {
            statements.reduce(into: []) { if $1.effect == effect { $0.formUnion($1.actions) } }
        }
        allowedActions = actions(.allow)
        deniedActions = actions(.deny)
    }

    package var statementCount: Int { statements.count }

    /// Everyone whom a statement names, each once, in the document's order. Those that stand for
    /// one principal must exist: see ``PolicyError/invalidPrincipal(_:)``.
    package var principals: [PolicyPrincipal] {
        var seen: Set<PolicyPrincipal> = []
        return statements.flatMap(\.principals.named).filter { seen.insert($0).inserted }
    }

    /// The statements without effect, since they name no actions or no resources.
    ///
    /// AWS KMS takes them (service model of PutKeyPolicy), although its console does not.
    package var inertStatements: [StatementReference] {
        statements.indices.filter { statements[$0].isInert }.map(reference)
    }

    func reference(_ index: Int) -> StatementReference {
        StatementReference(index: index, sid: statements[index].sid)
    }

    /// On the heap, so that looking at one copies none of its parts.
    final class Statement: Equatable, Sendable {
        let sid: String?
        let effect: PolicyEffect
        let principals: PrincipalRule
        /// Empty where the statement names none that exist.
        let actions: KMSActionSet
        let resources: ResourceRule
        let conditions: [Condition]
        /// Whether the elements for actions or resources are missing, or are empty lists.
        let isInert: Bool

        init(
            sid: String?, effect: PolicyEffect, principals: PrincipalRule, actions: KMSActionSet?,
            resources: ResourceRule?, conditions: [Condition]
        ) {
            self.sid = sid
            self.effect = effect
            self.principals = principals
            self.actions = actions ?? []
            self.resources = resources ?? .none
            self.conditions = conditions
            isInert = actions == nil || resources == nil
        }

        static func == (a: Statement, b: Statement) -> Bool {
            a.sid == b.sid && a.effect == b.effect && a.principals == b.principals
                && a.actions == b.actions && a.resources == b.resources
                && a.conditions == b.conditions && a.isInert == b.isInert
        }
    }

    /// `Resource` or `NotResource`.
    enum ResourceRule: Hashable, Sendable {
        case none
        /// `*`: the key that the policy belongs to.
        case all
        case matching([WildcardPattern])
        case excluding([WildcardPattern])
    }
}

/// A statement of a policy, by its place from 0 on.
package struct StatementReference: Hashable, Sendable, CustomStringConvertible {
    package let index: Int
    package let sid: String?

    package init(index: Int, sid: String?) {
        self.index = index
        self.sid = sid
    }

    /// For people, who count from 1: `statement 2 (Allow use of the key)`.
    package var description: String {
        "statement \(index + 1)" + (sid.map { " (\($0))" } ?? "")
    }
}

extension PolicyDocument {
    /// The text of the policy that a key gets when its creator gives none, as GetKeyPolicy of AWS
    /// KMS shows it: the account's root may do everything, and let others do it.
    package static func defaultText(account: AccountID) -> String {
        """
        {
          "Version" : "2012-10-17",
          "Id" : "key-default-1",
          "Statement" : [ {
            "Sid" : "Enable IAM User Permissions",
            "Effect" : "Allow",
            "Principal" : {
              "AWS" : "\(account.rootARN)"
            },
            "Action" : "kms:*",
            "Resource" : "*"
          } ]
        }
        """
    }

    /// The policy of ``defaultText(account:)``.
    package static func defaultPolicy(account: AccountID) -> PolicyDocument {
        let statement = Statement(
            sid: "Enable IAM User Permissions", effect: .allow,
            principals: PrincipalRule([.account(account)], isNegated: false), actions: .all,
            resources: .all, conditions: [])
        return PolicyDocument(version: .current, id: "key-default-1", statements: [statement])
    }
}
