import Cryptography
import Foundation
import KMSModel
import Testing

@testable import KMSCore
@testable import KMSStore

/// Processes that die at any moment of an operation that changes something: it is done and logged,
/// or it is neither, and the keystore and its log verify.
@Suite struct CrashTests {
    private static let variable = "KEYFOLD_TEST_CRASH_OF_CHILD"

    /// Runs in a process of its own, started and killed by the test below.
    @Test(.enabled(if: ProcessInfo.processInfo.environment[variable] != nil))
    func `child that changes a keystore until it is killed`() throws {
        let path = try #require(ProcessInfo.processInfo.environment[Self.variable])
        let keystore = try Keystore.open(
            at: path, unlocking: .passphrase(secret(TestKeystore.passphrase)),
            clock: SystemWallClock())
        let owner = Caller(
            principalARN: keystore.ownerPrincipalARN, process: nil, userAgent: "child")
        var number = 0
        while true {
            number += 1
            try Self.round(keystore, owner, number)
            FileHandle.standardOutput.write(Data("\(number)\n".utf8))
        }
    }

    /// One of everything that changes something. The description holds the round's number twice,
    /// and the tags hold it once more.
    private static func round(_ keystore: Keystore, _ owner: Caller, _ number: Int) throws {
        let service = keystore.service
        let made = try service.answer(
            .createKey,
            Structure([
                .multiRegion: .flag(true), .description: .text("\(number) \(number)"),
                .tags: .tags([Tag(key: "round", value: "\(number)")]),
            ]), as: owner)
        let key = try #require(made.structure(.keyMetadata)?.text(.arn))
        let id = Structure([.keyID: .text(key)])
        func ask(_ operation: KMSOperation, _ input: Structure) throws {
            _ = try service.answer(operation, input, as: owner)
        }
        try ask(
            .createAlias,
            Structure([.aliasName: .text("alias/r\(number)"), .targetKeyID: .text(key)]))
        try ask(.createGrant, StateTableTests.granting.with(.keyID, .text(key)))
        try ask(.replicateKey, id.with(.replicaRegion, .text("eu-west-1")))
        try ask(.rotateKeyOnDemand, id)
        try ask(.enableKeyRotation, id)
        try ask(.updatePrimaryRegion, id.with(.primaryRegion, .text("eu-west-1")))
        try ask(.putKeyPolicy, id.with(.policy, .text(StateTableTests.ownersPolicy)))
        _ = try keystore.createPrincipal(NewAccessKey(name: "user\(number)"), as: owner)
        try ask(.disableKey, id)
        try ask(.scheduleKeyDeletion, id)
    }

    @Test(arguments: 0..<12)
    func `a process that is killed leaves each change done or not done`(_ round: Int) throws {
        let kms = try TestKeystore()
        let child = Process()
        let own = try #require(FileManager.default.contents(atPath: "/proc/self/cmdline"))
            .split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        child.executableURL = URL(fileURLWithPath: "/proc/\(getpid())/exe")
        child.arguments =
            (own.contains("--testing-library") ? ["--testing-library", "swift-testing"] : [])
            + ["--filter", "child that changes a keystore until it is killed"]
        child.environment = ProcessInfo.processInfo.environment.merging(
            [Self.variable: kms.path]
        ) { $1 }
        let output = Pipe()
        child.standardOutput = output
        child.standardError = FileHandle.nullDevice
        try child.run()
        // Some rounds whole, then a moment inside the next one.
        var lines = 0
        while lines <= round % 3 {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { break }
            lines += more.count { $0 == UInt8(ascii: "\n") }
        }
        usleep(UInt32(round * 1300))
        kill(child.processIdentifier, SIGKILL)
        child.waitUntilExit()
        #expect(child.terminationReason == .uncaughtSignal)
        try expectWhole(kms)
    }

