import Cryptography
import Foundation
import KMSModel
import Platform
import Testing
import UsageLog

@testable import KMSCore
@testable import KMSStore

/// Events of changes whose process dies before it has logged them.
@Suite struct OutboxTests {
    /// A view whose log takes nothing any more, so that a change is made without its event.
    private static func mute(_ kms: TestKeystore) throws -> Keystore {
        let keystore = try kms.again()
        try #require(keystore.service as? EmbeddedKeyService).shared.log.close()
        return keystore
    }

    private static func events(_ name: String, _ kms: TestKeystore) throws -> [LoggedEvent] {
        try kms.events().filter { $0.eventName == name }
    }

    /// The ids of the events of DisableKey that have a place in the keystore.
    private static func waiting(_ kms: TestKeystore) throws -> [String] {
        try kms.keystore.store.snapshot().unlogged.values.compactMap(\.event)
            .filter { String(decoding: $0.json, as: UTF8.self).contains("DisableKey") }
            .map(\.eventID)
    }

    /// - Returns: the key that was disabled by a process that died then.
    private static func disableAndDie(_ kms: TestKeystore) throws -> String {
        let key = try kms.key()
        let other = try mute(kms)
        #expect(throws: KMSError.self) { try other.service.disableKey(key, as: kms.owner) }
        #expect(try kms.metadata(key).text(.keyState) == "Disabled")
        // While that process lives, the event is its own to log.
        try kms.again().close()
        #expect(try events("DisableKey", kms).isEmpty)
        #expect(try waiting(kms).count == 1)
        return key
    }

    @Test func `an event whose process died before logging it is logged by the next`() throws {
        let kms = try TestKeystore()
        let key = try Self.disableAndDie(kms)
        let event = try #require(Self.waiting(kms).first)
        let time = kms.clock.now()
        // Its time may lie long before the segment that it gets into.
        kms.clock.advance(days: 1)
        for _ in 0..<2 {
            try kms.again().close()
            let logged = try Self.events("DisableKey", kms)
            #expect(logged.map(\.eventID) == [event])
            #expect(logged.first?.keyARNs == [key])
            #expect(logged.first?.eventTime == time)
            #expect(logged.first?.principalARN == kms.owner.principalARN)
            #expect(try Self.waiting(kms).isEmpty)
        }
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
    }

    @Test func `the next change of a process that was there before logs it, too`() throws {
        let kms = try TestKeystore()
        let key = try Self.disableAndDie(kms)
        try kms.service.enableKey(key, as: kms.owner)
        let names = try kms.eventNames().filter { $0.hasSuffix("ableKey") }
        #expect(names == ["DisableKey", "EnableKey"])
    }

