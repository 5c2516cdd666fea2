import KMSModel
import TestSupport
import Testing

private func id(_ number: UInt8) -> GrantID {
    guard let id = GrantID(bytes: [UInt8](repeating: number, count: 32)) else {
        preconditionFailure("32 bytes are an id")
    }
    return id
}

private func terms(
    _ operations: KMSActionSet = KMSActionSet(.decrypt), to grantee: Principal = Sample.alice,
    retiring: Principal? = nil, equals: [String: String]? = nil, subset: [String: String]? = nil,
    source: String? = nil, name: String? = nil
) -> GrantTerms {
    let context =
        equals.map { GrantConstraints.Context.equals(EncryptionContext($0)) }
        ?? subset.map { .subset(EncryptionContext($0)) }
    return GrantTerms(
        grantee: grantee, retiringPrincipal: retiring, operations: operations,
        constraints: GrantConstraints(context: context, sourceARN: source), name: name)
}

private func grant(_ terms: GrantTerms, by account: AccountID = Sample.account) -> Grant {
    grant(1, terms, by: account)
}

private func grant(
    _ number: UInt8, _ terms: GrantTerms, by account: AccountID = Sample.account
) -> Grant {
    Grant(
        id: id(number), key: Sample.key, terms: terms,
        creationDate: Timestamp(secondsSinceEpoch: 1_795_000_000), issuingAccount: account)
}

