/// One line of a statement's `Condition`: an operator, a key, and the values it is compared with.
///
/// A request may have no value for the key, one, or for some keys several. Without a quantifier,
/// one of its values must match one of the condition's; of a negated operator none may. Without
/// any value an operator is false and a negated one true. `ForAnyValue:` asks for one value that
/// fits, `ForAllValues:` that none is there that does not; `…IfExists` is true where there is no
/// value. Source: IAM user guide, "Condition operators", "Single-valued vs. multivalued keys".
struct Condition: Hashable, Sendable {
    enum Quantifier: Hashable, Sendable { case none, anyValue, allValues }

    enum Comparison: Hashable, Sendable {
        case equal, less, lessOrEqual, greater, greaterOrEqual

        func holds<Value: Comparable>(_ a: Value, _ b: Value) -> Bool {
            switch self {
            case .equal: a == b
            case .less: a < b
            case .lessOrEqual: a <= b
            case .greater: a > b
            case .greaterOrEqual: a >= b
            }
        }
    }

    enum Test: Hashable, Sendable {
        case text([WildcardPattern])
        case textIgnoringCase([WildcardPattern])
        case arn([WildcardPattern])
        case number(Comparison, [Double])
        case time(Comparison, [Timestamp])
        case flag([Bool])
        case bytes([[UInt8]])
        case address([AddressRange])
        /// Whether the key is to be absent.
        case absence([Bool])
    }

    let key: ConditionKey
    let quantifier: Quantifier
    let isNegated: Bool
    let ifExists: Bool
    let test: Test

    /// Whether a request meets the condition.
    ///
    /// A variable that stands for nothing makes its text match nothing. In a negated condition of
    /// a statement that allows, that would let everything through, so such a condition is false.
    ///
    /// - Parameter effect: of the condition's statement.
    /// - Parameter value: the values of the request.
    /// - Parameter budget: where it is exhausted afterwards, the answer means nothing.
    func holds(
        in effect: PolicyEffect, _ budget: inout MatchBudget,
        _ value: (ConditionKey) -> ConditionValue?
    ) -> Bool {
        let own = value(key).flatMap { $0 == .list([]) ? nil : $0 }
        if case .absence(let expected) = test { return expected.contains(own == nil) }
        guard let own else {
            if ifExists { return true }
            return switch quantifier {
            case .none: isNegated
            case .anyValue: false
            case .allValues: true
            }
        }
        let matcher = Matcher(test) { value($0)?.singleText }
        if matcher.hasUnresolved, isNegated, effect == .allow { return false }
        budget.spend(matcher.steps)
        switch quantifier {
        case .none: return own.contains { matcher.matches($0, &budget) } != isNegated
        case .anyValue: return own.contains { matcher.matches($0, &budget) != isNegated }
        case .allValues: return !own.contains { matcher.matches($0, &budget) == isNegated }
        }
    }
}

/// A test with its variables put in.
private struct Matcher {
    private let test: Condition.Test
    private let patterns: [WildcardPattern.ResolvedPattern]
    /// Whether a variable stands for nothing.
    let hasUnresolved: Bool

    init(_ test: Condition.Test, variables: (ConditionKey) -> String?) {
        self.test = test
        switch test {
        case .text(let all), .textIgnoringCase(let all), .arn(let all):
            patterns = all.compactMap { $0.resolved(variables) }
            hasUnresolved = patterns.count < all.count
        case .number, .time, .flag, .bytes, .address, .absence:
            patterns = []
            hasUnresolved = false
        }
    }

    /// What it takes to put the patterns together.
    var steps: Int { patterns.reduce(0) { $0 + $1.steps } }

    /// Whether one of the test's values matches.
    func matches(_ value: ConditionValue, _ budget: inout MatchBudget) -> Bool {
        switch test {
        case .text:
            guard let text = value.singleText else { return false }
            return patterns.contains { $0.matches(text, &budget) }
        case .textIgnoringCase:
            guard let text = value.singleText else { return false }
            budget.spend(patterns.count * text.utf8.count)
            return !budget.isExhausted && patterns.contains { $0.matchesIgnoringCase(text) }
        case .arn:
            guard let text = value.singleText else { return false }
            return patterns.contains { $0.matchesARN(text, &budget) }
        case .number(let comparison, let numbers):
            guard let own = value.decimal else { return false }
            return numbers.contains { comparison.holds(own, $0) }
        case .time(let comparison, let times):
            guard let own = value.instant else { return false }
            return times.contains { comparison.holds(own, $0) }
        case .flag(let flags):
            guard let own = value.boolean else { return false }
            return flags.contains(own)
        case .bytes(let all):
            guard case .text(let text) = value else { return false }
            return all.contains { $0.elementsEqual(text.utf8) }
        case .address(let ranges):
            guard let own = value.singleText.flatMap({ IPAddress($0) }) else { return false }
            return ranges.contains { $0.contains(own) }
        case .absence:
            return false
        }
    }
}

extension ConditionValue {
    fileprivate var decimal: Double? {
        switch self {
        case .text(let text): decimalNumber(text)
        case .number(let number): Double(number)
        case .time(let time): Double(time.millisecondsSinceEpoch) / 1000
        case .flag, .list: nil
        }
    }

    fileprivate var instant: Timestamp? {
        switch self {
        case .text(let text): Timestamp(condition: text)
        case .number(let seconds):
            seconds.magnitude < 1_000_000_000_000
                ? Timestamp(secondsSinceEpoch: Int64(seconds)) : nil
        case .time(let time): time
        case .flag, .list: nil
        }
    }

    fileprivate var boolean: Bool? {
        switch self {
        case .text(let text): Bool(condition: text)
        case .flag(let flag): flag
        case .number, .time, .list: nil
        }
    }
}

extension Bool {
    /// `true` or `false`, in letters of any case.
    init?(condition text: String) {
        switch text.lowercasedASCII {
        case "true": self = true
        case "false": self = false
        default: return nil
        }
    }
}
