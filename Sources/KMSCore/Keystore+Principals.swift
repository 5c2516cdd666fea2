package import Cryptography
package import KMSModel
internal import KMSStore

/// A principal with an access key, without its secret.
package struct AccessKeyPrincipal: Sendable, Hashable {
    package let name: String
    package let arn: String
    package let accessKeyID: String
    package let isAdministrator: Bool
    package let creationDate: Timestamp
}

/// What to make an access key of; what is nil is made at random.
package struct NewAccessKey: Sendable {
    package var name: String
    package var accessKeyID: String?
    package var secretAccessKey: SecretBytes?
    package var isAdministrator: Bool
    /// Whether it may have what grants and key policies gave a deleted principal of its name.
    package var takesOverPermissions: Bool

    package init(
        name: String, accessKeyID: String? = nil, secretAccessKey: SecretBytes? = nil,
        isAdministrator: Bool = false, takesOverPermissions: Bool = false
    ) {
        self.name = name
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.isAdministrator = isAdministrator
        self.takesOverPermissions = takesOverPermissions
    }
}

/// Why a principal is not made or found.
package enum PrincipalError: Error, Hashable, Sendable {
    case invalidName(String)
    /// Where principals are named it means somebody else.
    case reservedName(String)
    case invalidAccessKeyID(String)
    /// 16…128 printable ASCII characters.
    case invalidSecret
    case exists(String)
    /// Grants or policies of these keys name a deleted principal of that name; AWS tells the two
    /// apart by ids that it puts into policies, Keyfold does not.
    case isNamed(by: [KeyARN])
    case tooMany(limit: Int)
    case missing(String)
    case keystore(KeystoreError)
}

extension Keystore {
    package static let principalLimit = 5000

    /// Sorted by name.
    package func principals() throws(KeystoreError) -> [AccessKeyPrincipal] {
        try store.snapshot().principals.values.map(publicView).sorted { $0.name < $1.name }
    }

    private func publicView(_ record: PrincipalRecord) -> AccessKeyPrincipal {
        AccessKeyPrincipal(
            name: record.name, arn: scope.userARN(name: record.name),
            accessKeyID: record.accessKeyID, isAdministrator: record.isAdministrator,
            creationDate: record.creationDate)
    }

    /// - Returns: the principal, and its secret access key, which is never shown again.
    package func createPrincipal(
        _ new: NewAccessKey, as caller: Caller
    ) throws(PrincipalError) -> (principal: AccessKeyPrincipal, secret: SecretBytes) {
        guard AccessKeyForm.isName(new.name) else { throw .invalidName(new.name) }
        guard !AccessKeyForm.isReserved(new.name) else { throw .reservedName(new.name) }
        let id = new.accessKeyID ?? AccessKeyForm.randomID()
        guard AccessKeyForm.isID(id) else { throw .invalidAccessKeyID(id) }
        let secret = new.secretAccessKey ?? AccessKeyForm.randomSecret()
        guard AccessKeyForm.isSecret(secret) else { throw .invalidSecret }
        let record = PrincipalRecord(
            name: new.name, accessKeyID: id, secretAccessKey: secret,
            isAdministrator: new.isAdministrator, creationDate: clock.now())
        try change(.createAccessKey, as: caller) { snapshot, change throws(PrincipalError) in
            let others = snapshot.principals
            guard others[id] == nil else { throw .exists(id) }
            guard !others.values.contains(where: { $0.name == new.name }) else {
                throw .exists(new.name)
            }
            guard others.count < Keystore.principalLimit else {
                throw .tooMany(limit: Keystore.principalLimit)
            }
            if !new.takesOverPermissions {
                let keys = try Self.keys(naming: scope.userARN(name: new.name), in: snapshot)
                guard keys.isEmpty else { throw .isNamed(by: keys) }
            }
            change.principals = [record]
            return record.parameters + [.init("keepPermissions", .flag(new.takesOverPermissions))]
        }
        return (publicView(record), secret)
    }

    /// The keys whose policies or grants name a principal, sorted.
    private static func keys(
        naming arn: String, in snapshot: KeystoreSnapshot
    ) throws(PrincipalError) -> [KeyARN] {
        var found: [KeyARN] = []
        // With a pattern one of them may happen to fit, but not all.
        let strangers = ["0", "k", "z"].map {
            snapshot.scope.userARN(name: $0 + RandomUUID.text())
        }
        for region in snapshot.regions.values {
            for key in region.keys.values where try isNamed(arn, by: key, or: strangers) {
                found.append(key.arn)
            }
        }
        return found.sorted { $0.description < $1.description }
    }

