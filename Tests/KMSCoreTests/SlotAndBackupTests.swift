import Cryptography
import Foundation
import KMSCore
import KMSModel
import Testing

@Suite struct SlotTests {
    private func open(_ kms: TestKeystore, _ method: UnlockMethod) -> KeystoreError? {
        do {
            let keystore = try Keystore.open(at: kms.path, unlocking: method, clock: kms.clock)
            keystore.close()
            return nil
        } catch {
            return error
        }
    }

    @Test func `a new keystore opens with its passphrase and its recovery key only`() throws {
        let kms = try TestKeystore()
        #expect(open(kms, .passphrase(secret(TestKeystore.passphrase))) == nil)
        #expect(open(kms, .recoveryKey(kms.recoveryKey)) == nil)
        #expect(open(kms, .passphrase(secret("wrong"))) == .wrongPassphrase(path: kms.path))
        #expect(
            open(kms, .keyFile(secret([UInt8](repeating: 1, count: 32))))
                == .noSlotOfKind(path: kms.path, kind: "key file"))
        #expect(try kms.keystore.slots().map(\.kind).count == 2)
    }

    @Test func `a recovery key is read however people type it`() throws {
        let kms = try TestKeystore()
        let shown = text(kms.recoveryKey)
        #expect(shown.split(separator: "-").map(\.count) == [6, 6, 6, 6, 6, 6])
        for typed in [
            shown.lowercased(), shown.replacingOccurrences(of: "-", with: " ") + "\n",
            shown.replacingOccurrences(of: "0", with: "O").replacingOccurrences(of: "1", with: "l"),
        ] { #expect(open(kms, .recoveryKey(secret(typed))) == nil) }
    }

    @Test func `typing errors are told from wrong recovery keys`() throws {
        let kms = try TestKeystore()
        let other = try TestKeystore()
        #expect(open(kms, .recoveryKey(other.recoveryKey)) == .wrongRecoveryKey(path: kms.path))
        let shown = Array(text(kms.recoveryKey).utf8)
        for index in shown.indices where shown[index] != UInt8(ascii: "-") {
            var typed = shown
            typed[index] = typed[index] == UInt8(ascii: "7") ? UInt8(ascii: "8") : UInt8(ascii: "7")
            #expect(open(kms, .recoveryKey(secret(typed))) == .mistypedRecoveryKey)
        }
        #expect(open(kms, .recoveryKey(secret(Array(shown.dropLast())))) == .mistypedRecoveryKey)
        #expect(open(kms, .recoveryKey(secret(""))) == .mistypedRecoveryKey)
    }

    @Test func `slots of every kind are added and removed, and the last one stays`() throws {
        let kms = try TestKeystore()
        let contents = Random.bytes(64)
        let added = try kms.keystore.addSlot(
            .keyFile(secret(contents)), label: "usb", as: kms.owner)
        let second = try kms.keystore.addSlot(
            .passphrase(secret("second")), label: "laptop", cost: TestKeystore.cost, as: kms.owner)
        let recovery = try kms.keystore.addSlot(.newRecoveryKey, label: "safe", as: kms.owner)
        #expect(added.newRecoveryKey == nil)
        let newText = try #require(recovery.newRecoveryKey)
        #expect(open(kms, .keyFile(secret(contents))) == nil)
        #expect(
            open(kms, .keyFile(secret(contents.reversed()))) == .wrongKeyFile(path: kms.path))
        #expect(open(kms, .passphrase(secret("second"))) == nil)
        #expect(open(kms, .recoveryKey(newText)) == nil)
        #expect(try kms.keystore.slots().map(\.label).contains("usb"))

        let all = try kms.keystore.slots()
        #expect(all.count == 5)
        for slot in all where slot.id != added.id {
            try kms.keystore.removeSlot(slot.id, as: kms.owner)
        }
        #expect(throws: KeystoreError.lastSlot(added.id)) {
            try kms.keystore.removeSlot(added.id, as: kms.owner)
        }
        #expect(throws: KeystoreError.noSuchSlot(second.id)) {
            try kms.keystore.removeSlot(second.id, as: kms.owner)
        }
        #expect(
            open(kms, .passphrase(secret(TestKeystore.passphrase)))
                == .noSlotOfKind(path: kms.path, kind: "passphrase"))
        #expect(open(kms, .keyFile(secret(contents))) == nil)
        _ = try kms.keystore.addSlot(
            .passphrase(secret("again")), label: "", cost: TestKeystore.cost, as: kms.owner)
        #expect(open(kms, .passphrase(secret("again"))) == nil)
    }

    @Test func `secrets that protect nothing are refused`() throws {
        let kms = try TestKeystore()
        #expect(throws: KeystoreError.emptyPassphrase) {
            try kms.keystore.addSlot(.passphrase(secret("")), label: "", as: kms.owner)
        }
        #expect(throws: KeystoreError.unusableKeyFile(sizeBytes: 31)) {
            try kms.keystore.addSlot(
                .keyFile(secret([UInt8](repeating: 1, count: 31))), label: "", as: kms.owner)
        }
        #expect(throws: KeystoreError.unusableKeyFile(sizeBytes: 1_048_577)) {
            try kms.keystore.addSlot(
                .keyFile(secret([UInt8](repeating: 1, count: 1_048_577))), label: "",
                as: kms.owner)
        }
    }

    @Test func `nothing is ever made over something`() throws {
        let kms = try TestKeystore()
        #expect(throws: KeystoreError.exists(path: kms.path)) {
            try Keystore.create(
                at: kms.path, scope: TestKeystore.scope, slots: secret("x"), clock: kms.clock,
                cost: TestKeystore.cost)
        }
        #expect(Keystore.isKeystore(at: kms.path))
        #expect(!Keystore.isKeystore(at: kms.place.path))
        #expect(try FileManager.default.contentsOfDirectory(atPath: kms.place.path) == ["keystore"])
    }

    @Test func `files are the owner's alone`() throws {
        let kms = try TestKeystore()
        _ = try kms.newKey()
        func mode(_ path: String) throws -> Int? {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            return (attributes[.posixPermissions] as? NSNumber)?.intValue
        }
        #expect(try mode(kms.path) == 0o700)
        #expect(try mode(kms.path + "/log") == 0o700)
        for name in try FileManager.default.contentsOfDirectory(atPath: kms.path)
        where name != "log" {
            #expect(try mode("\(kms.path)/\(name)") == 0o600)
        }
    }

    @Test func `no description shows a secret`() throws {
        let kms = try TestKeystore()
        let recovery = text(kms.recoveryKey)
        let slot = try kms.keystore.addSlot(.newRecoveryKey, label: "x", as: kms.owner)
        let newText = text(try #require(slot.newRecoveryKey))
        #expect(!"\(slot)".contains(newText))
        #expect(!"\(try kms.keystore.slots())".contains(recovery))
        #expect(
            !"\(UnlockMethod.passphrase(secret(TestKeystore.passphrase)))"
                .contains(TestKeystore.passphrase))
    }

    private func hold(_ kms: TestKeystore) -> KeystoreError? {
        do {
            try kms.keystore.holdInKernelKeyring(forSeconds: 60)
            return nil
        } catch {
            return error
        }
    }

    @Test func `the kernel holds the root key until it is dropped`() throws {
        let kms = try TestKeystore()
        if let failure = hold(kms) {
            // EPERM, ENOSYS, ENOKEY: a container without keyrings.
            guard case .system(let errno, _) = failure, [1, 38, 126].contains(errno.rawValue)
            else { throw failure }
            return
        }
        defer { try? Keystore.dropFromKernelKeyring(directory: kms.path) }
        #expect(open(kms, .kernelKeyring) == nil)
        try Keystore.dropFromKernelKeyring(directory: kms.path)
        #expect(open(kms, .kernelKeyring) == .locked(path: kms.path))
        try Keystore.dropFromKernelKeyring(directory: kms.path)
    }
}

