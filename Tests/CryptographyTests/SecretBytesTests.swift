import Testing

@testable import Cryptography

@Suite struct SecretBytesTests {
    @Test func `a secret holds what it was made from`() {
        let bytes = [UInt8](0..<100)
        #expect(SecretBytes(copying: bytes).exposed == bytes)
        #expect(bytes.withRawSpan { SecretBytes(copying: $0) }.exposed == bytes)
        #expect(SecretBytes(count: 5) { _ in }.exposed == [0, 0, 0, 0, 0])
        #expect(SecretBytes(copying: [UInt8]()).exposed == [])
    }

    @Test func `consuming an array empties it`() {
        var bytes: [UInt8] = [1, 2, 3]
        let secret = SecretBytes(consuming: &bytes)
        #expect(bytes.isEmpty)
        #expect(secret.exposed == [1, 2, 3])
    }

    @Test func `wiping leaves zeros in place`() {
        var bytes = [UInt8](repeating: 7, count: 1000)
        wipe(&bytes)
        #expect(bytes == [UInt8](repeating: 0, count: 1000))
        var part: [UInt8] = [1, 2, 3, 4]
        part.withMutableRawSpan { wipe(&$0, 1..<3) }
        #expect(part == [1, 0, 0, 4])
        var empty: [UInt8] = []
        wipe(&empty)
        #expect(empty.isEmpty)
    }

    @Test func `an initializer that throws passes its error on`() {
        #expect(throws: CryptographyError.authenticationFailed) {
            try SecretBytes(count: 8) { _ throws(CryptographyError) in
                throw .authenticationFailed
            }
        }
    }

    @Test func `nothing that prints a secret shows its contents`() {
        let secret = SecretBytes(copying: Array("abcdefgh".utf8))
        var dumped = ""
        dump(secret, to: &dumped)
        dump([secret], to: &dumped)
        #expect("\(secret)" == "SecretBytes(8)")
        #expect(String(reflecting: secret) == "SecretBytes(8)")
        #expect(Mirror(reflecting: secret).children.isEmpty)
        #expect(!dumped.contains("abc") && !dumped.contains("97") && !dumped.contains("0x"))
    }

    @Test func `equality looks at every byte and at the count`() {
        let bytes = [UInt8](1...64)
        let secret = SecretBytes(copying: bytes)
        #expect(secret.isEqual(to: SecretBytes(copying: bytes)))
        #expect(!secret.isEqual(to: SecretBytes(copying: Array(bytes.dropLast()))))
        for bit in 0..<bytes.count * 8 {
            #expect(!constantTimeEqual(bytes, bytes.flippingBit(bit)))
        }
        #expect(constantTimeEqual([UInt8](), []))
        #expect(!constantTimeEqual([0], []))
    }

    @Test func `secrets outgrow the secure heap into the ordinary one`() {
        SecretBytes.prepareSecureHeap()
        SecretBytes.prepareSecureHeap()
        let secrets = (0..<48).map { _ in SecretBytes.random(count: 1 << 16) }
        #expect(secrets.allSatisfy { $0.count == 1 << 16 })
        #expect(secrets[0].isEqual(to: SecretBytes(copying: secrets[0].exposed)))
        #expect(!secrets[0].isEqual(to: secrets[47]))
    }

    @Test func `random bytes differ`() {
        #expect(Random.bytes(0) == [])
        #expect(Random.bytes(32) != Random.bytes(32))
        #expect(!SecretBytes.random(count: 32).isEqual(to: .random(count: 32)))
    }

    @Test(arguments: [0, 1, 31, 32, 33, 63, 64, 65, 200])
    func `a new secret is zero, whatever lay there before`(_ count: Int) {
        SecretBytes.prepareSecureHeap()
        for round in 0..<2000 {
            let secret = SecretBytes(count: count) { _ in }
            #expect(secret.exposed.allSatisfy { $0 == 0 }, "round \(round)")
            _ = SecretBytes(copying: [UInt8](repeating: 0xaa, count: count))
        }
    }

    @Test func `secrets that live at once never share their bytes`() async {
        SecretBytes.prepareSecureHeap()
        let mismatches = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    (0..<50).count { _ in
                        let bytes = (0..<40).map { Random.bytes(1 + $0 * 2) }
                        let secrets = bytes.map { SecretBytes(copying: $0) }
                        return secrets.map(\.exposed) != bytes
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(mismatches == 0)
    }

    /// libcrypto keeps private numbers in the secure heap only, and fails without room there.
    @Test func `more secrets than the secure heap holds leave room for libcrypto`() throws {
        SecretBytes.prepareSecureHeap()
        let secrets = (0..<4000).map { SecretBytes.random(count: $0 % 4 == 0 ? 32 : 600) }
        for spec in AsymmetricKeySpec.allCases where spec.algorithm != .rsa {
            let key = try AsymmetricPrivateKey(pkcs8: AsymmetricPrivateKey.generate(spec).pkcs8)
            for algorithm in SigningAlgorithm.allCases where algorithm.fits(spec) {
                let signature = try key.sign(message: [1], algorithm)
                #expect(try key.publicKey.isValid(signature, message: [1], algorithm))
            }
        }
        #expect(secrets.allSatisfy { $0.exposed.count == $0.count })
    }
}
