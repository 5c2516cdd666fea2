import Foundation
import TestSupport
import Testing

/// Clients that were written for AWS KMS, before `keyfold serve`. Tools/test installs them
/// (Tests/Oracles/requirements.txt); each script tells what it did.
@Suite struct RealClientTests {
    private static func has(_ module: String) -> Bool {
        (try? Command("python3", "-c", "import \(module)").result())?.succeeded ?? false
    }

    /// What a script of Tests/Oracles prints, with the URL and an administrator's access key.
    private func run(_ script: String) throws -> [String] {
        let keystore = try ServedKeystore()
        let key = try keystore.principal("client", "--administrator")
        let port = try keystore.serve()
        let path = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Oracles/\(script).py").path
        let lines = try Command("python3", path, "http://127.0.0.1:\(port)", key.id, key.secret)
            .run().lines
        #expect(try keystore.stop() == 0)
        try keystore.keyfold("log", "verify").run()
        return lines
    }

    @Test(.enabled(if: has("boto3") && has("cryptography"), "python3 has no boto3"))
    func `boto3 gets an answer of every operation, and takes it`() throws {
        #expect(try run("operations") == ["every operation answered"])
    }

    @Test(.enabled(if: has("aws_encryption_sdk"), "python3 has no aws_encryption_sdk"))
    func `the AWS Encryption SDK seals and opens files`() throws {
        #expect(
            try run("encryptionsdk") == ["two keys", "RSA", "multi-Region", "cached data keys"])
    }
}
