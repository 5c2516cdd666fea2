internal import Cryptography
internal import KMSModel
package import KMSWire

/// What a `credential_process` writes: one JSON object (RFC 8259).
///
/// ```
/// {"Version": 1, "AccessKeyId": "…", "SecretAccessKey": "…",
///  "SessionToken": "…", "Expiration": "2026-11-24T12:00:00Z"}
/// ```
///
/// The last two may be absent; other members are passed by. Source: AWS SDKs and Tools reference
/// guide, "Process credential provider".
package enum CredentialProcessAnswer {
    package enum Fault: String, Error, Hashable, Sendable {
        case notJSON = "it is not one JSON object"
        case otherVersion = "its Version is not 1"
        case noAccessKeyID = "it has no AccessKeyId"
        case noSecretAccessKey = "it has no SecretAccessKey"
        case malformedMember = "a member has a value of another kind"
        case malformedExpiration = "its Expiration is not a time"
    }

    /// The caller wipes `bytes`; no copy of the secret is left but in the result.
    package static func parse(_ bytes: [UInt8]) throws(Fault) -> AWSCredentials {
        let members = try Members(bytes)
        guard members.version == .other("1") else { throw .otherVersion }
        guard let accessKeyID = try members.text("AccessKeyId"), !accessKeyID.isEmpty else {
            throw .noAccessKeyID
        }
        guard let secretAccessKey = try members.secret("SecretAccessKey") else {
            throw .noSecretAccessKey
        }
        var expiration: Timestamp?
        if let text = try members.text("Expiration") {
            guard let time = Timestamp(offsetISO8601: text) else { throw .malformedExpiration }
            expiration = time
        }
        return AWSCredentials(
            accessKeyID: accessKeyID, secretAccessKey: secretAccessKey,
            sessionToken: try members.text("SessionToken"), expiration: expiration)
    }

    private struct Members {
        private let scanner: JSONScanner
        private let members: [String: JSONScanner.Value]

        init(_ bytes: [UInt8]) throws(Fault) {
            do throws(JSONScanner.Malformed) {
                var scanner = try JSONScanner(bytes)
                members = try scanner.topLevelMembers()
                self.scanner = scanner
            } catch {
                throw .notJSON
            }
        }

        var version: JSONScanner.Value? { members["Version"] }

        func text(_ name: String) throws(Fault) -> String? {
            try bytes(name).map { String(decoding: $0, as: UTF8.self) }
        }

        func secret(_ name: String) throws(Fault) -> SecretBytes? {
            guard var bytes = try bytes(name), !bytes.isEmpty else { return nil }
            return SecretBytes(consuming: &bytes)
        }

        private func bytes(_ name: String) throws(Fault) -> [UInt8]? {
            switch members[name] {
            case nil, .other("null"): return nil
            case .other: throw .malformedMember
            case .text(let range): return try? scanner.text(range)
            }
        }
    }
}

extension Timestamp {
    /// Reads ISO 8601 with seconds or any fraction of them, in UTC (`Z`) or with an offset
    /// (`+02:00`, `+0200`); a fraction is cut to milliseconds.
    init?(offsetISO8601 text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20 else { return nil }
        let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        var rest = bytes[19...]
        var fraction: [UInt8] = []
        if rest.first == UInt8(ascii: ".") {
            fraction = Array(rest.dropFirst().prefix(while: isDigit))
            guard (1...9).contains(fraction.count) else { return nil }
            rest = rest.dropFirst(1 + fraction.count)
        }
        let milliseconds = (fraction + [UInt8](repeating: UInt8(ascii: "0"), count: 3)).prefix(3)
        let utc = bytes[..<19] + [UInt8(ascii: ".")] + milliseconds + [UInt8(ascii: "Z")]
        guard let offset = Self.offsetMinutes(Array(rest)),
            let time = Timestamp(iso8601: String(decoding: utc, as: UTF8.self))
        else { return nil }
        self = time.advanced(byMilliseconds: Int64(offset) * -60_000)
    }

    private static func offsetMinutes(_ zone: [UInt8]) -> Int? {
        if zone == [UInt8(ascii: "Z")] { return 0 }
        guard let sign = zone.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else {
            return nil
        }
        var digits = Array(zone.dropFirst())
        if digits.count == 5, digits[2] == UInt8(ascii: ":") { digits.remove(at: 2) }
        let values = digits.map { Int($0) - 0x30 }
        guard values.count == 4, values.allSatisfy((0...9).contains) else { return nil }
        let (hours, minutes) = (values[0] * 10 + values[1], values[2] * 10 + values[3])
        guard hours < 24, minutes < 60 else { return nil }
        return (hours * 60 + minutes) * (sign == UInt8(ascii: "-") ? -1 : 1)
    }
}
