/// An AWS account: 12 decimal digits.
package struct AccountID: Hashable, Sendable, CustomStringConvertible {
    private let number: UInt64

    package init?(_ text: String) {
        self.init(text.utf8.span, 0..<text.utf8.count)
    }

    fileprivate init?(_ bytes: Span<UInt8>, _ place: Range<Int>) {
        guard place.count == 12 else { return nil }
        var number: UInt64 = 0
        for index in place {
            guard bytes[index].isASCIIDigit else { return nil }
            number = number * 10 + UInt64(bytes[index] - UInt8(ascii: "0"))
        }
        self.number = number
    }

    package var description: String {
        let digits = String(number)
        return String(repeating: "0", count: 12 - digits.utf8.count) + digits
    }

    /// The account itself as a principal.
    package var rootARN: String { "arn:aws:iam::\(description):root" }
}

extension AccountScope {
    package var accountID: AccountID {
        guard let id = AccountID(account) else {
            preconditionFailure("BUG: an account of other than twelve digits")
        }
        return id
    }
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

    /// One reference, since every request carries a principal.
    private let storage: Storage

    private final class Storage: Sendable {
        let kind: Kind
        let arn: String
        let account: AccountID?
        let roleARN: String?

        init(kind: Kind, arn: String, account: AccountID?, roleARN: String?) {
            self.kind = kind
            self.arn = arn
            self.account = account
            self.roleARN = roleARN
        }
    }

    package var kind: Kind { storage.kind }
    /// At most 2048 bytes of ASCII; of a service its name.
    package var arn: String { storage.arn }
    /// nil for services.
    package var account: AccountID? { storage.account }
    /// The role of an assumed-role session: policies and grants for the role are the session's too.
    package var roleARN: String? { storage.roleARN }

    private init(_ kind: Kind, _ arn: String, _ account: AccountID?, roleARN: String? = nil) {
        storage = Storage(kind: kind, arn: arn, account: account, roleARN: roleARN)
    }

    package static func root(of account: AccountID) -> Principal {
        Principal(.root, account.rootARN, account)
    }

    /// Reads an ARN or a service's name. Wildcards are no names.
    ///
    /// The ARN of a session does not tell its role's path: the role is taken to have none.
    package init?(_ text: String) {
        let bytes = text.utf8.span
        guard bytes.has("arn:", at: 0) else {
            guard Principal.isService(bytes) else { return nil }
            self.init(.service, text, nil)
            return
        }
        // `arn:aws:iam::` and `arn:aws:sts::` have 13 bytes, an account has 12.
        let isIAM = bytes.has("arn:aws:iam::", at: 0)
        guard isIAM || bytes.has("arn:aws:sts::", at: 0), (27...2048).contains(bytes.count),
            let account = AccountID(bytes, 13..<25), bytes[25] == UInt8(ascii: ":")
        else { return nil }
        if isIAM, bytes.count == 30, bytes.has("root", at: 26) {
            self.init(.root, text, account)
            return
        }
        guard let parts = Parts(bytes, from: 26), parts.lastCount <= 64 else { return nil }
        if isIAM, bytes.has("user/", at: 26) {
            self.init(.user, text, account)
        } else if isIAM, bytes.has("role/", at: 26) {
            self.init(.role, text, account)
        } else if !isIAM, bytes.has("federated-user/", at: 26), parts.count == 2 {
            self.init(.federatedUser, text, account)
        } else if !isIAM, bytes.has("assumed-role/", at: 26), parts.count == 3,
            parts.lastCount >= 2, parts.secondCount <= 64
        {
            let role = text.utf8.dropFirst(39).prefix(parts.secondCount)
            let roleARN = "arn:aws:iam::\(account):role/" + String(decoding: role, as: UTF8.self)
            self.init(.assumedRole, text, account, roleARN: roleARN)
        } else {
            return nil
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

    package static func == (a: Principal, b: Principal) -> Bool {
        a.storage === b.storage || a.arn == b.arn
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(arn)
    }

    // MARK: Form

    /// The parts between slashes of an ARN's end, none of them empty: how many there are, and how
    /// many bytes the second and the last have.
    private struct Parts {
        private(set) var count = 1
        private(set) var secondCount = 0
        private(set) var lastCount = 0

        /// nil if there is no slash, or a part is no name: `[A-Za-z0-9_+=,.@-]+` (IAM and AWS STS
        /// quotas, "Name requirements").
        init?(_ bytes: Span<UInt8>, from start: Int) {
            for index in start..<bytes.count {
                if bytes[index] == UInt8(ascii: "/") {
                    guard lastCount > 0 else { return nil }
                    if count == 2 { secondCount = lastCount }
                    count += 1
                    lastCount = 0
                } else if Self.isName(bytes[index]) {
                    lastCount += 1
                } else {
                    return nil
                }
            }
            guard count > 1, lastCount > 0 else { return nil }
        }

        private static func isName(_ byte: UInt8) -> Bool {
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
    private static func isService(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count <= 128 else { return false }
        var labels = 1
        var labelCount = 0
        for index in bytes.indices {
            let byte = bytes[index]
            if byte == UInt8(ascii: ".") {
                guard labelCount > 0 else { return false }
                labels += 1
                labelCount = 0
            } else if byte.isASCIIDigit || byte.isASCIILetter || byte == UInt8(ascii: "-") {
                labelCount += 1
            } else {
                return false
            }
        }
        return labels >= 3 && labelCount > 0
    }
}

extension Span<UInt8> {
    /// Whether `text` stands at a place.
    fileprivate func has(_ text: String, at start: Int) -> Bool {
        let wanted = text.utf8.span
        guard count - start >= wanted.count else { return false }
        for index in wanted.indices where self[start + index] != wanted[index] { return false }
        return true
    }
}
