/// A request's headers by their names in lower case.
struct HeaderTable: Sendable {
    let names: [String]
    private let values: [String]

    init(_ headers: [HTTPHeader]) {
        names = headers.map { lowercasedASCII($0.name) }
        values = headers.map(\.value)
    }

    func contains(_ name: String) -> Bool { names.contains(name) }

    /// The first value of this name.
    func value(_ name: String) -> String? { names.firstIndex(of: name).map { values[$0] } }

    func count(_ name: String) -> Int { names.count { $0 == name } }

    /// Appends `name:value,value…`, each value without spaces at its ends and with single ones
    /// within. False when there is no such header, or its value has a line break, which would make
    /// one canonical request out of two different ones.
    func append(_ name: String, to bytes: inout [UInt8]) -> Bool {
        var isFirst = true
        for index in names.indices where names[index] == name {
            if isFirst { bytes.append(contentsOf: name.utf8) }
            bytes.append(isFirst ? UInt8(ascii: ":") : UInt8(ascii: ","))
            guard Self.appendCollapsed(Array(values[index].utf8), to: &bytes) else { return false }
            isFirst = false
        }
        return !isFirst
    }

    private static func appendCollapsed(_ value: [UInt8], to bytes: inout [UInt8]) -> Bool {
        guard value.contains(where: { $0 <= UInt8(ascii: " ") }) else {
            bytes.append(contentsOf: value)
            return true
        }
        var isSpacePending = false
        let start = bytes.count
        for byte in value {
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"): return false
            case UInt8(ascii: " "), UInt8(ascii: "\t"): isSpacePending = bytes.count > start
            default:
                if isSpacePending { bytes.append(UInt8(ascii: " ")) }
                isSpacePending = false
                bytes.append(byte)
            }
        }
        return true
    }
}
