/// Which of a module's tokens is meant: by its label, its serial number, or both.
package struct PKCS11TokenSelector: Hashable, Sendable {
    package let label: String?
    package let serial: String?

    /// nil when neither is given. Spaces at the end do not count, since tokens pad with them.
    package init?(label: String? = nil, serial: String? = nil) {
        guard label != nil || serial != nil else { return nil }
        self.label = label.map { String($0.trimmingPadding) }
        self.serial = serial.map { String($0.trimmingPadding) }
    }

    func selects(_ token: PKCS11TokenDescription) -> Bool {
        (label == nil || label == token.label) && (serial == nil || serial == token.serial)
    }
}

extension PKCS11TokenSelector: CustomStringConvertible {
    package var description: String {
        [label.map { "the label '\($0)'" }, serial.map { "the serial number '\($0)'" }]
            .compactMap(\.self).joined(separator: " and ")
    }
}

/// A key's CKA_ID: 1…255 bytes, the only name by which keys are found.
package struct PKCS11KeyID: Hashable, Sendable {
    static let maximumBytes = 255

    package let bytes: [UInt8]

    /// nil for none or too many bytes.
    package init?(_ bytes: [UInt8]) {
        guard (1...Self.maximumBytes).contains(bytes.count) else { return nil }
        self.bytes = bytes
    }
}

extension PKCS11KeyID: CustomStringConvertible {
    /// Hexadecimal.
    package var description: String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}

/// What a key in a token is called, by whoever made it.
package struct PKCS11KeyName: Hashable, Sendable {
    package let id: PKCS11KeyID
    /// For people. Characters that steer a terminal are replaced.
    package let label: String

    package init(id: PKCS11KeyID, label: String) {
        self.id = id
        self.label = label
    }
}

extension StringProtocol {
    /// Without the spaces and NULs that fill fields of fixed length.
    var trimmingPadding: SubSequence {
        var end = endIndex
        while end > startIndex, [" ", "\0"].contains(self[index(before: end)]) {
            end = index(before: end)
        }
        return self[startIndex..<end]
    }
}
