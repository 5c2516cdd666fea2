package import Cryptography

/// One value of a request or an answer.
package enum Value: Sendable {
    case text(String)
    case number(Int)
    case flag(Bool)
    case time(Timestamp)
    case bytes([UInt8])
    /// Bytes or, in UTF-8, a text that nobody may see.
    case secret(SecretBytes)
    case context(EncryptionContext)
    case list([Value])
    case structure(Structure)
}

/// A request or an answer of AWS KMS, as the service model describes it and whatever carries it.
///
/// The members keep the order in which they were set; there are a dozen at most, so looking
/// through them is the fastest way to find one.
package struct Structure: Sendable {
    private var fields: [(member: Member, value: Value)] = []

    package init() {}

    /// Leaves out what is nil.
    ///
    /// - Precondition: no member is named twice.
    package init(_ values: KeyValuePairs<Member, Value?>) {
        fields.reserveCapacity(values.count)
        for (member, value) in values {
            assert(self[member] == nil, "BUG: \(member) is named twice")
            if let value { fields.append((member, value)) }
        }
    }

    package subscript(member: Member) -> Value? {
        get { fields.first { $0.member == member }?.value }
        set {
            let index = fields.firstIndex { $0.member == member }
            switch (index, newValue) {
            case (let index?, let value?): fields[index].value = value
            case (let index?, nil): fields.remove(at: index)
            case (nil, let value?): fields.append((member, value))
            case (nil, nil): break
            }
        }
    }

    /// The members that are set, in their order.
    package var members: some Collection<(member: Member, value: Value)> { fields }

    package var isEmpty: Bool { fields.isEmpty }
}

/// Reading members whose kind the service model has settled: nil is "not there".
extension Structure {
    package func text(_ member: Member) -> String? {
        if case .text(let text) = self[member] { text } else { nil }
    }

    package func number(_ member: Member) -> Int? {
        if case .number(let number) = self[member] { number } else { nil }
    }

    /// A flag that is not there is false.
    package func flag(_ member: Member) -> Bool {
        if case .flag(let flag) = self[member] { flag } else { false }
    }

    package func time(_ member: Member) -> Timestamp? {
        if case .time(let time) = self[member] { time } else { nil }
    }

    package func bytes(_ member: Member) -> [UInt8]? {
        if case .bytes(let bytes) = self[member] { bytes } else { nil }
    }

    package func secret(_ member: Member) -> SecretBytes? {
        if case .secret(let secret) = self[member] { secret } else { nil }
    }

    /// A context that is not there is the empty one.
    package func context(_ member: Member) -> EncryptionContext {
        if case .context(let context) = self[member] { context } else { .empty }
    }

    package func list(_ member: Member) -> [Value]? {
        if case .list(let list) = self[member] { list } else { nil }
    }

    package func structure(_ member: Member) -> Structure? {
        if case .structure(let structure) = self[member] { structure } else { nil }
    }

    /// A list of texts; one that is not there is empty.
    package func texts(_ member: Member) -> [String] {
        (list(member) ?? []).compactMap { if case .text(let text) = $0 { text } else { nil } }
    }

    /// A list of structures; one that is not there is empty.
    package func structures(_ member: Member) -> [Structure] {
        (list(member) ?? []).compactMap {
            if case .structure(let structure) = $0 { structure } else { nil }
        }
    }

    /// One of the values that the service model lists.
    package func choice<Choice: RawRepresentable<String>>(
        _ member: Member, _: Choice.Type = Choice.self
    ) -> Choice? {
        text(member).flatMap(Choice.init(rawValue:))
    }
}

extension Value {
    package static func choice(_ choice: some RawRepresentable<String>) -> Value {
        .text(choice.rawValue)
    }

    package static func texts(_ texts: some Sequence<String>) -> Value {
        .list(texts.map(Value.text))
    }

    package static func structures(_ structures: some Sequence<Structure>) -> Value {
        .list(structures.map(Value.structure))
    }
}
