import Testing

@testable import Mount

/// Single situations; `WorkerRolesExploration` goes through all of them.
struct WorkerRolesTests {
    @Test func `the first worker is born as the reader`() {
        let roles = WorkerRoles()
        #expect(roles.reader == .waiting(0))
        #expect(roles.aliveCount == 1)
        #expect(roles.resting.isEmpty)
    }

    @Test func `a short request is carried out with the role in hand`() {
        var roles = WorkerRoles()
        let answer = roles.received(by: 0, handsOn: false)
        #expect(answer.handOver == .none)
        #expect(answer.wakesWatchdog)
        #expect(roles.reader == .working(0))
        #expect(roles.cameBack(0) == .read)
        #expect(roles.reader == .waiting(0))
        #expect(!roles.received(by: 0, handsOn: false).wakesWatchdog)
    }

    @Test func `a long request hands the role on, and who comes back rests`() {
        var roles = WorkerRoles()
        #expect(roles.received(by: 0, handsOn: true).handOver == .start(1))
        #expect(roles.reader == .waiting(1))
        #expect(roles.cameBack(0) == .rest)
        #expect(roles.received(by: 1, handsOn: true).handOver == .wake(0))
        #expect(roles.reader == .waiting(0))
        #expect(roles.aliveCount == 2)
    }

    @Test func `nobody works when one reads and all others rest`() {
        var roles = WorkerRoles()
        #expect(roles.isIdle)
        _ = roles.received(by: 0, handsOn: false)
        #expect(!roles.isIdle)
        _ = roles.cameBack(0)
        #expect(roles.isIdle)
        _ = roles.received(by: 0, handsOn: true)
        #expect(!roles.isIdle)
        _ = roles.cameBack(0)
        #expect(roles.isIdle)
    }

    @Test func `the one that rested last is woken first`() {
        var roles = WorkerRoles()
        for worker in 0..<3 {
            #expect(roles.received(by: worker, handsOn: true).handOver == .start(worker + 1))
        }
        #expect([2, 0, 1].map { roles.cameBack($0) } == [.rest, .rest, .rest])
        #expect(roles.resting == [2, 0, 1])
        #expect(roles.received(by: 3, handsOn: true).handOver == .wake(1))
    }

    @Test func `when all workers are busy the first one that comes back reads`() {
        var roles = WorkerRoles()
        let last = WorkerRoles.Limits().workers - 1
        for worker in 0..<last {
            #expect(roles.received(by: worker, handsOn: true).handOver == .start(worker + 1))
        }
        #expect(roles.received(by: last, handsOn: true).handOver == .none)
        #expect(roles.reader == .vacant)
        #expect(roles.cameBack(5) == .read)
        #expect(roles.cameBack(6) == .rest)
    }

    @Test func `whoever comes back while enough rest leaves, and its number is given again`() {
        var roles = WorkerRoles(.init(workers: 4, resting: 1))
        for worker in 0..<3 {
            #expect(roles.received(by: worker, handsOn: true).handOver == .start(worker + 1))
        }
        #expect(roles.cameBack(0) == .rest)
        #expect(roles.cameBack(1) == .leave)
        let leftLast = roles.left(1)
        #expect(!leftLast)
        #expect(roles.aliveCount == 3)
        #expect(roles.received(by: 3, handsOn: true).handOver == .wake(0))
        #expect(roles.received(by: 0, handsOn: true).handOver == .start(1))
    }

    @Test func `a request that outlasts a whole tick gives the role away`() {
        var roles = WorkerRoles()
        _ = roles.received(by: 0, handsOn: false)
        #expect(roles.tick() == .init(handOver: .none, mayRest: false))
        #expect(roles.tick() == .init(handOver: .start(1), mayRest: false))
        #expect(roles.cameBack(0) == .rest)
    }

    @Test func `a request between two ticks keeps the role where it is`() {
        var roles = WorkerRoles()
        _ = roles.received(by: 0, handsOn: false)
        for _ in 0..<10 {
            #expect(roles.tick() == .init(handOver: .none, mayRest: false))
            _ = roles.cameBack(0)
            _ = roles.received(by: 0, handsOn: false)
        }
        #expect(roles.reader == .working(0))
    }

    @Test func `the watchdog rests after quiet ticks, and the next request wakes it`() {
        var roles = WorkerRoles()
        _ = roles.received(by: 0, handsOn: false)
        _ = roles.cameBack(0)
        var ticks = 0
        while !roles.tick().mayRest, ticks < 100 { ticks += 1 }
        #expect(ticks == WorkerRoles.quietTickLimit)
        #expect(roles.received(by: 0, handsOn: false).wakesWatchdog)
    }

    @Test func `when a thread can't be made whoever rests takes the role`() {
        var roles = WorkerRoles()
        _ = roles.received(by: 0, handsOn: false)
        _ = roles.tick()
        #expect(roles.tick().handOver == .start(1))
        #expect(roles.cameBack(0) == .rest)
        let answer = roles.couldNotStart(1)
        #expect(answer.handOver == .wake(0))
        #expect(!answer.wasLast)
        #expect(roles.reader == .waiting(0))
        #expect(roles.aliveCount == 1)
    }

    @Test func `when a thread can't be made and nobody rests the role is vacant`() {
        var roles = WorkerRoles()
        _ = roles.received(by: 0, handsOn: true)
        #expect(roles.couldNotStart(1).handOver == .none)
        #expect(roles.reader == .vacant)
        #expect(roles.cameBack(0) == .read)
    }

    @Test func `a worker whose thread can't be made is tried again at the next need`() {
        var roles = WorkerRoles()
        for _ in 0..<2 * WorkerRoles.Limits().workers {
            #expect(roles.received(by: 0, handsOn: true).handOver == .start(1))
            #expect(roles.couldNotStart(1).handOver == .none)
            #expect(roles.cameBack(0) == .read)
        }
        #expect(roles.received(by: 0, handsOn: true).handOver == .start(1))
        #expect(roles.received(by: 1, handsOn: true).handOver == .start(2))
        #expect(roles.aliveCount == 3)
    }

    @Test func `the end is seen also when the last worker never started`() {
        var roles = WorkerRoles()
        _ = roles.received(by: 0, handsOn: true)
        #expect(roles.end().isEmpty)
        #expect(roles.cameBack(0) == .leave)
        let leftLast = roles.left(0)
        #expect(!leftLast)
        #expect(roles.couldNotStart(1).wasLast)
    }

    @Test func `the end wakes those that rest, and all others leave as they come back`() {
        var roles = WorkerRoles()
        _ = roles.received(by: 0, handsOn: true)
        _ = roles.received(by: 1, handsOn: true)
        #expect(roles.cameBack(0) == .rest)
        #expect(roles.end() == [0])
        #expect(roles.end() == [])
        #expect(roles.tick().mayRest)
        #expect(roles.cameBack(1) == .leave)
        let last = [0, 1, 2].map { roles.left($0) }
        #expect(last == [false, false, true])
    }
}
