/// Non-secret name/value pairs that are bound to a ciphertext as additional authenticated data.
///
/// Pairs are kept sorted by the UTF-8 bytes of their names, so that equal contexts are equal
/// values with one encoding. Names and values are compared by their bytes: what Unicode calls
/// equivalent is not the same context.
package struct EncryptionContext: Hashable, Sendable {
    package struct Pair: Hashable, Sendable {
        package let name: String
        package let value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }

        package static func == (a: Pair, b: Pair) -> Bool {
            a.name.isIdentical(to: b.name) && a.value.isIdentical(to: b.value)
        }

        package func hash(into hasher: inout Hasher) {
            for text in [name, value] {
                hasher.combine(text.utf8.count)
                for byte in text.utf8 { hasher.combine(byte) }
            }
        }
    }

    package let pairs: [Pair]

    package static let empty = EncryptionContext(pairs: [])

    package init(_ values: [String: String]) {
        self.init(pairs: values.map { Pair(name: $0.key, value: $0.value) })
    }

    /// Of pairs with one name the last one counts.
    package init(pairs: [Pair]) {
        guard pairs.count > 1 else {
            self.pairs = pairs
            return
        }
        var kept: [Pair] = []
        // The sort is stable: what came last stands last.
        for pair in pairs.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
            if let last = kept.last, last.name.isIdentical(to: pair.name) { kept.removeLast() }
            kept.append(pair)
        }
        self.pairs = kept
    }

    /// Of names and values together, in UTF-8.
    package var sizeBytes: Int {
        pairs.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    }

    package var isEmpty: Bool { pairs.isEmpty }

    package subscript(name: String) -> String? {
        pairs.first { $0.name.isIdentical(to: name) }?.value
    }

    /// One encoding for one context, and no two contexts share one: the number of pairs, then
    /// every name and value behind its length. All numbers are 32 bits, big-endian.
    ///
    /// Emulators that join the strings instead take `{"a":"bc"}` for `{"ab":"c"}`.
    package var canonicalBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(
            pairs.reduce(4) { $0 + 8 + $1.name.utf8.count + $1.value.utf8.count })
        func append(_ number: Int) {
            for shift in stride(from: 24, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: number >> shift))
            }
        }
        append(pairs.count)
        for pair in pairs {
            for text in [pair.name, pair.value] {
                append(text.utf8.count)
                bytes.append(contentsOf: text.utf8)
            }
        }
        return bytes
    }
}
