import TestSupport
import Testing

@testable import KMSModel

@Suite struct PolicyGrammarTests {
    /// Elements of a statement that are in the grammar.
    static let accepted = [
        "", #""Sid": "with spaces: ok""#, #""Sid": """#, #""Effect": "Deny""#,
        #""Principal": "*""#, #""Principal": {"AWS": "*"}"#,
        #""Principal": {"AWS": "111122223333"}"#,
        #""Principal": {"AWS": "arn:aws:iam::111122223333:root"}"#,
        #""Principal": {"AWS": ["arn:aws:iam::111122223333:user/a/b", "444455556666", "*"]}"#,
        #""Principal": {"AWS": ["111122223333"], "Service": "ec2.amazonaws.com"}"#,
        #""Principal": {"Service": ["ec2.amazonaws.com", "a.b.amazonaws.com"]}"#,
        #""Principal": {"Federated": "accounts.google.com"}"#,
        #""Principal": {"CanonicalUser": "79a59df900b949e55d96a1e698fbaced"}"#,
        #""NotPrincipal": {"AWS": "111122223333"}"#, #""NotPrincipal": "*""#,
        #""Action": "*""#, #""Action": ["kms:Decrypt", "KMS:en*", "kms:?ncrypt"]"#,
        #""Action": "s3:GetObject""#, #""NotAction": "kms:Decrypt""#, #""Action": []"#,
        #""Resource": ["*"]"#, #""Resource": "arn:aws:kms:*:*:key/*""#,
        #""Resource": "arn:aws:kms:us-east-1:1:key/${aws:username}""#, #""Resource": []"#,
        #""NotResource": "arn:aws:kms:us-east-1:111122223333:key/x""#, #""Condition": {}"#,
        #""Condition": {"StringEquals": {}}"#,
        #""Condition": {"StringEquals": {"a": ["b", 1, true]}, "Bool": {"a": "true"}}"#,
        #""Condition": {"NumericLessThan": {"a": [1, "2", -3.5e1]}}"#,
        #""Condition": {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": "a"}}"#,
        #""Condition": {"ForAnyValue:StringEquals": {"kms:EncryptionContext:a": "b"}}"#,
    ]

    @Test(arguments: accepted)
    func `what is in the grammar is accepted`(_ elements: String) throws {
        _ = try PolicyDocument(parsing: policyText([elements]))
        // One statement may stand without a list.
        _ = try PolicyDocument(parsing: "{\"Statement\": \(statementText(elements))}")
    }

    private static func place(_ element: String) -> PolicyError.Place { .init(element, in: 0) }

