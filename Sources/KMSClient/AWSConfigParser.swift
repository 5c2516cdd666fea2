internal import Cryptography

/// Reads a shared file line by line; see ``AWSConfigFile`` for its form.
struct AWSConfigParser {
    enum SectionKind: Hashable {
        case profile
        /// `[profile default]`, which goes before `[default]`.
        case namedDefault
        case services
        /// Of a kind that is not ours; its lines are checked all the same.
        case other
    }

    private static let secretNames: Set<String> = ["aws_secret_access_key"]

    private let kind: AWSConfigFile.Kind
    private var found: [SectionKind: [String: AWSConfigFile.Section]] = [:]
    private var section: (kind: SectionKind, name: String)?
    private var setting: String?
    /// How far the last section or setting was indented; what is further in belongs to it.
    private var level = 0
    private var line = 0

    init(_ kind: AWSConfigFile.Kind) {
        self.kind = kind
    }

    func sections(_ kind: SectionKind) -> [String: AWSConfigFile.Section] { found[kind] ?? [:] }
    var hasNamedDefault: Bool { found[.namedDefault] != nil }

    mutating func read(_ bytes: ArraySlice<UInt8>) throws(AWSConfigSyntaxError) {
        line += 1
        let text = bytes.drop(while: Self.isSpace)
        guard let first = text.first, !Self.isCommentMark(first) else { return }
        let indentation = bytes.count - text.count
        if let section, let setting, level < indentation {
            return try readIndented(text, below: setting, in: section)
        }
        level = indentation
        if first == UInt8(ascii: "[") {
            try readSection(text)
        } else {
            try readSetting(text)
        }
    }

    // MARK: Sections

    private mutating func readSection(_ bytes: ArraySlice<UInt8>) throws(AWSConfigSyntaxError) {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else {
            throw fault(.unclosedSection)
        }
        let rest = bytes[(end + 1)...].drop(while: Self.isSpace)
        if let first = rest.first, !Self.isCommentMark(first) { throw fault(.textBehindSection) }
        let words = try text(Self.trimmed(bytes[(bytes.startIndex + 1)..<end]))
        let new = try sectionNamed(words)
        section = new
        setting = nil
        found[new.kind, default: [:]][new.name, default: [:]].merge([:]) { $1 }
    }

    private func sectionNamed(
        _ words: String
    ) throws(AWSConfigSyntaxError) -> (kind: SectionKind, name: String) {
        if words.isEmpty { throw fault(.emptySectionName) }
        if kind == .credentials || words == "default" { return (.profile, words) }
        guard let cut = words.firstIndex(where: { $0 == " " || $0 == "\t" }) else {
            return (.other, words)
        }
        let name = Self.unquoted(words[cut...].drop { $0 == " " || $0 == "\t" })
        if name.isEmpty { throw fault(.emptySectionName) }
        switch words[..<cut] {
        case "profile": return (name == "default" ? .namedDefault : .profile, name)
        case "services": return (.services, name)
        default: return (.other, words)
        }
    }

    /// A name with spaces stands in quotation marks of either kind.
    private static func unquoted(_ text: Substring) -> String {
        for mark in ["\"", "'"] where text.count > 1 && text.hasPrefix(mark) && text.hasSuffix(mark)
        {
            return String(text.dropFirst().dropLast())
        }
        return String(text)
    }

    // MARK: Settings

    private mutating func readSetting(_ bytes: ArraySlice<UInt8>) throws(AWSConfigSyntaxError) {
        guard let section else { throw fault(.settingOutsideSection) }
        let (name, value) = try nameAndValue(bytes)
        setting = name
        let made: AWSConfigFile.Value
        if Self.secretNames.contains(name) {
            var secret = Array(value)
            made = .secret(SecretBytes(consuming: &secret))
        } else {
            made = .text(try text(value))
        }
        found[section.kind]?[section.name]?[name] = AWSConfigFile.Setting(value: made)
    }

    /// A setting below one that is empty, or one more line of a value.
    private mutating func readIndented(
        _ bytes: ArraySlice<UInt8>, below setting: String,
        in section: (kind: SectionKind, name: String)
    ) throws(AWSConfigSyntaxError) {
        guard var above = found[section.kind]?[section.name]?[setting] else {
            preconditionFailure("BUG: a setting was read and is not there")
        }
        guard case .text(let value) = above.value else { throw fault(.secretWithLines) }
        if value.isEmpty {
            let (name, value) = try nameAndValue(Self.trimmed(bytes))
            above.nested[name] = try text(value)
        } else {
            above.value = .text(value + "\n" + (try text(Self.trimmed(bytes))))
        }
        found[section.kind]?[section.name]?[setting] = above
    }

    private func nameAndValue(
        _ bytes: ArraySlice<UInt8>
    ) throws(AWSConfigSyntaxError) -> (name: String, value: ArraySlice<UInt8>) {
        guard let cut = bytes.firstIndex(of: UInt8(ascii: "=")) else { throw fault(.noEqualSign) }
        let name = Self.trimmed(bytes[..<cut])
        guard !name.isEmpty, name.allSatisfy(Self.isNameByte) else { throw fault(.malformedName) }
        let value = Self.trimmed(Self.withoutComment(bytes[(cut + 1)...]))
        return (String(decoding: name, as: UTF8.self).lowercased(), value)
    }

    // MARK: Bytes

    private func fault(_ fault: AWSConfigSyntaxError.Fault) -> AWSConfigSyntaxError {
        AWSConfigSyntaxError(line: line, fault: fault)
    }

    private func text(_ bytes: ArraySlice<UInt8>) throws(AWSConfigSyntaxError) -> String {
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw fault(.notText)
        }
        return text
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }

    private static func isCommentMark(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "#") || byte == UInt8(ascii: ";")
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "/"), UInt8(ascii: "%"),
            UInt8(ascii: "@"), UInt8(ascii: "+"):
            true
        default: false
        }
    }

    private static func withoutComment(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        for index in bytes.indices.dropFirst()
        where isCommentMark(bytes[index]) && isSpace(bytes[index - 1]) {
            return bytes[..<index]
        }
        return bytes
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var rest = bytes.drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return rest
    }
}
