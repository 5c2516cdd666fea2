import KMSModel
import TestSupport
import Testing

/// Policies that nobody meant to write: changed at random, they must be read or refused, and what
/// is read must come to a verdict.
@Suite struct PolicyMutationTests {
    private static let texts = [
        PolicyDocument.defaultText(account: Sample.account),
        policyText([
            #""Sid": "a", "Principal": {"AWS": ["\#(Sample.alice)", "111122223333"]}"#,
            #""Effect": "Deny", "NotPrincipal": {"AWS": "\#(Sample.bob)"}, "NotAction": "kms:D*""#,
            #""Resource": ["arn:aws:kms:*:${aws:PrincipalAccount}:key/*"], "Action": ["kms:*"]"#,
        ]),
        policyText([
            """
            "Condition": {
                "StringLike": {"kms:EncryptionContext:a": ["b*", "${aws:username, 'x'}?"]},
                "ForAnyValue:StringNotEquals": {"kms:EncryptionContextKeys": "a"},
                "IpAddressIfExists": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}
            }
            """,
            """
            "Effect": "Deny", "Condition": {
                "DateGreaterThan": {"aws:CurrentTime": ["2026-11-24T12:15:00+01:00", "1795522500"]},
                "NumericLessThanEquals": {"kms:RotationPeriodInDays": [365, -1.5e3]},
                "ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/${aws:username}"},
                "BinaryEquals": {"x": "QmluYXJ5"}, "Null": {"aws:SourceArn": true}
            }
            """,
        ]),
    ]

    private static let pieces = [
        "{", "}", "[", "]", ":", ",", "\"", "*", "?", "${", "${*}", "}", "'", "\\u0000", "\\ud800",
        "null", "true", "1e999", "-", "Principal", "Condition", "ForAllValues:", "IfExists",
        "arn:aws:", "::", "/", "0", "9999999999999999999", "é", " ", "\n",
    ]

    private static func changed(_ source: inout RandomSource) -> String {
        var bytes = Array(texts[source.number(0..<texts.count)].utf8)
        for _ in 0..<source.number(1..<3) {
            let at = source.number(0..<bytes.count + 1)
            let end = min(bytes.count, at + source.number(0..<6))
            switch source.number(0..<5) {
            case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8(source.number(0..<8))
            case 1: bytes.removeSubrange(at..<end)
            case 2: bytes.insert(contentsOf: bytes[at..<end], at: source.number(0..<at + 1))
            case 3:
                bytes.replaceSubrange(at..<end, with: pieces[source.number(0..<pieces.count)].utf8)
            default: bytes.insert(contentsOf: pieces[source.number(0..<pieces.count)].utf8, at: at)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `changed policies are read or refused, and judged`() {
        var source = RandomSource(seed: 42)
        let principals = [Sample.root, Sample.alice, Sample.session, Sample.service]
        let values: ConditionValues = [
            .sourceIP: .text("10.1.2.3"), .currentTime: .time(Timestamp(secondsSinceEpoch: 1)),
            .rotationPeriodInDays: .number(90), .resourceAliases: .list(["alias/a", "alias/b"]),
        ]
        var read = 0
        for _ in 0..<10_000 {
            guard let policy = try? PolicyDocument(parsing: Self.changed(&source)) else { continue }
            read += 1
            for principal in principals {
                _ = policy.verdict(
                    on: request(principal, .decrypt, context: ["a": "bc", "d": ""]), from: values)
            }
            _ = policy.principals
        }
        // Else nothing would have been judged, or nothing refused.
        #expect((1_000...9_000).contains(read))
    }
}
