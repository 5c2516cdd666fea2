extension UInt8 {
    var isASCIIDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

    var isASCIILetter: Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self)
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
    }

    /// 0…15 for a hex digit of either case.
    var hexDigitValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Letters of ASCII become small, everything else stays.
    var lowercasedASCII: UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self
    }
}

extension String {
    /// Letters of ASCII become small, everything else stays.
    var lowercasedASCII: String {
        String(decoding: utf8.lazy.map(\.lowercasedASCII), as: UTF8.self)
    }

    /// Whether both have the same bytes. `==` finds strings equal that Unicode calls canonically
    /// equivalent, which is too much where a permission hangs on it.
    func isIdentical(to other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