private func decision(
    _ request: AuthorizationRequest, grants: [Grant], policy: String? = nil,
    child: GrantTerms? = nil, values: ConditionValues = ConditionValues()
) throws -> Decision {
    let policy = try PolicyDocument(
        parsing: policy ?? policyText([#""Principal": {"AWS": "999999999999"}"#]))
    return request.decision(
        policy: policy, grants: GrantIndex(grants), child: child, from: values)
}

private let source = "arn:aws:ec2:us-east-1:111122223333:volume/v"

@Suite struct GrantTests {
    // MARK: Use

    @Test func `a grant allows its operations to its grantee, and nothing else`() throws {
        let grants = [grant(terms(KMSActionSet([.decrypt, .encrypt])))]
        #expect(try decision(request(), grants: grants) == .allowed(.grant(id(1))))
        #expect(
            try decision(request(Sample.alice, .encrypt), grants: grants)
                == .allowed(.grant(id(1))))
        for other in [
            request(Sample.alice, .generateDataKey), request(Sample.alice, .revokeGrant),
            request(Sample.alice, .describeKey), request(Sample.bob), request(Sample.root),
        ] {
            #expect(
                try decision(other, grants: grants) == .denied(.noResourceBasedPolicy),
                "\(other.principal) \(other.action)")
        }
    }

    @Test func `a denial in the policy is stronger than a grant`() throws {
        let policy = policyText([#""Sid": "no", "Effect": "Deny", "Action": "kms:Decrypt""#])
        #expect(
            try decision(request(), grants: [grant(terms())], policy: policy)
                == .denied(.explicit(.init(index: 0, sid: "no"))))
    }

    @Test func `a grant decides before the account is asked, a statement before a grant`() throws {
        let delegating = policyText([#""Principal": {"AWS": "111122223333"}"#])
        #expect(
            try decision(request(), grants: [grant(terms())], policy: delegating)
                == .allowed(.grant(id(1))))
        #expect(
            try decision(request(Sample.bob), grants: [grant(terms())], policy: delegating)
                == .delegated(to: Sample.account, .statement(.init(index: 0, sid: nil))))
        #expect(
            try decision(request(), grants: [grant(terms())], policy: policyText([""]))
                == .allowed(.statement(.init(index: 0, sid: nil))))
    }

    @Test func `a grant to a role is its sessions', one to an account is delegated`() throws {
        let toRole = [grant(terms(to: Sample.role))]
        #expect(try decision(request(Sample.session), grants: toRole) == .allowed(.grant(id(1))))
        let toSession = [grant(terms(to: Sample.session))]
        #expect(try decision(request(Sample.session), grants: toSession) == .allowed(.grant(id(1))))
        #expect(
            try decision(request(Sample.role), grants: toSession)
                == .denied(.noResourceBasedPolicy))
        let toAccount = [grant(terms(to: Sample.root))]
        #expect(try decision(request(Sample.root), grants: toAccount) == .allowed(.grant(id(1))))
        #expect(
            try decision(request(Sample.alice), grants: toAccount)
                == .delegated(to: Sample.account, .grant(id(1))))
        #expect(
            try decision(request(Sample.stranger), grants: toAccount)
                == .denied(.noResourceBasedPolicy))
    }

    @Test func `a grant to a service is that service's`() throws {
        let grants = [grant(terms(to: Sample.service, source: source))]
        let values: ConditionValues = [.sourceARN: .text(source)]
        #expect(
            try decision(request(Sample.service), grants: grants, values: values)
                == .allowed(.grant(id(1))))
        let other: ConditionValues = [.sourceARN: .text(source + "x")]
        for values in [other, ConditionValues()] {
            #expect(
                try decision(request(Sample.service), grants: grants, values: values)
                    == .denied(.noResourceBasedPolicy))
        }
    }

    // MARK: Constraints

    @Test(
        arguments: [
            (["a": "1"], true, true), (["a": "1", "b": "2"], false, true), ([:], false, false),
            (nil, false, false), (["a": "2"], false, false), (["b": "1"], false, false),
            (["A": "1"], true, true), (["a": "1", "A": "2"], false, true),
            (["a": "1 "], false, false), (["b": "2"], false, false),
        ] as [([String: String]?, Bool, Bool)])
    func `Equals means these pairs, Subset means at least these`(
        _ context: [String: String]?, _ fitsEquals: Bool, _ fitsSubset: Bool
    ) throws {
        let allowed = Decision.allowed(.grant(id(1)))
        let request = request(context: context)
        let equals = try decision(request, grants: [grant(terms(equals: ["a": "1"]))])
        #expect((equals == allowed) == fitsEquals)
        let subset = try decision(request, grants: [grant(terms(subset: ["a": "1"]))])
        #expect((subset == allowed) == fitsSubset)
    }

    @Test func `the empty constraints admit the empty context, and everything`() throws {
        let allowed = Decision.allowed(.grant(id(1)))
        let equals = [grant(terms(equals: [:]))]
        #expect(try decision(request(), grants: equals) == allowed)
        #expect(try decision(request(context: ["a": "1"]), grants: equals) != allowed)
        let subset = [grant(terms(subset: [:]))]
        #expect(try decision(request(context: ["a": "1"]), grants: subset) == allowed)
    }

    @Test func `values count letter by letter and byte by byte`() throws {
        let grants = [grant(terms(equals: ["a": "é"]))]
        let allowed = Decision.allowed(.grant(id(1)))
        #expect(try decision(request(context: ["a": "é"]), grants: grants) == allowed)
        #expect(try decision(request(context: ["a": "e\u{301}"]), grants: grants) != allowed)
        #expect(try decision(request(context: ["a": "É"]), grants: grants) != allowed)
    }

    @Test func `constraints on the context do not bind DescribeKey and RetireGrant`() throws {
        let operations = KMSActionSet([.decrypt, .describeKey, .retireGrant])
        let constrained = grant(terms(operations, equals: ["a": "1"], source: source))
        for action in [KMSAction.describeKey, .retireGrant] {
            #expect(constrained.allows(request(Sample.alice, action), from: ConditionValues()))
        }
        #expect(!constrained.allows(request(context: ["a": "1"]), from: ConditionValues()))
        let other: ConditionValues = [.sourceARN: .text("arn:aws:s3:us-east-1:111122223333:x")]
        #expect(!constrained.allows(request(Sample.alice, .describeKey), from: other))
        #expect(constrained.allows(request(Sample.alice, .retireGrant), from: other))
    }

    @Test func `any of several grants is enough`() throws {
        let grants = (1...9).map { number in
            grant(UInt8(number), terms(equals: ["n": "\(number)"]))
        }
        for number in 1...9 {
            #expect(
                try decision(request(context: ["n": "\(number)"]), grants: grants)
                    == .allowed(.grant(id(UInt8(number)))))
        }
        #expect(
            try decision(request(context: ["n": "10"]), grants: grants)
                == .denied(.noResourceBasedPolicy))
    }

    // MARK: Child grants

    private static let parentOperations = KMSActionSet([.decrypt, .encrypt, .createGrant])

    static let children: [(GrantTerms, GrantTerms, Bool)] = [
        (terms(parentOperations), terms(KMSActionSet(.decrypt)), true),
        (terms(parentOperations), terms(parentOperations), true),
        (terms(parentOperations), terms(KMSActionSet([.decrypt, .describeKey])), false),
        (terms(KMSActionSet([.decrypt, .encrypt])), terms(KMSActionSet(.decrypt)), false),
        (terms(parentOperations), terms(subset: ["a": "1"]), true),
        (terms(parentOperations, subset: ["a": "1"]), terms(subset: ["a": "1"]), true),
        (terms(parentOperations, subset: ["a": "1"]), terms(subset: ["a": "1", "b": "2"]), true),
        (terms(parentOperations, subset: ["a": "1"]), terms(equals: ["a": "1"]), true),
        (terms(parentOperations, subset: ["a": "1"]), terms(equals: ["a": "1", "b": "2"]), true),
        (terms(parentOperations, subset: ["a": "1"]), terms(equals: ["b": "2"]), false),
        (terms(parentOperations, subset: ["a": "1", "b": "2"]), terms(subset: ["a": "1"]), false),
        (terms(parentOperations, subset: ["a": "1"]), terms(subset: ["a": "2"]), false),
        (terms(parentOperations, subset: ["a": "1"]), terms(), false),
        (terms(parentOperations, equals: ["a": "1"]), terms(equals: ["a": "1"]), true),
        (terms(parentOperations, equals: ["a": "1"]), terms(equals: ["a": "1", "b": "2"]), false),
        (terms(parentOperations, equals: ["a": "1"]), terms(subset: ["a": "1"]), false),
        (terms(parentOperations, equals: ["a": "1"]), terms(), false),
        (terms(parentOperations, source: source), terms(source: source), true),
        (terms(parentOperations, source: source), terms(source: source + "x"), false),
        (terms(parentOperations, source: source), terms(), false),
    ]

    @Test func `a child grant allows no more than its parent`() throws {
        for (parent, child, isPermitted) in Self.children {
            let line = "\(child) of \(parent)"
            #expect(grant(parent).permits(child: child) == isPermitted, "\(line)")
            let values: ConditionValues = [.sourceARN: .text(source)]
            let result = try decision(
                request(Sample.alice, .createGrant), grants: [grant(parent)], child: child,
                values: values)
            #expect(
                result
                    == (isPermitted
                        ? .allowed(.grant(id(1))) : .denied(.noResourceBasedPolicy)),
                "\(line)")
        }
    }

    @Test func `of several parents the one that fits is taken`() throws {
        let parents = [
            grant(1, terms(Self.parentOperations, subset: ["a": "1"])),
            grant(2, terms(Self.parentOperations, subset: ["a": "2"])),
        ]
        #expect(
            try decision(
                request(Sample.alice, .createGrant), grants: parents,
                child: terms(equals: ["a": "2"]))
                == .allowed(.grant(id(2))))
        #expect(
            try decision(request(Sample.alice, .createGrant), grants: parents)
                == .denied(.noResourceBasedPolicy))
    }

    // MARK: Retiring

    @Test func `a grant is retired by those it names, and by the account that made it`() {
        let retirable = grant(terms(KMSActionSet([.decrypt, .retireGrant]), retiring: Sample.bob))
        #expect(retirable.retirement(by: Sample.alice) == .own)
        #expect(retirable.retirement(by: Sample.bob) == .own)
        #expect(retirable.retirement(by: Sample.root) == .own)
        #expect(retirable.retirement(by: Sample.localUser) == .ofAccount(Sample.account))
        #expect(retirable.retirement(by: Sample.stranger) == .none)
        #expect(retirable.retirement(by: Sample.otherRoot) == .none)
        #expect(retirable.retirement(by: Sample.service) == .none)

        let fixed = grant(terms(), by: Sample.otherAccount)
        #expect(fixed.retirement(by: Sample.alice) == .none)
        #expect(fixed.retirement(by: Sample.root) == .none)
        #expect(fixed.retirement(by: Sample.otherRoot) == .own)
        #expect(fixed.retirement(by: Sample.stranger) == .ofAccount(Sample.otherAccount))

        let byRole = grant(terms(retiring: Sample.role), by: Sample.otherAccount)
        #expect(byRole.retirement(by: Sample.session) == .own)
        let byAccount = grant(terms(retiring: Sample.root), by: Sample.otherAccount)
        #expect(byAccount.retirement(by: Sample.alice) == .ofAccount(Sample.account))
    }

    @Test func `a policy may deny to retire a grant, not allow it`() throws {
        let fixed = grant(terms(retiring: Sample.bob), by: Sample.otherAccount)
        func decision(_ principal: Principal, _ policy: String) throws -> Decision {
            request(principal, .retireGrant).decisionOnRetiring(
                fixed, policy: try PolicyDocument(parsing: policyText([policy])),
                from: ConditionValues())
        }
        #expect(try decision(Sample.alice, "") == .denied(.noResourceBasedPolicy))
        #expect(try decision(Sample.bob, "") == .allowed(.grant(id(1))))
        #expect(
            try decision(Sample.stranger, "")
                == .delegated(to: Sample.otherAccount, .grant(id(1))))
        #expect(
            try decision(Sample.bob, #""Effect": "Deny", "Action": "kms:RetireGrant""#)
                == .denied(.explicit(.init(index: 0, sid: nil))))
    }

    // MARK: Retries

    @Test func `a request with the same name and terms is a retry`() {
        let first = terms(equals: ["a": "1"], name: "n")
        let made = grant(first)
        #expect(made.matchesRetry(of: first, for: Sample.key, by: Sample.account))
        let others = [
            terms(equals: ["a": "1"]), terms(equals: ["a": "1"], name: "m"),
            terms(equals: ["a": "2"], name: "n"), terms(equals: ["A": "1"], name: "n"),
            terms(subset: ["a": "1"], name: "n"), terms(name: "n"),
            terms(equals: ["a": "1"], source: source, name: "n"),
            terms(to: Sample.bob, equals: ["a": "1"], name: "n"),
            terms(retiring: Sample.bob, equals: ["a": "1"], name: "n"),
            terms(KMSActionSet([.decrypt, .encrypt]), equals: ["a": "1"], name: "n"),
        ]
        for other in others {
            #expect(!made.matchesRetry(of: other, for: Sample.key, by: Sample.account), "\(other)")
        }
        let otherKey = KeyARN(
            scope: Sample.key.scope, keyID: KeyID(high: 1, low: 2, isMultiRegion: false))
        #expect(!made.matchesRetry(of: first, for: otherKey, by: Sample.account))
        #expect(!made.matchesRetry(of: first, for: Sample.key, by: Sample.otherAccount))
        let nameless = grant(terms())
        #expect(!nameless.matchesRetry(of: terms(), for: Sample.key, by: Sample.account))
    }

    // MARK: Ids

    @Test func `a grant's id is 64 hex digits`() throws {
        let text = String(repeating: "0123456789abcdef", count: 4)
        let id = try #require(GrantID(text))
        #expect(id.description == text)
        #expect(GrantID(bytes: id.bytes) == id)
        #expect(id.bytes.prefix(3) == [0x01, 0x23, 0x45])
        for wrong in ["", String(text.dropLast()), text + "0", text.uppercased()] {
            #expect(GrantID(wrong) == nil)
        }
        #expect(GrantID("g" + text.dropFirst()) == nil)
        #expect(GrantID(bytes: [UInt8](repeating: 0, count: 31)) == nil)
    }

    @Test func `the terms tell what policies ask about`() {
        let terms = terms(
            KMSActionSet([.encrypt, .decrypt]), retiring: Sample.bob, subset: ["a": "1"])
        #expect(
            terms.value(of: .named(.grantConstraintType)) == .list(["EncryptionContextSubset"]))
        #expect(terms.value(of: .named(.grantOperations)) == .list(["Decrypt", "Encrypt"]))
        #expect(terms.value(of: .named(.granteePrincipal)) == .text(Sample.alice.arn))
        #expect(terms.value(of: .named(.retiringPrincipal)) == .text(Sample.bob.arn))
        #expect(terms.value(of: .named(.keySpec)) == nil)
    }
}

