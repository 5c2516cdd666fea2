import Dispatch
import Platform
import Testing

@Suite struct MonitorTests {
    @Test func `those who wait are woken by a change, and see it`() {
        let monitor = Monitor(0)
        let group = DispatchGroup()
        for _ in 0..<8 {
            DispatchQueue.global().async(group: group) {
                let seen = monitor.wait { $0 >= 1000 ? $0 : nil }
                #expect(seen >= 1000)
            }
        }
        for _ in 0..<1000 { monitor.withLock { $0 += 1 } }
        group.wait()
        #expect(monitor.withLock { $0 } == 1000)
    }

    @Test func `a wait with a limit ends with a change, or in vain`() {
        let monitor = Monitor(0)
        let group = DispatchGroup()
        for _ in 0..<4 {
            DispatchQueue.global().async(group: group) {
                #expect(monitor.wait(milliseconds: 60_000) { $0 == 100 ? $0 : nil } == 100)
            }
        }
        for _ in 0..<100 { monitor.withLock { $0 += 1 } }
        group.wait()
        #expect(monitor.wait(milliseconds: 0) { $0 == 1 ? $0 : nil } == nil)
        #expect(monitor.wait(milliseconds: 5) { $0 == 1 ? $0 : nil } == nil)
    }

    @Test func `many threads that change a value lose no change`() {
        let monitor = Monitor(0)
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<10_000 { monitor.withLock { $0 += 1 } }
        }
        #expect(monitor.withLock { $0 } == 80_000)
    }

    @Test func `an error passes through, and the lock is free again`() {
        struct Failure: Error, Equatable {}
        let monitor = Monitor(0)
        #expect(throws: Failure()) {
            try monitor.withLock { (value) throws(Failure) in
                value = 1
                throw Failure()
            }
        }
        #expect(monitor.withLock { $0 } == 1)
    }
}