    @Test func `an event that was logged by a process that died is not logged again`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        func disableAndDie() throws {
            try kms.again().service.disableKey(key, as: kms.owner)
        }
        try disableAndDie()
        #expect(try Self.waiting(kms).count == 1)
        try kms.again().close()
        #expect(try Self.events("DisableKey", kms).count == 1)
        #expect(try Self.waiting(kms).isEmpty)
    }

    @Test func `an event is logged although the log is damaged somewhere`() throws {
        let kms = try TestKeystore()
        _ = try Self.disableAndDie(kms)
        let log = kms.path + "/log"
        let segments = try FileManager.default.contentsOfDirectory(atPath: log)
            .filter { $0.hasSuffix(".kflog") }.map { "\(log)/\($0)" }
        for segment in segments {
            var bytes = try #require(FileManager.default.contents(atPath: segment))
            bytes[bytes.count - 50] ^= 1
            try bytes.write(to: URL(filePath: segment))
        }
        #expect(throws: UsageLogError.self) { try kms.events() }
        try kms.again().close()
        #expect(try Self.waiting(kms).isEmpty)
    }

    @Test func `on a full disk the event waits, and nothing is changed before it is logged`() throws
    {
        let kms = try TestKeystore()
        let key = try Self.disableAndDie(kms)
        let scope = FaultScope(below: kms.path)
        defer { scope.end() }
        scope.arm(FaultScript(.error(.noSpace), at: 1, stays: true, only: .write))
        let next = try kms.again()
        defer { next.close() }
        for _ in 0..<2 {
            let error = #expect(throws: KMSError.self) {
                try next.service.enableKey(key, as: kms.owner)
            }
            #expect(error?.isOutOfSpace == true)
            #expect(try Self.waiting(kms).count == 1)
            #expect(try kms.metadata(key).text(.keyState) == "Disabled")
        }
        #expect(try Self.events("DisableKey", kms).isEmpty)
        #expect(scope.hasFired)
        scope.disarm()
        try next.service.enableKey(key, as: kms.owner)
        let names = try kms.eventNames().filter { $0.hasSuffix("ableKey") }
        #expect(names == ["DisableKey", "EnableKey"])
        #expect(try Self.waiting(kms).isEmpty)
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
    }

    @Test func `an event that did not get to the disk stays with its change`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        let scope = FaultScope(below: kms.path)
        defer { scope.end() }
        let next = try kms.again()
        // Its segment is open from here on.
        _ = try next.service.describeKey(key, as: kms.owner)
        scope.arm(FaultScript(.error(.ioError), at: 1, stays: true, only: .synchronize))
        try next.service.disableKey(key, as: kms.owner)
        next.close()
        #expect(scope.hasFired)
        scope.disarm()
        #expect(try Self.waiting(kms).count == 1)
        try kms.again().close()
        #expect(try Self.events("DisableKey", kms).count == 1)
        #expect(try Self.waiting(kms).isEmpty)
    }

    @Test func `events of the service itself are kept in the same way`() throws {
        let kms = try TestKeystore()
        let key = try kms.newKey(.pendingDeletion(at: kms.clock.now())).description
        func deleteAndDie() throws {
            let other = try Self.mute(kms)
            kms.waitForDeletion(days: 7)
            other.runDueWork()
        }
        try deleteAndDie()
        try kms.again().close()
        #expect(try Self.events("DeleteKey", kms).map(\.keyARNs) == [[key]])
    }

    /// The events that name a replica.
    private static func names(_ replica: String, _ kms: TestKeystore) throws -> [String] {
        try kms.events().filter { $0.keyARNs.contains(replica) }.map(\.eventName)
    }

    private static let replication = [
        "ReplicateKey", "CreateKey", "SynchronizeMultiRegionKey",
    ]

    @Test func `the events of other Regions are kept with the request's own, in their order`()
        throws
    {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = kms.sibling(of: key, in: "eu-west-1")
        func replicateAndDie() throws {
            let other = try Self.mute(kms)
            #expect(throws: KMSError.self) {
                try other.service.answer(.replicateKey, Self.asking(key), as: kms.owner)
            }
        }
        try replicateAndDie()
        #expect(try kms.state(replica, in: "eu-west-1") == "Enabled")
        #expect(try !Self.names(replica, kms).contains("ReplicateKey"))
        for _ in 0..<2 {
            try kms.again().close()
            let names = try Self.names(replica, kms).filter { $0 != "DescribeKey" }
            #expect(names == Self.replication)
        }
        let report = try kms.keystore.usageLogVerifier().verify()
        #expect(report.passes, "\(report.problems)")
    }

    private static func asking(_ key: String) -> Structure {
        Structure([.keyID: .text(key), .replicaRegion: .text("eu-west-1")])
    }

    @Test func `of a change's events those wait that the log did not take`() throws {
        let kms = try TestKeystore()
        let key = try kms.key(isMultiRegion: true)
        let replica = kms.sibling(of: key, in: "eu-west-1")
        let scope = FaultScope(below: kms.path)
        defer { scope.end() }
        let next = try kms.again()
        // Its segment is open from here on.
        _ = try next.service.describeKey(key, as: kms.owner)
        scope.arm(FaultScript(.error(.noSpace), at: 2, stays: true, only: .write))
        let error = #expect(throws: KMSError.self) {
            try next.service.answer(.replicateKey, Self.asking(key), as: kms.owner)
        }
        #expect(error?.isOutOfSpace == true)
        #expect(scope.hasFired)
        #expect(try Self.names(replica, kms) == ["ReplicateKey"])
        scope.disarm()
        _ = try next.service.describeKey(key, as: kms.owner)
        #expect(try Self.names(replica, kms) == Self.replication)
        next.close()
        let left = try kms.keystore.store.snapshot().unlogged.values.compactMap(\.event)
        #expect(!left.contains { String(decoding: $0.json, as: UTF8.self).contains(replica) })
    }

    @Test func `places are used again, and refused requests take none`() throws {
        let kms = try TestKeystore()
        let key = try kms.key()
        for _ in 0..<10 {
            try kms.service.disableKey(key, as: kms.owner)
            try kms.service.enableKey(key, as: kms.owner)
            _ = try? kms.service.disableKey("alias/none", as: kms.owner)
        }
        #expect(try kms.keystore.store.snapshot().unlogged.count == 1)
        let other = try kms.again()
        defer { other.close() }
        // The first place is still the other process's.
        try other.service.disableKey(key, as: kms.owner)
        #expect(try kms.keystore.store.snapshot().unlogged.count == 2)
    }
}
