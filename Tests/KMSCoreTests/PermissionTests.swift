import Cryptography
import KMSCore
import KMSModel
import Testing

/// Key policies and grants end to end, by several callers.
@Suite struct PermissionTests {
    /// A keystore with an administrator, two plain access keys and a local user.
    struct People {
        let store: TestKeystore
        let admin: Caller
        let alice: Caller
        let bob: Caller
        let local: Caller

        init() throws {
            store = try TestKeystore()
            admin = try store.newUser("admin", isAdministrator: true)
            alice = try store.newUser("alice")
            bob = try store.newUser("bob")
            local = Caller(
                principalARN: store.keystore.principalARN(uid: store.keystore.ownerUID + 7),
                process: nil, userAgent: "KMSCoreTests")
        }

        func put(_ statements: String..., on key: String) throws {
            try store.ask(
                .putKeyPolicy,
                Structure([
                    .keyID: .text(key), .policy: .text(PolicyTexts.document(statements)),
                ]))
        }

        func encrypt(
            _ key: String, as caller: Caller, _ pairs: [String: String] = [:]
        ) throws -> KMSError? {
            try store.refusal(
                .encrypt,
                Structure([
                    .keyID: .text(key), .plaintext: .secret(secret("x")),
                    .encryptionContext: pairs.isEmpty ? nil : .context(EncryptionContext(pairs)),
                ]), as: caller)
        }

        @discardableResult
        func grant(
            _ key: String, to grantee: Caller, _ operations: [String], as caller: Caller? = nil,
            with members: KeyValuePairs<Member, Value?> = [:]
        ) throws -> Structure {
            var input = Structure([
                .keyID: .text(key), .granteePrincipal: .text(grantee.principalARN),
                .operations: .texts(operations),
            ])
            for (member, value) in members { input[member] = value }
            return try store.ask(.createGrant, input, as: caller)
        }
    }

    enum Reason { case explicit, resource, identity }

    static func denial(
        _ action: String, _ caller: Caller, _ resource: String?, _ reason: Reason
    ) -> KMSError {
        let place = resource.map { " on resource: \($0)" } ?? ""
        let why =
            switch reason {
            case .explicit: "with an explicit deny in a resource-based policy"
            case .resource: "because no resource-based policy allows the kms:\(action) action"
            case .identity: "because no identity-based policy allows the kms:\(action) action"
            }
        return .accessDenied(
            "User: \(caller.principalARN) is not authorized to perform: kms:\(action)\(place) \(why)"
        )
    }

    /// To someone whom the account does not trust, of a key that only a ciphertext names.
    ///
    /// - Parameter cause: what the log says.
    static func hiddenDenial(_ action: String, _ caller: Caller, cause: KMSError?) -> KMSError {
        KMSError(
            .accessDenied,
            "User: \(caller.principalARN) is not authorized to perform: kms:\(action) on the "
                + "resource associated with this ciphertext because no identity-based policy "
                + "allows the kms:\(action) action", loggedMessage: cause?.message)
    }

    static let owners = PolicyTexts.statement(["root"], ["kms:*"])

    // MARK: Policies

