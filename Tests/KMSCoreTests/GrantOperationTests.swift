import Cryptography
import KMSModel
import Testing

@Suite struct GrantOperationTests {
    typealias People = PermissionTests.People

    private func grants(_ people: People, _ key: String, _ more: Structure = Structure()) throws
        -> [Structure]
    {
        try people.store.ask(.listGrants, more.with(.keyID, .text(key))).structures(.grants)
    }

    private func id(_ grant: Structure) throws -> String { try #require(grant.text(.grantID)) }

    @Test func `a grant allows its operations on its key to its grantee`() throws {
        let people = try People()
        let (key, other) = (try people.store.key(), try people.store.key())
        let answer = try people.grant(key, to: people.bob, ["Encrypt", "DescribeKey"])
        #expect(try id(answer).count == 64)
        #expect(try people.encrypt(key, as: people.bob) == nil)
        #expect(
            try people.encrypt(other, as: people.bob)
                == PermissionTests.denial("Encrypt", people.bob, other, .identity))
        #expect(
            try people.encrypt(key, as: people.alice)
                == PermissionTests.denial("Encrypt", people.alice, key, .identity))
        #expect(
            try people.store.refusal(
                .describeKey, Structure([.keyID: .text(key)]), as: people.bob) == nil)
        #expect(
            try people.store.refusal(
                .generateDataKey, Structure([.keyID: .text(key), .keySpec: .text("AES_256")]),
                as: people.bob)
                == PermissionTests.denial("GenerateDataKey", people.bob, key, .identity))
        let listed = try #require(try grants(people, key).first)
        #expect(listed.text(.keyID) == key)
        #expect(listed.text(.granteePrincipal) == people.bob.principalARN)
        #expect(listed.text(.issuingAccount) == "arn:aws:iam::111122223333:root")
        #expect(listed.texts(.operations) == ["Encrypt", "DescribeKey"])
        #expect(listed.time(.creationDate) == people.store.clock.now())
        #expect(listed[.constraints] == nil && listed[.name] == nil)
    }

    @Test func `constraints on the context are exact or a part`() throws {
        let people = try People()
        let key = try people.store.key()
        let pairs = EncryptionContext(["a": "1"])
        try people.grant(
            key, to: people.alice, ["Encrypt"],
            with: [.constraints: .structure(Structure([.encryptionContextEquals: .context(pairs)]))]
        )
        try people.grant(
            key, to: people.bob, ["Encrypt", "DescribeKey"],
            with: [.constraints: .structure(Structure([.encryptionContextSubset: .context(pairs)]))]
        )
        for (caller, context, isAllowed) in [
            (people.alice, ["a": "1"], true), (people.alice, ["a": "1", "b": "2"], false),
            (people.alice, [:], false), (people.alice, ["a": "2"], false),
            (people.bob, ["a": "1"], true), (people.bob, ["a": "1", "b": "2"], true),
            (people.bob, ["b": "2"], false), (people.bob, [:], false),
        ] {
            #expect((try people.encrypt(key, as: caller, context) == nil) == isAllowed)
        }
        // It does not bind DescribeKey.
        #expect(
            try people.store.refusal(
                .describeKey, Structure([.keyID: .text(key)]), as: people.bob) == nil)
        let both = Structure([
            .encryptionContextSubset: .context(pairs), .encryptionContextEquals: .context(pairs),
        ])
        #expect(throws: KMSError.validation("More than one constraint supplied")) {
            try people.grant(
                key, to: people.bob, ["Encrypt"], with: [.constraints: .structure(both)])
        }
    }

    @Test func `operations and constraints must fit the key`() throws {
        let people = try People()
        let (signing, coding) = (
            try people.store.key(.eccNistP256, .signVerify), try people.store.key(.hmac256)
        )
        for (key, operations) in [
            (signing, ["Encrypt"]), (signing, ["Sign", "GenerateMac"]), (coding, ["GetPublicKey"]),
            (try people.store.key(), ["Sign"]),
        ] {
            let refusal = #expect(throws: KMSError.self) {
                try people.grant(key, to: people.bob, operations)
            }
            #expect(refusal?.code == .validation)
        }
        #expect(
            throws: KMSError.validation(
                "Operations [Encrypt] are not supported when creating a grant for a symmetric KMS "
                    + "key with key usage GENERATE_VERIFY_MAC. Valid operations are [CreateGrant, "
                    + "RetireGrant, DescribeKey, GenerateMac, VerifyMac]")
        ) { try people.grant(coding, to: people.bob, ["Encrypt"]) }
        let context = Structure([.encryptionContextEquals: .context(EncryptionContext(["a": "b"]))])
        #expect(
            throws: KMSError.validation(
                "EncryptionContext is supported only when creating a grant for a symmetric "
                    + "encryption KMS key.")
        ) {
            try people.grant(
                signing, to: people.bob, ["Sign"], with: [.constraints: .structure(context)])
        }
    }

    @Test func `constraints that are too large are refused before any key is looked for`() throws {
        let people = try People()
        let pairs = Dictionary(uniqueKeysWithValues: (0..<9).map { ("name\($0)", "value") })
        for member: Member in [.encryptionContextEquals, .encryptionContextSubset] {
            let constraints = Structure([member: .context(EncryptionContext(pairs))])
            #expect(
                throws: KMSError.validation(
                    "\(member.rawValue) has 9 encryption context pairs; at most 8 are allowed.")
            ) {
                try people.grant(
                    "12345678-1234-1234-1234-123456789012", to: people.bob, ["Encrypt"],
                    as: people.alice, with: [.constraints: .structure(constraints)])
            }
        }
    }

    @Test func `grants are listed by a principal or by a service, not by both`() throws {
        let people = try People()
        let key = try people.store.key()
        let (person, service) = (
            Value.text(people.bob.principalARN), Value.text("s3.amazonaws.com")
        )
        #expect(
            try people.store.refusal(
                .listGrants,
                Structure([
                    .keyID: .text(key), .granteePrincipal: person,
                    .granteeServicePrincipal: service,
                ]))
                == .validation(
                    "You can specify either GranteePrincipal or GranteeServicePrincipal, but not "
                        + "both."))
        #expect(
            try people.store.refusal(
                .listRetirableGrants,
                Structure([.retiringPrincipal: person, .retiringServicePrincipal: service]))
                == .validation(
                    "You can specify either RetiringPrincipal or RetiringServicePrincipal, but "
                        + "not both."))
    }

    @Test func `unknown principals get no grant`() throws {
        let people = try People()
        let key = try people.store.key()
        let nobody = people.store.user("nobody")
        #expect(
            throws: KMSError.invalidARN(
                "ARN does not refer to a valid principal: \(nobody.principalARN)")
        ) { try people.grant(key, to: nobody, ["Encrypt"]) }
        #expect(throws: KMSError.self) {
            try people.grant(
                key, to: people.bob, ["Encrypt"],
                with: [.retiringPrincipal: .text(nobody.principalARN)])
        }
        #expect(try grants(people, key).isEmpty)
    }

    @Test func `the same request by name gets the same grant and a new token`() throws {
        let people = try People()
        let key = try people.store.key()
        func named(_ name: String?, _ operations: [String] = ["Encrypt"]) throws -> Structure {
            try people.grant(
                key, to: people.bob, operations, with: [.name: name.map(Value.text)])
        }
        let first = try named("n")
        let again = try named("n")
        #expect(try id(first) == id(again))
        #expect(first.text(.grantToken) != again.text(.grantToken))
        #expect(try id(try named("m")) != id(first))
        #expect(try id(try named("n", ["Encrypt", "Decrypt"])) != id(first))
        #expect(try id(try named(nil)) != id(try named(nil)))
        #expect(try grants(people, key).count == 5)
        // A dry run of the same is a dry run.
        let dry = #expect(throws: KMSError.self) {
            try people.grant(
                key, to: people.bob, ["Encrypt"], with: [.name: .text("n"), .dryRun: .flag(true)])
        }
        #expect(dry?.code == .dryRun)
    }

    @Test func `whoever got CreateGrant from a grant gives no more than he has`() throws {
        let people = try People()
        let key = try people.store.key()
        let red = { (member: Member) in
            Value.structure(Structure([member: .context(EncryptionContext(["team": "red"]))]))
        }
        try people.grant(
            key, to: people.alice, ["Encrypt", "CreateGrant"],
            with: [.constraints: red(.encryptionContextSubset)])
        let refusal = PermissionTests.denial("CreateGrant", people.alice, key, .identity)
        try people.grant(
            key, to: people.bob, ["Encrypt"], as: people.alice,
            with: [.constraints: red(.encryptionContextEquals)])
        for (operations, constraints) in [
            (["Encrypt"], nil), (["Encrypt", "Decrypt"], red(.encryptionContextEquals)),
        ] as [([String], Value?)] {
            #expect(throws: refusal) {
                try people.grant(
                    key, to: people.bob, operations, as: people.alice,
                    with: [.constraints: constraints])
            }
        }
        #expect(try people.encrypt(key, as: people.bob, ["team": "red"]) == nil)
        #expect(throws: PermissionTests.denial("CreateGrant", people.bob, key, .identity)) {
            try people.grant(key, to: people.alice, ["Encrypt"], as: people.bob)
        }
        // A child outlives its parent.
        let parent = try #require(
            try grants(people, key).first {
                $0.text(.granteePrincipal) == people.alice.principalARN
            })
        try people.store.ask(
            .revokeGrant, Structure([.keyID: .text(key), .grantID: parent[.grantID]]))
        #expect(try people.encrypt(key, as: people.bob, ["team": "red"]) == nil)
    }

    @Test func `a grant ends by its retiring principal, by policy, by its grantee if he may`()
        throws
    {
        let people = try People()
        let key = try people.store.key()
        func retire(_ grant: Structure, as caller: Caller) throws -> KMSError? {
            try people.store.refusal(
                .retireGrant, Structure([.keyID: .text(key), .grantID: grant[.grantID]]),
                as: caller)
        }
        let retiring = try people.grant(
            key, to: people.bob, ["Encrypt"],
            with: [.retiringPrincipal: .text(people.alice.principalARN)])
        #expect(try retire(retiring, as: people.bob)?.code == .accessDenied)
        #expect(try retire(retiring, as: people.local)?.code == .accessDenied)
        #expect(
            try people.store.refusal(
                .revokeGrant, Structure([.keyID: .text(key), .grantID: retiring[.grantID]]),
                as: people.alice)
                == PermissionTests.denial("RevokeGrant", people.alice, key, .identity))
        #expect(try retire(retiring, as: people.alice) == nil)
        #expect(
            try people.encrypt(key, as: people.bob)
                == PermissionTests.denial("Encrypt", people.bob, key, .identity))
        #expect(
            try retire(retiring, as: people.alice)
                == .notFound("Grant ID \(try id(retiring)) not found"))
        let own = try people.grant(key, to: people.bob, ["Encrypt", "RetireGrant"])
        #expect(try retire(own, as: people.bob) == nil)
        let owners = try people.grant(key, to: people.bob, ["Encrypt"])
        #expect(try retire(owners, as: people.store.owner) == nil)
        #expect(try grants(people, key).isEmpty)
    }

    @Test func `a token names its grant, and no other text does`() throws {
        let people = try People()
        let key = try people.store.key()
        let grant = try people.grant(
            key, to: people.bob, ["Encrypt", "RetireGrant"])
        let token = try #require(grant.text(.grantToken))
        let encrypting = Structure([
            .keyID: .text(key), .plaintext: .secret(secret("x")), .grantTokens: .texts([token]),
        ])
        #expect(try people.store.refusal(.encrypt, encrypting, as: people.bob) == nil)
        // A token is no permission.
        #expect(
            try people.store.refusal(.encrypt, encrypting, as: people.alice)?.code == .accessDenied)
        let invalid = KMSError(.invalidGrantToken, "Invalid grant token")
        for operation in [KMSOperation.encrypt, .describeKey, .createGrant, .generateDataKey] {
            var input = Structure([
                .keyID: .text(key),
                .grantTokens: .texts([token, String(token.dropLast(4)) + "AAAA"]),
            ])
            switch operation {
            case .encrypt: input[.plaintext] = .secret(secret("x"))
            case .createGrant:
                input[.granteePrincipal] = .text(people.bob.principalARN)
                input[.operations] = .texts(["Encrypt"])
            case .generateDataKey: input[.keySpec] = .text("AES_256")
            default: break
            }
            #expect(try people.store.refusal(operation, input) == invalid)
        }
        let foreign = try People()
        let foreignToken = try #require(
            try foreign.grant(try foreign.store.key(), to: foreign.bob, ["Encrypt"]).text(
                .grantToken))
        #expect(
            try people.store.refusal(
                .retireGrant, Structure([.grantToken: .text(foreignToken)])) == invalid)
        #expect(
            try people.store.refusal(
                .retireGrant, Structure([.grantToken: .text(token), .keyID: .text(key)]))?.code
                == .validation)
        #expect(
            try people.store.refusal(
                .retireGrant, Structure([.grantToken: .text(token)]), as: people.bob) == nil)
        #expect(try grants(people, key).isEmpty)
    }

    @Test func `ids that are none are refused as such`() throws {
        let people = try People()
        let key = try people.store.key()
        for operation in [KMSOperation.listGrants, .revokeGrant, .retireGrant] {
            #expect(
                try people.store.refusal(
                    operation, Structure([.keyID: .text(key), .grantID: .text("x")]))
                    == KMSError(.invalidGrantID, "GrantId x is not valid."))
        }
        let bare = try #require(KeyARN(key)).keyID.description
        #expect(
            try people.store.refusal(
                .retireGrant,
                Structure([
                    .keyID: .text(bare), .grantID: .text(String(repeating: "0", count: 64)),
                ])) == .invalidARN("Invalid arn \(bare)"))
    }

    @Test func `ListGrants filters and pages, ListRetirableGrants goes over all keys`() throws {
        let people = try People()
        let (key, other) = (try people.store.key(), try people.store.key())
        for index in 0..<70 {
            try people.grant(
                index < 60 ? key : other, to: index % 3 == 0 ? people.alice : people.bob,
                ["Encrypt"], with: [.retiringPrincipal: .text(people.bob.principalARN)])
        }
        #expect(try grants(people, key).count == 50)
        #expect(try grants(people, key, Structure([.limit: .number(100)])).count == 60)
        #expect(
            try grants(
                people, key,
                Structure([
                    .granteePrincipal: .text(people.alice.principalARN), .limit: .number(100),
                ])
            ).count == 20)
        let some = try #require(try grants(people, key).last)
        #expect(try grants(people, key, Structure([.grantID: some[.grantID]])).count == 1)
        var seen: Set<String> = []
        var marker: Value?
        repeat {
            let page = try people.store.ask(
                .listRetirableGrants,
                Structure([
                    .retiringPrincipal: .text(people.bob.principalARN), .limit: .number(9),
                    .marker: marker,
                ]), as: people.admin)
            for grant in page.structures(.grants) {
                #expect(seen.insert(try id(grant)).inserted)
            }
            marker = page[.nextMarker]
            #expect(page.flag(.truncated) == (marker != nil))
        } while marker != nil
        #expect(seen.count == 70)
        #expect(
            try people.store.refusal(
                .listGrants, Structure([.keyID: .text(key), .marker: .text("zz")]))
                == .invalidMarker)
    }

    @Test func `ListRetirableGrants needs the account's permission, of one's own grants too`()
        throws
    {
        let people = try People()
        try people.grant(
            try people.store.key(), to: people.alice, ["Encrypt"],
            with: [.retiringPrincipal: .text(people.bob.principalARN)])
        let input = Structure([.retiringPrincipal: .text(people.bob.principalARN)])
        for caller in [people.alice, people.bob] {
            #expect(
                try people.store.refusal(.listRetirableGrants, input, as: caller)
                    == PermissionTests.denial("ListRetirableGrants", caller, nil, .identity))
        }
        for caller in [people.admin, people.store.owner] {
            let grants = try people.store.ask(.listRetirableGrants, input, as: caller)
                .structures(.grants)
            #expect(grants.count == 1)
        }
    }
}
