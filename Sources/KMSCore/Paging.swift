internal import KMSModel

/// How many elements a page of a list has.
struct PageSize: Sendable {
    let standard: Int
    let maximum: Int

    static let keys = PageSize(standard: 100, maximum: 1000)
    static let rotations = PageSize(standard: 100, maximum: 1000)
    static let policies = PageSize(standard: 100, maximum: 1000)
    static let aliases = PageSize(standard: 50, maximum: 100)
    static let grants = PageSize(standard: 50, maximum: 100)
    static let tags = PageSize(standard: 50, maximum: 50)
    static let keyStores = PageSize(standard: 100, maximum: 1000)

    /// The answer of a list operation: one page of `elements`, which are sorted by their names.
    ///
    /// The marker holds the name of the page's last element, so that what is added or removed in
    /// between shifts nothing.
    ///
    /// - Throws: ``KMSError/invalidMarker``, ``KMSError/validation(_:)`` for a limit that is the
    ///   service model's and not this operation's.
    func answer<Element>(
        _ request: Request, _ member: Member, _ elements: [Element],
        by name: (Element) -> String, _ structure: (Element) -> Structure
    ) throws(KMSError) -> Structure {
        let (taken, marker) = try page(request, of: elements, by: name)
        return Structure([
            member: .structures(taken.map(structure)), .truncated: .flag(marker != nil),
            .nextMarker: marker.map(Value.text),
        ])
    }

    func page<Element>(
        _ request: Request, of elements: [Element], by name: (Element) -> String
    ) throws(KMSError) -> (ArraySlice<Element>, String?) {
        let limit = request.input.number(.limit) ?? standard
        guard limit <= maximum else {
            throw .validation(
                "1 validation error detected: Value '\(limit)' at 'limit' failed to satisfy "
                    + "constraint: Member must have value less than or equal to \(maximum)")
        }
        var rest = elements[...]
        if let marker = request.input.text(.marker) {
            let last = try PageSize.name(marker)
            // By halves: there may be a hundred thousand.
            var (start, end) = (elements.startIndex, elements.endIndex)
            while start < end {
                let middle = (start + end) / 2
                if name(elements[middle]) <= last { start = middle + 1 } else { end = middle }
            }
            rest = elements[start...]
        }
        let taken = rest.prefix(limit)
        guard taken.count < rest.count, let last = taken.last else { return (taken, nil) }
        return (taken, hexText(name(last).utf8))
    }

    private static func name(_ marker: String) throws(KMSError) -> String {
        let digits = Array(marker.utf8)
        guard digits.count % 2 == 0 else { throw .invalidMarker }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index...index + 1], as: UTF8.self)
            guard !pair.hasPrefix("+"), let byte = UInt8(pair, radix: 16) else {
                throw .invalidMarker
            }
            bytes.append(byte)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidMarker }
        return text
    }
}
