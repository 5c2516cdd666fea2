/// The account and Region that a keystore stands for: what its ARNs are made of.
package struct AccountScope: Hashable, Sendable {
    /// 12 decimal digits.
    package let account: String
    /// For example `us-east-1`.
    package let region: String

    package init?(account: String, region: String) {
        let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        let isRegionByte = { (byte: UInt8) in
            isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
        guard account.utf8.count == 12, account.utf8.allSatisfy(isDigit),
            (1...32).contains(region.utf8.count), region.utf8.allSatisfy(isRegionByte)
        else { return nil }
        self.account = account
        self.region = region
    }

    /// The part of AWS that the Region is in, as ARNs of keys and aliases say it: botocore's
    /// `partitions.json`.
    package var partition: String {
        Self.partitions.first { region.utf8.starts(with: $0.regions.utf8) }?.name ?? "aws"
    }

    private static let partitions: [(regions: String, name: String)] = [
        ("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"), ("us-isof-", "aws-iso-f"), ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ]

    /// The account itself, which in Keyfold is the keystore's owner.
    package var rootPrincipalARN: String { "arn:aws:iam::\(account):root" }

    /// A principal with an access key.
    package func userARN(name: String) -> String { "arn:aws:iam::\(account):user/\(name)" }

    /// A local user of this machine.
    package func userARN(uid: UInt32) -> String { "arn:aws:iam::\(account):user/local/uid-\(uid)" }
}

/// A key id: 128 random bits, written as a UUID, or as `mrk-` and 32 hex digits for a
/// multi-Region key.
package struct KeyID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64
    package let isMultiRegion: Bool

    package init(high: UInt64, low: UInt64, isMultiRegion: Bool) {
        self.high = high
        self.low = low
        self.isMultiRegion = isMultiRegion
    }

    /// The order of the texts: `mrk-` comes after all digits.
    package static func < (a: KeyID, b: KeyID) -> Bool {
        if a.isMultiRegion != b.isMultiRegion { return b.isMultiRegion }
        return (a.high, a.low) < (b.high, b.low)
    }

    /// Reads the id's 16 bytes, big-endian.
    package init?(bytes: ArraySlice<UInt8>, isMultiRegion: Bool) {
        guard bytes.count == 16 else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        for index in 0..<8 {
            high = high << 8 | UInt64(bytes[bytes.startIndex + index])
            low = low << 8 | UInt64(bytes[bytes.startIndex + 8 + index])
        }
        self.init(high: high, low: low, isMultiRegion: isMultiRegion)
    }

    package init?(bytes: [UInt8], isMultiRegion: Bool) {
        self.init(bytes: bytes[...], isMultiRegion: isMultiRegion)
    }

    /// Reads a UUID in lower or upper case, or `mrk-` and 32 lower-case hex digits.
    package init?(_ text: String) {
        // Both forms have 36 bytes.
        guard text.utf8.count == 36 else { return nil }
        let isMultiRegion = text.utf8.starts(with: "mrk-".utf8)
        var (high, low, count): (UInt64, UInt64, Int) = (0, 0, 0)
        var index = 0
        for byte in text.utf8 {
            defer { index += 1 }
            if isMultiRegion, index < 4 { continue }
            if !isMultiRegion, index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let nibble = hexValue(byte) else { return nil }
            if count < 16 {
                high = high << 4 | UInt64(nibble)
            } else {
                low = low << 4 | UInt64(nibble)
            }
            count += 1
        }
        self.init(high: high, low: low, isMultiRegion: isMultiRegion)
    }

    /// The id's 16 bytes, big-endian.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        for half in [high, low] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: half >> shift))
            }
        }
        return bytes
    }

    package var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(36)
        append(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    fileprivate func append(to text: inout [UInt8]) {
        if isMultiRegion { text.append(contentsOf: "mrk-".utf8) }
        for digit in 0..<32 {
            if !isMultiRegion, digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                text.append(UInt8(ascii: "-"))
            }
            let half = digit < 16 ? high : low
            text.append(hexDigit(UInt8(truncatingIfNeeded: half >> UInt64(60 - digit % 16 * 4))))
        }
    }
}

