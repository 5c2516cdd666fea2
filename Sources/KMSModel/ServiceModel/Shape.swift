/// What one value of a request or an answer may be: AWS KMS's service model, version 2014-11-01.
package indirect enum Shape: Sendable {
    case text(TextRule)
    /// A text that is a secret: never shown, kept as bytes that are wiped.
    case secretText(TextRule)
    /// A text out of a set.
    case choice([String])
    case number(SizeRule)
    case flag
    case time
    case bytes(SizeRule)
    /// Bytes that are a secret: never shown, kept so that they are wiped.
    case secret(SizeRule)
    /// An encryption context: names and values.
    case context
    case list(Shape, SizeRule)
    case structure(StructureShape)
}

/// How long something is, or how big a number: both ends belong to it, nil is no bound.
package struct SizeRule: Sendable {
    package let minimum: Int?
    package let maximum: Int?

    init(_ minimum: Int?, _ maximum: Int?) {
        self.minimum = minimum
        self.maximum = maximum
    }
}

/// The length of a text in Unicode scalars, and what it is made of.
package struct TextRule: Sendable {
    package let length: SizeRule
    package let pattern: TextPattern?

    init(_ minimum: Int?, _ maximum: Int?, _ pattern: TextPattern?) {
        length = SizeRule(minimum, maximum)
        self.pattern = pattern
    }
}

/// A named member of a structure.
package struct MemberShape: Sendable {
    package let member: Member
    package let shape: Shape
    package let isRequired: Bool

    init(_ member: Member, _ shape: Shape, isRequired: Bool = false) {
        self.member = member
        self.shape = shape
        self.isRequired = isRequired
    }
}

/// A structure of the service model, by its name there.
package final class StructureShape: Sendable {
    package let name: String
    package let members: [MemberShape]
    private let byMember: [Member: Int]

    init(_ name: String, _ members: [MemberShape]) {
        self.name = name
        self.members = members
        byMember = Dictionary(
            uniqueKeysWithValues: members.enumerated().map { ($1.member, $0) })
    }

    /// Of operations that answer nothing.
    package static let empty = StructureShape("Empty", [])

    package subscript(member: Member) -> MemberShape? { byMember[member].map { members[$0] } }
}
