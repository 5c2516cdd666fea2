import KMSModel
import Testing

@Suite struct EvaluationTests {
    private static let namesAlice = #""Principal": {"AWS": "\#(Sample.alice)"}"#
    private static let namesAccount = #""Principal": {"AWS": "111122223333"}"#
    private static let namesRoot = #""Principal": {"AWS": "arn:aws:iam::111122223333:root"}"#
    private static let namesRole = #""Principal": {"AWS": "\#(Sample.role)"}"#
    private static let namesSession = #""Principal": {"AWS": "\#(Sample.session)"}"#
    private static let namesService = #""Principal": {"Service": "ec2.amazonaws.com"}"#

    /// One statement, who asks, and what it says to that, as an Allow and as a Deny.
    static let reaches: [(String, Principal, allow: String, deny: String)] = [
        (#""Principal": "*""#, Sample.alice, "allowed", "denied"),
        (#""Principal": {"AWS": "*"}"#, Sample.stranger, "allowed", "denied"),
        (#""Principal": "*""#, Sample.service, "allowed", "denied"),
        (#""Principal": "*""#, Sample.root, "allowed", "denied"),
        (namesAlice, Sample.alice, "allowed", "denied"),
        (namesAlice, Sample.bob, "silent", "silent"),
        (namesAlice, Sample.root, "silent", "silent"),
        (namesAccount, Sample.root, "allowed", "denied"),
        (namesRoot, Sample.root, "allowed", "denied"),
        (namesRoot, Sample.alice, "delegated", "denied"),
        (namesAccount, Sample.localUser, "delegated", "denied"),
        (namesAccount, Sample.session, "delegated", "denied"),
        (namesAccount, Sample.stranger, "silent", "silent"),
        (namesAccount, Sample.otherRoot, "silent", "silent"),
        (namesAccount, Sample.service, "silent", "silent"),
        (namesRole, Sample.role, "allowed", "denied"),
        (namesRole, Sample.session, "allowed", "denied"),
        (namesSession, Sample.session, "allowed", "denied"),
        (namesSession, Sample.role, "silent", "silent"),
        (namesService, Sample.service, "allowed", "denied"),
        (namesService, Sample.alice, "silent", "silent"),
        (
            #""Principal": {"AWS": ["111122223333", "\#(Sample.alice)"]}"#, Sample.alice, "allowed",
            "denied"
        ),
        (#""Principal": {"Federated": "f"}"#, Sample.alice, "silent", "silent"),
        (#""Principal": {"CanonicalUser": "c"}"#, Sample.root, "silent", "silent"),

        // A denial spares who is named on every level, a permission spares who is named on one.
        (#""NotPrincipal": {"AWS": "\#(Sample.bob)"}"#, Sample.alice, "allowed", "denied"),
        (#""NotPrincipal": {"AWS": "\#(Sample.bob)"}"#, Sample.stranger, "allowed", "denied"),
        (#""NotPrincipal": {"AWS": "\#(Sample.alice)"}"#, Sample.alice, "silent", "denied"),
        (#""NotPrincipal": {"AWS": "111122223333"}"#, Sample.alice, "silent", "denied"),
        (
            #""NotPrincipal": {"AWS": ["111122223333", "\#(Sample.alice)"]}"#, Sample.alice,
            "silent", "silent"
        ),
        (#""NotPrincipal": {"AWS": "111122223333"}"#, Sample.root, "silent", "silent"),
        (
            #""NotPrincipal": {"AWS": ["111122223333", "\#(Sample.role)"]}"#, Sample.session,
            "silent", "denied"
        ),
        (
            #""NotPrincipal": {"AWS": ["111122223333", "\#(Sample.role)", "\#(Sample.session)"]}"#,
            Sample.session, "silent", "silent"
        ),
        (#""NotPrincipal": {"Service": "ec2.amazonaws.com"}"#, Sample.service, "silent", "silent"),
        (#""NotPrincipal": "*""#, Sample.alice, "silent", "silent"),
    ]

    @Test func `a statement is about those it names`() throws {
        for (principals, principal, allow, deny) in Self.reaches {
            let line = "\(principals) and \(principal)"
            #expect(try verdict(principals, on: request(principal)).word == allow, "\(line)")
            let denial = #""Effect": "Deny", "# + principals
            #expect(try verdict(denial, on: request(principal)).word == deny, "\(line)")
        }
    }

    @Test(arguments: [
        (#""Action": "kms:Decrypt""#, KMSAction.decrypt, true),
        (#""Action": "kms:Decrypt""#, .encrypt, false),
        (#""Action": "KMS:dEcRyPt""#, .decrypt, true), (#""Action": "*""#, .decrypt, true),
        (#""Action": "*:*""#, .decrypt, true), (#""Action": "k*:Dec*""#, .decrypt, true),
        (#""Action": "kms:?ecrypt""#, .decrypt, true),
        (#""Action": "kms:?crypt""#, .decrypt, false),
        (#""Action": "kms:ReEncrypt*""#, .reEncryptFrom, true),
        (#""Action": "kms:ReEncrypt*""#, .encrypt, false),
        (#""Action": "kms:ReEncrypt""#, .reEncryptTo, false),
        (#""Action": ["kms:Encrypt", "kms:Decrypt"]"#, .decrypt, true),
        (#""Action": "s3:*""#, .decrypt, false), (#""Action": []"#, .decrypt, false),
        (#""NotAction": "kms:Decrypt""#, .decrypt, false),
        (#""NotAction": "kms:Decrypt""#, .encrypt, true),
        (#""NotAction": "s3:*""#, .decrypt, true), (#""NotAction": "*""#, .decrypt, false),
        (#""NotAction": ["kms:D*", "kms:Encrypt"]"#, .describeKey, false),
    ])
    func `a statement is about the actions it names`(
        _ actions: String, _ action: KMSAction, _ isAllowed: Bool
    ) throws {
        let word = try verdict(actions, on: request(Sample.alice, action)).word
        #expect(word == (isAllowed ? "allowed" : "silent"))
    }

    @Test(arguments: [
        (#""Resource": "*""#, true), (#""Resource": "\#(Sample.keyText)""#, true),
        (#""Resource": "\#(Sample.keyText)x""#, false),
        (#""Resource": "arn:aws:kms:*:111122223333:key/*""#, true),
        (#""Resource": "arn:aws:kms:*:444455556666:key/*""#, false),
        (#""Resource": "arn:aws:kms:us-????-1:*""#, true),
        (#""Resource": "ARN:aws:*""#.replacing("ARN", with: "arn"), true),
        (#""Resource": ["arn:aws:s3:::a", "*"]"#, true), (#""Resource": []"#, false),
        (#""Resource": "arn:aws:kms:us-east-1:${aws:PrincipalAccount}:key/*""#, true),
        (#""Resource": "arn:aws:kms:us-east-1:${aws:userid}:key/*""#, false),
        (#""NotResource": "*""#, false), (#""NotResource": "\#(Sample.keyText)""#, false),
        (#""NotResource": "arn:aws:kms:eu-west-1:*""#, true),
        // A variable without a value: nothing is allowed.
        (#""NotResource": "arn:aws:kms:us-east-1:${aws:userid}:key/*""#, false),
    ])
    func `a statement is about the resources it names`(_ resources: String, _ fits: Bool) throws {
        #expect(try verdict(resources, on: request()).word == (fits ? "allowed" : "silent"))
    }

    @Test func `a denial of all but a resource without a name stands`() throws {
        let denial = #""Effect": "Deny", "NotResource": "arn:aws:kms:us-east-1:${aws:userid}:k""#
        #expect(try verdict("", denial, on: request()).word == "denied")
    }

    @Test func `a denial beats every permission, wherever it stands`() throws {
        let deny = #""Effect": "Deny", "Principal": {"AWS": "\#(Sample.alice)"}, "Sid": "no""#
        #expect(try verdict("", deny, on: request()) == .denied(.init(index: 1, sid: "no")))
        #expect(try verdict(deny, "", on: request()) == .denied(.init(index: 0, sid: "no")))
        #expect(
            try verdict(deny, "", on: request(Sample.bob)) == .allowed(.init(index: 1, sid: nil)))
        #expect(try verdict(deny, on: request(Sample.bob)) == .silent)
    }

    @Test func `a denial counts only if its conditions hold`() throws {
        let deny =
            #""Effect": "Deny", "Condition": {"StringNotEquals": {"kms:EncryptionContext:a": "b"}}"#
        #expect(try verdict("", deny, on: request(context: ["a": "b"])).word == "allowed")
        #expect(try verdict("", deny, on: request(context: ["a": "c"])).word == "denied")
        #expect(try verdict("", deny, on: request()).word == "denied")
    }

    @Test func `a permission for oneself comes before one for the account`() throws {
        #expect(
            try verdict(Self.namesAccount, Self.namesAlice, on: request())
                == .allowed(.init(index: 1, sid: nil)))
        #expect(
            try verdict(Self.namesAccount, Self.namesRoot, on: request())
                == .delegated(to: Sample.account, .init(index: 0, sid: nil)))
        let unmet = Self.namesAccount + #", "Condition": {"Bool": {"aws:ViaAWSService": true}}"#
        #expect(
            try verdict(unmet, Self.namesRoot, on: request())
                == .delegated(to: Sample.account, .init(index: 1, sid: nil)))
        #expect(try verdict(unmet, on: request()) == .silent)
    }

    @Test func `under the default policy the root may do everything, and others by delegation`() {
        let policy = PolicyDocument.defaultPolicy(account: Sample.account)
        let statement = StatementReference(index: 0, sid: "Enable IAM User Permissions")
        for action in KMSAction.allCases {
            let source = ConditionValues()
            #expect(
                policy.verdict(on: request(Sample.root, action), from: source)
                    == .allowed(statement))
            #expect(
                policy.verdict(on: request(Sample.alice, action), from: source)
                    == .delegated(to: Sample.account, statement))
            #expect(
                policy.verdict(on: request(Sample.otherRoot, action), from: source) == .silent)
        }
    }

    // MARK: Decisions

    @Test func `denials are told in AWS's words`() {
        let request = request()
        let start =
            "User: arn:aws:iam::111122223333:user/team/Alice is not authorized to perform: "
            + "kms:Decrypt on resource: \(Sample.keyText) "
        let messages: [(Decision.Denial, String)] = [
            (
                .explicit(.init(index: 0, sid: nil)),
                "with an explicit deny in a resource-based policy"
            ),
            (
                .noResourceBasedPolicy,
                "because no resource-based policy allows the kms:Decrypt action"
            ),
            (
                .noIdentityBasedPolicy,
                "because no identity-based policy allows the kms:Decrypt action"
            ),
        ]
        for (denial, end) in messages {
            #expect(request.error(denial) == .accessDenied(start + end))
        }
        #expect(
            KMSError.denial(
                .noIdentityBasedPolicy, of: .createKey, to: Sample.alice.arn, on: nil)
                == .accessDenied(
                    "User: arn:aws:iam::111122223333:user/team/Alice is not authorized to perform: "
                        + "kms:CreateKey because no identity-based policy allows the kms:CreateKey "
                        + "action"))
    }

    @Test func `a decision names the statement`() throws {
        let policy = try PolicyDocument(
            parsing: policyText([
                #""Sid": "others", "Principal": {"AWS": "\#(Sample.bob)"}"#,
                #""Sid": "mine", "Principal": {"AWS": "\#(Sample.alice)"}"#,
                #""Sid": "not", "Effect": "Deny", "Action": "kms:Encrypt""#,
            ]))
        func decision(_ principal: Principal, _ action: KMSAction) -> Decision {
            request(principal, action).decision(
                policy: policy, grants: GrantIndex(), from: ConditionValues())
        }
        #expect(
            decision(Sample.alice, .decrypt) == .allowed(.statement(.init(index: 1, sid: "mine"))))
        #expect(decision(Sample.alice, .encrypt) == .denied(.explicit(.init(index: 2, sid: "not"))))
        #expect(decision(Sample.localUser, .decrypt) == .denied(.noResourceBasedPolicy))
    }

    // MARK: Lockout

    @Test(arguments: [
        (Sample.root, #""Principal": {"AWS": "111122223333"}"#, false, true),
        (Sample.alice, #""Principal": {"AWS": "111122223333"}"#, true, true),
        (Sample.alice, #""Principal": {"AWS": "111122223333"}"#, false, false),
        (Sample.alice, #""Principal": {"AWS": "\#(Sample.alice)"}"#, false, true),
        (Sample.root, #""Principal": {"AWS": "\#(Sample.alice)"}"#, true, false),
        (Sample.root, #""Action": "kms:Decrypt""#, true, false),
        (Sample.root, #""Action": "kms:PutKeyPolicy""#, true, true),
        (Sample.root, #""Resource": "arn:aws:kms:us-east-1:111122223333:key/other""#, true, false),
        (Sample.root, #""Condition": {"Bool": {"aws:ViaAWSService": "true"}}"#, true, false),
    ])
    func `who puts a policy must be able to put another`(
        _ caller: Principal, _ statement: String, _ isAdministrator: Bool, _ isKept: Bool
    ) throws {
        let policy = try PolicyDocument(parsing: policyText([statement]))
        let check: () throws(PolicyError) -> Void = { () throws(PolicyError) in
            try policy.checkLockout(
                of: caller, key: Sample.keyText, isAdministrator: isAdministrator,
                from: ConditionValues())
        }
        if isKept {
            #expect(throws: Never.self) { try check() }
        } else {
            #expect(throws: PolicyError.lockout) { try check() }
        }
    }

    @Test func `a denial of PutKeyPolicy locks out`() throws {
        let policy = try PolicyDocument(
            parsing: policyText(["", #""Effect": "Deny", "Action": "kms:Put*""#]))
        #expect(throws: PolicyError.lockout) {
            try policy.checkLockout(
                of: Sample.root, key: Sample.keyText, isAdministrator: true,
                from: ConditionValues())
        }
    }

    /// Patterns that a policy makes as long as an encryption context would take minutes. Where nobody
    /// can tell whether a statement fits, what it allows is not allowed, and what it denies is denied.
    @Test func `a policy that takes too long to judge allows nothing that it does not know`() throws
    {
        let values = (0..<30).map { #""*${kms:EncryptionContext:x}b\#($0)""# }
        let condition =
            #""Condition": {"StringLike": {"kms:EncryptionContext:y": ["#
            + values.joined(separator: ", ") + "]}}"
        let long = request(context: [
            "x": String(repeating: "a", count: 2000), "y": String(repeating: "a", count: 4000),
        ])
        let (allow, deny) = (
            #""Effect": "Allow", "# + condition, #""Effect": "Deny", "# + condition
        )
        #expect(try verdict(allow, on: long).word == "silent")
        #expect(try verdict(deny, #""Effect": "Allow""#, on: long).word == "denied")
        #expect(try verdict(allow, #""Effect": "Allow""#, on: long).word == "allowed")
        let short = request(context: ["x": "aa", "y": "aaaab7"])
        #expect(try verdict(allow, on: short).word == "allowed")
        #expect(try verdict(deny, on: short).word == "denied")
    }
}
