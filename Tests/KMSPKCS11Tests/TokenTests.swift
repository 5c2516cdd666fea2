import CPKCS11
import Cryptography
import Foundation
import TestSupport
import Testing

@testable import KMSPKCS11

extension WithSoftHSM {
    @Suite struct TokenTests {
        @Test func `slots tell what tokens are in them`() throws {
            let token = try #require(
                SoftHSM.module().slots().compactMap(\.token).first {
                    $0.label == SoftHSM.tokenLabel
                })
            #expect(token.model == "SoftHSM v2")
            #expect(token.manufacturer == "SoftHSM project")
            #expect(token.serial.count == 16)
            #expect(token.flags.contains([.isInitialized, .hasUserPIN]))
            #expect(!token.flags.contains(.isPINLocked))
            #expect(token.maximumSessions == nil)
        }

        @Test func `a key is made, found, used and destroyed`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                #expect(try token.findKey(id) == nil)
                let made = try token.makeKey(id, label: "a key with ä label")
                #expect(
                    made
                        == PKCS11Key(
                            id: id, label: "a key with ä label", isProtected: true,
                            wasAlwaysProtected: true))
                #expect(try token.findKey(id) == made)

                let box = try token.encrypt(
                    secret("the plaintext"), authenticating: [1, 2], under: id)
                #expect(box.count == 13 + 28)
                let opened = try token.decrypt(box, authenticating: [1, 2], under: id)
                #expect(bytes(opened) == Array("the plaintext".utf8))

                try token.destroyKey(id)
                #expect(try token.findKey(id) == nil)
                #expect(
                    failure { () throws(PKCS11Error) in
                        try token.decrypt(box, authenticating: [1, 2], under: id)
                    } == .keyMissing(id))
                #expect(
                    failure { () throws(PKCS11Error) in try token.destroyKey(id) }
                        == .keyMissing(id))
                #expect(token.isConnected)
            }
        }

        @Test func `keys outlive the connection`() throws {
            let id = try newKeyID()
            let box = try SoftHSM.withToken { token in
                _ = try token.makeKey(id, label: "")
                return try token.encrypt(secret("x"), authenticating: [], under: id)
            }
            try SoftHSM.withToken { token in
                #expect(bytes(try token.decrypt(box, authenticating: [], under: id)) == [0x78])
                try token.destroyKey(id)
            }
        }

        @Test func `the keys of a token are listed, whoever made them`() throws {
            try SoftHSM.withToken { token in
                let ids = try (0..<150).map { _ in try newKeyID() }
                let raw = try SoftHSM.raw()
                defer { raw.close() }
                let before = try token.listKeys()
                for id in ids.dropLast() { _ = try token.makeKey(id, label: "one of many") }
                let foreign = try #require(ids.last)
                try raw.importKey(Random.bytes(16), foreign)
                let listed = Set(try token.listKeys()).subtracting(before)
                #expect(
                    listed
                        == Set(
                            ids.map {
                                PKCS11KeyName(
                                    id: $0, label: $0 == foreign ? "" : "one of many")
                            }))
                for id in ids { try raw.destroyKey(id) }
                #expect(Set(try token.listKeys()) == Set(before))
            }
        }

        @Test func `no id is given to two keys`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                let outcomes = Collected<PKCS11Error?>()
                inThreads(8) { _ in
                    outcomes.add(
                        failure { () throws(PKCS11Error) in try token.makeKey(id, label: "one") })
                }
                #expect(outcomes.all.filter { $0 == nil }.count == 1)
                #expect(outcomes.all.filter { $0 == .keyExists(id) }.count == 7)
                try token.destroyKey(id)
            }
        }

        @Test func `two keys with one id are not used`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                let raw = try SoftHSM.raw()
                defer { raw.close() }
                try raw.importKey(Random.bytes(32), id)
                try raw.importKey(Random.bytes(32), id)
                #expect(
                    failure { () throws(PKCS11Error) in
                        try token.encrypt(secret("x"), authenticating: [], under: id)
                    } == .ambiguousKey(id))
            }
        }

        @Test func `an AES-128 key is no key`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                let raw = try SoftHSM.raw()
                defer { raw.close() }
                try raw.importKey(Random.bytes(16), id)
                #expect(try token.findKey(id) == nil)
                #expect(
                    failure { () throws(PKCS11Error) in
                        try token.encrypt(secret("x"), authenticating: [], under: id)
                    } == .keyMissing(id))
            }
        }

        @Test func `a key that may not decrypt says so`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                let raw = try SoftHSM.raw()
                defer { raw.close() }
                try raw.importKey(Random.bytes(32), id, canDecrypt: false)
                #expect(try token.findKey(id)?.isProtected == false)
                let box = try token.encrypt(secret("x"), authenticating: [], under: id)
                #expect(
                    failure { () throws(PKCS11Error) in
                        try token.decrypt(box, authenticating: [], under: id)
                    } == .failed(.decryptInit, CKR_KEY_FUNCTION_NOT_PERMITTED))
            }
        }

        @Test func `labels and lengths that are too long are refused`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                #expect(
                    failure { () throws(PKCS11Error) in
                        try token.makeKey(id, label: String(repeating: "x", count: 256))
                    } == .invalidLength("key label"))
                _ = try token.makeKey(id, label: String(repeating: "x", count: 255))
                #expect(try token.findKey(id)?.label.count == 255)
                for count in [0, 4097] {
                    #expect(
                        failure { () throws(PKCS11Error) in
                            try token.encrypt(.random(count: count), authenticating: [], under: id)
                        } == .invalidLength("plaintext"))
                }
                let aad = [UInt8](repeating: 0, count: 65_537)
                #expect(
                    failure { () throws(PKCS11Error) in
                        try token.encrypt(secret("x"), authenticating: aad, under: id)
                    } == .invalidLength("associated data"))
                for count in [0, 1025] {
                    #expect(
                        failure { () throws(PKCS11Error) in try token.randomBytes(count: count) }
                            == .invalidLength("random bytes"))
                }
                try token.destroyKey(id)
            }
        }

        @Test func `random bytes come from the token and differ`() throws {
            try SoftHSM.withToken { token in
                #expect(try token.randomBytes(count: 1024).count == 1024)
                let first = try token.randomBytes(count: 32)
                #expect(!first.isEqual(to: try token.randomBytes(count: 32)))
            }
        }
    }

    @Suite struct CipherTests {
        @Test(arguments: [1, 15, 16, 17, 32, 4095, 4096])
        func `a token's AES-GCM is libcrypto's`(count: Int) throws {
            try SoftHSM.withToken { token in
                let value = Random.bytes(32)
                let id = try newKeyID()
                let raw = try SoftHSM.raw()
                defer { raw.close() }
                try raw.importKey(value, id)
                let ours = AESGCM256()
                ours.use(secret(value))
                for aad in [[], [7], Random.bytes(333), Random.bytes(65_536)] as [[UInt8]] {
                    let plain = Random.bytes(count)
                    let box = try token.encrypt(secret(plain), authenticating: aad, under: id)
                    #expect(try ours.open(box, authenticating: aad) == plain)
                    let back = ours.seal(plain, authenticating: aad)
                    #expect(bytes(try token.decrypt(back, authenticating: aad, under: id)) == plain)
                }
                try token.destroyKey(id)
            }
        }

        @Test func `whatever was changed is not authentic, and the token stays connected`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                let other = try newKeyID()
                for key in [id, other] { _ = try token.makeKey(key, label: "") }
                let box = try token.encrypt(secret("plain"), authenticating: [1], under: id)
                var changed: [(box: [UInt8], aad: [UInt8], id: PKCS11KeyID)] = [
                    (box, [2], id), (box, [], id), (box, [1], other), ([], [1], id),
                    (Array(box.dropLast()), [1], id), (box + [0], [1], id),
                    (Array(box.prefix(28)), [1], id),
                    ([UInt8](repeating: 0, count: 4096 + 29), [1], id),
                ]
                for index in box.indices {
                    var flipped = box
                    flipped[index] ^= 0x80
                    changed.append((flipped, [1], id))
                }
                for (box, aad, id) in changed {
                    #expect(
                        failure { () throws(PKCS11Error) in
                            try token.decrypt(box, authenticating: aad, under: id)
                        } == .notAuthentic)
                    #expect(token.isConnected)
                }
                #expect(
                    bytes(try token.decrypt(box, authenticating: [1], under: id))
                        == Array("plain".utf8))
                for key in [id, other] { try token.destroyKey(key) }
            }
        }

        @Test func `every box has a nonce of its own`() throws {
            try SoftHSM.withToken { token in
                let id = try newKeyID()
                _ = try token.makeKey(id, label: "")
                let boxes = try (0..<500).map { _ in
                    try token.encrypt(secret("same"), authenticating: [], under: id)
                }
                #expect(Set(boxes.map { Array($0.prefix(12)) }).count == boxes.count)
                try token.destroyKey(id)
            }
        }

        @Test func `many threads share a few sessions`() throws {
            var options = PKCS11Token.Options.impatient
            options.sessionLimit = 3
            try SoftHSM.withToken(options: options) { token in
                let ids = try (0..<3).map { _ in try newKeyID() }
                for id in ids { _ = try token.makeKey(id, label: "") }
                let outcomes = Collected<Bool>()
                inThreads(16) { number in
                    for round in 0..<25 {
                        let id = ids[(number + round) % ids.count]
                        let plain = [UInt8](repeating: UInt8(number), count: 1 + round * 100)
                        let aad = [UInt8(round)]
                        let opened = try? token.decrypt(
                            token.encrypt(secret(plain), authenticating: aad, under: id),
                            authenticating: aad, under: id)
                        outcomes.add(opened.map { bytes($0) == plain } ?? false)
                    }
                }
                #expect(outcomes.all.count == 400)
                #expect(!outcomes.all.contains(false))
                for id in ids { try token.destroyKey(id) }
            }
        }
    }
}
