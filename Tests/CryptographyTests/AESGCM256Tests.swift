import TestSupport
import Testing

@testable import Cryptography

@Suite struct AESGCM256Tests {
    @Test(arguments: try Vector.load("aes-256-gcm"))
    func `sealing and opening match the published vectors`(_ vector: Vector) throws {
        let cipher = AESGCM256()
        cipher.use(try vector.secret("key"))
        let (nonce, aad) = (try vector.bytes("nonce"), try vector.bytes("aad"))
        let box = nonce + (try vector.bytes("ciphertext")) + (try vector.bytes("tag"))
        guard !vector.expectsFailure else {
            #expect(throws: CryptographyError.authenticationFailed) {
                try cipher.open(box, authenticating: aad)
            }
            return
        }
        let plain = try vector.bytes("plaintext")
        #expect(cipher.seal(plain, nonce: nonce, authenticating: aad) == box)
        #expect(try cipher.open(box, authenticating: aad) == plain)
    }

    @Test func `data without a text has the published tags, wherever it is divided`() throws {
        let vectors = try Vector.load("aes-256-gcm").filter { vector in
            try vector.bytes("ciphertext").isEmpty && !vector.bytes("aad").isEmpty
        }
        #expect(vectors.count >= 10)
        let cipher = AESGCM256()
        for vector in vectors {
            cipher.use(try vector.secret("key"))
            let data = try vector.bytes("aad")
            let code = try vector.bytes("nonce") + vector.bytes("tag")
            for length in [0, 1, data.count / 2, data.count] {
                let (first, second) = (Array(data[..<length]), Array(data[length...]))
                #expect(isAuthentic(first, second, code, with: cipher) != vector.expectsFailure)
            }
        }
    }

    @Test func `every flipped bit of authenticated data or their tag is found`() {
        let cipher = AESGCM256()
        cipher.use(.random(count: 32))
        let (first, second) = (Random.bytes(32), Random.bytes(70))
        var codes = [UInt8](repeating: 0xee, count: 40)
        first.withRawSpan { first in
            second.withRawSpan { second in
                codes.withMutableRawSpan { cipher.authenticate(first, second, into: &$0, at: 5) }
            }
        }
        #expect(codes[..<5].allSatisfy { $0 == 0xee } && codes[33...].allSatisfy { $0 == 0xee })
        let code = Array(codes[5..<33])
        #expect(isAuthentic(first, second, code, with: cipher))
        for bit in 0..<code.count * 8 {
            #expect(!isAuthentic(first, second, code.flippingBit(bit), with: cipher))
        }
        for bit in 0..<first.count * 8 {
            #expect(!isAuthentic(first.flippingBit(bit), second, code, with: cipher))
        }
        for bit in 0..<second.count * 8 {
            #expect(!isAuthentic(first, second.flippingBit(bit), code, with: cipher))
        }
        #expect(!isAuthentic(first, second + [0], code, with: cipher))
        #expect(!isAuthentic(first, Array(second.dropLast()), code, with: cipher))
        #expect(!isAuthentic(first, second, Array(code.dropLast()), with: cipher))
        cipher.use(.random(count: 32))
        #expect(!isAuthentic(first, second, code, with: cipher))
    }

    private func isAuthentic(
        _ first: [UInt8], _ second: [UInt8], _ code: [UInt8], with cipher: AESGCM256
    ) -> Bool {
        first.withRawSpan { first in
            second.withRawSpan { cipher.isAuthentic(first, $0, code: code) }
        }
    }

    @Test func `one context serves many keys, in both directions and in any order`() throws {
        let vectors = try Vector.load("aes-256-gcm").filter { !$0.expectsFailure }
        let cipher = AESGCM256()
        for vector in vectors + vectors.reversed() {
            cipher.use(try vector.secret("key"))
            let (nonce, aad) = (try vector.bytes("nonce"), try vector.bytes("aad"))
            let plain = try vector.bytes("plaintext")
            let box = cipher.seal(plain, nonce: nonce, authenticating: aad)
            #expect(box == nonce + (try vector.bytes("ciphertext")) + (try vector.bytes("tag")))
            #expect(throws: CryptographyError.authenticationFailed) {
                try cipher.open(box.flippingBit(0), authenticating: aad)
            }
            #expect(try cipher.open(box, authenticating: aad) == plain)
        }
    }

    @Test func `every flipped bit of a box or its data is found`() throws {
        let cipher = AESGCM256()
        cipher.use(.random(count: 32))
        let aad: [UInt8] = [1, 2, 3]
        let box = cipher.seal(Array("a small secret".utf8), authenticating: aad)
        for bit in 0..<box.count * 8 {
            #expect(throws: CryptographyError.authenticationFailed) {
                try cipher.open(box.flippingBit(bit), authenticating: aad)
            }
        }
        for bit in 0..<aad.count * 8 {
            #expect(throws: CryptographyError.authenticationFailed) {
                try cipher.open(box, authenticating: aad.flippingBit(bit))
            }
        }
        #expect(throws: CryptographyError.authenticationFailed) {
            try cipher.open(box, authenticating: aad + [0])
        }
        #expect(throws: CryptographyError.authenticationFailed) {
            try cipher.open(Array(box.dropLast()), authenticating: aad)
        }
    }

    @Test(arguments: 0..<28)
    func `a box shorter than its overhead is refused`(_ count: Int) {
        let cipher = AESGCM256()
        cipher.use(.random(count: 32))
        #expect(throws: CryptographyError.invalidLength("AES-GCM box")) {
            try cipher.open([UInt8](repeating: 0, count: count), authenticating: [])
        }
    }

    @Test func `a box in the middle of a buffer touches nothing around it`() throws {
        let cipher = AESGCM256()
        cipher.use(.random(count: 32))
        let source = (0..<100).map { UInt8($0) }
        var boxes = [UInt8](repeating: 0xee, count: 200)
        var opened = [UInt8](repeating: 0xdd, count: 90)
        source.withRawSpan { source in
            [9].withRawSpan { aad in
                boxes.withMutableRawSpan {
                    cipher.seal(source, 10..<60, authenticating: aad, into: &$0, at: 7)
                }
            }
        }
        #expect(boxes[..<7].allSatisfy { $0 == 0xee } && boxes[85...].allSatisfy { $0 == 0xee })
        try open(boxes, 7..<85, aad: [9], into: &opened, at: 5, with: cipher)
        #expect(Array(opened[5..<55]) == Array(source[10..<60]))
        #expect(opened[..<5].allSatisfy { $0 == 0xdd } && opened[55...].allSatisfy { $0 == 0xdd })
    }

    @Test func `a failed open leaves zeros in the plain range and nothing else changed`() {
        let cipher = AESGCM256()
        cipher.use(.random(count: 32))
        let box = cipher.seal([UInt8](repeating: 0x55, count: 64), authenticating: [])
        var plain = [UInt8](repeating: 0xaa, count: 80)
        #expect(throws: CryptographyError.authenticationFailed) {
            try open(
                box.flippingBit(box.count * 8 - 1), 0..<box.count, aad: [], into: &plain, at: 8,
                with: cipher)
        }
        #expect(plain[8..<72].allSatisfy { $0 == 0 })
        #expect(plain[..<8].allSatisfy { $0 == 0xaa } && plain[72...].allSatisfy { $0 == 0xaa })
    }

    @Test func `a derived key seals as the same key given as a secret does`() throws {
        let (bytes, other) = (Random.bytes(32), SecretBytes.random(count: 32))
        let (cipher, reference) = (AESGCM256(), AESGCM256())
        reference.use(SecretBytes(copying: bytes))
        for _ in 0..<2 {
            cipher.useKey { key in
                for (offset, byte) in bytes.enumerated() {
                    key.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
                }
            }
            let box = cipher.seal([1, 2, 3], authenticating: [])
            #expect(try reference.open(box, authenticating: []) == [1, 2, 3])
            cipher.use(other)
            #expect(throws: CryptographyError.authenticationFailed) {
                try cipher.open(box, authenticating: [])
            }
        }
    }

    @Test func `nonces never repeat over a hundred thousand boxes of two contexts`() {
        let key = SecretBytes.random(count: 32)
        let ciphers = [AESGCM256(), AESGCM256()]
        var nonces: Set<[UInt8]> = []
        for cipher in ciphers {
            cipher.use(key)
            for _ in 0..<50_000 {
                nonces.insert(Array(cipher.seal([], authenticating: []).prefix(12)))
            }
        }
        #expect(nonces.count == 100_000)
        #expect(!nonces.contains([UInt8](repeating: 0, count: 12)))
    }

    @Test(arguments: [0, 1, 15, 16, 17, 4095, 4096, 1 << 20])
    func `what was sealed opens again`(_ count: Int) throws {
        let cipher = AESGCM256()
        cipher.use(.random(count: 32))
        let plain = Random.bytes(count)
        let box = cipher.seal(plain, authenticating: [7])
        #expect(box.count == count + AESGCM256.overheadBytes)
        #expect(try cipher.open(box, authenticating: [7]) == plain)
    }

    private func open(
        _ box: [UInt8], _ range: Range<Int>, aad: [UInt8], into plain: inout [UInt8],
        at offset: Int, with cipher: AESGCM256
    ) throws(CryptographyError) {
        try box.withRawSpan { (box) throws(CryptographyError) in
            try aad.withRawSpan { (aad) throws(CryptographyError) in
                try plain.withMutableRawSpan { (plain) throws(CryptographyError) in
                    try cipher.open(box, range, authenticating: aad, into: &plain, at: offset)
                }
            }
        }
    }
}
