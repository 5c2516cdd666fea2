import Cryptography
import Foundation
import KMSModel
import Platform
import TestSupport
import Testing

@testable import KMSStore

/// What is left of a secret in this process's memory once it is written and gone.
@Suite struct SecretCopyTests {
    /// Large, so that what is freed is not used again at once.
    private static let secretBytes = 8000

    @Test func `a record that outgrows its memory leaves no copy of its secret`() throws {
        func write() throws -> DisguisedEnd {
            let secret = SecretBytes.random(count: Self.secretBytes)
            var writer = RecordWriter()
            writer.append("what stands before it")
            writer.append(secret)
            writer.append([UInt8](repeating: 1, count: 2 * Self.secretBytes))
            var record = writer.finish()
            wipe(&record)
            return DisguisedEnd(of: secret)
        }
        #expect(try write().copyCount() == 0)
    }

    @Test func `a change of the keystore leaves no copy of a secret in it`() throws {
        let kms = try TestKeystore()
        kms.keystore.close()
        func write() throws -> DisguisedEnd {
            let store = try KeystoreStore.open(
                at: kms.path, unlocking: .passphrase(secret(TestKeystore.passphrase)))
            defer { store.close() }
            let own = SecretBytes.random(count: Self.secretBytes)
            let principal = PrincipalRecord(
                name: "ada", accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: own,
                isAdministrator: false, creationDate: kms.clock.now())
            let outcome = try store.change { _, change throws(KeystoreError) in
                change.principals = [principal]
            }
            try outcome.get()
            return DisguisedEnd(of: own)
        }
        #expect(try write().copyCount() == 0)
    }

    @Test func `a secret that is still there is found`() throws {
        let secret = SecretBytes.random(count: Self.secretBytes)
        #expect(try DisguisedEnd(of: secret).copyCount() > 0)
        withExtendedLifetime(secret) {}
    }
}

/// The last bytes of a secret, disguised so that they are no copy themselves.
private struct DisguisedEnd {
    private static let mask: UInt8 = 0x5a
    private static let count = 24
    private let bytes: [UInt8]

    init(of secret: SecretBytes) {
        bytes = secret.withBytes { span in
            (span.byteCount - Self.count..<span.byteCount).map { span.byte(at: $0) ^ Self.mask }
        }
    }

    /// How often the bytes lie in this process's writable memory.
    func copyCount() throws -> Int {
        let maps = try Disk.readText("/proc/self/maps")
        try #require(maps.contains("[stack]"))
        let memory = try Disk.open("/proc/self/mem")
        var total = 0
        for line in maps.split(separator: "\n") where line.contains(" rw") {
            let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap {
                UInt64($0, radix: 16)
            }
            guard ends.count == 2 else { continue }
            // Parts that overlap by as much as is searched for.
            for start in stride(from: ends[0], to: ends[1], by: 65_536) {
                let end = min(ends[1], start + 65_536 + UInt64(Self.count))
                // What other tests unmap meanwhile is no error here.
                guard let part = try? memory.read(count: Int(end - start), at: start) else {
                    continue
                }
                total += copyCount(in: part)
            }
        }
        return total
    }

    private func copyCount(in memory: [UInt8]) -> Int {
        unsafe memory.withUnsafeBytes { memory -> Int in
            let first = Int32(bytes[0] ^ Self.mask)
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
                // The second one first, which tells most of them.
                if unsafe memory[offset + 1] == bytes[1] ^ Self.mask,
                    unsafe zip(candidate, bytes).allSatisfy({ $0 ^ Self.mask == $1 })
                {
                    count += 1
                }
                offset += 1
            }
            return count
        }
    }
}
