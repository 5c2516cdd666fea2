import Cryptography

/// 128 random bits, the value of every identifier in a vault.
package struct RandomIdentifier: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    init() {
        var generator = ByteReader(Random.bytes(16))
        (high, low) = (generator.integer() ?? 0, generator.integer() ?? 0)
    }

    /// nil unless there are 16 bytes.
    init?(bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let high = reader.integer(UInt64.self), let low = reader.integer(UInt64.self),
            reader.isAtEnd
        else { return nil }
        (self.high, self.low) = (high, low)
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        bytes.append(bigEndian: high)
        bytes.append(bigEndian: low)
        return bytes
    }
}

/// An identifier of one kind of thing; a type each, so that they cannot be mixed.
///
/// In binary it is 16 bytes, in text a UUID in lower case. All 128 bits are random: the version and
/// variant fields of RFC 9562 are not set.
package protocol FormatIdentifier: Hashable, Sendable, CustomStringConvertible {
    var value: RandomIdentifier { get }
    init(_ value: RandomIdentifier)
}

extension FormatIdentifier {
    /// A new random identifier.
    package init() {
        self.init(RandomIdentifier())
    }

    /// nil unless there are 16 bytes.
    package init?(bytes: [UInt8]) {
        guard let value = RandomIdentifier(bytes: bytes) else { return nil }
        self.init(value)
    }

    /// Reads the one text form that ``description`` writes; nil for any other, upper case included.
    package init?(_ uuid: String) {
        let text = Array(uuid.utf8)
        guard text.count == 36 else { return nil }
        var digits: [UInt8] = []
        digits.reserveCapacity(32)
        for (index, character) in text.enumerated() {
            if [8, 13, 18, 23].contains(index) {
                guard character == UInt8(ascii: "-") else { return nil }
            } else {
                digits.append(character)
            }
        }
        guard let bytes = Hexadecimal.decode(digits) else { return nil }
        self.init(bytes: bytes)
    }

    /// The 16 bytes.
    package var bytes: [UInt8] { value.bytes }

    package var description: String {
        var text = Hexadecimal.encode(bytes)
        for position in [20, 16, 12, 8] {
            text.insert(UInt8(ascii: "-"), at: position)
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Names a vault.
package struct VaultID: FormatIdentifier {
    package let value: RandomIdentifier

    package init(_ value: RandomIdentifier) {
        self.value = value
    }
}

/// Names a domain: a subtree under one CMK.
package struct DomainID: FormatIdentifier {
    package let value: RandomIdentifier

    package init(_ value: RandomIdentifier) {
        self.value = value
    }
}

/// Names a directory, wherever it is moved.
package struct DirectoryID: FormatIdentifier {
    package let value: RandomIdentifier

    package init(_ value: RandomIdentifier) {
        self.value = value
    }
}

/// Names a sealed file's content, from the first byte written until it is empty again.
package struct FileID: FormatIdentifier {
    package let value: RandomIdentifier

    package init(_ value: RandomIdentifier) {
        self.value = value
    }
}
