import Cryptography
import KMSModel

/// Values for the members of a request, made from the service model alone.
enum Sample {
    /// A value that the shape lets through.
    static func value(_ shape: Shape) -> Value {
        switch shape {
        case .text(let rule): .text(text(rule))
        case .secretText(let rule): .secret(secret(text(rule)))
        case .choice(let choices): .text(choices[0])
        case .number(let rule): .number(rule.minimum ?? 1)
        case .flag: .flag(false)
        case .time: .time(Timestamp(secondsSinceEpoch: 1_800_000_000))
        case .bytes(let rule): .bytes([UInt8](repeating: 1, count: max(rule.minimum ?? 1, 1)))
        case .secret(let rule):
            .secret(secret([UInt8](repeating: 1, count: max(rule.minimum ?? 1, 1))))
        case .context: .context(EncryptionContext(["a": "b"]))
        case .list(let element, let rule):
            .list([Value](repeating: value(element), count: max(rule.minimum ?? 1, 1)))
        case .structure(let shape): .structure(structure(shape))
        }
    }

    /// With all members.
    static func structure(_ shape: StructureShape) -> Structure {
        var structure = Structure()
        for member in shape.members { structure[member.member] = value(member.shape) }
        return structure
    }

    static func text(_ rule: TextRule) -> String {
        let base = rule.pattern.map(text) ?? "x"
        let missing = (rule.length.minimum ?? 1) - base.unicodeScalars.count
        return missing > 0
            ? base + String(repeating: lengthening(rule.pattern), count: missing) : base
    }

    /// A letter that lengthens a sample without breaking its pattern, where one can.
    static func lengthening(_ pattern: TextPattern?) -> String {
        switch pattern {
        case .accountID, .region, .proxyPath: "1"
        case .base32: "A"
        default: "a"
        }
    }

    static func text(_ pattern: TextPattern) -> String {
        switch pattern {
        case .accountID: "111122223333"
        case .resourceName: "name"
        case .lowercaseHex: "0123456789abcdef"
        case .clusterID: "cluster-abcdefghijk"
        case .sourceARN: "arn:aws:s3:us-east-1:111122223333:bucket"
        case .materialDescription, .latinText, .word, .policyText: "default"
        case .principal: "arn:aws:iam::111122223333:root"
        case .region: "eu-west-1"
        case .servicePrincipal: "s3.amazonaws.com"
        case .externalKeyID: "external"
        case .base32: "AAAAAAAAAAAAAAAAAAAA"
        case .base64: "AAAA"
        case .endpoint: "https://example.org"
        case .proxyPath: "/kms/xks/v1"
        case .endpointService: "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef"
        }
    }

    /// A text that the pattern refuses.
    static func foreign(_ pattern: TextPattern) -> String {
        switch pattern {
        case .latinText, .policyText: "Ω∑€€∑Ω"
        default: "~ ü~ ~ü~"
        }
    }
}

/// What AWS says about members that break the service model (recorded answers of AWS KMS).
enum Complaint {
    static func expected(_ failures: [String]) -> KMSError {
        let count = "\(failures.count) validation error\(failures.count == 1 ? "" : "s") detected"
        return .validation("\(count): \(failures.joined(separator: "; "))")
    }

    static func missing(_ path: String) -> String {
        "Value null at '\(path)' failed to satisfy constraint: Member must not be null"
    }

    static func text(_ text: String, _ path: String, _ constraint: String) -> String {
        "Value '\(text)' at '\(path)' failed to satisfy constraint: Member must \(constraint)"
    }

    static func hidden(_ path: String, _ constraint: String) -> String {
        "Value at '\(path)' failed to satisfy constraint: Member must \(constraint)"
    }
}

/// One member made wrong, and what is to be said about it.
struct BrokenMember {
    let value: Value?
    let failures: [String]

    /// Every way to break a value of this shape.
    static func all(_ shape: Shape, at path: String) -> [BrokenMember] {
        switch shape {
        case .text(let rule): texts(rule, path)
        case .secretText(let rule):
            lengths(rule.length, path) { .secret(secret([UInt8](repeating: 65, count: $0))) }
        case .choice(let choices): choice(choices, path)
        case .number(let rule): numbers(rule, path)
        case .bytes(let rule): lengths(rule, path) { .bytes([UInt8](repeating: 1, count: $0)) }
        case .secret(let rule):
            lengths(rule, path) { .secret(secret([UInt8](repeating: 1, count: $0))) }
        case .list(let element, let rule): lists(element, rule, path)
        case .structure(let shape): structures(shape, path)
        case .flag, .time, .context: []
        }
    }

