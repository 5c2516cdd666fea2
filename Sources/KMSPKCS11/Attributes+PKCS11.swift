internal import CPKCS11

/// The attributes that make up a new object, or that a search asks for (an array of CK_ATTRIBUTE).
struct AttributeTemplate {
    private struct Entry {
        let type: CK_ATTRIBUTE_TYPE
        let offset: Int
        let count: Int
    }

    private var entries: [Entry] = []
    /// All values, each aligned as a CK_ULONG has to be.
    private var values: [UInt8] = []

    mutating func add(_ type: CK_ATTRIBUTE_TYPE, _ value: [UInt8]) {
        let alignment = MemoryLayout<CK_ULONG>.alignment
        while !values.count.isMultiple(of: alignment) { values.append(0) }
        entries.append(Entry(type: type, offset: values.count, count: value.count))
        values.append(contentsOf: value)
    }

    mutating func add(_ type: CK_ATTRIBUTE_TYPE, _ value: Bool) {
        add(type, [UInt8(value ? CK_TRUE : CK_FALSE)])
    }

    mutating func add(_ type: CK_ATTRIBUTE_TYPE, _ value: CK_ULONG) {
        // SAFETY: an integer has no padding; its bytes are copied at once.
        add(type, unsafe withUnsafeBytes(of: value) { unsafe Array($0) })
    }

    /// Lends the C form, which the standard's functions read.
    mutating func withAttributes(
        _ body: (UnsafeMutablePointer<CK_ATTRIBUTE>?, CK_ULONG) -> CK_RV
    ) -> CK_RV {
        let entries = self.entries
        // SAFETY: each attribute points at its own `count` bytes within `values`, which cannot move
        // or go before the closure ends.
        return unsafe values.withUnsafeMutableBytes { values in
            var attributes = unsafe entries.map { entry in
                unsafe CK_ATTRIBUTE(
                    type: entry.type, pValue: values.baseAddress.map { unsafe $0 + entry.offset },
                    ulValueLen: CK_ULONG(entry.count))
            }
            return unsafe attributes.withUnsafeMutableBufferPointer { attributes in
                unsafe body(attributes.baseAddress, CK_ULONG(attributes.count))
            }
        }
    }
}
