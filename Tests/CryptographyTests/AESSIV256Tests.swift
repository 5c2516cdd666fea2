import TestSupport
import Testing

@testable import Cryptography

@Suite struct AESSIV256Tests {
    @Test(arguments: try Vector.load("aes-siv"))
    func `sealing and opening match the published vectors`(_ vector: Vector) throws {
        let cipher = AESSIV256(anyKey: try vector.secret("key"))
        let (strings, sealed) = (try vector.all("aad"), try vector.bytes("sealed"))
        guard !vector.expectsFailure else {
            #expect(throws: CryptographyError.authenticationFailed) {
                try cipher.open(sealed, authenticating: strings)
            }
            return
        }
        let plain = try vector.bytes("plaintext")
        #expect(cipher.seal(plain, authenticating: strings) == sealed)
        #expect(try cipher.open(sealed, authenticating: strings) == plain)
        #expect(throws: CryptographyError.authenticationFailed) {
            try cipher.open(sealed, authenticating: strings + [[]])
        }
        for index in strings.indices where !strings[index].isEmpty {
            var changed = strings
            changed[index] = changed[index].flippingBit(0)
            #expect(throws: CryptographyError.authenticationFailed) {
                try cipher.open(sealed, authenticating: changed)
            }
        }
    }

    @Test func `every flipped bit is found`() throws {
        let cipher = AESSIV256(key: .random(count: 64))
        let sealed = cipher.seal(Array("name".utf8), authenticating: [[1], []])
        for bit in 0..<sealed.count * 8 {
            #expect(throws: CryptographyError.authenticationFailed) {
                try cipher.open(sealed.flippingBit(bit), authenticating: [[1], []])
            }
        }
    }

    @Test func `the number, the order and the borders of the strings count`() {
        let cipher = AESSIV256(key: .random(count: 64))
        let lists: [[[UInt8]]] = [
            [], [[]], [[], []], [[1, 2]], [[1], [2]], [[2], [1]], [[1, 2], []], [[], [1, 2]],
        ]
        let sealed = Set(lists.map { cipher.seal([5], authenticating: $0) })
        #expect(sealed.count == lists.count)
    }

    @Test(arguments: 0..<16)
    func `a text shorter than its overhead is refused`(_ count: Int) {
        let cipher = AESSIV256(key: .random(count: 64))
        #expect(throws: CryptographyError.invalidLength("AES-SIV text")) {
            try cipher.open([UInt8](repeating: 0, count: count), authenticating: [])
        }
    }

    @Test(arguments: [0, 1, 15, 16, 17, 31, 32, 33, 255, 65536])
    func `what was sealed opens again, and equal inputs seal equally`(_ count: Int) throws {
        let key = SecretBytes.random(count: 64)
        let plain = Random.bytes(count)
        let sealed = AESSIV256(key: key).seal(plain, authenticating: [[9]])
        #expect(sealed.count == count + AESSIV256.overheadBytes)
        #expect(AESSIV256(key: key).seal(plain, authenticating: [[9]]) == sealed)
        #expect(try AESSIV256(key: key).open(sealed, authenticating: [[9]]) == plain)
    }

    @Test func `many threads use one cipher at once`() async {
        let cipher = AESSIV256(key: .random(count: 64))
        let plains = (0..<64).map { Random.bytes($0) }
        let expected = plains.map { cipher.seal($0, authenticating: [$0]) }
        let mismatches = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<32 {
                group.addTask { mismatchCount(cipher, plains, expected) }
            }
            return await group.reduce(0, +)
        }
        #expect(mismatches == 0)
    }
}

private func mismatchCount(
    _ cipher: AESSIV256, _ plains: [[UInt8]], _ expected: [[UInt8]]
) -> Int {
    var count = 0
    for _ in 0..<20 {
        for (plain, sealed) in zip(plains, expected) {
            if cipher.seal(plain, authenticating: [plain]) != sealed { count += 1 }
            if (try? cipher.open(sealed, authenticating: [plain])) != plain { count += 1 }
        }
    }
    return count
}
