import Foundation
import Glibc
import KMSPKCS11
import TestSupport
import Testing

/// Real tokens in software. One test at a time: they share the one library of the process, and some
/// take the tokens away.
@Suite(.serialized, .softHSM, .enabled(if: SoftHSM.modulePath != nil, "needs softhsm2"))
enum WithSoftHSM {}

/// SoftHSM2 with tokens of its own, in a directory that is gone after the tests.
struct SoftHSM: SuiteTrait, TestScoping {
    static let pin = "correct horse"
    static let tokenLabel = "alpha"
    static let otherLabel = "beta"
    /// Two tokens have this one.
    static let twinLabel = "twin"

    static let modulePath: String? = [
        "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ].first { FileManager.default.isReadableFile(atPath: $0) }

    @TaskLocal static var directory = ""

    static var tokens: String { directory + "/tokens" }
    static var absentTokens: String { directory + "/absent" }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory(label: "softhsm.")
        defer { directory.cleanUp() }
        let configuration = directory.path + "/softhsm2.conf"
        try """
        directories.tokendir = \(directory.path)/tokens
        objectstore.backend = file
        log.level = ERROR
        """.write(toFile: configuration, atomically: true, encoding: .utf8)
        try FileManager.default.createDirectory(
            atPath: directory.path + "/tokens", withIntermediateDirectories: false)
        // SAFETY: SoftHSM knows no other way. It is the one change of the environment in the whole
        // process; glibc copies the variables then and leaves the old ones to whoever reads them.
        unsafe setenv("SOFTHSM2_CONF", configuration, 1)
        try await Self.$directory.withValue(directory.path) {
            for label in [Self.tokenLabel, Self.otherLabel, Self.twinLabel, Self.twinLabel] {
                try Self.makeToken(label)
            }
            try await function()
        }
    }

    static func makeToken(_ label: String) throws {
        try Command(
            "softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin",
            "for the officer"
        ).with(["SOFTHSM2_CONF": directory + "/softhsm2.conf"]).run()
    }

    static func module() throws -> PKCS11Module {
        try PKCS11Module.load(path: #require(modulePath))
    }

    static func open(
        _ label: String = tokenLabel, pin: String = SoftHSM.pin,
        options: PKCS11Token.Options = .impatient
    ) throws -> PKCS11Token {
        try PKCS11Token.open(module(), labelled(label), pin: secret(pin), options: options)
    }

    /// Runs `body` with the first token, which is closed afterwards.
    static func withToken<Result>(
        options: PKCS11Token.Options = .impatient, _ body: (PKCS11Token) throws -> Result
    ) throws -> Result {
        let token = try open(options: options)
        defer { token.close() }
        return try body(token)
    }

    /// The paths of all objects of all tokens.
    static func objectFiles() throws -> Set<String> {
        let names = try FileManager.default.subpathsOfDirectory(atPath: tokens)
        return Set(names.filter { $0.hasSuffix(".object") }.map { tokens + "/" + $0 })
    }

    static func raw() throws -> RawModule {
        try RawModule(#require(modulePath), label: tokenLabel)
    }

    /// Runs `body` while no token is there.
    static func withoutTokens(_ body: () throws -> Void) throws {
        try FileManager.default.moveItem(atPath: tokens, toPath: absentTokens)
        defer { try? FileManager.default.moveItem(atPath: absentTokens, toPath: tokens) }
        try body()
    }
}

extension Trait where Self == SoftHSM {
    static var softHSM: Self { SoftHSM() }
}
