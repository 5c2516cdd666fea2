import TestSupport
import Testing

@testable import Cryptography

@Suite struct KeyAgreementTests {
    @Test(arguments: try Vector.load("ecdh"))
    func `ECDH matches the published vectors`(_ vector: Vector) throws {
        let key = try vector.privateKey("private")
        guard !vector.expectsFailure else {
            #expect {
                try key.sharedSecret(with: vector.publicKey("public"))
            } throws: { isInvalidKey($0) }
            return
        }
        let peer = try vector.publicKey("public")
        #expect(try key.sharedSecret(with: peer).exposed == (try vector.bytes("shared")))
    }

    /// What stands in for EVP_PKEY_derive(3) on SM2's curve gives the same on the others.
    @Test(arguments: try Vector.load("ecdh").filter { !$0.expectsFailure })
    func `multiplying by hand gives the shared secret, too`(_ vector: Vector) throws {
        let key = try vector.privateKey("private")
        let peer = try vector.publicKey("public")
        guard case .elliptic(let curve) = key.spec.algorithm else {
            Issue.record("not an elliptic curve")
            return
        }
        let scalar = key.key.number("priv", count: curve.fieldBytes)
        let secret = try CurveGroup.of(curve).sharedSecret(
            scalar, with: peer.key.point(on: curve))
        #expect(secret.exposed == (try vector.bytes("shared")))
    }

    @Test(arguments: try Vector.load("sm2"))
    func `SM2's shared point is that of the published example`(_ vector: Vector) throws {
        let secret = try vector.privateKey("private").sharedSecret(with: vector.publicKey("peer"))
        #expect(secret.exposed == (try vector.bytes("shared")))
    }

    @Test(arguments: AsymmetricKeySpec.allCases)
    func `both sides agree, and only on one curve`(_ spec: AsymmetricKeySpec) throws {
        let key = try TestKey.of(spec)
        guard spec.agreesOnSecrets else {
            #expect(
                throws: CryptographyError.unsupported("a shared secret with a key of \(spec)")
            ) { try key.sharedSecret(with: key.publicKey) }
            return
        }
        let other = try TestKey.other(spec)
        let secret = try key.sharedSecret(with: other.publicKey)
        #expect(secret.isEqual(to: try other.sharedSecret(with: key.publicKey)))
        for foreign in AsymmetricKeySpec.allCases where foreign != spec {
            let peer = try TestKey.of(foreign).publicKey
            #expect(throws: CryptographyError.invalidKey("a public key of another kind")) {
                try key.sharedSecret(with: peer)
            }
        }
    }
}