    /// Elements of a statement that are not, and why.
    static let refused: [(String, PolicyError)] = [
        (#""Effect": "allow""#, .invalidValue("allow", place("Effect"))),
        (#""Effect": true"#, .wrongType(place("Effect"))),
        (#""Effect": null"#, .wrongType(place("Effect"))),
        (#""sid": "a""#, .unknown(place("sid"))),
        (#""Principals": "*""#, .unknown(place("Principals"))),
        (#""Sid": 1"#, .wrongType(place("Sid"))),
        (#""Principal": "111122223333""#, .invalidPrincipal("111122223333")),
        (#""Principal": ["*"]"#, .wrongType(place("Principal"))),
        (#""Principal": {}"#, .noPrincipal(statement: 0)),
        (#""Principal": {"AWS": []}"#, .noPrincipal(statement: 0)),
        (#""Principal": {"AWS": 1}"#, .wrongType(place("Principal"))),
        (#""Principal": {"AWS": ["*", null]}"#, .wrongType(place("Principal"))),
        (#""Principal": {"aws": "*"}"#, .unknown(place("Principal.aws"))),
        (#""Principal": {"AWS": "1111"}"#, .invalidPrincipal("1111")),
        (
            #""Principal": {"AWS": "arn:aws:iam::111122223333:user/*"}"#,
            .invalidPrincipal("arn:aws:iam::111122223333:user/*")
        ),
        (
            #""Principal": {"AWS": "AIDACKCEVSQ6C2EXAMPLE"}"#,
            .invalidPrincipal("AIDACKCEVSQ6C2EXAMPLE")
        ),
        (
            #""Principal": {"AWS": "ec2.amazonaws.com"}"#, .invalidPrincipal("ec2.amazonaws.com")
        ),
        (#""Principal": {"Service": "*"}"#, .invalidPrincipal("*")),
        (
            #""Principal": {"Service": "111122223333"}"#, .invalidPrincipal("111122223333")
        ),
        (#""Principal": {"Federated": "*"}"#, .invalidPrincipal("*")),
        (#""Principal": "*", "NotPrincipal": "*""#, .contradiction(place("NotPrincipal"))),
        (#""Action": "kms:*", "NotAction": "kms:*""#, .contradiction(place("NotAction"))),
        (#""Resource": "*", "NotResource": "*""#, .contradiction(place("NotResource"))),
        (#""Action": "Decrypt""#, .invalidValue("Decrypt", place("Action"))),
        (#""Action": "kms:""#, .invalidValue("kms:", place("Action"))),
        (#""Action": "kms:a:b""#, .invalidValue("kms:a:b", place("Action"))),
        (#""Action": "kms:De crypt""#, .invalidValue("kms:De crypt", place("Action"))),
        (#""Action": "kms:${a}""#, .invalidValue("kms:${a}", place("Action"))),
        (#""Action": {"a": 1}"#, .wrongType(place("Action"))),
        (#""Action": ["kms:*", 1]"#, .wrongType(place("Action"))),
        (#""Resource": "key""#, .invalidValue("key", place("Resource"))),
        (#""Resource": """#, .invalidValue("", place("Resource"))),
        (#""Resource": "arn:${""#, .invalidValue("arn:${", place("Resource"))),
        (#""Condition": []"#, .wrongType(place("Condition"))),
        (#""Condition": {"StringEquals": "a"}"#, .wrongType(place("Condition"))),
        (#""Condition": {"StringEquals": {"a": null}}"#, .wrongType(place("Condition"))),
        (#""Condition": {"StringEquals": {"a": []}}"#, .wrongType(place("Condition"))),
        (#""Condition": {"StringEquals": {"a": [["b"]]}}"#, .wrongType(place("Condition"))),
        (#""Condition": {"StringEquals": {"a": {}}}"#, .wrongType(place("Condition"))),
        (#""Condition": {"StringEquals": {"": "a"}}"#, .invalidValue("", place("Condition"))),
        (#""Condition": {"StringEquals": {"a": "${"}}"#, .invalidValue("${", place("Condition"))),
        (#""Condition": {"Bool": {"a": "maybe"}}"#, .invalidValue("maybe", place("Condition"))),
        (#""Condition": {"Null": {"a": 1}}"#, .invalidValue("1", place("Condition"))),
        (
            #""Condition": {"NumericEquals": {"a": ["1", "x"]}}"#,
            .invalidValue("x", place("Condition"))
        ),
        (#""Condition": {"DateEquals": {"a": "x"}}"#, .invalidValue("x", place("Condition"))),
        (#""Condition": {"IpAddress": {"a": "x"}}"#, .invalidValue("x", place("Condition"))),
        (#""Condition": {"BinaryEquals": {"a": "x"}}"#, .invalidValue("x", place("Condition"))),
        (#""Condition": {"ArnLike": {"a": "arn:*"}}"#, .invalidValue("arn:*", place("Condition"))),
        (#""Condition": {"Equals": {}}"#, .unknownOperator("Equals", statement: 0)),
        (#""Condition": {"stringequals": {}}"#, .unknownOperator("stringequals", statement: 0)),
        (
            #""Condition": {"NullIfExists": {"a": true}}"#,
            .unknownOperator("NullIfExists", statement: 0)
        ),
        (
            #""Condition": {"ForAnyValue:Null": {"a": true}}"#,
            .unknownOperator("ForAnyValue:Null", statement: 0)
        ),
        (
            #""Condition": {"ForSomeValue:Bool": {"a": true}}"#,
            .unknownOperator("ForSomeValue:Bool", statement: 0)
        ),
        (
            #""Condition": {"ForAllValues:ForAnyValue:Bool": {"a": true}}"#,
            .unknownOperator("ForAllValues:ForAnyValue:Bool", statement: 0)
        ),
        (
            #""Condition": {"BoolIfExistsIfExists": {"a": true}}"#,
            .unknownOperator("BoolIfExistsIfExists", statement: 0)
        ),
        (
            #""Condition": {"ForAllValues:StringLike": {"kms:EncryptionContext:a": "b"}}"#,
            .overlyPermissive(.encryptionContext)
        ),
        (
            #""Condition": {"ForAllValues:StringLikeIfExists": {"aws:RequestTag/a": "b"}}"#,
            .overlyPermissive(.tag)
        ),
    ]

    @Test func `what is not in the grammar is refused, and the place is named`() {
        for (elements, error) in Self.refused {
            #expect(throws: error, "\(elements)") {
                try PolicyDocument(parsing: policyText([elements]))
            }
        }
    }

    @Test(arguments: [
        ("", PolicyError.empty), ("not a policy", .syntax(.unexpectedByte(offset: 1))),
        ("[]", .wrongType(.init("The policy"))), ("{}", .missing(.init("Statement"))),
        (#"{"Statement": []}"#, .missing(.init("Statement"))),
        (#"{"Statement": "a"}"#, .wrongType(.init("Statement"))),
        (#"{"Statement": ["a"]}"#, .wrongType(.init("Statement", in: 0))),
        (#"{"Statement": [[]]}"#, .wrongType(.init("Statement", in: 0))),
        (#"{"Version": "2012-10-18"}"#, .invalidValue("2012-10-18", .init("Version"))),
        (#"{"Version": 2012}"#, .wrongType(.init("Version"))),
        (#"{"Id": 1}"#, .wrongType(.init("Id"))),
        (#"{"statement": []}"#, .unknown(.init("statement"))),
        (#"{"Statement": {}, "Statement": {}}"#, .syntax(.duplicateName("Statement", offset: 18))),
        (#"{"Statement": {"Principal": "*"}}"#, .missing(.init("Effect", in: 0))),
        (#"{"Statement": {"Effect": "Allow"}}"#, .noPrincipal(statement: 0)),
        ("{\u{1}}", .forbiddenCharacter), ("{\u{100}}", .forbiddenCharacter),
        ("{\"Id\": \"😀\"}", .forbiddenCharacter),
    ])
    func `a document that is none is refused`(_ text: String, _ error: PolicyError) {
        #expect(throws: error) { try PolicyDocument(parsing: text) }
    }

    @Test func `statement ids are unique`() throws {
        #expect(throws: PolicyError.duplicateStatementID("a")) {
            try PolicyDocument(parsing: policyText([#""Sid": "a""#, "", #""Sid": "a""#]))
        }
        _ = try PolicyDocument(parsing: policyText([#""Sid": "a""#, "", #""Sid": "A""#, ""]))
    }

    @Test func `the second statement's fault is the second's`() {
        #expect(throws: PolicyError.missing(.init("Effect", in: 1))) {
            try PolicyDocument(
                parsing: #"{"Statement": [\#(statementText("")), {"Principal": "*"}]}"#)
        }
    }

    @Test func `a policy has at most 32768 bytes`() throws {
        let text = policyText([""])
        let padding = String(repeating: " ", count: 32_768 - text.utf8.count)
        _ = try PolicyDocument(parsing: text + padding)
        #expect(throws: PolicyError.tooLong(byteCount: 32_769)) {
            try PolicyDocument(parsing: text + padding + " ")
        }
    }

    @Test func `nesting has an end`() {
        let deep = String(repeating: "[", count: 30_000)
        #expect(throws: PolicyError.syntax(.tooDeep(offset: 29))) {
            try PolicyDocument(parsing: #"{"Statement": "# + deep)
        }
    }

    @Test func `version and id are told`() throws {
        let policy = try PolicyDocument(
            parsing: #"{"Id": "x y", "Version": "2012-10-17", "Statement": \#(statementText(""))}"#)
        #expect(policy.version == .current)
        #expect(policy.id == "x y")
        #expect(policy.statementCount == 1)
        let old = try PolicyDocument(parsing: "{\"Statement\": \(statementText(""))}")
        #expect(old.version == .first)
        #expect(old.id == nil)
    }

    @Test func `statements without actions or resources are accepted and named`() throws {
        let policy = try PolicyDocument(
            parsing: """
                {"Statement": [
                    {"Effect": "Allow", "Principal": "*", "Action": "kms:*"},
                    {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"},
                    {"Sid": "s", "Effect": "Deny", "Principal": "*", "Resource": "*"},
                    {"Effect": "Deny", "Principal": "*", "Resource": "*", "Action": []}
                ]}
                """)
        #expect(
            policy.inertStatements == [
                .init(index: 0, sid: nil), .init(index: 2, sid: "s"), .init(index: 3, sid: nil),
            ])
        #expect(policy.inertStatements[1].description == "statement 3 (s)")
        #expect(
            policy.verdict(on: request(), from: ConditionValues())
                == .allowed(.init(index: 1, sid: nil)))
    }

    @Test func `the principals of a policy are listed once each`() throws {
        let policy = try PolicyDocument(
            parsing: policyText([
                #""Principal": {"AWS": ["111122223333", "\#(Sample.alice)"], "Federated": "f"}"#,
                #""NotPrincipal": {"AWS": ["\#(Sample.root)", "\#(Sample.bob)"]}"#,
                #""Principal": {"Service": "ec2.amazonaws.com", "CanonicalUser": "c"}"#, "",
            ]))
        #expect(
            policy.principals == [
                .account(Sample.account), .principal(Sample.alice), .federated("f"),
                .principal(Sample.bob), .principal(Sample.service), .canonicalUser("c"), .everyone,
            ])
    }

    @Test func `the default policy is the one that AWS makes`() throws {
        let text = PolicyDocument.defaultText(account: Sample.account)
        let policy = try PolicyDocument(parsing: text)
        #expect(policy == PolicyDocument.defaultPolicy(account: Sample.account))
        #expect(policy.id == "key-default-1")
        #expect(policy.principals == [.account(Sample.account)])
        #expect(
            text.hasPrefix("{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n"))
        #expect(text.contains(#""Sid" : "Enable IAM User Permissions","#))
        #expect(text.hasSuffix("  } ]\n}"))
    }

    @Test(arguments: [
        (PolicyError.noPrincipal(statement: 3), "Policy contains a statement with no principal."),
        (
            .invalidPrincipal("x"),
            "Policy contains a statement with one or more invalid principals."
        ),
        (
            .lockout,
            "The new key policy will not allow you to update the key policy in the future."
        ),
        (.duplicateStatementID("x"), "Statement IDs (SID) in a single policy must be unique."),
        (
            .overlyPermissive(.encryptionContext),
            "OverlyPermissiveCondition:EncryptionContext: Using the ForAllValues set operator with "
                + "a single-valued condition key matches requests without the specified encryption "
                + "context or with an unspecified encryption context. To fix, remove ForAllValues."
        ),
        (
            .missing(.init("Effect", in: 1)), "Effect of statement 2 is missing."
        ),
        (
            .syntax(.unexpectedEnd), "Syntax error in the policy: unexpected end."
        ),
    ])
    func `a malformed policy is an exception in AWS's words`(
        _ error: PolicyError, _ message: String
    ) {
        #expect(KMSError(error) == .malformedPolicyDocument(message))
        #expect(KMSError(error).exceptionName == "MalformedPolicyDocumentException")
    }

    @Test func `limits have other exceptions`() {
        #expect(
            KMSError(PolicyError.tooLong(byteCount: 1)).exceptionName == "LimitExceededException")
        #expect(KMSError(PolicyError.empty).exceptionName == "ValidationException")
        #expect(KMSError(PolicyError.forbiddenCharacter).exceptionName == "ValidationException")
    }
}
