/// The checks that AWS makes of a request's form before anything else, all of them at once.
extension StructureShape {
    /// Checks a request against the model: what must be there, kinds, lengths, patterns, sets.
    ///
    /// - Throws: ``KMSError`` with the code `.validation` in AWS's words for all that fails;
    ///   `.serialization` for a value of another kind, which a carrier would have refused.
    package func validate(_ input: Structure) throws(KMSError) {
        var failures = ValidationFailures()
        try validate(input, at: "", &failures)
        try failures.throwIfAny()
    }

    fileprivate func validate(
        _ input: Structure, at path: String, _ failures: inout ValidationFailures
    ) throws(KMSError) {
        for member in members {
            if let value = input[member.member] {
                try member.shape.validate(value, at: member.member, in: path, &failures)
            } else if member.isRequired {
                failures.missing(at: path + member.member.lowerName)
            }
        }
        for (member, _) in input.members where self[member] == nil {
            throw .serialization("\(name) has no member \(member.rawValue)")
        }
    }
}

extension Member {
    /// As messages and the usage log write it: `keyId`.
    package var lowerName: String { Member.lowerNames[self] ?? rawValue }

    private static let lowerNames = Dictionary(
        uniqueKeysWithValues: allCases.map {
            ($0, $0.rawValue.prefix(1).lowercased() + $0.rawValue.dropFirst())
        })
}

extension Shape {
    fileprivate func validate(
        _ value: Value, at member: Member, in path: String, _ failures: inout ValidationFailures
    ) throws(KMSError) {
        // The path is made only where something failed or has parts.
        switch (self, value) {
        case (.text(let rule), .text(let text)):
            if !rule.permits(text) { failures.check(text, rule, at: path + member.lowerName) }
        case (.choice(let choices), .text(let text)):
            if !choices.contains(text) {
                failures.notAChoice(text, choices, at: path + member.lowerName)
            }
        case (.number(let rule), .number(let number)):
            if !rule.permits(number) { failures.check(number, rule, at: path + member.lowerName) }
        case (.bytes(let rule), .bytes(let bytes)):
            if !rule.permits(bytes.count) {
                failures.checkLength(bytes.count, rule, at: path + member.lowerName)
            }
        case (.secret(let rule), .secret(let secret)):
            if !rule.permits(secret.count) {
                failures.checkLength(secret.count, rule, at: path + member.lowerName)
            }
        case (.secretText(let rule), .secret(let secret)):
            if !rule.length.permits(secret.count) {
                failures.checkLength(secret.count, rule.length, at: path + member.lowerName)
            }
        case (.list(let element, let rule), .list(let values)):
            if !rule.permits(values.count) {
                failures.checkLength(values.count, rule, at: path + member.lowerName)
                // A list that is too long is not looked through.
                return
            }
            try element.validateElements(values, at: path + member.lowerName, &failures)
        case (.structure(let shape), .structure(let structure)):
            try shape.validate(structure, at: "\(path)\(member.lowerName).", &failures)
        case (.flag, .flag), (.time, .time), (.context, .context): break
        default:
            throw .serialization("\(member.rawValue) is of another type")
        }
    }

    /// Structures fail one by one; of other elements the list fails, with all that an element must
    /// be.
    private func validateElements(
        _ values: [Value], at path: String, _ failures: inout ValidationFailures
    ) throws(KMSError) {
        var texts: [String] = []
        var isWrong = false
        for (index, value) in values.enumerated() {
            switch (self, value) {
            case (.text(let rule), .text(let text)):
                texts.append(text)
                if !rule.permits(text) { isWrong = true }
            case (.choice(let choices), .text(let text)):
                texts.append(text)
                if !choices.contains(text) { isWrong = true }
            case (.structure(let shape), .structure(let structure)):
                try shape.validate(structure, at: "\(path).\(index + 1).member.", &failures)
            default: throw .serialization("an element of \(path) is of another type")
            }
        }
        if isWrong { failures.elements(texts, elementConstraints, at: path) }
    }

