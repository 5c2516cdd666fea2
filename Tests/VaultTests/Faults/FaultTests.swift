import KMSModel
import Platform
import TestSupport
import Testing

@testable import Vault

/// Every call to the store fails once, for every operation: the mount then shows the state before
/// or after it, goes on working, and loses nothing that was promised.
@Suite
struct FaultTests {
    /// With `KEYFOLD_FAULTS=long` all of them, else those that stand for the others.
    static let isLong = Environment["KEYFOLD_FAULTS"] == "long"

    enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case eio, enospc, edquot, estale, eintr, short
        case eioFromThenOn, enospcFromThenOn

        var testDescription: String { rawValue }

        func script(_ number: Int) -> FaultScript {
            switch self {
            case .eio: FaultScript(.error(.ioError), at: number)
            case .enospc: FaultScript(.error(.noSpace), at: number)
            case .edquot: FaultScript(.error(.quotaExceeded), at: number)
            case .estale: FaultScript(.error(.staleFileHandle), at: number)
            case .eintr: FaultScript(.interruption, at: number)
            case .short: FaultScript(.shortTransfer, at: number)
            case .eioFromThenOn: FaultScript(.error(.ioError), at: number, stays: true)
            case .enospcFromThenOn: FaultScript(.error(.noSpace), at: number, stays: true)
            }
        }

        /// The operation must not even notice.
        var isHarmless: Bool { self == .eintr || self == .short }

        /// In the short form every call fails with EIO, and every third with each of the others.
        var step: Int { FaultTests.isLong || self == .eio ? 1 : 3 }

        static var used: [Kind] {
            FaultTests.isLong ? allCases : [.eio, .enospc, .estale, .eintr, .short]
        }
    }

    /// A filter for the search of one failure: `KEYFOLD_FAULTS_ONLY=punch`.
    static let chosen = FaultOperation.all.filter { operation in
        guard let only = Environment["KEYFOLD_FAULTS_ONLY"] else { return true }
        return operation.name == only
    }

    @Test(arguments: chosen)
    func `an operation that meets a fault happens or does not`(_ operation: FaultOperation) throws {
        try FaultBench.with { bench in
            let trial = try FaultTrial(operation, bench)
            for kind in Kind.used {
                var number = 1
                while try trial.run(kind, number) { number += kind.step }
                #expect(number < 2000)
            }
        }
    }

    @Test(arguments: chosen.filter { $0.effect != .none && !$0.isTornByCrash })
    func `an operation whose process dies happens or does not`(_ operation: FaultOperation) throws {
        try FaultBench.with { bench in
            let trial = try FaultTrial(operation, bench)
            var number = 1
            while try trial.runKilled(number) { number += 1 }
            #expect(number < 2000)
        }
    }

    @Test(arguments: chosen)
    func `an operation whose key service fails happens or does not`(
        _ operation: FaultOperation
    ) throws {
        try FaultBench.with { bench in
            let trial = try FaultTrial(operation, bench)
            for mishap in [KMSError.keyUnavailable("away"), .disabled("off")] {
                var number = 1
                while try trial.runWithoutKeys(mishap, number) { number += 1 }
                #expect(number < 100)
                if operation.name.hasPrefix("create") { #expect(number > 1) }
            }
        }
    }
}

/// One operation, again and again on fresh copies of the vault.
struct FaultTrial {
    let operation: FaultOperation
    let bench: FaultBench
    /// What a mount shows before and behind the operation.
    private let shown: [FaultSnapshot]
    /// The same after a crash at that moment.
    private let left: [FaultSnapshot]
    private let limits: [FaultSnapshot]

    init(_ operation: FaultOperation, _ bench: FaultBench) throws {
        self.operation = operation
        self.bench = bench
        var shown: [FaultSnapshot] = []
        var left: [FaultSnapshot] = []
        for isRun in [false, true] {
            let copy = try bench.copy()
            let actor = FaultActor(vault: try FaultBench.open(copy))
            try operation.prepare(actor)
            if isRun { try operation.run(actor) }
            let crashed = try bench.copy(of: copy)
            shown.append(try .take(actor.vault))
            actor.vault.close()
            if !operation.isTornByCrash { left.append(try Self.remounted(crashed)) }
            bench.discard(copy)
            bench.discard(crashed)
        }
        self.shown = shown
        self.left = left
        if let limit = operation.limit {
            var stopped = left[1]
            limit(&stopped)
            limits = [stopped]
        } else {
            limits = []
        }
    }

