import KMSModel

extension JSON {
    private static let logLimits = Limits(maximumBytes: .max, maximumDepth: 32)

    /// One event, or one line of an export.
    ///
    /// - Returns: nil when the bytes are not exactly one JSON value, or are nested too deeply.
    init?(ofLog bytes: [UInt8]) {
        guard let value = try? JSON(parsing: bytes, within: Self.logLimits) else { return nil }
        self = value
    }

    /// The member of an object.
    subscript(name: String) -> JSON? {
        members.first { $0.name == name }?.value
    }

    var text: String? {
        guard case .text(let text) = self else { return nil }
        return text
    }

    var members: [Member] {
        guard case .object(let members) = self else { return [] }
        return members
    }

    var elements: [JSON] {
        guard case .array(let elements) = self else { return [] }
        return elements
    }

    func integer<Value: FixedWidthInteger>(_: Value.Type) -> Value? {
        guard case .number(let text) = self else { return nil }
        return Value(text)
    }
}