    private static func texts(_ rule: TextRule, _ path: String) -> [BrokenMember] {
        var broken: [BrokenMember] = []
        func add(_ text: String) {
            var failures: [String] = []
            let count = text.unicodeScalars.count
            if let minimum = rule.length.minimum, count < minimum {
                failures.append(
                    Complaint.text(text, path, "have length greater than or equal to \(minimum)"))
            } else if let maximum = rule.length.maximum, count > maximum {
                failures.append(
                    Complaint.text(text, path, "have length less than or equal to \(maximum)"))
            }
            if let pattern = rule.pattern, !pattern.matches(text) {
                failures.append(
                    Complaint.text(
                        text, path, "satisfy regular expression pattern: \(pattern.rawValue)"))
            }
            if !failures.isEmpty {
                broken.append(BrokenMember(value: .text(text), failures: failures))
            }
        }
        let good = Sample.text(rule)
        if let minimum = rule.length.minimum, minimum > 0 { add(String(good.prefix(minimum - 1))) }
        // More than this is not sent back.
        if let maximum = rule.length.maximum, maximum < 10_000 {
            let more = maximum + 1 - good.unicodeScalars.count
            add(good + String(repeating: Sample.lengthening(rule.pattern), count: max(more, 0)))
        }
        if let pattern = rule.pattern { add(Sample.foreign(pattern)) }
        return broken
    }

    private static func choice(_ choices: [String], _ path: String) -> [BrokenMember] {
        ["", "NONSENSE", choices[0].lowercased()].map { text in
            BrokenMember(
                value: .text(text),
                failures: [
                    Complaint.text(
                        text, path,
                        "satisfy enum value set: [\(choices.joined(separator: ", "))]")
                ])
        }
    }

    private static func numbers(_ rule: SizeRule, _ path: String) -> [BrokenMember] {
        var broken: [BrokenMember] = []
        for number in [rule.minimum.map { $0 - 1 }, .min].compactMap(\.self) {
            guard let minimum = rule.minimum else { break }
            broken.append(
                BrokenMember(
                    value: .number(number),
                    failures: [
                        Complaint.text(
                            "\(number)", path, "have value greater than or equal to \(minimum)")
                    ]))
        }
        for number in [rule.maximum.map { $0 + 1 }, .max].compactMap(\.self) {
            guard let maximum = rule.maximum else { break }
            broken.append(
                BrokenMember(
                    value: .number(number),
                    failures: [
                        Complaint.text(
                            "\(number)", path, "have value less than or equal to \(maximum)")
                    ]))
        }
        return broken
    }

    private static func lengths(
        _ rule: SizeRule, _ path: String, _ value: (Int) -> Value
    ) -> [BrokenMember] {
        var broken: [BrokenMember] = []
        if let minimum = rule.minimum, minimum > 0 {
            broken.append(
                BrokenMember(
                    value: value(minimum - 1),
                    failures: [
                        Complaint.hidden(path, "have length greater than or equal to \(minimum)")
                    ]))
        }
        if let maximum = rule.maximum {
            broken.append(
                BrokenMember(
                    value: value(maximum + 1),
                    failures: [
                        Complaint.hidden(path, "have length less than or equal to \(maximum)")
                    ]))
        }
        return broken
    }

    private static func lists(
        _ element: Shape, _ rule: SizeRule, _ path: String
    ) -> [BrokenMember] {
        var broken = lengths(rule, path) {
            .list([Value](repeating: Sample.value(element), count: $0))
        }
        switch element {
        case .structure(let shape):
            // The second element, behind a good one.
            broken += structures(shape, "\(path).2.member").map { member in
                BrokenMember(
                    value: .list([Sample.value(element)] + [member.value].compactMap(\.self)),
                    failures: member.failures)
            }
        case .choice(let choices):
            let set = "[Member must satisfy enum value set: [\(choices.joined(separator: ", "))]]"
            broken.append(
                BrokenMember(
                    value: .texts([choices[0], "NONSENSE"]),
                    failures: [
                        Complaint.text(
                            "[\(choices[0]), NONSENSE]", path, "satisfy constraint: \(set)")
                    ]))
        case .text(let rule):
            guard let maximum = rule.length.maximum, let minimum = rule.length.minimum else {
                break
            }
            let bounds =
                "[Member must have length less than or equal to \(maximum), "
                + "Member must have length greater than or equal to \(minimum)]"
            broken.append(
                BrokenMember(
                    value: .texts(["x", ""]),
                    failures: [Complaint.text("[x, ]", path, "satisfy constraint: \(bounds)")]))
        default: break
        }
        return broken
    }

    private static func structures(_ shape: StructureShape, _ path: String) -> [BrokenMember] {
        var broken: [BrokenMember] = []
        for member in shape.members {
            let place = "\(path).\(member.member.lowerName)"
            var options = all(member.shape, at: place)
            if member.isRequired {
                options.append(BrokenMember(value: nil, failures: [Complaint.missing(place)]))
            }
            broken += options.map { option in
                var structure = Sample.structure(shape)
                structure[member.member] = option.value
                return BrokenMember(value: .structure(structure), failures: option.failures)
            }
        }
        return broken
    }
}