    private static func remounted(_ copy: VaultWorkbench) throws -> FaultSnapshot {
        let vault = try FaultBench.open(copy)
        defer { vault.close() }
        return try .take(vault)
    }

    private var isMixed: Bool { operation.effect == .blocks }

    private struct Attempt {
        let copy: VaultWorkbench
        let actor: FaultActor
        let scope: FaultScope
        let failure: (any Error)?
    }

    /// - Returns: nil when the operation makes fewer calls than that; no fault came then.
    private func attempt(_ script: FaultScript) throws -> Attempt? {
        let copy = try bench.copy()
        let scope = FaultScope(below: copy.directory)
        let actor = FaultActor(vault: try FaultBench.open(copy))
        try operation.prepare(actor)
        scope.arm(script)
        var failure: (any Error)?
        do { try operation.run(actor) } catch { failure = error }
        guard scope.hasFired else {
            scope.end()
            actor.vault.close()
            bench.discard(copy)
            return nil
        }
        return Attempt(copy: copy, actor: actor, scope: scope, failure: failure)
    }

    // MARK: The key service fails

    /// Its Nth call since the preparation is refused.
    func runWithoutKeys(_ mishap: KMSError, _ number: Int) throws -> Bool {
        let copy = try bench.copy()
        defer { bench.discard(copy) }
        let actor = FaultActor(vault: try FaultBench.open(copy))
        defer { actor.vault.close() }
        try operation.prepare(actor)
        bench.template.service.state.withLock { state in
            state.mishap = mishap
            state.callsBeforeMishap = number - 1
        }
        var failure: (any Error)?
        do { try operation.run(actor) } catch { failure = error }
        let hasFired = bench.template.service.state.withLock { state in
            defer { state.callsBeforeMishap = nil }
            return state.callsBeforeMishap == nil
        }
        guard hasFired else { return false }
        let place = "\(operation.name), no key at \(number)"
        #expect(!(failure is FaultOperation.WrongContent), "\(place)")
        let wanted = failure == nil ? [shown[1]] : shown
        let now = try FaultSnapshot.take(actor.vault)
        if let difference = now.difference(from: wanted, isMixed: isMixed && wanted.count > 1) {
            Issue.record("\(place): \(failure.map { "\($0)" } ?? "done"): \(difference)")
        }
        let crashed = try bench.copy(of: copy)
        defer { bench.discard(crashed) }
        try goOn(actor, place)
        if !operation.isTornByCrash {
            judgeCrash(crashed, hasSucceeded: failure == nil, place)
        }
        return true
    }

    // MARK: The process goes on

    func run(_ kind: FaultTests.Kind, _ number: Int) throws -> Bool {
        guard let attempt = try attempt(kind.script(number)) else { return false }
        attempt.scope.disarm()
        let place = "\(operation.name), \(kind.rawValue) at \(number)"
        do {
            try judge(
                attempt, kind, place)
        } catch {
            Issue.record("\(place): \(error)")
            attempt.actor.vault.close()
        }
        attempt.scope.end()
        bench.discard(attempt.copy)
        return true
    }

