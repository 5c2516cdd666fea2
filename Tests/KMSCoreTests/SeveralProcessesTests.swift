import Cryptography
import Foundation
import KMSCore
import KMSModel
import Platform
import Testing

@Suite struct SeveralProcessesTests {
    @Test func `each view of a keystore sees the other's changes at its next operation`() throws {
        let kms = try TestKeystore()
        let other = try kms.again()
        defer { other.close() }
        let key = try kms.newKey().arn.description
        let blob = try other.service.encrypt(
            secret("x"), under: key, context: .empty, as: kms.owner
        ).blob
        for _ in 0..<20 {
            try kms.service.disableKey(key, as: kms.owner)
            #expect(throws: KMSError.disabled("\(key) is disabled.")) {
                try other.service.decrypt(blob, under: nil, context: .empty, as: kms.owner)
            }
            try other.service.enableKey(key, as: kms.owner)
            #expect(
                text(
                    try kms.service.decrypt(blob, under: nil, context: .empty, as: kms.owner)
                        .plaintext) == "x")
        }
        try other.service.createAlias("alias/a", target: key, as: kms.owner)
        _ = try kms.service.rotateKeyOnDemand("\(key)", as: kms.owner)
        #expect(try other.service.describeKey("alias/a", as: kms.owner).currentVersion == 2)
        try kms.service.deleteAlias("alias/a", as: kms.owner)
        #expect(throws: KMSError.self) {
            try other.service.describeKey("alias/a", as: kms.owner)
        }
    }

    @Test func `views that change one keystore at once lose nothing`() async throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn.description
        try await withThrowingTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    let view = try kms.again()
                    defer { view.close() }
                    for _ in 0..<6 {
                        _ = try view.service.rotateKeyOnDemand(key, as: kms.owner)
                        _ = try view.service.createKey(CreateKeyRequest(), as: kms.owner)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try kms.service.describeKey(key, as: kms.owner).currentVersion == 25)
        #expect(
            try kms.service.listKeys(PageRequest(), as: kms.owner).elements.count == 26)
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
        let again = try kms.again()
        again.close()
    }

    @Test func `a process that died inside a commit hides nothing from the others`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey().arn.description
        let other = try kms.again()
        defer { other.close() }
        // A commit that began and never ended.
        let commits = try SharedWord(
            Descriptor.open(path: kms.path + "/commits", OpenFlag.readWrite))
        commits.add(1 << 32)
        let word = commits.load()
        #expect(word >> 32 != word & 0xffff_ffff)
        #expect(try other.service.describeKey(key, as: kms.owner).state == .enabled)
        try kms.service.disableKey(key, as: kms.owner)
        #expect(try other.service.describeKey(key, as: kms.owner).state == .disabled)
        let mended = commits.load()
        #expect(mended >> 32 == mended & 0xffff_ffff)
        try other.service.enableKey(key, as: kms.owner)
        #expect(try kms.service.describeKey(key, as: kms.owner).state == .enabled)
    }

    private static let childVariable = "KEYFOLD_TEST_KEYSTORE_OF_CHILD"

    /// Runs in a process of its own, started and killed by the test below.
    @Test(.enabled(if: ProcessInfo.processInfo.environment[childVariable] != nil))
    func `child that makes keys until it is killed`() throws {
        let path = try #require(ProcessInfo.processInfo.environment[Self.childVariable])
        let keystore = try Keystore.open(
            at: path, unlocking: .passphrase(secret(TestKeystore.passphrase)),
            clock: SystemWallClock())
        let owner = Caller(
            principalARN: keystore.ownerPrincipalARN, process: nil, userAgent: "child")
        while true {
            let key = try keystore.service.createKey(CreateKeyRequest(), as: owner).arn
            let blob = try keystore.service.encrypt(
                secret("kept"), under: key.description, context: .empty, as: owner
            ).blob
            FileHandle.standardOutput.write(Data("made \(hexText(blob))\n".utf8))
        }
    }

    @Test(arguments: [1, 3, 7])
    func `keys whose making was answered survive the death of their maker`(
        _ count: Int
    ) throws {
        let kms = try TestKeystore()
        let child = Process()
        let own = try #require(FileManager.default.contents(atPath: "/proc/self/cmdline"))
            .split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        child.executableURL = URL(fileURLWithPath: "/proc/\(getpid())/exe")
        child.arguments =
            (own.contains("--testing-library") ? ["--testing-library", "swift-testing"] : [])
            + ["--filter", "child that makes keys until it is killed"]
        child.environment = ProcessInfo.processInfo.environment.merging(
            [Self.childVariable: kms.path]
        ) { $1 }
        let output = Pipe()
        child.standardOutput = output
        child.standardError = FileHandle.nullDevice
        try child.run()
        var blobs: [[UInt8]] = []
        var text = Data()
        while blobs.count < count {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { break }
            text += more
            blobs = String(decoding: text, as: UTF8.self).split(separator: "\n").dropLast()
                .filter { $0.hasPrefix("made ") }.map { line in
                    let digits = Array(line.dropFirst(5).utf8)
                    return stride(from: 0, to: digits.count, by: 2).compactMap {
                        UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
                    }
                }
        }
        kill(child.processIdentifier, SIGKILL)
        child.waitUntilExit()
        #expect(blobs.count >= count)
        for blob in blobs {
            let opened = try kms.service.decrypt(
                blob, under: nil, context: .empty, as: kms.owner)
            #expect(bytes(opened.plaintext) == Array("kept".utf8))
        }
        _ = try kms.newKey()
        let again = try kms.again()
        again.close()
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
    }
}
