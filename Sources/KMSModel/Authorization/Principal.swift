/// An AWS account: 12 decimal digits.
package struct AccountID: Hashable, Sendable, CustomStringConvertible {
    private let number: UInt64

    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 12, text.utf8.allSatisfy(\.isASCIIDigit),
            let number = UInt64(text)
        else { return nil }
        self.number = number
    }

    package var description: String {
        let digits = String(number)
        return String(repeating: "0", count: 12 - digits.utf8.count) + digits
    }

    /// The account itself as a principal.
    package var rootARN: String { "arn:aws:iam::\(description):root" }
}

/// One who can make requests: an identity of an account, or a service.
///
/// Two principals are the same if their ARNs are. All ARNs are of the partition `aws`.
package struct Principal: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// The account itself: `arn:aws:iam::ACCOUNT:root`.
        case root
        /// `arn:aws:iam::ACCOUNT:user/PATH/NAME`; local users are `user/local/uid-N`.
        case user
        /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`
        case role
        /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE-NAME/SESSION-NAME`
        case assumedRole
        /// `arn:aws:sts::ACCOUNT:federated-user/NAME`
        case federatedUser
        /// `SERVICE.amazonaws.com`
        case service
    }

    package let kind: Kind
    /// At most 2048 bytes of ASCII; of a service its name.
    package let arn: String
    /// nil for services.
    package let account: AccountID?
    /// The role of an assumed-role session: policies and grants for the role are the session's too.
    package let roleARN: String?

    private init(_ kind: Kind, _ arn: String, _ account: AccountID?, roleARN: String? = nil) {
        self.kind = kind
        self.arn = arn
        self.account = account
        self.roleARN = roleARN
    }

    package static func root(of account: AccountID) -> Principal {
        Principal(.root, account.rootARN, account)
    }

    /// Reads an ARN or a service's name. Wildcards are no names.
    ///
    /// The ARN of a session does not tell its role's path: the role is taken to have none.
    package init?(_ text: String) {
        guard text.hasPrefix("arn:") else {
            guard Principal.isService(text) else { return nil }
            self.init(.service, text, nil)
            return
        }
        guard text.utf8.count <= 2048,
            let (service, account, resource) = Principal.split(text)
        else { return nil }
        if service == "iam", resource == "root" {
            self.init(.root, text, account)
            return
        }
        let parts = resource.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 2, let name = parts.last, parts.dropFirst().allSatisfy(Self.isName),
            name.utf8.count <= 64
        else { return nil }
        switch (service, parts[0], parts.count) {
        case ("iam", "user", _): self.init(.user, text, account)
        case ("iam", "role", _): self.init(.role, text, account)
        case ("sts", "federated-user", 2): self.init(.federatedUser, text, account)
        case ("sts", "assumed-role", 3):
            guard name.utf8.count >= 2, parts[1].utf8.count <= 64 else { return nil }
            let role = "arn:aws:iam::\(account):role/\(parts[1])"
            self.init(.assumedRole, text, account, roleARN: role)
        default: return nil
        }
    }

    /// A session of a role that has a path.
    ///
    /// - Returns: nil if the two are not a session and its role.
    package init?(session: String, of role: Principal) {
        guard let principal = Principal(session), principal.kind == .assumedRole,
            role.kind == .role, role.account == principal.account,
            principal.arn.split(separator: "/").dropFirst().first
                == role.arn.split(separator: "/").last
        else { return nil }
        self.init(.assumedRole, principal.arn, principal.account, roleARN: role.arn)
    }

    package var description: String { arn }

    /// What `aws:PrincipalArn` holds: of a session the role's ARN.
    package var identityARN: String { roleARN ?? arn }

    /// The last part of the ARN: the name of a user, a role, a session.
    package var name: Substring {
        guard let slash = arn.lastIndex(of: "/") else { return arn[...] }
        return arn[arn.index(after: slash)...]
    }

    package static func == (a: Principal, b: Principal) -> Bool { a.arn == b.arn }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(arn)
    }

    // MARK: Form

    private static func split(_ arn: String) -> (Substring, AccountID, Substring)? {
        let parts = arn.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "arn", parts[1] == "aws", parts[3].isEmpty,
            let account = AccountID(parts[4])
        else { return nil }
        return (parts[2], account, parts[5])
    }

    /// `[A-Za-z0-9_+=,.@-]+` (IAM and AWS STS quotas, "Name requirements").
    private static func isName(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "="), UInt8(ascii: ","),
                    UInt8(ascii: "."), UInt8(ascii: "@"), UInt8(ascii: "-"):
                    true
                default: byte.isASCIIDigit || byte.isASCIILetter
                }
            }
    }

    /// Three or more labels of letters, digits and `-`, at most 128 bytes (the service model's
    /// ServicePrincipalType).
    static func isService(_ text: String) -> Bool {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        return labels.count >= 3 && text.utf8.count <= 128
            && labels.allSatisfy { label in
                !label.isEmpty
                    && label.utf8.allSatisfy {
                        $0.isASCIIDigit || $0.isASCIILetter || $0 == UInt8(ascii: "-")
                    }
            }
    }
}
