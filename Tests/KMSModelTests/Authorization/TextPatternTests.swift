import TestSupport
import Testing

@testable import KMSModel

@Suite struct TextPatternTests {
    private func matches(_ pattern: String, _ text: String) throws -> Bool {
        try WildcardPattern(pattern, wildcards: .honoured, variables: .ignored).matches(text)
    }

    @Test(arguments: [
        ("", "", true), ("", "a", false), ("a", "", false), ("*", "", true), ("*", "abc", true),
        ("**", "abc", true), ("?", "a", true), ("?", "", false), ("?", "ab", false),
        ("?", "é", true), ("?", "😀", true), ("??", "é", false), ("*?", "é", true),
        ("*??", "é", false), ("é", "e\u{301}", false), ("a*", "abc", true), ("*c", "abc", true),
        ("a*c", "abc", true), ("a*c", "abcd", false), ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false), ("*aab", "aaaab", true), ("*a?b", "aaab", true),
        ("kms:Re*Encrypt*", "kms:ReEncryptFrom", true), ("A", "a", false), ("[ab]", "a", false),
        (".", "a", false),
    ])
    func `a star is any text, a question mark one character`(
        _ pattern: String, _ text: String, _ expected: Bool
    ) throws {
        #expect(try matches(pattern, text) == expected)
    }

    @Test func `the matcher agrees with a simple one`() throws {
        var source = RandomSource(seed: 7)
        var matched = 0
        for _ in 0..<200_000 {
            let pattern = source.text(of: ["a", "b", "é", "?", "*", "*"], upTo: 8)
            let text = source.text(of: ["a", "b", "é", "*"], upTo: 10)
            let expected = isMatch(Array(pattern.unicodeScalars), Array(text.unicodeScalars))
            let actual = try matches(pattern, text)
            if expected { matched += 1 }
            guard actual == expected else {
                Issue.record("\(pattern) on \(text): \(actual)")
                return
            }
        }
        // Else the comparison would be of no worth.
        #expect((20_000...180_000).contains(matched))
    }

    /// Tries every length for every star.
    private func isMatch(_ pattern: [Unicode.Scalar], _ text: [Unicode.Scalar]) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        let rest = Array(pattern.dropFirst())
        if first == "*" {
            return (0...text.count).contains { isMatch(rest, Array(text.dropFirst($0))) }
        }
        guard let next = text.first, first == "?" || first == next else { return false }
        return isMatch(rest, Array(text.dropFirst()))
    }

    /// Tried star by star they would not end before the run is ended.
    @Test func `patterns made to be slow end soon`() throws {
        let text = String(repeating: "a", count: 8_000)
        let pattern = String(repeating: "*a", count: 4_000) + "b"
        #expect(try !matches(pattern, text))
        #expect(try !matches("*" + String(repeating: "a", count: 4_000) + "b", text))
        #expect(try !matches(String(repeating: "*?", count: 4_000) + "b*", text))
    }

    @Test(arguments: [
        ("${aws:username}", "Alice", true), ("${AWS:UserName}", "Alice", true),
        ("x${aws:username}y", "xAlicey", true), ("${aws:username}", "${aws:username}", false),
        ("${aws:username}/*", "Alice/b", true), ("*${aws:username}", "of Alice", true),
        ("${none}", "", false), ("a${none}", "a", false), ("${none, 'x'}", "x", true),
        ("${none,'x'}", "x", true), ("${none, ''}", "", true),
        ("${aws:username, 'x'}", "Alice", true), ("${*}", "*", true), ("${*}", "a", false),
        ("${?}", "?", true), ("${?}", "a", false), ("${$}{a}", "${a}", true), ("$a", "$a", true),
        ("$", "$", true), ("a$", "a$", true), ("{a}", "{a}", true), ("${star}", "a", false),
        ("${star}", "*", true),
    ])
    func `variables stand for values, taken as they are`(
        _ pattern: String, _ text: String, _ expected: Bool
    ) throws {
        let pattern = try WildcardPattern(pattern, wildcards: .honoured, variables: .honoured)
        let resolved = pattern.resolved { key in
            switch key {
            case .named(.userName): "Alice"
            case ConditionKey("star"): "*"
            default: nil
            }
        }
        var budget = MatchBudget()
        let matches = resolved?.matches(text, &budget) ?? false
        #expect(matches == expected)
    }

    @Test func `documents of 2008 have no variables`() throws {
        let pattern = try WildcardPattern("${a}", wildcards: .ignored, variables: .ignored)
        #expect(pattern.matches("${a}"))
        #expect(!pattern.hasVariables)
    }

    @Test(arguments: ["${", "${}", "a${b", "${a, b}", "${a, 'b}", "${, 'b'}", "${a,}"])
    func `what is no variable is refused`(_ text: String) {
        #expect(throws: WildcardPattern.InvalidVariable.self) {
            try WildcardPattern(text, wildcards: .honoured, variables: .honoured)
        }
    }
}

extension RandomSource {
    mutating func text(of letters: [String], upTo count: Int) -> String {
        (0..<number(0..<count + 1)).map { _ in letters[number(0..<letters.count)] }.joined()
    }
}
