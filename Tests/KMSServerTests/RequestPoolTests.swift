import NIOPosix
import Synchronization
import Testing

@testable import KMSServer

@Suite struct RequestPoolTests {
    private static func makePool() -> RequestPool {
        RequestPool(ServerLimits(), ServerMetrics(PrometheusRegistry()))
    }

    @Test func `a request that comes alone is carried out where it is`() async {
        let pool = Self.makePool()
        for number in 0..<1000 { #expect(pool.runAlone { number } == number) }
        #expect(await pool.shutDown())
    }

    @Test func `beside another one it is not, nor for some time after`() async throws {
        let pool = Self.makePool()
        let isHeld = Atomic(true)
        let wasDone = Atomic(false)
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        #expect(
            pool.run(on: loop) { _ in
                while isHeld.load(ordering: .acquiring) {}
            } then: { _ in
                wasDone.store(true, ordering: .releasing)
            })
        #expect(pool.runAlone { 1 } == nil)
        isHeld.store(false, ordering: .releasing)
        while !wasDone.load(ordering: .acquiring) { await Task.yield() }
        #expect(pool.runAlone { 1 } == nil)
        var refused = 0
        while pool.runAlone({ 1 }) == nil, refused < 100_000 { refused += 1 }
        #expect((1..<1000).contains(refused))
        #expect(await pool.shutDown())
    }
}
