import Cryptography
import KMSModel
import Testing

import struct TestSupport.RandomSource

@testable import KMSCore

/// Every field of every request at random, by several callers, in two Regions: no trap, no hang,
/// an answer of the operation's shape or one of AWS's exceptions.
@Suite struct RequestFuzzTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `any request ends with an answer of its shape or an exception of AWS's`(
        _ seed: UInt64
    ) throws {
        let kms = try TestKeystore()
        var fuzzer = try Fuzzer(kms, seed: seed)
        let count = 2500
        var successes: Set<KMSOperation> = []
        for number in 0..<count {
            let request = fuzzer.next()
            do {
                fuzzer.learn(
                    try kms.ask(
                        request.operation, request.input, as: request.caller, in: request.region))
                successes.insert(request.operation)
            } catch let error as KMSError {
                #expect(
                    error.code != .internalFailure && error.code != .unknownOperation
                        && error.code != .throttling,
                    "request \(number): \(request.operation) \(error)")
            }
        }
        #expect(successes.count > 20, "\(successes.map(\.rawValue).sorted())")
        #expect(try Fuzzer.askedCount(kms) == fuzzer.askedCount)
        // Every record verifies, and the log is whole.
        let again = try kms.again()
        again.close()
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
    }
}

private struct Fuzzer {
    struct Request {
        let operation: KMSOperation
        let input: Structure
        let caller: Caller
        let region: String
    }

    private let kms: TestKeystore
    private var random: RandomSource
    private let callers: [Caller]
    private var names: [String]
    private var blobs: [[UInt8]]
    private(set) var askedCount = 0

    init(_ kms: TestKeystore, seed: UInt64) throws {
        self.kms = kms
        random = RandomSource(seed: seed)
        callers = [
            kms.owner, kms.owner, kms.owner, try kms.newUser("admin", isAdministrator: true),
            try kms.newUser("alice"), kms.stranger,
        ]
        var names = ["alias/aws/keyfold"]
        for (spec, usage) in [
            (KeySpec.symmetricDefault, KeyUsage.encryptDecrypt), (.eccNistP256, .signVerify),
            (.eccNistP384, .keyAgreement), (.hmac512, .generateVerifyMac),
            (.eccNistEdwards25519, .signVerify), (.rsa2048, .encryptDecrypt),
        ] { names.append(try kms.key(spec, usage)) }
        let primary = try kms.key(isMultiRegion: true)
        names += [primary, try kms.replicate(primary, to: "eu-west-1")]
        names += [try kms.key(.symmetricDefault, nil, .external), try kms.unavailableKey()]
        self.names = names
        blobs = try names.prefix(2).map { try StateTableTests.blob(kms, $0) }
        askedCount = try Fuzzer.askedCount(kms)
    }

    /// By the log, in which the service and who administers it have events, too.
    static func askedCount(_ kms: TestKeystore) throws -> Int {
        try kms.events().count { try $0.isRequest }
    }

    mutating func next() -> Request {
        askedCount += 1
        let operation = KMSOperation.allCases.randomElement(using: &random) ?? .describeKey
        return Request(
            operation: operation, input: structure(operation.input, isRoot: true),
            caller: callers.randomElement(using: &random) ?? kms.owner,
            region: chance(6) ? "eu-west-1" : "us-east-1")
    }

    /// Answers' names and blobs come back in later requests.
    mutating func learn(_ answer: Structure) {
        for (member, value) in answer.members {
            switch value {
            case .text(let text)
            where names.count < 200 && (member == .keyID || member == .grantID):
                names.append(text)
            case .text(let text) where member == .grantToken: names.append(text)
            case .bytes(let bytes) where blobs.count < 200: blobs.append(bytes)
            case .structure(let structure): learn(structure)
            default: break
            }
        }
    }

    private mutating func chance(_ sides: Int) -> Bool {
        Int.random(in: 0..<sides, using: &random) == 0
    }

