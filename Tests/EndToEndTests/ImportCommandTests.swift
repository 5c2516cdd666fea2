import Platform
import TestSupport
import Testing

extension EndToEnd.Commands {
    /// `keyfold key import`, by the words of docs/cli.md.
    @Suite(needs("openssl"))
    struct ImportCommandTests {
        @Test(arguments: ["RSA_2048", "RSA_4096"])
        func `material that openssl wrapped comes in, goes, and comes in again`(
            _ wrappingKeySpec: String
        ) throws {
            try VaultFixture.withVault { fixture in
                let base = fixture.base.path
                let (publicKey, token) = (base + "/public.der", base + "/token")
                try Disk.write(base + "/material", pattern(32))
                try fixture.keyfold("key", "create", "--external", "--alias", "alias/mine")
                func state() throws -> String? {
                    try fixture.json("key", "show", "alias/mine")[0]["state"].string
                }
                #expect(try state() == "PendingImport")
                let parameters = [
                    "key", "import", "parameters", "alias/mine", publicKey, token,
                    "--wrapping-key-spec", wrappingKeySpec,
                ]
                try fixture.keyfold(parameters)
                #expect(try Disk.size(publicKey) > 256)
                #expect(try Disk.mode(publicKey) == 0o600)
                // Nothing is written over, and nothing asked for that has no place.
                try fixture.keyfold(parameters, expecting: 73)
                try Disk.unlink(publicKey)
                try fixture.keyfold(parameters, expecting: 73)
                #expect(throws: Errno.noSuchFileOrDirectory) { try Disk.size(publicKey) }
                let asked = try fixture.json("log", "--event", "GetParametersForImport")
                #expect(asked.count == 1)
                try Disk.unlink(token)
                try fixture.keyfold(parameters)
                try Command(
                    "openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", publicKey, "-keyform",
                    "DER", "-in", base + "/material", "-out", base + "/wrapped", "-pkeyopt",
                    "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"
                ).run()
                let words = ["key", "import", "material", "alias/mine", base + "/wrapped", token]
                try fixture.keyfold(words)
                #expect(try state() == "Enabled")
                try fixture.keyfold("key", "import", "delete", "alias/mine")
                #expect(try state() == "PendingImport")
                try fixture.keyfold(words)
                #expect(try state() == "Enabled")
            }
        }
    }
}
