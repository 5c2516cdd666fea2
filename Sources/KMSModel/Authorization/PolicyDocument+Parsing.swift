extension PolicyDocument {
    private static let limits = JSON.Limits(maximumBytes: maximumBytes, maximumDepth: 16)

    /// Reads a policy. Element names count letter by letter; what is not in the grammar is refused.
    ///
    /// - Throws: ``PolicyError``; never ``PolicyError/lockout``, which is about a caller.
    package init(parsing text: String) throws(PolicyError) {
        guard !text.isEmpty else { throw .empty }
        let count = text.utf8.count
        guard count <= Self.maximumBytes else { throw .tooLong(byteCount: count) }
        guard text.unicodeScalars.allSatisfy(Self.isAllowed) else { throw .forbiddenCharacter }
        let json: JSON
        do throws(JSONError) {
            json = try JSON(parsing: Array(text.utf8), within: Self.limits)
        } catch {
            throw .syntax(error)
        }
        guard case .object(let members) = json else { throw .wrongType(.init("The policy")) }
        try self.init(members)
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20...0xFF: true
        default: false
        }
    }

    private init(_ members: [JSON.Member]) throws(PolicyError) {
        var version = Version.first
        var id: String?
        var statements: [JSON]?
        for member in members {
            let place = PolicyError.Place(member.name)
            switch member.name {
            case "Version":
                let text = try member.value.text(at: place)
                guard let known = Version(rawValue: text) else {
                    throw .invalidValue(text, place)
                }
                version = known
            case "Id": id = try member.value.text(at: place)
            case "Statement": statements = try member.value.statements(at: place)
            default: throw .unknown(place)
            }
        }
        guard let statements, !statements.isEmpty else { throw .missing(.init("Statement")) }
        var read: [Statement] = []
        var ids: Set<String> = []
        for (index, json) in statements.enumerated() {
            guard case .object(let members) = json else {
                throw .wrongType(.init("Statement", in: index))
            }
            let statement = try StatementParser(members, index: index, version: version).statement()
            if let sid = statement.sid, !sid.isEmpty, !ids.insert(sid).inserted {
                throw .duplicateStatementID(sid)
            }
            read.append(statement)
        }
        self.init(version: version, id: id, statements: read)
    }
}

extension JSON {
    fileprivate func text(at place: PolicyError.Place) throws(PolicyError) -> String {
        guard case .text(let text) = self else { throw .wrongType(place) }
        return text
    }

    /// One text, or a list of them.
    fileprivate func texts(at place: PolicyError.Place) throws(PolicyError) -> [String] {
        guard case .array(let elements) = self else { return [try text(at: place)] }
        var texts: [String] = []
        for element in elements { texts.append(try element.text(at: place)) }
        return texts
    }

    fileprivate func members(at place: PolicyError.Place) throws(PolicyError) -> [Member] {
        guard case .object(let members) = self else { throw .wrongType(place) }
        return members
    }

    /// One statement, or a list of them.
    fileprivate func statements(at place: PolicyError.Place) throws(PolicyError) -> [JSON] {
        switch self {
        case .array(let elements): return elements
        case .object: return [self]
        default: throw .wrongType(place)
        }
    }

    /// The value of a condition as text: a string, a number or a Boolean.
    fileprivate var conditionText: String? {
        switch self {
        case .text(let text), .number(let text): text
        case .flag(let flag): flag ? "true" : "false"
        case .null, .array, .object: nil
        }
    }
}

/// Reads the elements of one statement.
private struct StatementParser {
    private let elements: [String: JSON]
    private let index: Int
    private let variables: WildcardPattern.Variables

    private static let names: Set<String> = [
        "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
        "NotResource", "Condition",
    ]

    init(
        _ members: [JSON.Member], index: Int, version: PolicyDocument.Version
    ) throws(PolicyError) {
        self.index = index
        variables = version == .current ? .honoured : .ignored
        var elements: [String: JSON] = [:]
        for member in members {
            guard Self.names.contains(member.name) else {
                throw .unknown(.init(member.name, in: index))
            }
            elements[member.name] = member.value
        }
        self.elements = elements
    }

    func statement() throws(PolicyError) -> PolicyDocument.Statement {
        let effectPlace = place("Effect")
        guard let effectText = try elements["Effect"]?.text(at: effectPlace) else {
            throw .missing(effectPlace)
        }
        guard let effect = PolicyEffect(rawValue: effectText) else {
            throw .invalidValue(effectText, effectPlace)
        }
        return PolicyDocument.Statement(
            sid: try elements["Sid"]?.text(at: place("Sid")), effect: effect,
            principals: try principals(), actions: try actions(), resources: try resources(),
            conditions: try conditions())
    }

    private func place(_ element: String) -> PolicyError.Place { .init(element, in: index) }

    /// The value of one of two elements that exclude each other.
    private func either(
        _ name: String, or negation: String
    ) throws(PolicyError) -> (JSON, isNegated: Bool, PolicyError.Place)? {
        switch (elements[name], elements[negation]) {
        case (nil, nil): return nil
        case (let value?, nil): return (value, false, place(name))
        case (nil, let value?): return (value, true, place(negation))
        case (_?, _?): throw .contradiction(place(negation))
        }
    }

