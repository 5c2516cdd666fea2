import Testing

@testable import KMSModel

/// Whether a statement that allows everything on this condition allows.
private func allows(
    _ condition: String, _ values: [ConditionKey: ConditionValue] = [:],
    context: [String: String]? = nil, by principal: Principal = Sample.alice,
    effect: String = "Allow", version: String = "2012-10-17"
) throws -> Bool {
    let policy = try PolicyDocument(
        parsing: policyText(
            version: version, ["\"Effect\": \"\(effect)\", \"Condition\": {\(condition)}"]))
    let verdict = policy.verdict(
        on: request(principal, context: context), from: ConditionValues(values))
    return verdict.word != "silent"
}

/// The same with one key of no meaning, `x:key`, and its value.
private func meets(
    _ name: String, _ expected: String, _ actual: ConditionValue?, effect: String = "Allow"
) throws -> Bool {
    var values: [ConditionKey: ConditionValue] = [:]
    if let actual { values[ConditionKey("x:key")] = actual }
    return try allows("\"\(name)\": {\"x:key\": \(expected)}", values, effect: effect)
}

@Suite struct ConditionTests {
    /// Operator, values in the policy, value of the request, whether they match.
    static let matches: [(String, String, ConditionValue, Bool)] = [
        ("StringEquals", #""a""#, .text("a"), true), ("StringEquals", #""a""#, .text("A"), false),
        ("StringEquals", #"["b", "a"]"#, .text("a"), true),
        ("StringEquals", #"["b", "c"]"#, .text("a"), false),
        ("StringEquals", #""a*""#, .text("ab"), false),
        ("StringEquals", #""a*""#, .text("a*"), true), ("StringEquals", #""""#, .text(""), true),
        ("StringEquals", "7", .text("7"), true), ("StringEquals", "7", .number(7), true),
        ("StringEquals", "true", .flag(true), true),
        ("StringEquals", #""1970-01-01T00:00:01Z""#, .time(Timestamp(secondsSinceEpoch: 1)), true),
        ("StringEquals", #""\u00e9""#, .text("e\u{301}"), false),
        ("StringEqualsIgnoreCase", #""aB""#, .text("Ab"), true),
        ("StringEqualsIgnoreCase", #""aB""#, .text("Abc"), false),
        ("StringEqualsIgnoreCase", #""\u00c9""#, .text("é"), true),
        ("StringEqualsIgnoreCase", #""a*""#, .text("ab"), false),
        ("StringLike", #""a*""#, .text("abc"), true), ("StringLike", #""a*""#, .text("Abc"), false),
        ("StringLike", #""a?c""#, .text("abc"), true),
        ("StringLike", #""a?c""#, .text("ac"), false),
        ("StringLike", #"["x", "*c"]"#, .text("abc"), true),
        ("StringLike", #""*""#, .text(""), true),

        ("Bool", #""true""#, .flag(true), true), ("Bool", "true", .flag(true), true),
        ("Bool", #""TRUE""#, .flag(true), true), ("Bool", "false", .flag(true), false),
        ("Bool", "true", .text("True"), true), ("Bool", "true", .text("1"), false),
        ("Bool", #"[true, false]"#, .flag(false), true), ("Bool", "true", .number(1), false),

        ("NumericEquals", "7", .number(7), true), ("NumericEquals", #""7.0""#, .number(7), true),
        ("NumericEquals", "[6, 7]", .number(7), true), ("NumericEquals", "7", .text("7"), true),
        ("NumericEquals", "7", .text("seven"), false), ("NumericEquals", "7", .number(8), false),
        ("NumericLessThan", "7", .number(6), true), ("NumericLessThan", "7", .number(7), false),
        ("NumericLessThanEquals", "7", .number(7), true),
        ("NumericLessThanEquals", "7", .number(8), false),
        ("NumericGreaterThan", "7", .number(8), true),
        ("NumericGreaterThan", "7", .number(7), false),
        ("NumericGreaterThanEquals", "-7.5e0", .number(-7), true),
        ("NumericGreaterThanEquals", "7", .number(6), false),

        ("DateEquals", #""1970-01-01T00:00:01Z""#, .number(1), true),
        ("DateEquals", "1", .time(Timestamp(secondsSinceEpoch: 1)), true),
        ("DateEquals", "1", .text("1970-01-01T00:00:01Z"), true),
        ("DateEquals", "1", .text("today"), false),
        ("DateLessThan", #""2026""#, .text("2025-12-31T23:59:59Z"), true),
        ("DateLessThan", #""2026""#, .text("2026-01-01T00:00:00Z"), false),
        ("DateLessThanEquals", #""2026""#, .text("2026-01-01"), true),
        ("DateLessThanEquals", #""2026""#, .text("2026-01-01T00:00:00.001Z"), false),
        ("DateGreaterThan", #""2026-11""#, .text("2026-11-01T00:00:01Z"), true),
        ("DateGreaterThan", #""2026-11""#, .text("2026-11-01"), false),
        ("DateGreaterThanEquals", #""2026-11""#, .text("2026-11-01"), true),
        ("DateGreaterThanEquals", #""2026-11""#, .text("2026-10-31"), false),

        ("ArnEquals", #""arn:aws:iam::1:user/*""#, .text("arn:aws:iam::1:user/a/b:c"), true),
        ("ArnLike", #""arn:aws:s:*:1:f/*""#, .text("arn:aws:s:r:2:x:1:f/d"), false),
        ("ArnLike", #""arn:aws:s:*:2:*:f/*""#, .text("arn:aws:s:r:2:x:1:f/d"), true),
        ("ArnLike", #""arn:aws:s:*:*:f/*""#, .text("arn:aws:s:r:2:x:1:f/d"), false),
        ("ArnLike", #""arn:aws:s:*:2:*1:f/*""#, .text("arn:aws:s:r:2:x:1:f/d"), true),
        ("ArnLike", #""arn:*:*:*:*:*""#, .text("arn:aws:s:::"), true),
        ("ArnLike", #""arn:*:*:*:*:*""#, .text("arn:aws:s"), false),
        ("ArnLike", #""*""#, .text("arn:aws:iam::1:root"), true),
        ("ArnLike", #""*""#, .text("root"), false),
        ("ArnEquals", #""arn:aws:iam::1:root""#, .text("arn:AWS:iam::1:root"), false),
        (
            "ArnEquals", #"["arn:a:b:c:d:e", "arn:aws:iam::1:root"]"#, .text("arn:aws:iam::1:root"),
            true
        ),

        ("IpAddress", #""203.0.113.0/24""#, .text("203.0.113.77"), true),
        ("IpAddress", #""203.0.113.0/24""#, .text("203.0.114.77"), false),
        ("IpAddress", #""203.0.113.5""#, .text("203.0.113.5"), true),
        ("IpAddress", #""203.0.113.5""#, .text("203.0.113.6"), false),
        ("IpAddress", #""0.0.0.0/0""#, .text("8.8.8.8"), true),
        ("IpAddress", #""0.0.0.0/0""#, .text("::1"), false),
        ("IpAddress", #""2001:DB8:1234:5678::/64""#, .text("2001:db8:1234:5678:1::2"), true),
        ("IpAddress", #""2001:DB8:1234:5678::/64""#, .text("2001:db8:1234:5679::2"), false),
        ("IpAddress", #""::/0""#, .text("::1"), true),
        ("IpAddress", #""203.0.113.0/24""#, .text("::ffff:203.0.113.9"), true),
        ("IpAddress", #""::ffff:203.0.113.0/120""#, .text("203.0.113.9"), true),
        ("IpAddress", #"["10.0.0.0/8", "::1/128"]"#, .text("0:0:0:0:0:0:0:1"), true),
        ("IpAddress", #""10.0.0.0/8""#, .text("unix"), false),

        ("BinaryEquals", #""QmluYXJ5""#, .text("Binary"), true),
        ("BinaryEquals", #""QmluYXJ5""#, .text("binary"), false),
        ("BinaryEquals", #"["", "QQ=="]"#, .text("A"), true),
    ]

    private static let negations = [
        "StringEquals": "StringNotEquals", "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
        "StringLike": "StringNotLike", "NumericEquals": "NumericNotEquals",
        "DateEquals": "DateNotEquals", "ArnEquals": "ArnNotEquals", "ArnLike": "ArnNotLike",
        "IpAddress": "NotIpAddress",
    ]

    @Test func `each operator compares as it says`() throws {
        for (name, expected, actual, isMatch) in Self.matches {
            let line = "\(name) \(expected) on \(actual)"
            #expect(try meets(name, expected, actual) == isMatch, "\(line)")
            #expect(try meets(name + "IfExists", expected, actual) == isMatch, "\(line)")
            #expect(try meets("ForAnyValue:" + name, expected, actual) == isMatch, "\(line)")
            #expect(try meets("ForAllValues:" + name, expected, actual) == isMatch, "\(line)")
            guard let negation = Self.negations[name] else { continue }
            #expect(try meets(negation, expected, actual) != isMatch, "not \(line)")
            #expect(try meets(negation + "IfExists", expected, actual) != isMatch, "not \(line)")
            #expect(try meets("ForAnyValue:" + negation, expected, actual) != isMatch, "\(line)")
            #expect(try meets("ForAllValues:" + negation, expected, actual) != isMatch, "\(line)")
        }
    }

    /// A value that each operator takes.
    private static let operands = [
        "String": #""a""#, "Arn": #""arn:a:b:c:d:e""#, "Numeric": "1", "Date": "1", "Bool": "true",
        "BinaryEquals": #""QQ==""#, "IpAddress": #""::1""#, "NotIpAddress": #""::1""#,
    ]

    static let operators = [
        "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
        "StringLike", "StringNotLike", "Bool", "NumericEquals", "NumericNotEquals",
        "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan",
        "NumericGreaterThanEquals", "DateEquals", "DateNotEquals", "DateLessThan",
        "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals", "ArnEquals", "ArnLike",
        "ArnNotEquals", "ArnNotLike", "IpAddress", "NotIpAddress", "BinaryEquals",
    ]

    @Test(arguments: operators)
    func `a key without a value fails but for negation, IfExists and ForAllValues`(
        _ name: String
    ) throws {
        let operand = try #require(Self.operands.first { name.hasPrefix($0.key) }?.value)
        let isNegated = name.contains("Not")
        for absent in [nil, ConditionValue.list([])] {
            #expect(try meets(name, operand, absent) == isNegated)
            #expect(try meets(name + "IfExists", operand, absent))
            #expect(try !meets("ForAnyValue:" + name, operand, absent))
            #expect(try meets("ForAnyValue:\(name)IfExists", operand, absent))
            #expect(try meets("ForAllValues:" + name, operand, absent))
            #expect(try meets("ForAllValues:\(name)IfExists", operand, absent))
        }
    }

    @Test(arguments: [
        (["a", "b"], #"["a", "c"]"#, any: true, all: false, anyNot: true, allNot: false),
        (["a"], #"["a", "c"]"#, any: true, all: true, anyNot: false, allNot: false),
        (["b"], #"["a", "c"]"#, any: false, all: false, anyNot: true, allNot: true),
        (["a", "c"], #"["a", "c"]"#, any: true, all: true, anyNot: false, allNot: false),
    ])
    func `quantifiers count over the values of the request`(
        _ actual: [String], _ expected: String, any: Bool, all: Bool, anyNot: Bool, allNot: Bool
    ) throws {
        let actual = ConditionValue.list(actual)
        #expect(try meets("ForAnyValue:StringEquals", expected, actual) == any)
        #expect(try meets("ForAllValues:StringEquals", expected, actual) == all)
        #expect(try meets("ForAnyValue:StringNotEquals", expected, actual) == anyNot)
        #expect(try meets("ForAllValues:StringNotEquals", expected, actual) == allNot)
        // Without one: any value, and with negation none.
        #expect(try meets("StringEquals", expected, actual) == any)
        #expect(try meets("StringNotEquals", expected, actual) == allNot)
    }

    @Test(
        arguments: [
            ("true", nil, true), ("true", .text("a"), false), ("false", nil, false),
            ("false", .text("a"), true), (#""True""#, nil, true), ("true", .list([]), true),
            ("false", .list(["a"]), true), ("[true, false]", nil, true), ("true", .text(""), false),
        ] as [(String, ConditionValue?, Bool)])
    func `Null asks whether there is a value`(
        _ expected: String, _ actual: ConditionValue?, _ isMet: Bool
    ) throws {
        #expect(try meets("Null", expected, actual) == isMet)
    }

    @Test func `all lines and all operators must hold`() throws {
        let two = #""StringEquals": {"x:a": "1", "x:b": "2"}, "Bool": {"x:c": true}"#
        let all: [ConditionKey: ConditionValue] = [
            ConditionKey("x:a"): .text("1"), ConditionKey("x:b"): .text("2"),
            ConditionKey("X:C"): .flag(true),
        ]
        #expect(try allows(two, all))
        for key in all.keys {
            var fewer = all
            fewer[key] = .text("3")
            #expect(try !allows(two, fewer))
        }
    }

    @Test(arguments: [
        ("kms:CallerAccount", "111122223333"), ("aws:PrincipalAccount", "111122223333"),
        ("aws:PrincipalArn", "arn:aws:iam::111122223333:user/team/Alice"),
        ("aws:PrincipalType", "User"), ("aws:username", "Alice"), ("AWS:UserName", "Alice"),
    ])
    func `the request knows its principal`(_ key: String, _ value: String) throws {
        #expect(try allows("\"StringEquals\": {\"\(key)\": \"\(value)\"}"))
        #expect(try !allows("\"StringEquals\": {\"\(key)\": \"\(value)x\"}"))
    }

    @Test(arguments: [
        (Sample.root, "Account", Sample.root.arn as String?, nil as String?),
        (Sample.alice, "User", Sample.alice.arn, "Alice"),
        (Sample.session, "AssumedRole", Sample.role.arn, nil),
        (Sample.service, "Service", nil, nil),
    ])
    func `what a principal is called depends on its kind`(
        _ principal: Principal, _ type: String, _ arn: String?, _ userName: String?
    ) {
        let request = request(principal)
        let value = { (name: ConditionKey.Name) in
            request.value(of: .named(name), from: ConditionValues())
        }
        #expect(value(.principalType) == .text(type))
        #expect(value(.principalARN) == arn.map { .text($0) })
        #expect(value(.userName) == userName.map { .text($0) })
        #expect(value(.principalIsAWSService) == .flag(principal.kind == .service))
    }

    @Test func `a condition sees the encryption context`() throws {
        let equals = #""StringEquals": {"kms:EncryptionContext:App": "one"}"#
        #expect(try allows(equals, context: ["App": "one"]))
        #expect(try allows(equals, context: ["app": "one", "b": "c"]))
        #expect(try !allows(equals, context: ["App": "two"]))
        #expect(try !allows(equals, context: ["Apps": "one"]))
        #expect(try !allows(equals, context: [:]))
        #expect(try !allows(equals))
        // Names that differ in case only: the pair is there.
        #expect(try allows(equals, context: ["App": "one", "APP": "two"]))

        let keys = #""ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "App"}"#
        #expect(try allows(keys, context: ["App": "x", "b": "c"]))
        #expect(try !allows(keys, context: ["app": "x"]))
        let only = #""ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["a", "b"]}"#
        #expect(try allows(only, context: ["a": "x"]))
        #expect(try allows(only))
        #expect(try !allows(only, context: ["a": "x", "c": "x"]))
        let some = #""Null": {"kms:EncryptionContextKeys": false}"#
        #expect(try allows(some, context: ["a": "x"]))
        #expect(try !allows(some, context: [:]))
        #expect(try !allows(some))
    }

    @Test func `tags are told from each other, but for their case`() throws {
        let tag = #""StringEquals": {"aws:ResourceTag/Team": "one"}"#
        #expect(try allows(tag, [ConditionKey("aws:resourcetag/TEAM"): .text("one")]))
        #expect(try !allows(tag, [ConditionKey("aws:RequestTag/Team"): .text("one")]))
        #expect(try !allows(tag, [ConditionKey("aws:ResourceTag/Teams"): .text("one")]))
    }

    @Test func `the old names of KeySpec and KeyUsage mean the same`() throws {
        let old = #""StringEquals": {"kms:CustomerMasterKeySpec": "RSA_2048"}"#
        #expect(try allows(old, [.named(.keySpec): .text("RSA_2048")]))
        let usage = #""StringEquals": {"kms:CustomerMasterKeyUsage": "SIGN_VERIFY"}"#
        #expect(try allows(usage, [.named(.keyUsage): .text("SIGN_VERIFY")]))
    }

    @Test func `every key has one name`() {
        for name in ConditionKey.Name.allCases {
            #expect(ConditionKey(name.rawValue) == .named(name))
            #expect(ConditionKey(name.rawValue.uppercased()) == .named(name))
        }
        #expect(ConditionKey("kms:EncryptionContext:") == .unknown(.init("kms:encryptioncontext:")))
        #expect(ConditionKey("kms:EncryptionContext:A") == .encryptionContext(.init("a")))
        #expect(ConditionKey("aws:ResourceTag/A") == .resourceTag(.init("a")))
        #expect(ConditionKey("aws:RequestTag/A") == .requestTag(.init("a")))
    }

    // MARK: Variables

    @Test func `a variable is the request's own value`() throws {
        let own = #""StringEquals": {"kms:EncryptionContext:user": "${aws:username}"}"#
        #expect(try allows(own, context: ["user": "Alice"]))
        #expect(try !allows(own, context: ["user": "Bob"]))
        #expect(try !allows(own, context: ["user": "Alice"], by: Sample.role))
        #expect(try !allows(own, context: ["user": "Alice"], version: "2008-10-17"))
        #expect(try allows(own, context: ["user": "${aws:username}"], version: "2008-10-17"))

        let arn = #""ArnEquals": {"x:arn": "${aws:PrincipalArn}"}"#
        #expect(try allows(arn, [ConditionKey("x:arn"): .text(Sample.alice.arn)]))
        #expect(try !allows(arn, [ConditionKey("x:arn"): .text(Sample.bob.arn)]))
        let like = #""StringLike": {"x:path": "home/${aws:username}/*"}"#
        #expect(try allows(like, [ConditionKey("x:path"): .text("home/Alice/a")]))
    }

    @Test func `a variable without a value is to nobody's advantage`() throws {
        let not = #""StringNotEquals": {"kms:EncryptionContext:user": "${aws:username}"}"#
        // Bob's role has no user name: it is allowed nothing, and is denied what it may be.
        #expect(try !allows(not, context: ["user": "x"], by: Sample.role))
        #expect(try allows(not, context: ["user": "x"], by: Sample.role, effect: "Deny"))
        #expect(try allows(not, context: ["user": "x"]))
        // Of several values none is the variable's.
        let list = #""StringEquals": {"x:a": "${kms:ResourceAliases}"}"#
        let values: [ConditionKey: ConditionValue] = [
            ConditionKey("x:a"): .text("alias/a"),
            .named(.resourceAliases): .list(["alias/a", "alias/b"]),
        ]
        #expect(try !allows(list, values))
    }
}