    private func judge(
        _ attempt: Attempt, _ kind: FaultTests.Kind, _ place: String
    ) throws {
        let (actor, copy) = (attempt.actor, attempt.copy)
        if kind.isHarmless, let failure = attempt.failure {
            Issue.record("\(place): \(failure)")
        }
        #expect(!(attempt.failure is FaultOperation.WrongContent), "\(place)")
        let now = try FaultSnapshot.take(actor.vault)
        let wanted =
            attempt.failure == nil ? [shown[1]] : shown + (kind.script(1).stays ? limits : [])
        if let difference = now.difference(from: wanted, isMixed: isMixed && wanted.count > 1) {
            Issue.record(
                "\(place): shown, \(attempt.failure.map { "\($0)" } ?? "done"): \(difference)")
        }
        guard FaultTests.isLong || kind == .eio else {
            try goOn(actor, place)
            return actor.vault.close()
        }
        let crashed = try bench.copy(of: copy)
        defer { bench.discard(crashed) }
        try goOn(actor, place)
        let last = try FaultSnapshot.take(actor.vault)
        let later = try bench.copy(of: copy)
        defer { bench.discard(later) }
        actor.vault.close()
        if !operation.isTornByCrash {
            judgeCrash(crashed, hasSucceeded: attempt.failure == nil, place)
        }
        let found = try Self.remounted(later)
        for path in ["witness", "file"] {
            if let odd = Self.difference(found.nodes[path]?.content, last.nodes[path]?.content) {
                Issue.record("\(place): \(path) was synced, and after a crash \(odd)")
            }
        }
        #expect(try FaultBench.damage(in: copy) == [], "\(place): after the unmount")
        if let difference = try Self.remounted(copy).difference(from: [last], isMixed: false) {
            Issue.record("\(place): after the unmount: \(difference)")
        }
    }

    private static func difference(_ found: [UInt8]?, _ wanted: [UInt8]?) -> String? {
        guard found != wanted else { return nil }
        guard let found, let wanted else { return "it is \(found == nil ? "gone" : "back")" }
        let first = zip(found, wanted).enumerated().first { $0.element.0 != $0.element.1 }
        return "it has \(found.count) bytes, not \(wanted.count), and differs from "
            + "\(first.map { "\($0.offset)" } ?? "there") on"
    }

    /// The mount works: new files and old ones are written and synced, what failed is told once.
    private func goOn(_ actor: FaultActor, _ place: String) throws {
        let next = FaultActor(vault: actor.vault)
        try next.create("witness")
        try next.write("witness", pattern(7000, seed: 71), at: 0)
        try next.sync("witness")
        try next.release("witness")
        guard let mode = (try? next.lookup("file"))?.attributes.mode, mode & 0o170000 == 0o100000
        else { return }
        let size = try next.lookup("file").attributes.sizeBytes
        try next.write("file", pattern(700, seed: 72), at: size / 2)
        try next.sync("file")
        if let handle = try? actor.handle("file") {
            // It has been open all the time, so it may hear of the fault, but only once.
            do { try actor.vault.synchronize(handle, dataOnly: false) } catch {}
            do {
                try actor.vault.synchronize(handle, dataOnly: false)
            } catch {
                Issue.record("\(place): told again: \(error)")
            }
        }
        try next.release("file")
    }

    // MARK: The process dies

    /// No call changes the store from number N on, and then the process is gone.
    func runKilled(_ number: Int) throws -> Bool {
        let script = FaultScript(.error(.ioError), at: number, stays: true)
        guard let attempt = try attempt(script) else { return false }
        let place = "\(operation.name), killed at \(number)"
        do {
            let crashed = try bench.copy(of: attempt.copy)
            judgeCrash(crashed, hasSucceeded: false, place)
            bench.discard(crashed)
        } catch {
            Issue.record("\(place): \(error)")
        }
        attempt.scope.end()
        attempt.actor.vault.close()
        bench.discard(attempt.copy)
        return true
    }

    private func judgeCrash(_ crashed: VaultWorkbench, hasSucceeded: Bool, _ place: String) {
        do {
            let found = try Self.remounted(crashed)
            let wanted = hasSucceeded && operation.promises ? [left[1]] : left + shown + limits
            if let difference = found.difference(from: wanted, isMixed: isMixed && wanted.count > 1)
            {
                Issue.record("\(place): after a crash: \(difference)")
            }
            guard FaultTests.isLong else { return }
            #expect(try FaultBench.damage(in: crashed) == [], "\(place): after a crash")
        } catch {
            Issue.record("\(place): after a crash: \(error)")
        }
    }
}
