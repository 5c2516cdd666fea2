import Foundation
import KMSModel
import Testing

import struct TestSupport.RandomSource

/// Our tables beside the service model that botocore brings, in Python's words and with Python's
/// regular expressions. What an older botocore does not have is left out.
@Suite(.enabled(if: Python.has("botocore"), "needs python3-botocore"))
struct BotocoreTests {
    private static let script = #"""
        import gzip, json, os, re, sys, botocore
        place = os.path.join(os.path.dirname(botocore.__file__), "data/kms/2014-11-01")
        path = os.path.join(place, "service-2.json")
        text = open(path).read() if os.path.exists(path) else gzip.open(path + ".gz").read()
        model = json.loads(text)
        shapes = model["shapes"]

        def kind(name):
            shape = shapes[name]
            kind, secret = shape["type"], shape.get("sensitive", False)
            if kind == "string" and "enum" in shape: return "choice"
            if kind == "string": return "secretText" if secret else "text"
            if kind == "blob": return "secret" if secret else "bytes"
            return {"integer": "number", "boolean": "flag", "timestamp": "time",
                    "map": "context"}.get(kind, kind)

        def describe(name, path, lines, enums, depth=0):
            shape = shapes[name]
            lines.append([path, kind(name), shape.get("min"), shape.get("max"),
                          shape.get("pattern")])
            if "enum" in shape: enums.append([path, shape["enum"]])
            if shape["type"] == "list":
                describe(shape["member"]["shape"], path + "[]", lines, enums, depth)
            if shape["type"] == "structure":
                for member, target in shape["members"].items():
                    required = "!" if member in shape.get("required", []) else ""
                    describe(target["shape"], path + "." + member + required, lines, enums)

        asked = json.load(sys.stdin)
        lines, enums = [], []
        for name, operation in model["operations"].items():
            for side in ("input", "output"):
                if side in operation:
                    describe(operation[side]["shape"], name + " " + side, lines, enums)
        matches = [bool(re.fullmatch(pattern, text, re.ASCII)) for pattern, text in asked]
        errors = sorted(n for n, s in shapes.items() if s.get("exception"))
        json.dump({"lines": lines, "enums": enums, "matches": matches, "errors": errors,
                   "operations": sorted(model["operations"])}, sys.stdout)
        """#

    private struct Model: Decodable {
        let lines: [[Field]]
        let enums: [[Field]]
        let matches: [Bool]
        let errors: [String]
        let operations: [String]
    }

    /// A JSON value of the script's answer.
    private enum Field: Decodable, Hashable {
        case none, number(Int), text(String), texts([String])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .none
            } else if let number = try? container.decode(Int.self) {
                self = .number(number)
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else {
                self = .texts(try container.decode([String].self))
            }
        }
    }

    private func model(matching asked: [[String]] = []) throws -> Model {
        let answer = Data(
            try Python.run(Self.script, input: Array(try JSONEncoder().encode(asked))))
        return try JSONDecoder().decode(Model.self, from: answer)
    }

    @Test func `our shapes are botocore's`() throws {
        let model = try model()
        var own: [String: [Field]] = [:]
        var choices: [String: [String]] = [:]
        for operation in KMSOperation.allCases {
            for (side, shape) in [("input", operation.input), ("output", operation.output)] {
                describe(.structure(shape), "\(operation.rawValue) \(side)", &own, &choices)
            }
        }
        #expect(model.lines.count > 600)
        // Required until these could be services, too.
        let relaxed: Set = [
            "CreateGrant input.GranteePrincipal!", "ListRetirableGrants input.RetiringPrincipal!",
        ]
        for line in model.lines {
            guard case .text(let path) = line[0], !relaxed.contains(path) else { continue }
            let known = try #require(own[path], "\(path)")
            #expect(known == Array(line.dropFirst()), "\(path)")
        }
        for line in model.enums {
            guard case .text(let path) = line[0], case .texts(let values) = line[1] else {
                continue
            }
            // A newer model may add some.
            #expect(Set(values).isSubset(of: Set(choices[path] ?? [])), "\(path)")
        }
        #expect(
            Set(model.operations).isSubset(of: Set(KMSOperation.allCases.map(\.rawValue))))
    }

    @Test func `our exceptions are botocore's`() throws {
        let own = Set(KMSError.Code.allCases.map(\.rawValue))
        // External key stores are not supported: nothing says what is wrong with one.
        for name in try model().errors where !name.hasPrefix("XksProxy") {
            #expect(own.contains(name), "\(name)")
        }
    }

    private func describe(
        _ shape: Shape, _ path: String, _ lines: inout [String: [Field]],
        _ choices: inout [String: [String]]
    ) {
        func line(_ kind: String, _ size: SizeRule? = nil, _ pattern: TextPattern? = nil) {
            let number = { (value: Int?) in value.map(Field.number) ?? .none }
            lines[path] = [
                .text(kind), number(size?.minimum), number(size?.maximum),
                pattern.map { .text($0.rawValue) } ?? .none,
            ]
        }
        switch shape {
        case .text(let rule): line("text", rule.length, rule.pattern)
        case .secretText(let rule): line("secretText", rule.length, rule.pattern)
        case .choice(let values):
            line("choice")
            choices[path] = values
        case .number(let rule): line("number", rule)
        case .flag: line("flag")
        case .time: line("time")
        case .bytes(let rule): line("bytes", rule)
        case .secret(let rule): line("secret", rule)
        case .context: line("context")
        case .list(let element, let rule):
            line("list", rule)
            describe(element, path + "[]", &lines, &choices)
        case .structure(let shape):
            line("structure")
            for member in shape.members {
                let name = member.member.rawValue + (member.isRequired ? "!" : "")
                describe(member.shape, "\(path).\(name)", &lines, &choices)
            }
        }
    }

    @Test func `our matchers agree with regular expressions`() throws {
        var random = RandomSource(seed: 1)
        var asked: [(TextPattern, String)] = []
        let letters = Array("aAzZ09f-_/:+=,.@ \t\n~é\u{100}ñ{}").map(String.init)
        for pattern in TextPattern.allCases {
            let good = Sample.text(pattern)
            asked += [(pattern, ""), (pattern, good), (pattern, good + "\n")]
            for _ in 0..<300 {
                var scalars = good.map(String.init)
                for _ in 0...Int.random(in: 0..<3, using: &random) {
                    let letter = letters.randomElement(using: &random) ?? "a"
                    let place = Int.random(in: 0...scalars.count, using: &random)
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: scalars.insert(letter, at: place)
                    case 1 where place < scalars.count: scalars[place] = letter
                    default: if place < scalars.count { scalars.remove(at: place) }
                    }
                }
                asked.append((pattern, scalars.joined()))
            }
        }
        let answers = try model(matching: asked.map { [$0.0.rawValue, $0.1] }).matches
        #expect(answers.count == asked.count)
        for ((pattern, text), answer) in zip(asked, answers) {
            #expect(pattern.matches(text) == answer, "\(pattern) \(text.debugDescription)")
        }
    }
}
