import Foundation
import Testing

@testable import Cryptography

@Suite struct MemoryTests {
    /// libcrypto's own decoders would leave some: that is why keys are read and written without
    /// them.
    @Test(arguments: [
        AsymmetricKeySpec.rsa2048, .nistP256, .nistP384, .nistP521, .secp256k1, .ed25519, .sm2,
    ])
    func `a private key that is gone leaves no copy in memory`(_ spec: AsymmetricKeySpec) throws {
        let pattern = try DisguisedKey(of: spec)
        #expect(try pattern.copyCount() == 0)
    }

    @Test func `a key that is still there is found`() throws {
        let key = try TestKey.of(.nistP256)
        #expect(try DisguisedKey(of: key.pkcs8).copyCount() > 0)
        withExtendedLifetime(key) {}
    }
}

/// Bytes of a private number, disguised so that they are no copy themselves.
private struct DisguisedKey {
    private static let mask: UInt8 = 0x5a
    private static let count = 24
    private var bytes: [UInt8] = []

    /// Makes a key, writes and reads it, and forgets it.
    init(of spec: AsymmetricKeySpec) throws {
        let made = try AsymmetricPrivateKey.generate(spec).pkcs8
        try self.init(of: try AsymmetricPrivateKey(importing: made, as: spec).pkcs8)
    }

    init(of pkcs8: SecretBytes) throws {
        bytes = try pkcs8.withBytes { der in
            let start = try Self.offset(in: der)
            return (start..<start + Self.count).map { der.byte(at: $0) ^ Self.mask }
        }
    }

    /// Where a part of the private number stands that is random.
    private static func offset(in der: RawSpan) throws -> Int {
        let info = try PrivateKeyInfo(der)
        return switch info.algorithm {
        case .rsa: try RSAPrivateNumbers(der, info.key).ranges[3].lowerBound
        // The first byte of P-521's is 0 or 1.
        case .elliptic(let curve):
            try ECPrivateNumbers(der, info.key, on: curve).scalar.lowerBound + 2
        case .ed25519: info.key.lowerBound + 2
        }
    }

    /// How often the bytes, in either order, lie in this process's writable memory.
    ///
    /// Read as a file, since what other tests unmap meanwhile is no error there.
    func copyCount() throws -> Int {
        // To its very end: a read of such a file gives a page at a time, which String takes for all.
        let list = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/maps"))
        defer { try? list.close() }
        let maps = String(decoding: try list.readToEnd() ?? Data(), as: UTF8.self)
        try #require(maps.contains("[stack]"))
        let memory = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/mem"))
        defer { try? memory.close() }
        var total = 0
        for line in maps.split(separator: "\n") where line.contains(" rw") {
            let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap {
                UInt64($0, radix: 16)
            }
            guard ends.count == 2 else { continue }
            // Parts that overlap by as much as is searched for.
            for start in stride(from: ends[0], to: ends[1], by: 65_536) {
                let end = min(ends[1], start + 65_536 + UInt64(Self.count))
                guard (try? memory.seek(toOffset: start)) != nil,
                    let part = try? memory.read(upToCount: Int(end - start))
                else { continue }
                total += copyCount(in: part)
            }
        }
        return total
    }

    private func copyCount(in memory: Data) -> Int {
        [bytes, bytes.reversed()].reduce(0) { total, pattern in
            unsafe memory.withUnsafeBytes { memory in
                unsafe total + copyCount(of: pattern, in: memory)
            }
        }
    }

    private func copyCount(of pattern: [UInt8], in memory: UnsafeRawBufferPointer) -> Int {
        let first = Int32(pattern[0] ^ Self.mask)
        var count = 0
        var offset = 0
        // SAFETY: each call reads what is left of the buffer, which lives throughout.
        while offset + Self.count <= memory.count,
            let start = unsafe memory.baseAddress.map({ unsafe $0 + offset }),
            let found = unsafe memchr(start, first, memory.count - offset)
        {
            unsafe offset += UnsafeRawPointer(found) - start
            guard offset + Self.count <= memory.count else { break }
            let candidate = unsafe memory[offset..<offset + Self.count]
            if unsafe zip(candidate, pattern).allSatisfy({ $0 ^ Self.mask == $1 }) { count += 1 }
            offset += 1
        }
        return count
    }
}
