import Dispatch
import Foundation
import KMSModel
import KMSWire
import Platform
import TestSupport
import Testing

@testable import KMSClient

/// With a home directory of the test's own.
@Suite struct AWSCredentialSourceTests {
    private let clock = TestClock()

    private func withHome(
        config: String? = nil, credentials: String? = nil,
        _ body: (String, [String: String]) throws -> Void
    ) throws {
        try withTemporaryDirectory { path in
            try Disk.makeDirectory(path + "/.aws")
            if let config { try Disk.write(path + "/.aws/config", config) }
            if let credentials { try Disk.write(path + "/.aws/credentials", credentials) }
            try body(path, ["HOME": path])
        }
    }

    private func source(_ variables: [String: String]) -> AWSCredentialSource {
        AWSCredentialSource(environment: AWSEnvironment(variables), clock: clock)
    }

    /// Access key id, secret and token.
    private static func ids(
        _ variables: [String: String], profile: String? = nil
    ) throws -> String {
        let source = AWSCredentialSource(
            environment: AWSEnvironment(variables), profile: profile, clock: TestClock())
        let found = try source.credentials()
        let secret = String(decoding: exposed(found.secretAccessKey), as: UTF8.self)
        return "\(found.accessKeyID) \(secret) \(found.sessionToken ?? "-")"
    }

    private static func expect(
        _ expected: String, _ variables: [String: String], profile: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let found = try ids(variables, profile: profile)
        #expect(found == expected, sourceLocation: sourceLocation)
    }

    // MARK: Environment

    @Test func `the environment goes first`() throws {
        try withHome(credentials: "[default]\naws_access_key_id=B\naws_secret_access_key=b") {
            var variables = $1
            try Self.expect("B b -", variables)
            variables["AWS_ACCESS_KEY_ID"] = "A"
            variables["AWS_SECRET_ACCESS_KEY"] = "a"
            try Self.expect("A a -", variables)
            variables["AWS_SESSION_TOKEN"] = "t"
            try Self.expect("A a t", variables)
            // Who names a profile means it.
            try Self.expect("B b -", variables, profile: "default")
        }
    }