    @Test func `the default policy leaves it to the account, which trusts administrators`() throws {
        let people = try People()
        let key = try people.store.key()
        for caller in [people.store.owner, people.admin] {
            #expect(try people.encrypt(key, as: caller) == nil)
        }
        for caller in [people.alice, people.local, people.store.stranger] {
            #expect(
                try people.encrypt(key, as: caller)
                    == Self.denial("Encrypt", caller, key, .identity))
        }
        let policy = try people.store.ask(.getKeyPolicy, Structure([.keyID: .text(key)]))
        #expect(policy.text(.policyName) == "default")
        #expect(policy.text(.policy)?.contains("key-default-1") == true)
    }

    @Test func `a policy that names principals works without the account`() throws {
        let people = try People()
        let key = try people.store.key()
        try people.put(
            Self.owners, PolicyTexts.statement(["alice"], ["kms:Encrypt", "kms:Describe*"]),
            on: key)
        #expect(try people.encrypt(key, as: people.alice) == nil)
        #expect(
            try people.store.refusal(
                .describeKey, Structure([.keyID: .text(key)]), as: people.alice) == nil)
        let blob = try StateTableTests.blob(people.store, key)
        #expect(
            try people.store.refusal(
                .decrypt, Structure([.ciphertextBlob: .bytes(blob)]), as: people.alice)
                == Self.hiddenDenial(
                    "Decrypt", people.alice,
                    cause: Self.denial("Decrypt", people.alice, key, .identity)))
        #expect(
            try people.encrypt(key, as: people.bob)
                == Self.denial("Encrypt", people.bob, key, .identity))
    }

    @Test func `without a statement for the account not even administrators pass`() throws {
        let people = try People()
        let key = try people.store.key()
        try people.store.ask(
            .putKeyPolicy,
            Structure([
                .keyID: .text(key), .bypassPolicyLockoutSafetyCheck: .flag(true),
                .policy: .text(
                    PolicyTexts.document([PolicyTexts.statement(["alice"], ["kms:Encrypt"])])),
            ]))
        #expect(try people.encrypt(key, as: people.alice) == nil)
        for caller in [people.admin, people.store.owner, people.bob] {
            #expect(
                try people.encrypt(key, as: caller)
                    == Self.denial("Encrypt", caller, key, .resource))
        }
    }

    @Test func `a denial beats permissions and grants`() throws {
        let people = try People()
        let key = try people.store.key()
        try people.put(
            Self.owners, PolicyTexts.statement(["alice", "bob"], ["kms:*"]),
            PolicyTexts.statement(["*"], ["kms:Encrypt"], effect: "Deny"), on: key)
        try people.grant(key, to: people.bob, ["Encrypt"])
        for caller in [people.store.owner, people.admin, people.alice, people.bob] {
            #expect(
                try people.encrypt(key, as: caller)
                    == Self.denial("Encrypt", caller, key, .explicit))
        }
    }

    @Test func `a denial is logged with the principal and the action`() throws {
        let people = try People()
        let key = try people.store.key()
        let refusal = try people.encrypt(key, as: people.bob)
        let event = try #require(try people.store.events().last)
        #expect(event.eventName == "Encrypt")
        #expect(event.errorCode == "AccessDeniedException")
        #expect(event.errorMessage == refusal?.message)
        #expect(event.principalARN == people.bob.principalARN)
        #expect(event.keyARNs == [key])
    }

    // MARK: PutKeyPolicy

    @Test func `a policy that would lock its author out is refused, unless that is bypassed`()
        throws
    {
        let people = try People()
        let key = try people.store.key()
        let policy = PolicyTexts.document([PolicyTexts.statement(["alice"], ["kms:*"])])
        let input = Structure([.keyID: .text(key), .policy: .text(policy)])
        let lockout = KMSError.malformedPolicyDocument(
            "The new key policy will not allow you to update the key policy in the future.")
        #expect(try people.store.refusal(.putKeyPolicy, input) == lockout)
        #expect(
            try people.store.refusal(
                .createKey, Structure([.policy: .text(policy)])) == lockout)
        #expect(
            try people.store.refusal(
                .putKeyPolicy, input.with(.bypassPolicyLockoutSafetyCheck, .flag(true))) == nil)
        // Now it is hers.
        #expect(
            try people.store.refusal(.putKeyPolicy, input)
                == Self.denial("PutKeyPolicy", people.store.owner, key, .resource))
        #expect(
            try people.store.refusal(
                .putKeyPolicy, input.with(.policy, .text(PolicyTexts.everything(to: ["alice"]))),
                as: people.alice) == nil)
        #expect(try people.encrypt(key, as: people.store.owner) == nil)
    }

    @Test func `principals must exist, and who may not put a policy is not told so`() throws {
        let people = try People()
        let key = try people.store.key()
        let input = Structure([
            .keyID: .text(key), .policy: .text(PolicyTexts.everything(to: ["nobody"])),
        ])
        let unknown = KMSError.malformedPolicyDocument(
            "Policy contains a statement with one or more invalid principals.")
        #expect(try people.store.refusal(.putKeyPolicy, input) == unknown)
        for arn in [
            "arn:aws:iam::111122223333:role/any", "arn:aws:sts::111122223333:assumed-role/a/b",
        ] {
            #expect(
                try people.store.refusal(
                    .putKeyPolicy, input.with(.policy, .text(PolicyTexts.everything(to: [arn]))))
                    == unknown)
        }
        #expect(
            try people.store.refusal(.putKeyPolicy, input, as: people.bob)
                == Self.denial("PutKeyPolicy", people.bob, key, .identity))
        // Local users always exist.
        #expect(
            try people.store.refusal(
                .putKeyPolicy,
                input.with(
                    .policy, .text(PolicyTexts.everything(to: [people.local.principalARN]))))
                == nil)
        #expect(try people.encrypt(key, as: people.local) == nil)
        #expect(
            try people.store.refusal(.putKeyPolicy, input.with(.policyName, .text("other")))
                == .notFound("No such policy exists"))
    }

    @Test func `a key is born with its policy`() throws {
        let people = try People()
        let policy = PolicyTexts.everything(to: ["alice"])
        let answer = try people.store.ask(.createKey, Structure([.policy: .text(policy)]))
        let key = try #require(answer.structure(.keyMetadata)?.text(.arn))
        #expect(try people.encrypt(key, as: people.alice) == nil)
        #expect(
            try people.store.ask(.getKeyPolicy, Structure([.keyID: .text(key)])).text(.policy)
                == policy)
        #expect(
            try people.store.refusal(.createKey, Structure(), as: people.alice)
                == Self.denial("CreateKey", people.alice, nil, .identity))
    }

    // MARK: Conditions

    @Test func `conditions on the encryption context, the alias and the signature count`() throws {
        let people = try People()
        let key = try people.store.key()
        try people.store.ask(
            .createAlias,
            Structure([.aliasName: .text("alias/mine"), .targetKeyID: .text(key)]))
        try people.put(
            Self.owners,
            PolicyTexts.statement(
                ["alice"], ["kms:Encrypt"],
                condition: #"{"StringEquals": {"kms:EncryptionContext:team": "red"}}"#),
            PolicyTexts.statement(
                ["bob"], ["kms:Encrypt"],
                condition: #"{"StringEquals": {"kms:RequestAlias": "alias/mine"}}"#), on: key)
        #expect(try people.encrypt(key, as: people.alice, ["team": "red", "x": "y"]) == nil)
        for pairs in [["team": "blue"], ["other": "red"], [:]] {
            #expect(
                try people.encrypt(key, as: people.alice, pairs)
                    == Self.denial("Encrypt", people.alice, key, .identity))
        }
        #expect(try people.encrypt("alias/mine", as: people.bob) == nil)
        #expect(
            try people.encrypt("arn:aws:kms:us-east-1:111122223333:alias/mine", as: people.bob)
                == nil)
        #expect(
            try people.encrypt(key, as: people.bob)
                == Self.denial("Encrypt", people.bob, key, .identity))
    }

    @Test func `ReEncrypt asks both keys, each for its own side`() throws {
        let people = try People()
        let (source, destination) = (try people.store.key(), try people.store.key())
        for (name, key) in [("from", source), ("to", destination)] {
            try people.store.ask(
                .createAlias,
                Structure([.aliasName: .text("alias/\(name)"), .targetKeyID: .text(key)]))
        }
        let input = Structure([
            .ciphertextBlob: .bytes(try StateTableTests.blob(people.store, source)),
            .sourceKeyID: .text("alias/from"), .destinationKeyID: .text(destination),
        ])
        let refused = { (action: String, key: String) in
            Self.denial(action, people.alice, key, .identity)
        }
        #expect(
            try people.store.refusal(.reEncrypt, input, as: people.alice)
                == refused("ReEncryptFrom", source))
        try people.put(
            Self.owners, PolicyTexts.statement(["alice"], ["kms:ReEncryptFrom"]), on: source)
        #expect(
            try people.store.refusal(.reEncrypt, input, as: people.alice)
                == refused("ReEncryptTo", destination))
        // The source's alias is not the destination's.
        try people.put(
            Self.owners,
            PolicyTexts.statement(
                ["alice"], ["kms:ReEncryptTo"],
                condition: #"{"StringEquals": {"kms:RequestAlias": "alias/from"}}"#),
            on: destination)
        #expect(
            try people.store.refusal(.reEncrypt, input, as: people.alice)
                == refused("ReEncryptTo", destination))
        try people.put(
            Self.owners,
            PolicyTexts.statement(
                ["alice"], ["kms:ReEncryptTo"],
                condition: #"{"Bool": {"kms:ReEncryptOnSameKey": "false"}}"#), on: destination)
        #expect(try people.store.refusal(.reEncrypt, input, as: people.alice) == nil)
        let onSame = input.with(.destinationKeyID, .text(source))
        #expect(
            try people.store.refusal(.reEncrypt, onSame, as: people.alice)
                == refused("ReEncryptTo", source))
    }

    @Test func `CreateGrant shows policies the context of its constraint`() throws {
        let people = try People()
        let key = try people.store.key()
        try people.put(
            Self.owners,
            PolicyTexts.statement(
                ["alice"], ["kms:CreateGrant"],
                condition: #"{"StringEquals": {"kms:EncryptionContext:team": "red"}}"#), on: key)
        let red = Structure([.encryptionContextSubset: .context(EncryptionContext(["team": "red"]))]
        )
        try people.grant(
            key, to: people.bob, ["Encrypt"], as: people.alice,
            with: [.constraints: .structure(red)])
        #expect(throws: Self.denial("CreateGrant", people.alice, key, .identity)) {
            try people.grant(key, to: people.bob, ["Encrypt"], as: people.alice)
        }
    }

    // MARK: Aliases

    @Test func `an alias needs the account's permission beside the key's`() throws {
        let people = try People()
        let (key, other) = (try people.store.key(), try people.store.key())
        for key in [key, other] {
            try people.put(Self.owners, PolicyTexts.statement(["alice"], ["kms:*"]), on: key)
        }
        let input = Structure([.aliasName: .text("alias/a"), .targetKeyID: .text(key)])
        let arn = "arn:aws:kms:us-east-1:111122223333:alias/a"
        #expect(
            try people.store.refusal(.createAlias, input, as: people.alice)
                == Self.denial("CreateAlias", people.alice, arn, .identity))
        #expect(try people.store.refusal(.createAlias, input, as: people.admin) == nil)
        for (operation, input) in [
            (KMSOperation.updateAlias, input.with(.targetKeyID, .text(other))),
            (.deleteAlias, Structure([.aliasName: .text("alias/a")])),
        ] {
            #expect(
                try people.store.refusal(operation, input, as: people.alice)
                    == Self.denial(operation.rawValue, people.alice, arn, .identity))
        }
        // The key says no, of either side.
        let denied = PolicyTexts.statement(
            ["admin"], ["kms:UpdateAlias", "kms:DeleteAlias"], effect: "Deny")
        try people.put(Self.owners, denied, on: key)
        #expect(
            try people.store.refusal(
                .updateAlias, input.with(.targetKeyID, .text(other)), as: people.admin)
                == Self.denial("UpdateAlias", people.admin, key, .explicit))
        #expect(
            try people.store.refusal(
                .deleteAlias, Structure([.aliasName: .text("alias/a")]), as: people.admin)
                == Self.denial("DeleteAlias", people.admin, key, .explicit))
        #expect(
            try people.store.refusal(
                .deleteAlias, Structure([.aliasName: .text("alias/none")]))
                == .notFound("Alias arn:aws:kms:us-east-1:111122223333:alias/none is not found."))
    }

    @Test func `a deleted principal is nobody, in policies and grants too`() throws {
        let people = try People()
        let key = try people.store.key()
        try people.grant(key, to: people.bob, ["Encrypt"])
        #expect(try people.encrypt(key, as: people.bob) == nil)
        try people.store.keystore.deletePrincipal(name: "bob", as: people.store.owner)
        #expect(try people.store.keystore.principals().map(\.name) == ["admin", "alice"])
        #expect(throws: KMSError.self) {
            try people.grant(key, to: people.bob, ["Encrypt", "Decrypt"])
        }
    }

    @Test func `a new principal has nothing of a deleted one of its name, unless that is wanted`()
        throws
    {
        let people = try People()
        let keystore = people.store.keystore
        let granted = try people.store.key()
        try people.grant(granted, to: people.bob, ["Encrypt"])
        let policed = try people.store.key()
        _ = try people.store.ask(
            .putKeyPolicy,
            Structure([
                .keyID: .text(policed),
                .policy: .text(
                    PolicyTexts.everything(
                        to: [
                            TestKeystore.scope.rootPrincipalARN, people.alice.principalARN,
                        ])),
            ]))
        for (name, key) in [("bob", granted), ("alice", policed)] {
            try keystore.deletePrincipal(name: name, as: people.store.owner)
            let error = #expect(throws: PrincipalError.self) {
                try keystore.createPrincipal(NewAccessKey(name: name), as: people.store.owner)
            }
            guard case .isNamed(let keys) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(keys.map(\.description) == [key])
        }
        _ = try keystore.createPrincipal(NewAccessKey(name: "carol"), as: people.store.owner)
        _ = try keystore.createPrincipal(
            NewAccessKey(name: "bob", takesOverPermissions: true), as: people.store.owner)
        #expect(try people.encrypt(granted, as: people.bob) == nil)
    }

    @Test(arguments: [
        (#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/b*"}}"#, true),
        (#"{"StringEquals": {"aws:username": ["alice", "bob"]}}"#, true),
        (#"{"StringEquals": {"aws:userid": "arn:aws:iam::111122223333:user/bob"}}"#, true),
        (#"{"StringNotEquals": {"aws:username": "bob"}}"#, true),
        (#"{"StringEquals": {"aws:username": "alice"}}"#, false),
        // About everybody, whoever that is.
        (#"{"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/*"}}"#, false),
        (#"{"Null": {"aws:username": "false"}}"#, false),
    ])
    func `a condition on its name gives a new principal what a deleted one had`(
        _ condition: String, _ isNamed: Bool
    ) throws {
        let people = try People()
        let keystore = people.store.keystore
        let key = try people.store.key()
        try people.put(
            Self.owners, PolicyTexts.statement(["*"], ["kms:Encrypt"], condition: condition),
            on: key)
        try keystore.deletePrincipal(name: "bob", as: people.store.owner)
        if isNamed {
            let arn = try #require(KeyARN(key))
            #expect(throws: PrincipalError.isNamed(by: [arn])) {
                try keystore.createPrincipal(NewAccessKey(name: "bob"), as: people.store.owner)
            }
            _ = try keystore.createPrincipal(
                NewAccessKey(name: "bob", takesOverPermissions: true), as: people.store.owner)
        } else {
            _ = try keystore.createPrincipal(NewAccessKey(name: "bob"), as: people.store.owner)
        }
        _ = try keystore.createPrincipal(NewAccessKey(name: "carol"), as: people.store.owner)
    }

    @Test(arguments: ["root", "uid-0", "uid-1000", "uid-99999999999", "x.amazonaws.com"])
    func `a principal can't have a name that means somebody else in grants`(_ name: String) throws {
        let store = try TestKeystore()
        let keystore = store.keystore
        #expect(throws: PrincipalError.reservedName(name)) {
            try keystore.createPrincipal(NewAccessKey(name: name), as: store.owner)
        }
        #expect(try keystore.principals().isEmpty)
        for near in ["Root", "rooted", "uid-", "uid-1a", "xuid-1"] {
            _ = try keystore.createPrincipal(NewAccessKey(name: near), as: store.owner)
        }
    }
}
