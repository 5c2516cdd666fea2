/// The name of a condition operator, taken apart: `ForAllValues:StringNotLikeIfExists`.
struct ConditionOperator {
    private enum Family {
        case text(WildcardPattern.Wildcards)
        case textIgnoringCase
        case arn
        case number(Condition.Comparison)
        case time(Condition.Comparison)
        case flag, bytes, address, absence
    }

    let quantifier: Condition.Quantifier
    private let family: Family
    private let isNegated: Bool
    private let ifExists: Bool

    /// Letters count as they are. nil for a name that no operator has.
    init?(_ name: String) {
        var rest = Substring(name)
        quantifier =
            if rest.hasPrefix("ForAnyValue:") {
                .anyValue
            } else if rest.hasPrefix("ForAllValues:") {
                .allValues
            } else {
                .none
            }
        if quantifier != .none { rest = rest.drop { $0 != ":" }.dropFirst() }
        ifExists = rest.hasSuffix("IfExists")
        if ifExists { rest = rest.dropLast("IfExists".count) }
        guard let (family, isNegated) = Self.families[String(rest)] else { return nil }
        if case .absence = family, ifExists || quantifier != .none { return nil }
        self.family = family
        self.isNegated = isNegated
    }

    private static let families: [String: (Family, isNegated: Bool)] = [
        "StringEquals": (.text(.ignored), false),
        "StringNotEquals": (.text(.ignored), true),
        "StringEqualsIgnoreCase": (.textIgnoringCase, false),
        "StringNotEqualsIgnoreCase": (.textIgnoringCase, true),
        "StringLike": (.text(.honoured), false),
        "StringNotLike": (.text(.honoured), true),
        "ArnEquals": (.arn, false),
        "ArnLike": (.arn, false),
        "ArnNotEquals": (.arn, true),
        "ArnNotLike": (.arn, true),
        "NumericEquals": (.number(.equal), false),
        "NumericNotEquals": (.number(.equal), true),
        "NumericLessThan": (.number(.less), false),
        "NumericLessThanEquals": (.number(.lessOrEqual), false),
        "NumericGreaterThan": (.number(.greater), false),
        "NumericGreaterThanEquals": (.number(.greaterOrEqual), false),
        "DateEquals": (.time(.equal), false),
        "DateNotEquals": (.time(.equal), true),
        "DateLessThan": (.time(.less), false),
        "DateLessThanEquals": (.time(.lessOrEqual), false),
        "DateGreaterThan": (.time(.greater), false),
        "DateGreaterThanEquals": (.time(.greaterOrEqual), false),
        "Bool": (.flag, false),
        "BinaryEquals": (.bytes, false),
        "IpAddress": (.address, false),
        "NotIpAddress": (.address, true),
        "Null": (.absence, false),
    ]

    /// The condition of this operator on a key.
    ///
    /// - Parameter values: as the policy has them, never empty.
    /// - Returns: nil if a value is none that the operator can compare; `culprit` is the value.
    func condition(
        on key: ConditionKey, values: [String], variables: WildcardPattern.Variables,
        culprit: inout String
    ) -> Condition? {
        func all<Value>(_ read: (String) -> Value?) -> [Value]? {
            var operands: [Value] = []
            for text in values {
                guard let operand = read(text) else {
                    culprit = text
                    return nil
                }
                operands.append(operand)
            }
            return operands
        }
        func patterns(_ wildcards: WildcardPattern.Wildcards) -> [WildcardPattern]? {
            all { try? WildcardPattern($0, wildcards: wildcards, variables: variables) }
        }
        let test: Condition.Test? =
            switch family {
            case .text(let wildcards): patterns(wildcards).map { .text($0) }
            case .textIgnoringCase: patterns(.ignored).map { .textIgnoringCase($0) }
            case .arn: all { Self.arnPattern($0, variables) }.map { .arn($0) }
            case .number(let comparison): all(decimalNumber).map { .number(comparison, $0) }
            case .time(let comparison):
                all(Timestamp.init(condition:)).map { .time(comparison, $0) }
            case .flag: all(Bool.init(condition:)).map { .flag($0) }
            case .bytes: all(Base64.decode).map { .bytes($0) }
            case .address: all(AddressRange.init).map { .address($0) }
            case .absence: all(Bool.init(condition:)).map { .absence($0) }
            }
        guard let test else { return nil }
        return Condition(
            key: key, quantifier: quantifier, isNegated: isNegated, ifExists: ifExists, test: test)
    }

    /// What a variable stands for may be the better part of an ARN; without one, the form is seen.
    private static func arnPattern(
        _ text: String, _ variables: WildcardPattern.Variables
    ) -> WildcardPattern? {
        guard
            let pattern = try? WildcardPattern(text, wildcards: .honoured, variables: variables),
            pattern.hasVariables || pattern.resolved({ _ in nil })?.isARN == true
        else { return nil }
        return pattern
    }
}
