internal import KMSModel
internal import KMSStore

/// Who may do what: the only place that decides it.
///
/// The keystore's owner is the account root, and the default key policy lets the root do all
/// there is, except with the keys that the service manages. Nobody else may do anything.
struct Authorizer: Sendable {
    let scope: AccountScope

    /// - Parameters:
    ///   - action: the permission, where it is not the operation's own name.
    ///   - key: nil for operations on no key in particular.
    /// - Throws: ``KMSError/accessDenied(_:)``, or ``KMSError/notAuthorized`` for the alias of a
    ///   service managed key, as AWS KMS does.
    func authorize(
        _ caller: Caller, _ operation: KMSOperation, action: String? = nil, key: KeyEntry? = nil
    ) throws(KMSError) {
        guard caller.principalARN == scope.rootPrincipalARN else {
            throw denial(
                caller, action ?? operation.rawValue, resource: key?.arnText, policy: "identity")
        }
        guard let key, key.record.manager == .aws, !operation.isAllowedOnServiceKey else { return }
        if operation.isAboutAlias { throw .notAuthorized }
        throw denial(
            caller, action ?? operation.rawValue, resource: key.arnText, policy: "resource")
    }

    func denial(
        _ caller: Caller, _ action: String, resource: String?, policy: String
    ) -> KMSError {
        let place = resource.map { " on resource: \($0)" } ?? ""
        return .accessDenied(
            "User: \(caller.principalARN) is not authorized to perform: kms:\(action)\(place) "
                + "because no \(policy)-based policy allows the kms:\(action) action")
    }
}
