/// A command line as its words; no shell is asked, so nothing else has a meaning.
///
/// Spaces divide; `'…'` keeps all as it is; `"…"` keeps all but `\"` and `\\`; elsewhere `\` keeps
/// the next character. That is how AWS's tools take `credential_process`.
enum CommandWords {
    /// nil for an empty line, and for quotation marks or a `\` without an end.
    static func split(_ line: String) -> [String]? {
        var words: [String] = []
        var word: String?
        var characters = line.makeIterator()
        while let character = characters.next() {
            switch character {
            case " ", "\t", "\n", "\r":
                if let word { words.append(word) }
                word = nil
            case "'", "\"":
                guard let text = quoted(by: character, &characters) else { return nil }
                word = (word ?? "") + text
            case "\\":
                guard let next = characters.next() else { return nil }
                word = (word ?? "") + String(next)
            default:
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        return words.isEmpty ? nil : words
    }

    private static func quoted(
        by mark: Character, _ characters: inout String.Iterator
    ) -> String? {
        var text = ""
        while let character = characters.next() {
            if character == mark { return text }
            guard character == "\\", mark == "\"" else {
                text.append(character)
                continue
            }
            guard let next = characters.next() else { return nil }
            if next != "\"", next != "\\" { text.append("\\") }
            text.append(next)
        }
        return nil
    }
}