@Suite struct GrantIndexTests {
    @Test func `grants are found by id and by grantee, and gone when removed`() {
        let grants = [
            grant(1, terms(name: "n")), grant(2, terms(equals: ["a": "1"])),
            grant(3, terms(to: Sample.bob)),
        ]
        var index = GrantIndex(grants)
        #expect(index.count == 3)
        #expect(index[id(2)] == grants[1])
        #expect(Array(index.grants(to: Sample.alice)) == Array(grants[..<2]))
        #expect(Set(index.grants) == Set(grants))
        #expect(
            index.grant(retriedBy: terms(name: "n"), for: Sample.key, by: Sample.account)
                == grants[0])
        #expect(
            index.grant(retriedBy: terms(), for: Sample.key, by: Sample.account) == nil)

        let copy = index
        #expect(index.remove(id(1)) == grants[0])
        #expect(index.remove(id(1)) == nil)
        #expect(index[id(1)] == nil)
        #expect(Array(index.grants(to: Sample.alice)) == [grants[1]])
        index.insert(grant(3, terms(to: Sample.alice)))
        #expect(index.count == 2)
        #expect(Array(index.grants(to: Sample.bob)).isEmpty)
        #expect(copy.count == 3)
        index.remove(id(2))
        index.remove(id(3))
        #expect(index.isEmpty)
    }

    @Test func `of 50000 grants those of one grantee are found without a look at the others`()
        throws
    {
        var source = RandomSource(seed: 11)
        var grants: [Grant] = []
        for number in 0..<GrantIndex.maximumCount {
            let grantee = Sample.principal("arn:aws:iam::111122223333:user/local/uid-\(number)")
            let bytes = try #require(GrantID(bytes: source.bytes(32)))
            grants.append(
                Grant(
                    id: bytes, key: Sample.key, terms: terms(to: grantee),
                    creationDate: Timestamp(secondsSinceEpoch: 0), issuingAccount: Sample.account))
        }
        let index = GrantIndex(grants)
        let policy = PolicyDocument.defaultPolicy(account: Sample.account)
        // A scan would look at 2.5 thousand million grants here, and not end before the run is ended.
        for grant in grants {
            let decision = request(grant.terms.grantee).decision(
                policy: policy, grants: index, from: ConditionValues())
            guard decision == .allowed(.grant(grant.id)) else {
                Issue.record("\(grant.terms.grantee): \(decision)")
                return
            }
        }
    }
}