    private var elementConstraints: [String] {
        switch self {
        case .text(let rule): rule.constraints
        case .choice(let choices): ["satisfy enum value set: [\(choices.joined(separator: ", "))]"]
        default: []
        }
    }
}

extension SizeRule {
    fileprivate func permits(_ size: Int) -> Bool {
        size >= minimum ?? .min && size <= maximum ?? .max
    }
}

extension TextRule {
    fileprivate func permits(_ text: String) -> Bool {
        length.permits(text.unicodeScalars.count) && pattern?.matches(text) ?? true
    }

    fileprivate var constraints: [String] {
        [
            length.maximum.map { "have length less than or equal to \($0)" },
            length.minimum.map { "have length greater than or equal to \($0)" },
            pattern.map { "satisfy regular expression pattern: \($0.rawValue)" },
        ].compactMap(\.self)
    }
}

/// What a request's form fails, in AWS's words (recorded from AWS).
private struct ValidationFailures {
    private var failures: [String] = []
    /// Of a request with a thousand bad members the first ones tell enough.
    private static let limit = 10

    private mutating func fail(_ path: String, _ value: String?, _ constraint: String) {
        guard failures.count < ValidationFailures.limit else { return }
        let shown = value.map { "Value '\($0)'" } ?? "Value"
        failures.append(
            "\(shown) at '\(path)' failed to satisfy constraint: Member must \(constraint)")
    }

    mutating func missing(at path: String) {
        guard failures.count < ValidationFailures.limit else { return }
        failures.append(
            "Value null at '\(path)' failed to satisfy constraint: Member must not be null")
    }

    mutating func check(_ text: String, _ rule: TextRule, at path: String) {
        let size = text.unicodeScalars.count
        let shown = ValidationFailures.shown(text)
        length(size, value: shown, rule.length, at: path)
        if let pattern = rule.pattern, !pattern.matches(text) {
            fail(path, shown, "satisfy regular expression pattern: \(pattern.rawValue)")
        }
    }

    mutating func check(_ number: Int, _ rule: SizeRule, at path: String) {
        if let minimum = rule.minimum, number < minimum {
            fail(path, "\(number)", "have value greater than or equal to \(minimum)")
        } else if let maximum = rule.maximum, number > maximum {
            fail(path, "\(number)", "have value less than or equal to \(maximum)")
        }
    }

    /// The length of bytes or of a list, which are not shown.
    mutating func checkLength(_ size: Int, _ rule: SizeRule, at path: String) {
        length(size, value: nil, rule, at: path)
    }

    private mutating func length(_ size: Int, value: String?, _ rule: SizeRule, at path: String) {
        if let minimum = rule.minimum, size < minimum {
            fail(path, value, "have length greater than or equal to \(minimum)")
        } else if let maximum = rule.maximum, size > maximum {
            fail(path, value, "have length less than or equal to \(maximum)")
        }
    }

    mutating func notAChoice(_ text: String, _ choices: [String], at path: String) {
        let set = choices.joined(separator: ", ")
        fail(path, text.firstScalars(256), "satisfy enum value set: [\(set)]")
    }

    mutating func elements(_ texts: [String], _ constraints: [String], at path: String) {
        let shown = texts.joined(separator: ", ")
        let list = constraints.map { "Member must \($0)" }.joined(separator: ", ")
        fail(path, "[\(ValidationFailures.shown(shown))]", "satisfy constraint: [\(list)]")
    }

    /// A value that is far too long is not sent back.
    private static func shown(_ text: String) -> String {
        guard text.unicodeScalars.count > 10_000 else { return text }
        return text.firstScalars(64) + "…"
    }

    func throwIfAny() throws(KMSError) {
        guard !failures.isEmpty else { return }
        let count = "\(failures.count) validation error\(failures.count == 1 ? "" : "s") detected"
        throw .validation("\(count): \(failures.joined(separator: "; "))")
    }
}
