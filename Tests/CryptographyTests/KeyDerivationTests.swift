import TestSupport
import Testing

@testable import Cryptography

@Suite struct KeyDerivationTests {
    @Test(arguments: try Vector.load("hkdf-sha256"))
    func `HKDF matches the published vectors`(_ vector: Vector) throws {
        let output = try vector.bytes("output")
        let derived = HKDFSHA256.derive(
            from: try vector.secret("secret"), salt: try vector.bytes("salt"),
            info: try vector.bytes("info"), count: output.count)
        #expect(derived.exposed == output)
    }

    @Test(arguments: try Vector.load("sp800-108-counter-hmac-sha256"))
    func `the counter KDF matches the published vectors`(_ vector: Vector) throws {
        let output = try vector.bytes("output")
        let derived = CounterKDF.derive(
            from: try vector.secret("key"), fixedInput: try vector.bytes("fixed"),
            count: output.count)
        #expect(derived.exposed == output)
    }

    /// NIST publishes no vectors for this composition of the fixed input.
    @Test(arguments: [16, 32, 64, 100])
    func `label and context become the fixed input of SP 800-108`(_ count: Int) {
        let key = SecretBytes(copying: [UInt8](1...32))
        let (label, context): ([UInt8], [UInt8]) = (Array("label".utf8), [7, 0, 9])
        let bitCount = UInt32(count * 8)
        let lengthField = (0..<4).map { UInt8(truncatingIfNeeded: bitCount >> (24 - 8 * $0)) }
        let derived = CounterKDF.derive(from: key, label: label, context: context, count: count)
        let expected = CounterKDF.derive(
            from: key, fixedInput: label + [0] + context + lengthField, count: count)
        #expect(derived.exposed == expected.exposed)
    }

    @Test func `a counter KDF with an empty context still has its separator and length`() {
        let key = SecretBytes(copying: [UInt8](1...32))
        let derived = CounterKDF.derive(from: key, label: [1], context: [], count: 32)
        let expected = CounterKDF.derive(from: key, fixedInput: [1, 0, 0, 0, 1, 0], count: 32)
        #expect(derived.exposed == expected.exposed)
    }

    @Test func `a counter KDF with an empty label works as well`() {
        let key = SecretBytes(copying: [UInt8](1...32))
        let derived = CounterKDF.derive(from: key, label: [], context: [2], count: 32)
        let expected = CounterKDF.derive(from: key, fixedInput: [0, 2, 0, 0, 1, 0], count: 32)
        #expect(derived.exposed == expected.exposed)
    }

    @Test(arguments: [1, 31, 32, 33, 64, 100])
    func `a kept key derives what the secret does, into any memory`(_ count: Int) {
        let secret = SecretBytes(copying: [UInt8](1...32))
        let key = HMACKey(secret, .sha256)
        let (label, context): ([UInt8], [UInt8]) = (Array("label".utf8), [7, 0, 9])
        let expected = CounterKDF.derive(
            from: secret, label: label, context: context, count: count
        ).exposed
        var bytes = [UInt8](repeating: 0xaa, count: count)
        for _ in 0..<2 {
            let derived = CounterKDF.derive(
                from: key, label: label, context: context, count: count)
            #expect(derived.exposed == expected)
            bytes.withMutableRawSpan {
                CounterKDF.derive(from: key, label: label, context: context, into: &$0)
            }
            #expect(bytes == expected)
        }
    }

    /// One block of output is one HMAC: a check by other means than the same KDF.
    @Test func `the first block is the HMAC of counter and fixed input`() {
        let key = SecretBytes(copying: [UInt8](1...32))
        let fixedInput: [UInt8] = [1, 2, 3]
        let derived = CounterKDF.derive(from: key, fixedInput: fixedInput, count: 32)
        let code = HMACSHA256.authenticationCode(for: [0, 0, 0, 1] + fixedInput, key: key)
        #expect(derived.exposed == code)
    }

    @Test(arguments: try Vector.load("scrypt"))
    func `scrypt matches the published vectors`(_ vector: Vector) throws {
        let output = try vector.bytes("output")
        let derived = try Scrypt.derive(
            passphrase: try vector.secret("passphrase"), salt: try vector.bytes("salt"),
            logN: try vector.number("logN"), r: try vector.number("r"), p: try vector.number("p"),
            count: output.count)
        #expect(derived.exposed == output)
    }

    @Test(arguments: [
        (0, 8, 1, "scrypt parameters"), (-1, 8, 1, "scrypt parameters"),
        (63, 8, 1, "scrypt parameters"), (10, 0, 1, "scrypt parameters"),
        (10, 8, 0, "scrypt parameters"), (10, .max, 1, "scrypt parameters"),
        (16, 1, 1, "scrypt parameters"), (21, 8, 1, "scrypt memory"),
        (30, 1024, 1, "scrypt memory"),
    ])
    func `scrypt refuses parameters beyond its limits`(
        logN: Int, r: Int, p: Int, reason: String
    ) {
        #expect(throws: CryptographyError.invalidLength(reason)) {
            try Scrypt.derive(
                passphrase: .random(count: 8), salt: [1], logN: logN, r: r, p: p, count: 32)
        }
    }
}
