import Cryptography
import KMSModel

private let account: AccountID = {
    guard let account = AccountID("111122223333") else { preconditionFailure("an account") }
    return account
}()

private func principal(_ text: String) -> Principal {
    guard let principal = Principal(text) else { preconditionFailure("no principal: \(text)") }
    return principal
}

private let keyARN: KeyARN = {
    let text = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    guard let arn = KeyARN(text) else { preconditionFailure("a key's ARN") }
    return arn
}()

private let requests: [AuthorizationRequest] = [
    "arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:user/local/uid-1000",
    "arn:aws:sts::111122223333:assumed-role/Admin/session", "arn:aws:iam::444455556666:user/Bob",
    "ec2.amazonaws.com",
].flatMap { text in
    [KMSAction.decrypt, .putKeyPolicy].map { action in
        AuthorizationRequest(
            principal: principal(text), action: action, resource: keyARN.description,
            encryptionContext: EncryptionContext(["a": "bc", "B": "é", "": "x"]))
    }
}

private let values: ConditionValues = [
    .sourceIP: .text("10.1.2.3"), .currentTime: .time(Timestamp(secondsSinceEpoch: 1)),
    .rotationPeriodInDays: .number(90), .resourceAliases: .list(["alias/a", "alias/b"]),
    .viaAWSService: .flag(false),
]

private func policies() -> [[UInt8]] {
    let texts = [
        PolicyDocument.defaultText(account: account),
        """
        {"Version": "2012-10-17", "Id": "i", "Statement": [
        {"Sid": "a b", "Effect": "Allow", "Principal": {"AWS": ["111122223333",
        "arn:aws:iam::111122223333:user/local/uid-1000"], "Service": "ec2.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:Re*crypt?rom"], "Resource": ["*"]},
        {"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:root"},
        "NotAction": "kms:D*", "NotResource": "arn:aws:kms:*:${aws:PrincipalAccount}:key/x"}]}
        """,
        """
        {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
        "Condition": {"StringLike": {"kms:EncryptionContext:a": ["b*", "?\\u00e9"]},
        "ForAnyValue:StringNotEqualsIgnoreCase": {"kms:EncryptionContextKeys": "a"},
        "ForAllValues:StringEquals": {"kms:ResourceAliases": ["alias/a", "alias/b"]},
        "IpAddressIfExists": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::ffff:1.2.3.4/64"]}}}}
        """,
        """
        {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*",
        "Action": "kms:*", "Resource": "*", "Condition": {
        "DateGreaterThan": {"aws:CurrentTime": ["2026-11-24T12:15:00.5+01:00", "2026", 1795522500]},
        "NumericLessThanEquals": {"kms:RotationPeriodInDays": [365, -1.5e3]},
        "ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/${aws:username, 'x'}${*}"},
        "Bool": {"aws:ViaAWSService": false}, "BinaryEquals": {"x:y": "QmluYXJ5"},
        "Null": {"aws:SourceArn": true}}}}
        """,
    ]
    return texts.map { Array($0.utf8) }
}

/// Reads a policy, and lets it judge.
private func judge(_ bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self),
        let policy = try? PolicyDocument(parsing: text)
    else { return }
    precondition(bytes.count <= PolicyDocument.maximumBytes, "FOUND: a policy that is too long")
    precondition(policy.statementCount > 0, "FOUND: a policy without statements")
    _ = policy.principals
    for request in requests {
        switch policy.verdict(on: request, from: values) {
        case .allowed(let statement), .denied(let statement):
            precondition(statement.index < policy.statementCount, "FOUND: no such statement")
        case .delegated(let account, _):
            precondition(account == request.principal.account, "FOUND: a foreign account decides")
            precondition(request.principal.kind != .root, "FOUND: the root has to ask itself")
        case .silent: break
        }
    }
}

private let macKey: SecretBytes = {
    var secret = sampleBytes(32, 10)
    return SecretBytes(consuming: &secret)
}()

private let grantToken: GrantToken = {
    guard let id = GrantID(bytes: sampleBytes(32, 11)) else { preconditionFailure("an id") }
    return GrantToken(grantID: id, key: keyARN)
}()

let policyTargets = [
    FuzzTarget(name: "policy", samples: policies, run: judge),
    FuzzTarget(
        name: "grant-token",
        samples: {
            [12, 13].map { seed in
                Array(grantToken.text(nonce: sampleBytes(16, seed), macKey: macKey).utf8)
            }
        }
    ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        guard let token = GrantToken(decoding: text, macKey: macKey) else { return }
        precondition(token == grantToken, "FOUND: a forged token")
    },
]