    private mutating func structure(_ shape: StructureShape, isRoot: Bool = false) -> Structure {
        var structure = Structure()
        for member in shape.members where member.isRequired ? !chance(40) : chance(3) {
            // Long RSA keys cost more than they tell.
            structure[member.member] = value(member.shape, member.member)
        }
        if structure.text(.keySpec)?.hasPrefix("RSA_4") == true { structure[.keySpec] = nil }
        if structure.text(.keyPairSpec)?.hasPrefix("RSA") == true {
            structure[.keyPairSpec] = .text("ECC_NIST_P256")
        }
        if structure.text(.wrappingKeySpec)?.hasPrefix("RSA") == true {
            structure[.wrappingKeySpec] = .text("RSA_2048")
        }
        if isRoot, chance(60) { structure[.keyID] = .flag(true) }
        return structure
    }

    private mutating func value(_ shape: Shape, _ member: Member) -> Value {
        if chance(60) { return Sample.value(.flag) }
        switch shape {
        case .text(let rule): return .text(text(rule, member))
        case .secretText(let rule): return .secret(secret(text(rule, member)))
        case .choice(let choices):
            return .text(chance(30) ? "" : choices.randomElement(using: &random) ?? "")
        case .number(let rule):
            let edges = [rule.minimum, rule.maximum, 0, 1, 7, 32, 90, 365, -1, .max, .min]
            return .number(edges.compactMap(\.self).randomElement(using: &random) ?? 0)
        case .flag: return .flag(chance(2))
        case .time:
            let now = kms.clock.now().millisecondsSinceEpoch
            return .time(
                Timestamp(
                    millisecondsSinceEpoch: [now + 86_400_000, now, 0, .max, .min]
                        .randomElement(using: &random) ?? 0))
        case .bytes(let rule): return .bytes(blob(rule))
        case .secret(let rule):
            // 32, 48 and 64 are the lengths of digests.
            let count = [1, 20, 32, 48, 64, 190, rule.maximum ?? 1].randomElement(using: &random)
            return .secret(secret([UInt8](repeating: 5, count: count ?? 1)))
        case .context:
            return .context(
                chance(3)
                    ? .empty
                    : EncryptionContext([
                        strings.randomElement(using: &random) ?? "":
                            strings.randomElement(using: &random) ?? ""
                    ]))
        case .list(let element, _):
            return .list(
                (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                    value(element, member)
                })
        case .structure(let shape): return .structure(structure(shape))
        }
    }

    private let strings = [
        "", "a", "alias/a", "alias/b", "alias/aws/x", "alias/", "default", "eu-west-1", "us-east-1",
        "arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:root", "arn:",
        "arn:aws:kms:us-east-1:999999999999:key/00000000-0000-0000-0000-000000000000",
        "arn:aws:kms:eu-west-1:111122223333:alias/a", "mrk-00000000000000000000000000000000",
        "e\u{301}", "\u{e9}", "\u{0}", "\u{10FFFF}", StateTableTests.ownersPolicy, "{\"a\":",
        "{\"Version\":\"2012-10-17\",\"Statement\":[]}", "aws:tag", "s3.amazonaws.com", "61", "zz",
    ]

    private mutating func text(_ rule: TextRule, _ member: Member) -> String {
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return strings.randomElement(using: &random) ?? ""
        case 1: return Sample.text(rule)
        case 2: return String(repeating: "x", count: (rule.length.maximum ?? 100) + 1)
        default:
            switch member {
            case .policy: return StateTableTests.ownersPolicy
            case .aliasName: return ["alias/a", "alias/b"].randomElement(using: &random) ?? ""
            case .granteePrincipal, .retiringPrincipal:
                return callers.randomElement(using: &random)?.principalARN ?? ""
            case .replicaRegion, .primaryRegion: return "eu-west-1"
            case .policyName: return "default"
            case .tagKey, .tagValue, .description, .name: return Sample.text(rule)
            default: return names.randomElement(using: &random) ?? ""
            }
        }
    }

    private mutating func blob(_ rule: SizeRule) -> [UInt8] {
        var bytes = blobs.randomElement(using: &random) ?? []
        switch Int.random(in: 0..<6, using: &random) {
        case 0 where !bytes.isEmpty: bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 1
        case 1: bytes.append(0)
        case 2: bytes = Array(bytes.dropLast())
        case 3: bytes = [UInt8](repeating: 0, count: rule.maximum ?? 1)
        default: break
        }
        return bytes
    }
}