/// `arn:PARTITION:kms:REGION:ACCOUNT:key/KEY-ID`; the Region gives the partition.
package struct KeyARN: Hashable, Sendable, CustomStringConvertible {
    package let scope: AccountScope
    package let keyID: KeyID

    package init(scope: AccountScope, keyID: KeyID) {
        self.scope = scope
        self.keyID = keyID
    }

    package init?(_ text: String) {
        guard case .keyARN(let arn) = KeyReference(text) else { return nil }
        self = arn
    }

    package var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(96)
        text.append(contentsOf: "arn:".utf8)
        text.append(contentsOf: scope.partition.utf8)
        text.append(contentsOf: ":kms:".utf8)
        text.append(contentsOf: scope.region.utf8)
        text.append(UInt8(ascii: ":"))
        text.append(contentsOf: scope.account.utf8)
        text.append(contentsOf: ":key/".utf8)
        keyID.append(to: &text)
        return String(decoding: text, as: UTF8.self)
    }
}

/// `alias/NAME`, 1…256 characters after the prefix's rules of CreateAlias.
package struct AliasName: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let description: String

    /// Refuses what `^alias/[a-zA-Z0-9/_-]+$` does not match, and more than 256 characters.
    package init?(_ text: String) {
        let prefix = "alias/"
        let isNameByte = { (byte: UInt8) in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: "-")
        }
        guard text.hasPrefix(prefix), (prefix.utf8.count + 1...256).contains(text.utf8.count),
            text.utf8.dropFirst(prefix.utf8.count).allSatisfy(isNameByte)
        else { return nil }
        description = text
    }

    /// Names below `alias/aws/` belong to the service.
    package var isReserved: Bool { description.hasPrefix("alias/aws/") }

    package func arn(in scope: AccountScope) -> String {
        "arn:\(scope.partition):kms:\(scope.region):\(scope.account):\(description)"
    }

    package static func < (a: AliasName, b: AliasName) -> Bool { a.description < b.description }
}

/// The four ways in which a request names a key.
package enum KeyReference: Hashable, Sendable {
    case keyID(KeyID)
    case keyARN(KeyARN)
    case alias(AliasName)
    case aliasARN(AccountScope, AliasName)

    package init?(_ text: String) {
        guard text.hasPrefix("arn:") else {
            if let alias = AliasName(text) {
                self = .alias(alias)
            } else if let id = KeyID(text) {
                self = .keyID(id)
            } else {
                return nil
            }
            return
        }
        // Over bytes: no name in an ARN has other characters than ASCII.
        let parts = text.utf8.split(
            separator: UInt8(ascii: ":"), maxSplits: 5, omittingEmptySubsequences: false
        ).map(Substring.init)
        guard parts.count == 6, parts[2] == "kms",
            let scope = AccountScope(account: String(parts[4]), region: String(parts[3])),
            // Keyfold's first ARNs had the same partition everywhere.
            parts[1] == scope.partition || parts[1] == "aws"
        else { return nil }
        if parts[5].hasPrefix("key/"), let id = KeyID(String(parts[5].dropFirst(4))) {
            self = .keyARN(KeyARN(scope: scope, keyID: id))
        } else if let alias = AliasName(String(parts[5])) {
            self = .aliasARN(scope, alias)
        } else {
            return nil
        }
    }
}

/// The id of one version of a key's material: 256 bits, written as 64 hex digits.
package struct KeyMaterialID: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]
    /// Made once: every answer and every event holds it.
    package let description: String

    package init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
        description = hexText(bytes)
    }

    /// Reads 64 hex digits.
    package init?(_ text: String) {
        let digits = text.utf8.compactMap(hexValue)
        guard digits.count == 64, text.utf8.count == 64 else { return nil }
        self.init(bytes: stride(from: 0, to: 64, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
    }

    package static func == (a: KeyMaterialID, b: KeyMaterialID) -> Bool { a.bytes == b.bytes }

    package func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

package func hexText(_ bytes: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(2 * bytes.underestimatedCount)
    for byte in bytes {
        text.append(hexDigit(byte >> 4))
        text.append(hexDigit(byte & 15))
    }
    return String(decoding: text, as: UTF8.self)
}

/// Of the low four bits.
private func hexDigit(_ nibble: UInt8) -> UInt8 {
    let value = nibble & 15
    return value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}

private func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
}
