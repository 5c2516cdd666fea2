import Testing

@testable import Mount

/// What the threads of a pool may do, in any order, and what must hold after each of their steps.
private struct PoolModel {
    enum Life: Hashable {
        /// Its thread is being made.
        case starting
        case reading
        case busy
        case resting
        /// Its thread is about to end.
        case leaving
        case gone
    }

    enum Step: Hashable {
        case starts(Int)
        case failsToStart(Int)
        case receives(Int, handsOn: Bool)
        case comesBack(Int)
        case tick
        case end
        /// Told to, or a reader that sees that the mount is gone.
        case leaves(Int)
    }

    /// Few, so that short orders of steps reach them.
    static let limits = WorkerRoles.Limits(workers: 4, resting: 1)

    private(set) var roles = WorkerRoles(PoolModel.limits)
    private(set) var lives: [Life] = [.reading]
    /// Those who left, or whose threads could not be made.
    private var free: Set<Int> = []
    /// How many were told that they were the last.
    private(set) var lastCount = 0

    var possibleSteps: [Step] {
        var steps: [Step] = roles.isEnding ? [.tick] : [.tick, .end]
        for (worker, life) in lives.enumerated() {
            switch life {
            case .starting: steps += [.starts(worker), .failsToStart(worker)]
            case .reading where roles.isEnding: steps.append(.leaves(worker))
            case .reading:
                steps += [.receives(worker, handsOn: false), .receives(worker, handsOn: true)]
            case .busy: steps.append(.comesBack(worker))
            case .leaving: steps.append(.leaves(worker))
            case .resting, .gone: break
            }
        }
        return steps
    }

    mutating func take(_ step: Step) {
        switch step {
        case .starts(let worker): lives[worker] = .reading
        case .failsToStart(let worker):
            lives[worker] = .gone
            free.insert(worker)
            let answer = roles.couldNotStart(worker)
            if answer.wasLast { lastCount += 1 }
            carryOut(answer.handOver)
        case .receives(let worker, let handsOn):
            lives[worker] = .busy
            carryOut(roles.received(by: worker, handsOn: handsOn).handOver)
        case .comesBack(let worker):
            switch roles.cameBack(worker) {
            case .read: lives[worker] = .reading
            case .rest: lives[worker] = .resting
            case .leave: lives[worker] = .leaving
            }
        case .tick: carryOut(roles.tick().handOver)
        case .end: for worker in roles.end() { leave(worker) }
        case .leaves(let worker): leave(worker)
        }
    }

    private mutating func carryOut(_ handOver: WorkerRoles.HandOver) {
        switch handOver {
        case .none: break
        case .wake(let worker): lives[worker] = roles.isEnding ? .gone : .reading
        case .start(let worker):
            if worker < lives.count {
                let isFree = free.remove(worker) != nil
                precondition(isFree, "a worker's number was given twice")
                lives[worker] = .starting
            } else {
                precondition(worker == lives.count, "a worker's number was left out")
                lives.append(.starting)
            }
        }
    }

    private mutating func leave(_ worker: Int) {
        lives[worker] = .gone
        free.insert(worker)
        if roles.left(worker) { lastCount += 1 }
    }

    /// The invariant that is broken; nil when all hold.
    var brokenInvariant: String? {
        let resting = lives.indices.filter { lives[$0] == .resting }
        let readers = lives.indices.filter { lives[$0] == .reading || lives[$0] == .starting }
        let alive = lives.count { $0 != .gone }
        if lives.count > Self.limits.workers { return "there are too many workers" }
        if resting.count > Self.limits.resting { return "too many workers rest" }
        if roles.aliveCount != alive { return "the living are miscounted" }
        if lastCount != (alive == 0 ? 1 : 0) { return "the end is told \(lastCount) times" }
        if roles.resting.sorted() != resting { return "a resting worker is lost" }
        if readers.count > 1 { return "two workers read" }
        guard !roles.isEnding else { return nil }
        switch roles.reader {
        case .waiting(let worker):
            return readers == [worker] ? nil : "the role is with somebody who does not read"
        case .working(let worker):
            return readers.isEmpty && lives[worker] == .busy
                ? nil : "the role is with somebody who does not work"
        case .vacant:
            if !readers.isEmpty { return "somebody reads without the role" }
            if !resting.isEmpty { return "somebody rests while nobody reads" }
            return lives.contains(.busy) ? nil : "nobody will ever read"
        }
    }
}

struct WorkerRolesExploration {
    @Test func `every order of the first eight steps keeps the invariants`() {
        var count = 0
        let failure = explore(PoolModel(), depth: 8, path: [], &count)
        #expect(failure == nil)
        #expect(count > 10_000)
    }

    @Test(arguments: 0..<64)
    func `a long random life keeps the invariants and ends`(_ seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        var model = PoolModel()
        for _ in 0..<2_000 {
            let steps = model.possibleSteps.filter { $0 != .end }
            model.take(try #require(steps.randomElement(using: &random)))
            try #require(model.brokenInvariant == nil)
        }
        model.take(.end)
        try #require(model.brokenInvariant == nil)
        while let step = model.possibleSteps.filter({ $0 != .tick }).randomElement(using: &random) {
            model.take(step)
            try #require(model.brokenInvariant == nil)
        }
        #expect(model.roles.aliveCount == 0)
        #expect(model.lastCount == 1)
    }

    /// - Returns: the first path to a broken invariant, with its name.
    private func explore(
        _ model: PoolModel, depth: Int, path: [PoolModel.Step], _ count: inout Int
    ) -> String? {
        count += 1
        if let broken = model.brokenInvariant { return "\(broken) after \(path)" }
        guard depth > 0 else { return nil }
        for step in model.possibleSteps {
            var next = model
            next.take(step)
            let failure = explore(next, depth: depth - 1, path: path + [step], &count)
            if let failure { return failure }
        }
        return nil
    }
}

/// SplitMix64: random numbers that a seed repeats.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