@Suite struct BackupTests {
    let kms: TestKeystore
    let key: String
    let blob: [UInt8]
    var file: String { kms.place.path("backup") }
    var target: String { kms.place.path("restored") }

    init() throws {
        kms = try TestKeystore()
        key = try kms.newKey().arn.description
        try kms.service.createAlias("alias/a", target: key, as: kms.owner)
        blob = try kms.service.encrypt(
            secret("text"), under: key, context: .empty, as: kms.owner
        ).blob
    }

    private func restored() throws -> Keystore {
        try Keystore.open(
            at: target, unlocking: .passphrase(secret(TestKeystore.passphrase)), clock: kms.clock)
    }

    /// The backup's keystore, which opens what the first one has encrypted.
    private func restoredWhole() throws -> Keystore {
        try Keystore.restore(
            from: file, to: target,
            verifyingWith: .passphrase(secret(TestKeystore.passphrase)))
        let again = try restored()
        let opened = try again.service.decrypt(
            blob, under: "alias/a", context: .empty, as: kms.owner)
        #expect(text(opened.plaintext) == "text")
        return again
    }

    /// All of the log is in it.
    private func backUp(to file: String) throws {
        let missing = try kms.keystore.backup(to: file)
        #expect(missing.isEmpty)
    }

    @Test func `a restored keystore has the same keys, slots and log`() throws {
        try backUp(to: file)
        // Changes after the backup are not in it.
        try kms.service.deleteAlias("alias/a", as: kms.owner)
        let again = try restoredWhole()
        defer { again.close() }
        #expect(try again.slots() == kms.keystore.slots())
        #expect(again.scope == kms.keystore.scope)
        let report = try again.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
        var names: [String] = []
        try again.usageLog().forEach(.init()) { names.append($0.eventName) }
        #expect(names == ["CreateKey", "CreateAlias", "Encrypt", "Decrypt"])
        #expect(try kms.keystore.usageLogVerifier().verify().passes)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: kms.place.path).sorted()
                == ["backup", "keystore", "restored"])
    }

    @Test func `a log that has lost a file keeps no keys from being backed up`() throws {
        kms.keystore.close()
        let keystore = try kms.again()
        defer { keystore.close() }
        let lost = try #require(
            try FileManager.default.contentsOfDirectory(atPath: kms.path + "/log")
                .first { $0.hasSuffix(".kflog") })
        try FileManager.default.removeItem(atPath: kms.path + "/log/" + lost)
        let missing = try keystore.backup(to: file)
        #expect(missing == [.system(.noSuchFileOrDirectory, path: kms.path + "/log/" + lost)])
        let again = try restoredWhole()
        defer { again.close() }
        let report = try again.usageLogVerifier().verify()
        #expect(report.problems.map(\.file) == [lost])
    }

    @Test func `a backup while others write is consistent`() async throws {
        try await withThrowingTaskGroup { group in
            group.addTask {
                for _ in 0..<20 { _ = try kms.newKey() }
            }
            group.addTask {
                for number in 0..<5 { try backUp(to: "\(file)\(number)") }
            }
            try await group.waitForAll()
        }
        for number in 0..<5 {
            try Keystore.restore(from: "\(file)\(number)", to: "\(target)\(number)")
            let again = try Keystore.open(
                at: "\(target)\(number)",
                unlocking: .passphrase(secret(TestKeystore.passphrase)), clock: kms.clock)
            defer { again.close() }
            let report = try again.usageLogVerifier().verify()
            #expect(report.passes, "\(report.problems)")
        }
    }

    @Test func `nothing is overwritten by a backup or a restore`() throws {
        try backUp(to: file)
        #expect(throws: KeystoreError.exists(path: file)) { try kms.keystore.backup(to: file) }
        #expect(throws: KeystoreError.exists(path: kms.path)) {
            try Keystore.restore(from: file, to: kms.path)
        }
        let missing = KeystoreError.system(.noSuchFileOrDirectory, path: kms.place.path("none"))
        #expect(throws: missing) {
            try Keystore.restore(from: kms.place.path("none"), to: target)
        }
    }

    @Test func `a damaged backup restores nothing`() throws {
        try backUp(to: file)
        let whole = try Data(contentsOf: URL(fileURLWithPath: file))
        var damages: [Data] = [whole.dropLast(), whole + Data([0]), Data("KFBACKUP".utf8), Data()]
        for offset in stride(from: 0, to: whole.count, by: max(1, whole.count / 60)) {
            var damaged = whole
            damaged[offset] ^= 1
            damages.append(damaged)
        }
        for damaged in damages {
            try damaged.write(to: URL(fileURLWithPath: file))
            let failure = #expect(throws: KeystoreError.self) {
                try Keystore.restore(from: file, to: target)
            }
            switch failure {
            case .damagedBackup(let path, _), .unsupportedVersion(let path, _):
                #expect(path == file)
            default: Issue.record("a damaged backup gave \(String(describing: failure))")
            }
            #expect(!FileManager.default.fileExists(atPath: target))
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: kms.place.path).sorted()
                == ["backup", "keystore"])
    }
}
