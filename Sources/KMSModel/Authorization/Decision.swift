/// Whether a request may be carried out, and what says so.
package enum Decision: Hashable, Sendable {
    /// What a decision rests on.
    package enum Authority: Hashable, Sendable {
        case statement(StatementReference)
        case grant(GrantID)
    }

    package enum Denial: Hashable, Sendable {
        case explicit(StatementReference)
        /// Neither the key's policy nor a grant allows it.
        case noResourceBasedPolicy
        /// The account may let the principal do it, and does not: see ``Decision/delegated(to:_:)``.
        case noIdentityBasedPolicy
    }

    case allowed(Authority)
    /// The policy lets an account decide about the principal, who belongs to it. In AWS its IAM
    /// policies do; in Keyfold, whether the principal is an administrator. If not, the answer is
    /// ``Denial/noIdentityBasedPolicy``.
    case delegated(to: AccountID, Authority)
    case denied(Denial)
}

extension AuthorizationRequest {
    /// The exception for a request that is denied, in AWS's words.
    package func error(_ denial: Decision.Denial) -> KMSError {
        .denial(denial, of: action, to: principal.arn, on: resource)
    }
}

extension KMSError {
    /// - Parameters:
    ///   - principal: an ARN.
    ///   - resource: nil for operations on no key in particular.
    package static func denial(
        _ denial: Decision.Denial, of action: KMSAction, to principal: String, on resource: String?
    ) -> KMSError {
        let place = resource.map { " on resource: \($0)" } ?? ""
        let reason =
            switch denial {
            case .explicit: "with an explicit deny in a resource-based policy"
            case .noResourceBasedPolicy:
                "because no resource-based policy allows the \(action.name) action"
            case .noIdentityBasedPolicy:
                "because no identity-based policy allows the \(action.name) action"
            }
        return .accessDenied(
            "User: \(principal) is not authorized to perform: \(action.name)\(place) \(reason)")
    }

    /// What is said about a key that only a ciphertext names: neither its ARN nor whether it
    /// exists. So it depends on the principal alone, and not on the key.
    ///
    /// - Parameters:
    ///   - isTrusted: whether the principal's account lets it do what key policies leave to it.
    ///   - cause: what the usage log is to say; nil where there is no more to say.
    package static func denialOfCiphertext(
        _ action: KMSAction, to principal: String, isTrusted: Bool, cause: KMSError?
    ) -> KMSError {
        let reason =
            isTrusted
            ? "because the resource does not exist in this Region, no resource-based policies "
                + "allow access, or a resource-based policy explicitly denies access"
            : "because no identity-based policy allows the \(action.name) action"
        return KMSError(
            .accessDenied,
            "User: \(principal) is not authorized to perform: \(action.name) on the resource "
                + "associated with this ciphertext \(reason)", loggedMessage: cause?.message)
    }
}
