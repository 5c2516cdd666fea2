import TestSupport
import Testing

/// Clients that no one wrote for AWS KMS, and a server that dies, as far as boto3 is here to ask
/// (Tests/Oracles).
@Suite(.enabled(if: Oracle.has("boto3"), "python3 has no boto3"))
struct HostileClientTests {
    @Test(arguments: ["1"])
    func `whatever is asked, the answer is one of AWS's and the server lives`(_ seed: String)
        throws
    {
        let keystore = try ServedKeystore()
        let other = try ServedKeystore()
        let lines = try Oracle.run(
            "hostile", before: keystore, try other.administered() + [seed])
        #expect(
            lines == [
                "members", "bodies", "contexts", "ciphertexts",
                "signatures, codes, keys and tokens",
            ])
        #expect(try other.stop() == 0)
    }

    @Test(arguments: ["1"])
    func `a killed server has done what it was asked wholly or not at all`(_ seed: String) throws {
        let keystore = try ServedKeystore()
        let key = try keystore.principal("client", "--administrator")
        let token = try keystore.addToken()
        let variables = keystore.environment.merging(["TMPDIR": keystore.directory.path]) { $1 }
        let lines = try Oracle.lines(
            "killed", [Program.keyfold, key.id, key.secret, seed] + token, variables: variables)
        var operations = [
            "CancelKeyDeletion", "CreateAlias", "CreateGrant", "CreateKey", "DeleteAlias",
            "DeleteImportedKeyMaterial", "DisableKey", "DisableKeyRotation", "EnableKey",
            "EnableKeyRotation", "ImportKeyMaterial", "PutKeyPolicy", "ReplicateKey",
            "RetireGrant", "RevokeGrant", "RotateKeyOnDemand", "ScheduleKeyDeletion",
            "TagResource", "UntagResource", "UpdateAlias", "UpdateKeyDescription",
            "UpdatePrimaryRegion",
        ]
        if !token.isEmpty {
            operations += [
                "ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore",
                "DisconnectCustomKeyStore", "UpdateCustomKeyStore",
            ]
        }
        #expect(lines == [operations.sorted().joined(separator: " ")])
    }
}