    private func expectWhole(_ kms: TestKeystore) throws {
        // Opening verifies every record against the manifest.
        let again = try kms.again()
        defer { again.close() }
        let keys = try again.service.listKeys(PageRequest(limit: 1000), as: kms.owner).elements
        for key in keys {
            let name = key.description
            let metadata = try kms.metadata(name)
            guard metadata.text(.keyManager) == "CUSTOMER" else { continue }
            let words = (metadata.text(.description) ?? "").split(separator: " ")
            #expect(words.count == 2 && words.first == words.last)
            let tags = try kms.ask(.listResourceTags, Structure([.keyID: .text(name)]))
            #expect(tags.structures(.tags).first?.text(.tagValue) == words.first.map(String.init))
            // One of the siblings is the primary key, and both have the same versions.
            let view = try #require(metadata.structure(.multiRegionConfiguration))
            guard !view.structures(.replicaKeys).isEmpty else { continue }
            let sibling = kms.sibling(of: name, in: "eu-west-1")
            let other = try kms.metadata(sibling, in: "eu-west-1")
            #expect(
                other.structure(.multiRegionConfiguration)?.structure(.primaryKey)?.text(.arn)
                    == view.structure(.primaryKey)?.text(.arn))
            #expect(other[.currentKeyMaterialID] != nil)
            #expect(
                other.text(.currentKeyMaterialID) == metadata.text(.currentKeyMaterialID))
        }
        try expectLogged(kms)
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
        // And the keystore goes on.
        _ = try kms.key()
    }

    /// Every change has its event, once, and no event is without its change.
    private func expectLogged(_ kms: TestKeystore) throws {
        var logged: [String: [String]] = [:]
        for event in try kms.events() where event.errorCode == nil {
            logged[event.eventName, default: []] += event.keyARNs.prefix(1)
        }
        var made: [String: [String]] = [:]
        for region in try kms.keystore.store.snapshot().regions.values {
            for entry in region.keys.values where entry.record.manager == .customer {
                let key = entry.arnText
                made["CreateKey", default: []].append(key)
                if entry.record.region == "eu-west-1" {
                    let siblings = try kms.keystore.store.snapshot().siblings(of: entry.record.id)
                    // Once when it was made, and for each rotation and the schedule.
                    let count =
                        entry.materials.count
                        + siblings.count { $0.record.rotation != nil }
                    made["SynchronizeMultiRegionKey", default: []] +=
                        Array(repeating: key, count: count)
                }
                if entry.record.state.awaitsDeletion {
                    made["ScheduleKeyDeletion", default: []].append(key)
                }
            }
            for alias in region.aliases.values where !alias.name.isReserved {
                made["CreateAlias", default: []].append(alias.name.arn(in: region.scope))
            }
        }
        for name in [
            "CreateKey", "SynchronizeMultiRegionKey", "CreateAlias", "ScheduleKeyDeletion",
        ] {
            #expect(logged[name, default: []].sorted() == made[name, default: []].sorted())
        }
    }

    @Test func `a full disk is an error, and nothing is half written`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let database = kms.keystore.store.database
        func limit(_ pages: Int64) throws {
            try database.transaction { connection throws(KeystoreError) in
                _ = try connection.rows("PRAGMA max_page_count = \(pages)")
            }
        }
        // SQLite lifts the limit to what is there already.
        try limit(1)
        let large = PolicyTexts.document(
            (0..<100).map {
                PolicyTexts.statement(
                    ["root"], ["kms:*"],
                    condition: "{\"StringEquals\": {\"aws:UserAgent\": \"\($0)\"}}")
            }
                + [PolicyTexts.statement(["root"], ["kms:*"])])
        var refusal: KMSError?
        var made: [String] = []
        while refusal == nil, made.count < 100 {
            let request = Structure([.policy: .text(large), .description: .text("whole")])
            do {
                made.append(
                    try #require(
                        try kms.ask(.createKey, request).structure(.keyMetadata)?.text(.arn)))
            } catch let error as KMSError {
                refusal = error
            }
        }
        #expect(refusal?.code == .internalFailure)
        #expect(refusal?.message.hasPrefix("no space left for ") == true)
        func keys(_ keystore: Keystore) throws -> Set<String> {
            Set(
                try keystore.service.listKeys(PageRequest(limit: 1000), as: kms.owner).elements
                    .map(\.description)
            ).subtracting([key])
        }
        let left = try keys(kms.keystore)
        #expect(left.isSuperset(of: made) && left.count == made.count + 1)
        let again = try kms.again()
        #expect(try keys(again) == left)
        again.close()
        // Reading and using keys goes on, and so does changing them once there is room.
        #expect(
            try kms.refusal(
                .encrypt, Structure([.keyID: .text(key), .plaintext: .secret(secret("x"))])) == nil)
        try limit(1_000_000)
        _ = try kms.ask(.createKey, Structure([.policy: .text(large)]))
        let last = try kms.again()
        #expect(try keys(last).count == left.count + 1)
        last.close()
    }

    @Test func `views see each other's grants, policies and principals at the next operation`()
        throws
    {
        let kms = try TestKeystore()
        let other = try kms.again()
        defer { other.close() }
        let key = try kms.key()
        let bob = kms.user("bob")
        func mayDescribe() -> Bool {
            (try? other.service.describeKey(key, as: bob)) != nil
        }
        #expect(try other.accessKey(id: "AKIAABCDEFGHIJKLMNOP") == nil)
        _ = try kms.keystore.createPrincipal(
            NewAccessKey(name: "bob", accessKeyID: "AKIAABCDEFGHIJKLMNOP"), as: kms.owner)
        #expect(
            try other.accessKey(id: "AKIAABCDEFGHIJKLMNOP")?.principalARN == bob.principalARN)
        for _ in 0..<10 {
            #expect(!mayDescribe())
            let grant = try kms.ask(
                .createGrant,
                StateTableTests.granting.with(.keyID, .text(key))
                    .with(.granteePrincipal, .text(bob.principalARN)))
            #expect(mayDescribe())
            try kms.ask(
                .revokeGrant, Structure([.keyID: .text(key), .grantID: grant[.grantID]]))
            #expect(!mayDescribe())
            try kms.ask(
                .putKeyPolicy,
                Structure([
                    .keyID: .text(key), .policy: .text(PolicyTexts.everything(to: ["bob"])),
                ]))
            #expect(mayDescribe())
            try kms.ask(
                .putKeyPolicy,
                Structure([.keyID: .text(key), .policy: .text(StateTableTests.ownersPolicy)]))
        }
        try kms.keystore.deletePrincipal(name: "bob", as: kms.owner)
        #expect(try other.accessKey(id: "AKIAABCDEFGHIJKLMNOP") == nil)
    }
}
