// What condition operators compare, read from the text of a policy or of a request.

/// A decimal number, as JSON writes it, or with leading zeros or `+`.
func decimalNumber(_ text: String) -> Double? {
    let isNumberByte = { (byte: UInt8) in
        byte.isASCIIDigit || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
            || byte == UInt8(ascii: "+") || byte | 0x20 == UInt8(ascii: "e")
    }
    // Else "nan", "inf" and hexadecimal would do.
    guard text.utf8.allSatisfy(isNumberByte), let number = Double(text), number.isFinite else {
        return nil
    }
    return number
}

extension Timestamp {
    /// The forms of W3C's note on date and time (a profile of ISO 8601): `2026`, `2026-11`,
    /// `2026-11-24`, `2026-11-24T12:15Z`, with seconds, with a fraction, with `+01:00` for `Z`; or
    /// seconds since 1970.
    init?(condition text: String) {
        let bytes = Array(text.utf8)
        // A year has four digits, and epoch seconds of four digits are no date that anyone means.
        if bytes.count != 4, let seconds = decimalNumber(text), seconds.magnitude < 1e12 {
            self.init(millisecondsSinceEpoch: Int64(seconds * 1000))
            return
        }
        switch bytes.count {
        case 4: self.init(iso8601: text + "-01-01")
        case 7: self.init(iso8601: text + "-01")
        default: self.init(w3c: bytes)
        }
    }

    private init?(w3c bytes: [UInt8]) {
        let text = { (range: Range<Int>) in String(decoding: bytes[range], as: UTF8.self) }
        guard bytes.count > 10 else {
            self.init(iso8601: text(0..<bytes.count))
            return
        }
        // The time of day ends where the zone begins.
        guard let zone = bytes[11...].firstIndex(where: { Timestamp.zoneBegins(with: $0) }),
            let offset = Timestamp.zoneMinutes(bytes[zone...])
        else { return nil }
        var time = text(0..<zone)
        if zone == 16 { time += ":00" }
        if zone > 19 {
            // Three digits of the fraction count.
            let fraction = bytes[20..<max(20, zone)]
            guard bytes[19] == UInt8(ascii: "."), !fraction.isEmpty,
                fraction.allSatisfy(\.isASCIIDigit)
            else { return nil }
            let digits = text(20..<min(zone, 23))
            time = text(0..<20) + digits + String(repeating: "0", count: 3 - digits.utf8.count)
        }
        guard let local = Timestamp(iso8601: time + "Z") else { return nil }
        self = local.advanced(byMilliseconds: -offset * 60_000)
    }

    private static func zoneBegins(with byte: UInt8) -> Bool {
        byte == UInt8(ascii: "Z") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
    }

    /// `Z`, `+hh:mm` or `-hh:mm`.
    private static func zoneMinutes(_ zone: ArraySlice<UInt8>) -> Int64? {
        let zone = Array(zone)
        if zone == [UInt8(ascii: "Z")] { return 0 }
        guard zone.count == 6, zone[3] == UInt8(ascii: ":"),
            [1, 2, 4, 5].allSatisfy({ zone[$0].isASCIIDigit }),
            let hours = UInt8(String(decoding: zone[1..<3], as: UTF8.self)), hours < 24,
            let minutes = UInt8(String(decoding: zone[4..<6], as: UTF8.self)), minutes < 60
        else { return nil }
        let total = Int64(hours) * 60 + Int64(minutes)
        return zone[0] == UInt8(ascii: "-") ? -total : total
    }
}

/// An IPv4 or IPv6 address. One that is IPv4 within IPv6 (`::ffff:192.0.2.1`) is the IPv4 one,
/// since a socket for both tells it that way.
struct IPAddress: Hashable {
    let isIPv4: Bool
    /// The address's 32 or 128 bits.
    let bits: UInt128

    var bitCount: Int { isIPv4 ? 32 : 128 }

    init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count <= 45 else { return nil }
        if let four = IPAddress.fourParts(bytes[...]) {
            isIPv4 = true
            bits = UInt128(four)
        } else if let all = IPAddress.groups(bytes) {
            isIPv4 = all >> 32 == 0xFFFF
            bits = isIPv4 ? all & 0xFFFF_FFFF : all
        } else {
            return nil
        }
    }

    /// `a.b.c.d` in decimal, without leading zeros.
    private static func fourParts(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy(\.isASCIIDigit),
                part.count == 1 || part.first != UInt8(ascii: "0"),
                let number = UInt8(String(decoding: part, as: UTF8.self))
            else { return nil }
            address = address << 8 | UInt32(number)
        }
        return address
    }

    /// Eight groups of hex digits (RFC 4291 §2.2): `::` once for groups of zeros, `a.b.c.d` for the
    /// last two.
    private static func groups(_ text: [UInt8]) -> UInt128? {
        let colon = UInt8(ascii: ":")
        let gap = text.indices.dropLast().first { text[$0] == colon && text[$0 + 1] == colon }
        guard let gap else {
            guard let groups = groupList(text[...], isEnd: true), groups.count == 8 else {
                return nil
            }
            return joined(groups)
        }
        guard let head = groupList(text[..<gap], isEnd: false),
            let tail = groupList(text[(gap + 2)...], isEnd: true), head.count + tail.count < 8
        else { return nil }
        let zeros = [UInt16](repeating: 0, count: 8 - head.count - tail.count)
        return joined(head + zeros + tail)
    }

    private static func joined(_ groups: [UInt16]) -> UInt128 {
        groups.reduce(0) { $0 << 16 | UInt128($1) }
    }

    private static func groupList(_ text: ArraySlice<UInt8>, isEnd: Bool) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if isEnd, index == parts.count - 1, let four = fourParts(part) {
                groups.append(UInt16(four >> 16))
                groups.append(UInt16(four & 0xFFFF))
                continue
            }
            guard (1...4).contains(part.count) else { return nil }
            var group: UInt16 = 0
            for byte in part {
                guard let digit = byte.hexDigitValue else { return nil }
                group = group << 4 | UInt16(digit)
            }
            groups.append(group)
        }
        return groups
    }
}

/// A block of addresses: `203.0.113.0/24`, `2001:db8::/32`, or one address alone.
struct AddressRange: Hashable {
    private let base: IPAddress
    private let prefixBits: Int

    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let base = IPAddress(parts[0]) else { return nil }
        self.base = base
        guard parts.count == 2 else {
            prefixBits = base.bitCount
            return
        }
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy(\.isASCIIDigit),
            var bits = Int(parts[1])
        else { return nil }
        // A block that is written within IPv6 counts its 96 bits too.
        if base.isIPv4, parts[0].utf8.contains(UInt8(ascii: ":")) { bits -= 96 }
        guard (0...base.bitCount).contains(bits) else { return nil }
        prefixBits = bits
    }

    func contains(_ address: IPAddress) -> Bool {
        guard address.isIPv4 == base.isIPv4 else { return false }
        let rest = base.bitCount - prefixBits
        // A shift by all 128 bits leaves 0.
        return address.bits >> UInt128(rest) == base.bits >> UInt128(rest)
    }
}
