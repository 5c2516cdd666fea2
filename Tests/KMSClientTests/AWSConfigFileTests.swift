import TestSupport
import Testing

@testable import KMSClient

@Suite struct AWSConfigFileTests {
    private static func parse(
        _ text: String, _ kind: AWSConfigFile.Kind = .config
    ) throws(AWSConfigSyntaxError) -> AWSConfigFile {
        try AWSConfigFile(kind, parsing: Array(text.utf8))
    }

    private static func text(_ file: AWSConfigFile, _ profile: String, _ name: String) -> String? {
        file.profiles[profile]?[name]?.value.text
    }

    @Test func `profiles have a prefix in one file and none in the other`() throws {
        let config = try Self.parse(
            "[default]\nregion=a\n[profile work]\nregion = b\n[work2]\nregion=c\n")
        #expect(Self.text(config, "default", "region") == "a")
        #expect(Self.text(config, "work", "region") == "b")
        #expect(config.profiles.count == 2)
        let credentials = try Self.parse(
            "[default]\nregion=a\n[work]\nregion=b\n[profile x]\nregion=c", .credentials)
        #expect(Self.text(credentials, "work", "region") == "b")
        #expect(Self.text(credentials, "profile x", "region") == "c")
    }

    @Test func `the profile that is called default goes before the bare name`() throws {
        for text in [
            "[profile default]\nregion=a\n[default]\nregion=b\noutput=x",
            "[default]\nregion=b\noutput=x\n[profile default]\nregion=a",
        ] {
            let file = try Self.parse(text)
            #expect(Self.text(file, "default", "region") == "a")
            #expect(Self.text(file, "default", "output") == nil)
        }
    }

    @Test(arguments: [
        "[profile two words]", "[profile \"two words\"]", "[ profile\t'two words' ]",
        "[profile two words] # comment", "[profile two words];comment",
    ])
    func `a profile's name may have spaces, and quotation marks around them`(_ header: String)
        throws
    {
        #expect(Self.text(try Self.parse(header + "\nregion=a"), "two words", "region") == "a")
    }

    @Test(arguments: [
        ("region=a", "a"), ("region =  a b ", "a b"), ("REGION\t=\ta", "a"), ("region=", ""),
        ("region=a=b", "a=b"), ("region=a#b", "a#b"), ("region=a #b", "a"), ("region=a\t; b", "a"),
        ("region = # b", ""), ("region=a\r", "a"), ("region=\"a\"", "\"a\""),
        ("region=x\nregion=a", "a"),
        ("region=a\n  b\n\tc", "a\nb\nc"), ("region=a\n\n  # no\n; no\n  b", "a\nb"),
        ("region=é", "é"),
    ])
    func `a setting has a name and a value`(_ lines: String, _ value: String) throws {
        #expect(Self.text(try Self.parse("[default]\n" + lines), "default", "region") == value)
    }

    @Test func `sections of one name are one`() throws {
        let file = try Self.parse("[default]\na=1\nb=1\n[profile x]\n[default]\nb=2\nc=2")
        #expect(["a", "b", "c"].map { Self.text(file, "default", $0) } == ["1", "2", "2"])
        #expect(file.profiles["x"]?.isEmpty == true)
    }

    @Test func `settings below an empty one are nested`() throws {
        let file = try Self.parse(
            """
            [profile x]
            s3 =
              max_queue = 10   # ten
              addressing_style= path
            region = a
            [services local]
            kms =
              endpoint_url = http://localhost:1
              ENDPOINT_URL = http://localhost:2
            """)
        let nested = file.profiles["x"]?["s3"]?.nested
        #expect(nested == ["max_queue": "10", "addressing_style": "path"])
        #expect(Self.text(file, "x", "region") == "a")
        #expect(file.services["local"]?["kms"]?.nested == ["endpoint_url": "http://localhost:2"])
    }

    @Test func `the first setting behind a section says how far its section is indented`() throws {
        let file = try Self.parse(
            """
            [default]
              region = a
              output = x
                y

              s3 =
                max_queue = 10
              # comment
              retry_mode = z
            [profile x]
            \tregion = b
            output = c
              d
              [profile y]
            """)
        #expect(
            ["region", "output", "retry_mode"].map { Self.text(file, "default", $0) }
                == ["a", "x\ny", "z"])
        #expect(file.profiles["default"]?["s3"]?.nested == ["max_queue": "10"])
        #expect(Self.text(file, "x", "region") == "b")
        #expect(Self.text(file, "x", "output") == "c\nd\n[profile y]")
        #expect(file.profiles.count == 2)
    }

    @Test func `a secret lies in memory that is wiped`() throws {
        let file = try Self.parse(
            "[default]\naws_access_key_id=A\nAWS_SECRET_ACCESS_KEY = s/+=x # c\n", .credentials)
        guard case .secret(let secret) = file.profiles["default"]?["aws_secret_access_key"]?.value
        else {
            Issue.record("the secret is no secret")
            return
        }
        #expect(exposed(secret) == Array("s/+=x".utf8))
        #expect(!"\(file)".contains("s/+=x"))
    }

    @Test(arguments: [
        ("region=a", 1, AWSConfigSyntaxError.Fault.settingOutsideSection),
        ("\n\n[default\n", 3, .unclosedSection), ("[default] x", 1, .textBehindSection),
        ("[]", 1, .emptySectionName), ("[ ]", 1, .emptySectionName),
        ("[profile \"\"]", 1, .emptySectionName), ("[default]\nregion", 2, .noEqualSign),
        ("[default]\n=a", 2, .malformedName), ("[default]\nre gion=a", 2, .malformedName),
        ("  region=a", 1, .settingOutsideSection),
        ("[default]\na=b\n[profile x]\n  c", 4, .noEqualSign),
        ("[default]\na=\n  b", 3, .noEqualSign),
        ("[default]\naws_secret_access_key=a\n  b", 3, .secretWithLines),
        ("[default]\na=\u{0}", 2, .notText), ("\u{feff}[default]", 1, .settingOutsideSection),
    ])
    func `anything else is an error with its line`(
        _ text: String, _ line: Int, _ fault: AWSConfigSyntaxError.Fault
    ) {
        // A byte order mark makes the first line a setting.
        let fault = text.hasPrefix("\u{feff}") ? .settingOutsideSection : fault
        #expect(throws: AWSConfigSyntaxError(line: line, fault: fault)) { try Self.parse(text) }
    }

    @Test func `what is no text is refused`() {
        #expect(throws: AWSConfigSyntaxError(line: 2, fault: .notText)) {
            try AWSConfigFile(.config, parsing: Array("[default]\na=".utf8) + [0xFF])
        }
    }

    @Test func `hostile files end in a result or an error`() {
        var random = RandomSource(seed: 21)
        let pieces = [
            "[", "]", "profile ", "services ", "default", "\n", "\n  ", "=", "a", "kms", "#", ";",
            " ", "\t", "\"", "'", "\r", "\u{0}", "é", "aws_secret_access_key",
        ]
        var (taken, refused) = (0, 0)
        for _ in 0..<20_000 {
            let count = random.number(0..<30)
            let text = (0..<count).map { _ in pieces[random.number(0..<pieces.count)] }.joined()
            do throws(AWSConfigSyntaxError) {
                _ = try Self.parse(text, random.isOne(in: 2) ? .config : .credentials)
                taken += 1
            } catch {
                refused += 1
            }
        }
        #expect(taken > 1000)
        #expect(refused > 1000)
    }
}