    @Test func `half a pair is an error, not a reason to look on`() throws {
        try withHome(credentials: "[default]\naws_access_key_id=B\naws_secret_access_key=b") {
            var variables = $1
            variables["AWS_ACCESS_KEY_ID"] = "A"
            #expect(
                throws: CredentialError.incomplete(
                    source: "AWS_ACCESS_KEY_ID", missing: "AWS_SECRET_ACCESS_KEY")
            ) { try Self.ids(variables) }
            variables = $1.merging(["AWS_SECRET_ACCESS_KEY": "a"]) { $1 }
            #expect(
                throws: CredentialError.incomplete(
                    source: "AWS_SECRET_ACCESS_KEY", missing: "AWS_ACCESS_KEY_ID")
            ) { try Self.ids(variables) }
        }
        try withHome(credentials: "[default]\naws_access_key_id=B") {
            let variables = $1
            #expect(
                throws: CredentialError.incomplete(
                    source: "aws_access_key_id", missing: "aws_secret_access_key")
            ) { try Self.ids(variables) }
        }
    }

    @Test func `the environment may say when its credentials expire`() throws {
        var variables = [
            "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "a",
            "AWS_CREDENTIAL_EXPIRATION": "2026-11-24T13:00:00+00:00",
        ]
        try Self.expect("A a -", variables)
        variables["AWS_CREDENTIAL_EXPIRATION"] = "2026-11-24T12:00:00Z"
        #expect(throws: CredentialError.expired(clock.now())) { try Self.ids(variables) }
        variables["AWS_CREDENTIAL_EXPIRATION"] = "soon"
        #expect(throws: CredentialError.malformedSetting("AWS_CREDENTIAL_EXPIRATION")) {
            try Self.ids(variables)
        }
    }

    @Test(arguments: ["A B", "A/B", "A\nB", "Ä", String(repeating: "A", count: 129)])
    func `an access key id that could stand in no header is refused`(_ id: String) {
        #expect(throws: CredentialError.malformedSetting("the AWS access key id")) {
            try Self.ids(["AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": "a"])
        }
    }

    @Test func `a session token has one line`() throws {
        let lines =
            "[default]\naws_access_key_id=A\naws_secret_access_key=a\naws_session_token=t\n  u"
        try withHome(credentials: lines) { _, home in
            #expect(throws: CredentialError.malformedSetting("the AWS session token")) {
                try Self.ids(home)
            }
        }
    }

    // MARK: Files

    @Test func `without any source there are no credentials, and the hint says what is asked`()
        throws
    {
        try withHome(config: "[default]\nregion=r") { _, variables in
            let error = try #require(throws: CredentialError.self) { try Self.ids(variables) }
            #expect(error == .noCredentials)
            #expect(error.hint?.contains("IMDS") == true)
        }
        #expect(throws: CredentialError.noCredentials) { try Self.ids([:]) }
    }

    @Test func `a profile is one of both files, the credentials file first`() throws {
        let config = """
            [profile work]
            aws_access_key_id = C
            aws_secret_access_key = c
            aws_session_token = t
            [profile other]
            aws_access_key_id = D
            aws_secret_access_key = d
            """
        let credentials = "[work]\naws_access_key_id = B\naws_secret_access_key = b\n"
        try withHome(config: config, credentials: credentials) { _, home in
            try Self.expect("B b t", home.merging(["AWS_PROFILE": "work"]) { $1 })
            try Self.expect("D d -", home, profile: "other")
            let both = home.merging(["AWS_PROFILE": "work"]) { $1 }
            try Self.expect("D d -", both, profile: "other")
            #expect(throws: CredentialError.noSuchProfile("absent")) {
                try Self.ids(home, profile: "absent")
            }
            #expect(throws: CredentialError.noCredentials) { try Self.ids(home) }
        }
    }

    @Test func `the files may lie elsewhere`() throws {
        try withHome { path, home in
            try Disk.write(path + "/c", "[x]\naws_access_key_id=A\naws_secret_access_key=a")
            for place in [path + "/c", "~/c"] {
                let variables = home.merging([
                    "AWS_SHARED_CREDENTIALS_FILE": place, "AWS_PROFILE": "x",
                ]) { $1 }
                try Self.expect("A a -", variables)
            }
        }
    }

    @Test func `a file that is wrong is an error with its line`() throws {
        try withHome(config: "[default]\nregion=r\nnonsense\n") { path, home in
            let error = AWSConfigSyntaxError(line: 3, fault: .noEqualSign)
            #expect(throws: CredentialError.malformed(path: path + "/.aws/config", error)) {
                try Self.ids(home)
            }
        }
    }

    @Test func `a file that cannot be read is an error`() throws {
        try withHome { path, home in
            let file = path + "/.aws/credentials"
            try Disk.makeDirectory(file)
            #expect(throws: CredentialError.unreadable(path: file, .isDirectory)) {
                try Self.ids(home)
            }
            try Disk.removeDirectory(file)
            try Disk.makeNode(file, mode: NodeType.fifo | 0o600)
            #expect(throws: CredentialError.unreadable(path: file, .illegalSeek)) {
                try Self.ids(home)
            }
            try Disk.unlink(file)
            try Disk.write(file, [UInt8](repeating: 10, count: (1 << 18) + 1))
            let long = AWSConfigSyntaxError(line: 1, fault: .tooLong)
            #expect(throws: CredentialError.malformed(path: file, long)) { try Self.ids(home) }
        }
    }

    @Test(arguments: [
        "role_arn", "sso_session", "sso_start_url", "web_identity_token_file", "credential_source",
        "source_profile",
    ])
    func `a profile of another kind is refused, even beside keys`(_ setting: String) throws {
        let config = "[default]\n\(setting) = x\naws_access_key_id=A\naws_secret_access_key=a\n"
        try withHome(config: config) { _, home in
            let error = CredentialError.unsupported(profile: "default", setting: setting)
            #expect(throws: error) { try Self.ids(home) }
            #expect(error.hint?.contains("SSO") == true)
        }
    }

    @Test func `secrets are in no description`() throws {
        try withHome(credentials: "[default]\naws_access_key_id=A\naws_secret_access_key=hidden") {
            let found = try source($1).credentials()
            var dumped = ""
            dump(found, to: &dumped)
            for text in ["\(found)", String(reflecting: found), dumped] {
                #expect(!text.contains("hidden"))
            }
        }
    }

    // MARK: A process

    private static func answer(_ id: String, until time: String? = nil) -> String {
        let end = time.map { #","Expiration":"\#($0)""# } ?? ""
        return #"{"Version":1,"AccessKeyId":"\#(id)","SecretAccessKey":"s"\#(end)}"#
    }

    /// A home whose credential_process notes each run in the file `runs`, and then does `script`.
    private func withProcess(
        _ script: String, _ body: (String, [String: String]) throws -> Void
    ) throws {
        try withHome { path, home in
            try Disk.write(path + "/helper", "#!/bin/sh\necho x >>\(path)/runs\n\(script)\n")
            try Disk.changeMode(path + "/helper", to: 0o700)
            try Disk.write(
                path + "/.aws/config", "[default]\ncredential_process = \(path)/helper 'a b' c\n")
            try body(path, home)
        }
    }

    private func runs(_ path: String) throws -> Int {
        Disk.exists(path + "/runs") ? try Disk.readText(path + "/runs").count / 2 : 0
    }

    @Test func `a process is run once while its credentials last`() throws {
        try withProcess(#"printf '%s' '\#(Self.answer("P"))'"#) { path, home in
            let source = source(home)
            for _ in 0..<3 {
                let found = try source.credentials()
                #expect(found.accessKeyID == "P")
            }
            #expect(try runs(path) == 1)
        }
    }

    @Test func `a process gets its words as they stand`() throws {
        try withProcess(
            #"printf '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"%s"}' "$#:$1:$2""#
        ) { try Self.expect("A 2:a b:c -", $1) }
    }

    @Test func `keys in the profile go before a process`() throws {
        try withProcess("exit 1") { path, home in
            try Disk.write(
                path + "/.aws/credentials",
                "[default]\naws_access_key_id=A\naws_secret_access_key=a")
            try Self.expect("A a -", home)
            #expect(try runs(path) == 0)
        }
    }

    @Test func `a process is run again before its credentials expire`() throws {
        try withProcess(
            "printf '%s' '\(Self.answer("P", until: "2026-11-24T13:00:00Z"))'"
        ) { path, home in
            let source = source(home)
            _ = try source.credentials()
            clock.advance(seconds: 54 * 60)
            _ = try source.credentials()
            #expect(try runs(path) == 1)
            clock.advance(seconds: 60)
            _ = try source.credentials()
            #expect(try runs(path) == 2)
        }
    }

    @Test func `what still serves is used when the process fails`() throws {
        let answer = Self.answer("P", until: "2026-11-24T13:00:00Z")
        try withProcess("[ $(wc -l <${0%helper}runs) = 1 ] && printf '%s' '\(answer)'") {
            path, home in
            let source = source(home)
            _ = try source.credentials()
            clock.advance(seconds: 59 * 60)
            #expect(try source.credentials().accessKeyID == "P")
            #expect(try runs(path) == 2)
            #expect(try source.credentials().accessKeyID == "P")
            #expect(try runs(path) == 2)
            clock.advance(seconds: 60)
            #expect(throws: CredentialError.self) { try source.credentials() }
            #expect(try runs(path) == 3)
        }
    }

    @Test func `a failure is told again for a moment, not tried again`() throws {
        try withProcess("exit 3") { path, home in
            let source = source(home)
            let error = CredentialError.processFailed(
                program: path + "/helper", .exit(status: 3))
            for _ in 0..<3 { #expect(throws: error) { try source.credentials() } }
            let before = try runs(path)
            #expect(before == 1)
            clock.advance(seconds: 2)
            #expect(throws: error) { try source.credentials() }
            #expect(try runs(path) == 2)
        }
    }

    @Test func `answers that are none are refused, and never shown`() throws {
        try withProcess("echo hidden secret") { path, home in
            let error = try #require(throws: CredentialError.self) {
                try source(home).credentials()
            }
            #expect(
                error
                    == .processFailed(program: path + "/helper", .malformedAnswer(.notJSON)))
            #expect(!error.message.contains("hidden"))
        }
        try withProcess("exec cat /dev/zero") { path, home in
            #expect(
                throws: CredentialError.processFailed(
                    program: path + "/helper", .tooLong(limitBytes: 65_536))
            ) { try source(home).credentials() }
        }
        let expired = "2026-11-24T11:59:59Z"
        try withProcess("printf '%s' '\(Self.answer("P", until: expired))'") {
            let home = $1
            let end = try #require(Timestamp(iso8601: expired))
            #expect(throws: CredentialError.expired(end)) { try source(home).credentials() }
        }
    }

    @Test func `a command that is none is an error`() throws {
        for (command, error) in [
            ("'x", CredentialError.malformedCommand(profile: "default")),
            ("no-such-program-anywhere x", .noSuchProgram("no-such-program-anywhere")),
            (
                "/no/such/program",
                .processFailed(program: "/no/such/program", .system(.noSuchFileOrDirectory))
            ),
        ] {
            try withHome(config: "[default]\ncredential_process = \(command)\n") { _, home in
                #expect(throws: error) { try Self.ids(home) }
            }
        }
    }

    // MARK: Others who ask

    @Test func `of many threads one runs the process, and all get its answer`() throws {
        try withProcess("sleep 0.2; printf '%s' '\(Self.answer("P"))'") { path, home in
            let source = source(home)
            let group = DispatchGroup()
            for _ in 0..<8 {
                group.enter()
                Thread {
                    #expect((try? source.credentials())?.accessKeyID == "P")
                    group.leave()
                }.start()
            }
            group.wait()
            let count = try runs(path)
            #expect(count == 1)
        }
    }

    @Test func `credentials that were refused are looked for again`() throws {
        func file(_ id: String) -> String {
            "[default]\naws_access_key_id=\(id)\naws_secret_access_key=s"
        }
        try withHome(credentials: file("A")) { path, home in
            let source = source(home)
            let first = try source.credentials()
            try Disk.write(path + "/.aws/credentials", file("B"))
            #expect(try source.credentials().accessKeyID == "A")
            source.discard(first)
            let second = try source.credentials()
            #expect(second.accessKeyID == "B")
            // Somebody who still had the old ones takes nothing away.
            source.discard(first)
            try Disk.write(path + "/.aws/credentials", file("C"))
            #expect(try source.credentials().accessKeyID == "B")
        }
    }
}