    // MARK: Principals

    private func principals() throws(PolicyError) -> PrincipalRule {
        guard let (value, isNegated, place) = try either("Principal", or: "NotPrincipal") else {
            throw .noPrincipal(statement: index)
        }
        if case .text(let text) = value {
            guard text == "*" else { throw .invalidPrincipal(text) }
            return PrincipalRule([.everyone], isNegated: isNegated)
        }
        var named: [PolicyPrincipal] = []
        for member in try value.members(at: place) {
            for text in try member.value.texts(at: place) {
                named.append(try Self.principal(text, of: member.name, at: place))
            }
        }
        guard !named.isEmpty else { throw .noPrincipal(statement: index) }
        return PrincipalRule(named, isNegated: isNegated)
    }

    private static func principal(
        _ text: String, of type: String, at place: PolicyError.Place
    ) throws(PolicyError) -> PolicyPrincipal {
        switch type {
        case "AWS":
            if text == "*" { return .everyone }
            if let account = AccountID(text) { return .account(account) }
            guard let principal = Principal(text), principal.kind != .service else {
                throw .invalidPrincipal(text)
            }
            if principal.kind == .root, let account = principal.account {
                return .account(account)
            }
            return .principal(principal)
        case "Service":
            guard let principal = Principal(text), principal.kind == .service else {
                throw .invalidPrincipal(text)
            }
            return .principal(principal)
        case "Federated", "CanonicalUser":
            guard !text.isEmpty, !text.contains("*") else { throw .invalidPrincipal(text) }
            return type == "Federated" ? .federated(text) : .canonicalUser(text)
        default:
            throw .unknown(.init("\(place.element).\(type)", in: place.statement))
        }
    }

    // MARK: Actions and resources

    /// nil for a statement that names none.
    private func actions() throws(PolicyError) -> KMSActionSet? {
        guard let (value, isNegated, place) = try either("Action", or: "NotAction") else {
            return nil
        }
        let texts = try value.texts(at: place)
        guard !texts.isEmpty else { return nil }
        var actions: KMSActionSet = []
        for text in texts {
            guard Self.isAction(text),
                let pattern = try? WildcardPattern(
                    text.lowercasedASCII, wildcards: .honoured, variables: .ignored)
            else { throw .invalidValue(text, place) }
            actions.formUnion(
                KMSActionSet(
                    KMSAction.allCases.filter { pattern.matches($0.name.lowercasedASCII) }))
        }
        return isNegated ? KMSActionSet.all.subtracting(actions) : actions
    }

    /// `*`, or `SERVICE:NAME` with wildcards in both. Of other services nothing comes of it.
    private static func isAction(_ text: String) -> Bool {
        if text == "*" { return true }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.utf8.allSatisfy { byte in
                        byte.isASCIILetter || byte.isASCIIDigit || byte == UInt8(ascii: "*")
                            || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "-")
                    }
            }
    }

    /// nil for a statement that names none.
    private func resources() throws(PolicyError) -> PolicyDocument.ResourceRule? {
        guard let (value, isNegated, place) = try either("Resource", or: "NotResource") else {
            return nil
        }
        let texts = try value.texts(at: place)
        guard !texts.isEmpty else { return nil }
        var patterns: [WildcardPattern] = []
        for text in texts {
            guard text.hasPrefix("arn:") || text.hasPrefix("*"),
                let pattern = try? WildcardPattern(text, wildcards: .honoured, variables: variables)
            else { throw .invalidValue(text, place) }
            patterns.append(pattern)
        }
        if texts.contains("*") { return isNegated ? PolicyDocument.ResourceRule.none : .all }
        return isNegated ? .excluding(patterns) : .matching(patterns)
    }

    // MARK: Conditions

    private func conditions() throws(PolicyError) -> [Condition] {
        guard let value = elements["Condition"] else { return [] }
        let place = place("Condition")
        var conditions: [Condition] = []
        for member in try value.members(at: place) {
            guard let conditionOperator = ConditionOperator(member.name) else {
                throw .unknownOperator(member.name, statement: index)
            }
            for line in try member.value.members(at: place) {
                conditions.append(try condition(conditionOperator, line, place))
            }
        }
        return conditions
    }

    private func condition(
        _ conditionOperator: ConditionOperator, _ line: JSON.Member, _ place: PolicyError.Place
    ) throws(PolicyError) -> Condition {
        guard !line.name.isEmpty else { throw .invalidValue(line.name, place) }
        let key = ConditionKey(line.name)
        let elements: [JSON] =
            if case .array(let elements) = line.value { elements } else { [line.value] }
        let values = elements.compactMap(\.conditionText)
        guard !values.isEmpty, values.count == elements.count else { throw .wrongType(place) }
        if conditionOperator.quantifier == .allValues {
            switch key {
            case .encryptionContext: throw .overlyPermissive(.encryptionContext)
            case .requestTag: throw .overlyPermissive(.tag)
            case .named, .resourceTag, .unknown: break
            }
        }
        var culprit = ""
        guard
            let condition = conditionOperator.condition(
                on: key, values: values, variables: variables, culprit: &culprit)
        else { throw .invalidValue(culprit, place) }
        return condition
    }
}
