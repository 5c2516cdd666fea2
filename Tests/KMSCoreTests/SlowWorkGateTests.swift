import Foundation
import KMSModel
import Synchronization
import Testing

@testable import KMSCore

import enum TestSupport.Deadline
import struct TestSupport.HostileLibrary

/// One token that hangs must not take all threads of a process.
@Suite struct SlowWorkGateTests {
    private static let limits = SlowWorkLimits(
        requests: 2, together: 3, waitMilliseconds: 100)
    private let start = ContinuousClock.now

    private func time(_ milliseconds: Int) -> ContinuousClock.Instant {
        start + .milliseconds(milliseconds)
    }

    private func enter(
        _ gate: inout SlowWorkGate, at milliseconds: Int
    ) throws -> SlowWorkGate.Ticket {
        let ticket = gate.enter(at: time(milliseconds))
        return try #require(ticket)
    }

    private func isFull(_ gate: SlowWorkGate, at milliseconds: Int) -> Bool {
        var copy = gate
        return copy.enter(at: time(milliseconds)) == nil
    }

    @Test func `as many as may go in, and others when one has come back`() throws {
        var gate = SlowWorkGate(Self.limits)
        let first = try enter(&gate, at: 0)
        let second = try enter(&gate, at: 0)
        #expect(isFull(gate, at: 1))
        gate.leave(first, at: time(2))
        let third = try enter(&gate, at: 2)
        #expect(isFull(gate, at: 2))
        gate.leave(third, at: time(3))
        gate.leave(second, at: time(3))
        #expect(!isFull(gate, at: 3))
    }

    @Test func `a token that is quick is worth waiting for, until it lets somebody wait`() throws {
        var gate = SlowWorkGate(Self.limits)
        let hanging = try enter(&gate, at: 0)
        var other = try enter(&gate, at: 50)
        #expect(gate.isWorthWaiting(at: time(120)))
        // As long as one of the two gets on, the other may hang.
        for round in 1...20 {
            gate.leave(other, at: time(50 * round + 40))
            other = try enter(&gate, at: 50 * round + 50)
            #expect(gate.isWorthWaiting(at: time(50 * round + 99)))
        }
        #expect(!gate.isWorthWaiting(at: time(1150)))
        // One came back after too long: the next ones may take as long, whenever they began.
        gate.leave(hanging, at: time(1200))
        let next = try enter(&gate, at: 1200)
        #expect(!gate.isWorthWaiting(at: time(1201)))
        gate.leave(next, at: time(1210))
        _ = try enter(&gate, at: 1210)
        #expect(gate.isWorthWaiting(at: time(1211)))
    }

    @Test func `few make keys of RSA at once, and other keys wait for nobody`() throws {
        let gates = SlowWorkGates(Self.limits)
        let hang = DispatchSemaphore(value: 0)
        let group = DispatchGroup()
        let inside = Atomic<Int>(0)
        for _ in 0..<2 {
            group.enter()
            Thread.detachNewThread {
                try? gates.make(.rsa4096) {
                    inside.add(1, ordering: .relaxed)
                    hang.wait()
                }
                group.leave()
            }
        }
        #expect(Deadline.wait(seconds: 30) { inside.load(ordering: .relaxed) == 2 })
        let error = #expect(throws: KMSError.self) { try gates.make(.rsa2048) {} }
        #expect(error?.code == .throttling)
        #expect(throws: Never.self) { try gates.make(.symmetricDefault) {} }
        for _ in 0..<2 { hang.signal() }
        group.wait()
        #expect(throws: Never.self) { try gates.make(.rsa2048) {} }
    }

    @Test func `several tokens that hang keep fewer threads than there are`() throws {
        let gates = SlowWorkGates(Self.limits)
        let hang = DispatchSemaphore(value: 0)
        let group = DispatchGroup()
        let inside = Atomic<Int>(0)
        for store in ["first", "first", "second"] {
            group.enter()
            Thread.detachNewThread {
                try? gates.pass(store) {
                    inside.add(1, ordering: .relaxed)
                    hang.wait()
                }
                group.leave()
            }
        }
        #expect(Deadline.wait(seconds: 30) { inside.load(ordering: .relaxed) == 3 })
        for store in ["first", "second", "third"] {
            let error = #expect(throws: KMSError.self) { try gates.pass(store) {} }
            #expect(error?.code == .throttling)
        }
        for _ in 0..<3 { hang.signal() }
        group.wait()
        #expect(throws: Never.self) { try gates.pass("third") {} }
    }

    /// Where threads wait without end the test fails, and ends.
    @Test func `a token that hangs keeps few threads, and the others go on`() throws {
        let kms = try TestKeystore()
        let library = try HostileLibrary(copiedTo: kms.place.path("hostile.so"))
        try CustomKeyStoreTests.connect(kms, to: library.path, password: HostileLibrary.pin)
        let keystore = try kms.again(Self.limits)
        defer { keystore.close() }
        let service = keystore.service
        let owner = kms.owner
        let drawing = CustomKeyStoreTests.store.with(.numberOfBytes, .number(8))
        let refusals = Refusals()
        let group = DispatchGroup()

        try library.set("generator waits")
        for _ in 0..<12 {
            group.enter()
            Thread.detachNewThread {
                refusals.add { () throws(KMSError) in
                    _ = try service.answer(.generateRandom, drawing, as: owner)
                }
                group.leave()
            }
        }
        let isBounded = try Deadline.wait(seconds: 30) {
            try library.count("waiting") == 2 && refusals.all.count == 10
        }
        let refused = refusals.all
        // Nobody waits for it any more, and what is not in the token is answered.
        let begin = ContinuousClock.now
        if isBounded {
            for _ in 0..<20 {
                refusals.add { () throws(KMSError) in
                    _ = try service.answer(
                        .connectCustomKeyStore, CustomKeyStoreTests.store, as: owner)
                }
            }
        }
        let took = ContinuousClock.now - begin
        let key = try service.createKey(CreateKeyRequest(), as: owner)
        try library.release()
        group.wait()

        #expect(isBounded)
        #expect(refused.allSatisfy { $0?.code == .throttling && $0?.kind == .unavailable })
        #expect(refusals.all.count { $0 == nil } == 2)
        #expect(refusals.all.count { $0?.code == .throttling } == 30)
        #expect(took < .milliseconds(20 * Self.limits.waitMilliseconds))
        #expect(key.state == .enabled)
        #expect(throws: Never.self) { try service.answer(.generateRandom, drawing, as: owner) }
    }
}

/// What came of requests in several threads: an error, or nil.
private final class Refusals: Sendable {
    private let outcomes = Mutex<[KMSError?]>([])

    var all: [KMSError?] { outcomes.withLock { $0 } }

    func add(_ body: () throws(KMSError) -> Void) {
        let outcome: KMSError?
        do throws(KMSError) {
            try body()
            outcome = nil
        } catch {
            outcome = error
        }
        outcomes.withLock { $0.append(outcome) }
    }
}
