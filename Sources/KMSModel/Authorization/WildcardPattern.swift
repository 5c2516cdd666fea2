/// A text of a policy in which `*` and `?` may stand for others, and `${…}` for values of the
/// request.
///
/// A pattern is a list of codes: a byte of UTF-8, or a wildcard. Wildcards come only from the
/// policy's own text; what a variable stands for is taken as it is.
struct WildcardPattern: Hashable, Sendable {
    /// What `*` and `?` mean.
    enum Wildcards { case honoured, ignored }
    /// What `${…}` means: policies of version 2008-10-17 know no variables.
    enum Variables { case honoured, ignored }

    /// A pattern is no text with variables: the braces are not closed, or there is no name.
    struct InvalidVariable: Error {}

    private enum Part: Hashable {
        case codes([UInt16])
        case variable(ConditionKey, default: String?)
    }

    private let parts: [Part]
    let hasVariables: Bool

    private static let anyScalar: UInt16 = 256
    private static let anySequence: UInt16 = 257

    init(
        _ text: String, wildcards: Wildcards, variables: Variables
    ) throws(InvalidVariable) {
        var codes: [UInt16] = []
        var parts: [Part] = []
        let bytes = Array(text.utf8)
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            let opens =
                byte == UInt8(ascii: "$") && position + 1 < bytes.count
                && bytes[position + 1] == UInt8(ascii: "{")
            if opens, variables == .honoured {
                let start = position + 2
                guard let end = bytes[start...].firstIndex(of: UInt8(ascii: "}")), end > start
                else { throw InvalidVariable() }
                position = end + 1
                if end == start + 1, Self.isSpecial(bytes[start]) {
                    codes.append(UInt16(bytes[start]))
                    continue
                }
                if !codes.isEmpty { parts.append(.codes(codes)) }
                codes = []
                parts.append(try Self.variable(bytes[start..<end]))
                continue
            }
            switch byte {
            case UInt8(ascii: "*") where wildcards == .honoured: codes.append(Self.anySequence)
            case UInt8(ascii: "?") where wildcards == .honoured: codes.append(Self.anyScalar)
            default: codes.append(UInt16(byte))
            }
            position += 1
        }
        hasVariables = !parts.isEmpty
        if !codes.isEmpty || parts.isEmpty { parts.append(.codes(codes)) }
        self.parts = parts
    }

    /// `${*}`, `${?}` and `${$}` are these characters and nothing more.
    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "*") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "$")
    }

    /// `key`, or `key, 'default'`.
    private static func variable(_ bytes: ArraySlice<UInt8>) throws(InvalidVariable) -> Part {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let comma = text.firstIndex(of: ",") else {
            return .variable(ConditionKey(text), default: nil)
        }
        let rest = text[text.index(after: comma)...].drop { $0 == " " }
        guard comma > text.startIndex, rest.utf8.count >= 2, rest.first == "'", rest.last == "'"
        else { throw InvalidVariable() }
        return .variable(
            ConditionKey(String(text[..<comma])), default: String(rest.dropFirst().dropLast()))
    }

    /// The codes, with every variable put in.
    ///
    /// - Parameter value: the one value of a key; nil if it has none, or several.
    /// - Returns: nil if a variable stands for nothing.
    func resolved(_ value: (ConditionKey) -> String?) -> ResolvedPattern? {
        guard parts.count != 1 || hasVariables else {
            guard case .codes(let codes) = parts[0] else { return nil }
            return ResolvedPattern(codes: codes)
        }
        var all: [UInt16] = []
        for part in parts {
            switch part {
            case .codes(let codes): all += codes
            case .variable(let key, let fallback):
                guard let text = value(key) ?? fallback else { return nil }
                all += text.utf8.lazy.map(UInt16.init)
            }
        }
        return ResolvedPattern(codes: all)
    }

    /// Whether a pattern without variables fits.
    func matches(_ text: String) -> Bool {
        var budget = MatchBudget()
        return resolved { _ in nil }?.matches(text, &budget) ?? false
    }

    /// A pattern without variables.
    struct ResolvedPattern {
        fileprivate let codes: [UInt16]

        /// Whether the whole of `text` fits. `?` stands for one Unicode scalar.
        ///
        /// Takes at most one step for each pair of a code and a byte; without steps nothing fits.
        func matches(_ text: String, _ budget: inout MatchBudget) -> Bool {
            let bytes = text.utf8.span
            return Self.matches(codes[...], bytes, 0..<bytes.count, &budget)
        }

        /// What it takes to put the pattern together.
        var steps: Int { codes.count }

        /// Whether the texts are the same in lower case. Only for patterns without wildcards.
        func matchesIgnoringCase(_ text: String) -> Bool {
            let pattern = String(
                decoding: codes.map(UInt8.init(truncatingIfNeeded:)), as: UTF8.self)
            return pattern.lowercased().isIdentical(to: text.lowercased())
        }

        /// Whether `text` is an ARN whose six parts fit, each for itself: a wildcard does not reach
        /// over a colon, except in the last part. `*` alone fits every ARN.
        func matchesARN(_ text: String, _ budget: inout MatchBudget) -> Bool {
            let bytes = text.utf8.span
            guard let places = Self.arnParts(of: bytes) else { return false }
            if codes == [WildcardPattern.anySequence] { return true }
            guard let patterns = arnParts else { return false }
            for (pattern, place) in zip(patterns, places)
            where !Self.matches(pattern, bytes, place, &budget) {
                return false
            }
            return true
        }

        /// Whether there are an ARN's six parts, or `*` is all there is.
        var isARN: Bool { codes == [WildcardPattern.anySequence] || arnParts != nil }

        private var arnParts: [ArraySlice<UInt16>]? {
            let parts = codes.split(
                separator: UInt16(UInt8(ascii: ":")), maxSplits: 5, omittingEmptySubsequences: false
            )
            return parts.count == 6 ? parts : nil
        }

        private static func arnParts(of bytes: Span<UInt8>) -> [Range<Int>]? {
            var parts: [Range<Int>] = []
            var start = 0
            for index in bytes.indices where bytes[index] == UInt8(ascii: ":") && parts.count < 5 {
                parts.append(start..<index)
                start = index + 1
            }
            guard parts.count == 5 else { return nil }
            return parts + [start..<bytes.count]
        }

        /// Goes back to the last `*` only: what fits before it fits no better any other way.
        private static func matches(
            _ codes: ArraySlice<UInt16>, _ bytes: Span<UInt8>, _ place: Range<Int>,
            _ budget: inout MatchBudget
        ) -> Bool {
            let available = budget.left
            var steps = 0
            defer { budget.spend(steps) }
            var code = codes.startIndex
            var position = place.lowerBound
            var afterStar: Int?
            var starEnd = position
            while position < place.upperBound {
                steps += 1
                guard steps < available else { return false }
                if code < codes.endIndex {
                    let wanted = codes[code]
                    if wanted == WildcardPattern.anySequence {
                        code += 1
                        afterStar = code
                        starEnd = position
                        continue
                    }
                    if wanted == WildcardPattern.anyScalar {
                        position += scalarWidth(bytes[position])
                        code += 1
                        continue
                    }
                    if wanted == UInt16(bytes[position]) {
                        position += 1
                        code += 1
                        continue
                    }
                }
                guard let next = afterStar else { return false }
                starEnd += scalarWidth(bytes[starEnd])
                position = starEnd
                code = next
            }
            while code < codes.endIndex, codes[code] == WildcardPattern.anySequence { code += 1 }
            return code == codes.endIndex
        }

        /// How many bytes the scalar has that begins with `lead`.
        private static func scalarWidth(_ lead: UInt8) -> Int {
            switch lead {
            case ..<0xC0: 1
            case ..<0xE0: 2
            case ..<0xF0: 3
            default: 4
            }
        }
    }
}
