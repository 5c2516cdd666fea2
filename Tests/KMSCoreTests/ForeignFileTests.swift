import KMSCore
import KMSModel
import KMSStore
import Platform
import TestSupport
import Testing
import UsageLog

/// What whoever stores a keystore can put in the place of its files.
@Suite struct ForeignFileTests {
    enum Kind: String, CaseIterable, Sendable { case link, secondName, fifo, directory }

    private static func put(_ kind: Kind, inPlaceOf path: String, leadingTo victim: String) throws {
        try Disk.unlink(path)
        switch kind {
        case .link: try Disk.symbolicLink(path, to: victim)
        case .secondName: try Disk.link(victim, path)
        case .fifo: try Disk.makeNode(path, mode: NodeType.fifo | 0o600)
        case .directory: try Disk.makeDirectory(path)
        }
    }

    private static func expectTampered(_ failure: KeystoreError?, _ kms: TestKeystore) {
        guard case .tampered(let path, _) = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        #expect(path == kms.path)
    }

    private static var method: UnlockMethod { .passphrase(secret(TestKeystore.passphrase)) }

    @Test(arguments: Kind.allCases)
    func `nothing is written through what lies in the place of commits`(_ kind: Kind) throws {
        let kms = try TestKeystore()
        kms.keystore.close()
        let victim = kms.place.path("victim")
        try Disk.write(victim, "precious")
        try Self.put(kind, inPlaceOf: kms.path + "/commits", leadingTo: victim)
        let failure = #expect(throws: KeystoreError.self) { try kms.again() }
        Self.expectTampered(failure, kms)
        #expect(try Disk.readText(victim) == "precious")
    }

    @Test(arguments: Kind.allCases)
    func `no lock is taken on what lies in the place of commits`(_ kind: Kind) throws {
        let kms = try TestKeystore()
        kms.keystore.close()
        let store = try KeystoreStore.open(at: kms.path, unlocking: Self.method)
        defer { store.close() }
        let victim = kms.place.path("victim")
        try Disk.write(victim, "precious")
        try Self.put(kind, inPlaceOf: kms.path + "/commits", leadingTo: victim)
        let failure = #expect(throws: KeystoreError.self) { try store.lockAsWriter() }
        Self.expectTampered(failure, kms)
    }

    /// The mapping of an empty file ends a process that looks at it.
    @Test(arguments: [0, 3] as [UInt64])
    func `commits that was cut is made whole again`(_ size: UInt64) throws {
        let kms = try TestKeystore()
        kms.keystore.close()
        try Disk.truncate(kms.path + "/commits", to: size)
        let again = try kms.again()
        defer { again.close() }
        _ = try again.service.createKey(CreateKeyRequest(), as: kms.owner)
        #expect(try Disk.size(kms.path + "/commits") == 8)
    }

    @Test(arguments: [Kind.link, .fifo, .directory])
    func `a backup takes nothing from elsewhere, and waits for nobody`(_ kind: Kind) throws {
        let kms = try TestKeystore()
        _ = try kms.newKey()
        kms.keystore.close()
        let name = try #require(try Disk.names(in: kms.path + "/log").first)
        let segment = kms.path + "/log/" + name.string
        let copy = kms.place.path("copy")
        try Disk.write(copy, try Disk.read(segment))
        try Self.put(kind, inPlaceOf: segment, leadingTo: copy)
        let store = try KeystoreStore.open(at: kms.path, unlocking: Self.method)
        defer { store.close() }
        let backup = kms.place.path("backup")
        let failure = #expect(throws: KeystoreError.self) {
            _ = try store.backup(to: backup) { SegmentID(bytes: $0.id)?.fileName ?? "" }
        }
        Self.expectTampered(failure, kms)
        #expect(!Disk.exists(backup))
    }

    @Test func `a keystore whose log lies elsewhere is not opened`() throws {
        let kms = try TestKeystore()
        kms.keystore.close()
        let elsewhere = kms.place.path("elsewhere")
        try Disk.rename(kms.path + "/log", elsewhere)
        try Disk.symbolicLink(kms.path + "/log", to: elsewhere)
        let failure = #expect(throws: KeystoreError.self) { try kms.again() }
        Self.expectTampered(failure, kms)
        #expect(try Disk.names(in: elsewhere).isEmpty)
    }
}