    /// - Parameter strangers: users whom no key can mean.
    private static func isNamed(
        _ arn: String, by key: KeyEntry, or strangers: [String]
    ) throws(PrincipalError) -> Bool {
        if let policy = (try? key.policy()) ?? nil {
            let isPrincipal = policy.principals.contains { named in
                if case .principal(let principal) = named { principal.arn == arn } else { false }
            }
            if isPrincipal { return true }
            if let user = Principal(arn),
                strangers.compactMap(Principal.init).contains(where: {
                    policy.singlesOut(user, from: $0)
                })
            {
                return true
            }
        }
        do throws(KeystoreError) {
            guard key.hasGrants else { return false }
            return try key.grants().grants.contains { grant in
                grant.terms.grantee.arn == arn || grant.terms.retiringPrincipal?.arn == arn
            }
        } catch {
            throw .keystore(error)
        }
    }

    /// Its access key stops working at once, in all processes.
    package func deletePrincipal(name: String, as caller: Caller) throws(PrincipalError) {
        try change(.deleteAccessKey, as: caller) { snapshot, change throws(PrincipalError) in
            guard let record = snapshot.principals.values.first(where: { $0.name == name }) else {
                throw .missing(name)
            }
            change.deletedPrincipals = [record.accessKeyID]
            return record.parameters
        }
    }

    private func change(
        _ kind: AdministrativeChange, as caller: Caller,
        _ decide: (KeystoreSnapshot, inout KeystoreChange) throws(PrincipalError)
            -> [UsageEvent.Parameter]
    ) throws(PrincipalError) {
        let outcome: Result<Void, PrincipalError>
        do throws(KeystoreError) {
            outcome = try keyService.administer(kind, as: caller, decide)
        } catch {
            throw .keystore(error)
        }
        try outcome.get()
    }

    /// Whose access key this is, and the secret that its signatures are made with; nil for none.
    package func accessKey(
        id: String
    ) throws(KeystoreError) -> (principalARN: String, secret: SecretBytes)? {
        guard let record = try store.snapshot().principals[id] else { return nil }
        return (scope.userARN(name: record.name), record.secretAccessKey)
    }

    /// Whether there is surely no such access key. Waits for nobody: false where the newest state
    /// would have to be read.
    package func lacksAccessKey(id: String) -> Bool {
        store.quietSnapshot.map { $0.principals[id] == nil } ?? false
    }

    /// Who a local user is: the keystore's owner is the account root.
    package func principalARN(uid: UInt32) -> String {
        uid == ownerUID ? scope.rootPrincipalARN : scope.userARN(uid: uid)
    }
}

extension PrincipalRecord {
    /// What the log tells of it.
    fileprivate var parameters: [UsageEvent.Parameter] {
        [
            .init("userName", .text(name)), .init("accessKeyId", .text(accessKeyID)),
            .init("administrator", .flag(isAdministrator)),
        ]
    }
}

/// The forms of names, ids and secrets (IAM API reference, User and AccessKey).
private enum AccessKeyForm {
    private static let idPrefix = "AKIA"
    private static let idLetters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
    private static let secretLetters = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { isAlphanumeric($0) || "+=,.@_-".utf8.contains($0) }
    }

    /// `root` is the keystore's owner, `uid-N` a local user, `NAME.amazonaws.com` a service: a grant
    /// to such a name would go to them.
    static func isReserved(_ name: String) -> Bool {
        if name == "root" || name.contains(".amazonaws.com") { return true }
        let digits = name.utf8.dropFirst("uid-".utf8.count)
        return name.hasPrefix("uid-") && !digits.isEmpty
            && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    static func isID(_ text: String) -> Bool {
        (16...128).contains(text.utf8.count)
            && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "_") }
    }

    static func isSecret(_ secret: SecretBytes) -> Bool {
        (16...128).contains(secret.count)
            && secret.copiedBytes().allSatisfy { (0x21...0x7e).contains($0) }
    }

    static func randomID() -> String {
        // 32 letters: five bits of each byte.
        let letters = Random.bytes(16).map { idLetters[Int($0 & 31)] }
        return idPrefix + String(decoding: letters, as: UTF8.self)
    }

    static func randomSecret() -> SecretBytes {
        var letters = Random.bytes(40).map { secretLetters[Int($0 & 63)] }
        return SecretBytes(consuming: &letters)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
