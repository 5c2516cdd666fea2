import Foundation
import KMSModel
import Platform
import Synchronization
import Testing

@testable import KMSCore
@testable import KMSStore

import enum TestSupport.Deadline

/// When a thread that must not wait may answer by itself. It asks before it knows who wants what.
@Suite struct AtOnceTests {
    private let kms: TestKeystore

    init() throws {
        kms = try TestKeystore()
    }

    /// Whether requests come to the end of what is to be done before the next one.
    private func becomesQuiet() throws -> Bool {
        try Deadline.wait(seconds: 10) {
            try kms.ask(.listKeys)
            return kms.keystore.answersAtOnce
        }
    }

    @Test func `requests are answered at once while nothing changes`() throws {
        // The log has no segment yet.
        #expect(!kms.keystore.answersAtOnce)
        #expect(try becomesQuiet())
    }

    @Test func `a commit that is under way, and one that was made, are to be looked at first`()
        throws
    {
        #expect(try becomesQuiet())
        let commits = try SharedWord(
            Descriptor.open(path: kms.path + "/commits", OpenFlag.readWrite))
        commits.add(1 << 32)
        #expect(!kms.keystore.answersAtOnce)
        commits.add(1)
        #expect(!kms.keystore.answersAtOnce)
        #expect(try becomesQuiet())
    }

    @Test func `a key that is due to be deleted is deleted first`() throws {
        let key = try kms.key()
        try kms.ask(
            .scheduleKeyDeletion,
            Structure([.keyID: .text(key), .pendingWindowInDays: .number(7)]))
        #expect(try becomesQuiet())
        kms.clock.advance(days: 8)
        #expect(!kms.keystore.answersAtOnce)
        #expect(try becomesQuiet())
    }

    @Test func `an access key that nobody has is told at once, unless the state is not known`()
        throws
    {
        let user = try kms.keystore.createPrincipal(
            NewAccessKey(name: "alice"), as: kms.owner)
        let stranger = "AKIAUNKNOWNUNKNOWN00"
        let isTold = try Deadline.wait(seconds: 10) {
            try kms.ask(.listKeys)
            return kms.keystore.lacksAccessKey(id: stranger)
        }
        #expect(isTold)
        #expect(!kms.keystore.lacksAccessKey(id: user.principal.accessKeyID))
        let commits = try SharedWord(
            Descriptor.open(path: kms.path + "/commits", OpenFlag.readWrite))
        commits.add(1 << 32)
        #expect(!kms.keystore.lacksAccessKey(id: stranger))
        commits.add(1)
    }

    @Test func `with keys in tokens nothing is answered at once`() throws {
        #expect(try becomesQuiet())
        _ = try kms.unavailableKey()
        try kms.ask(.listKeys)
        #expect(try kms.keystore.store.snapshot().hasKeyStores)
        #expect(!kms.keystore.answersAtOnce)
    }

    @Test func `who asks does not wait for those who wait for another process`() throws {
        #expect(try becomesQuiet())
        let store = kms.keystore.store
        let other = try kms.again()
        let isHeld = Atomic(false)
        let mayEnd = Atomic(false)
        let threads = DispatchGroup()
        defer {
            mayEnd.store(true, ordering: .relaxed)
            threads.wait()
            other.close()
        }
        DispatchQueue.global().async(group: threads) {
            _ = try? other.store.change { _, _ throws(Never) in
                isHeld.store(true, ordering: .relaxed)
                _ = Deadline.wait(seconds: 25) { mayEnd.load(ordering: .relaxed) }
            }
        }
        #expect(Deadline.wait(seconds: 10) { isHeld.load(ordering: .relaxed) })
        DispatchQueue.global().async(group: threads) {
            _ = try? store.change { _, _ throws(Never) in }
        }
        #expect(Deadline.wait(seconds: 10) { store.working.withLockIfAvailable { _ in } == nil })
        // The snapshot is good for a second, and then nobody can read a new one.
        #expect(Deadline.wait(seconds: 10) { !kms.keystore.answersAtOnce })
        #expect(store.quietSnapshot == nil)
    }
}
