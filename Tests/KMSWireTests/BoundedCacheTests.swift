import KMSWire
import TestSupport
import Testing

@Suite struct BoundedCacheTests {
    @Test func `it holds no more than it may`() {
        var cache = BoundedCache<Int, Int>(capacity: 3)
        for number in 0..<100 {
            cache.insert(number, for: number)
            #expect(cache.count == min(number + 1, 3))
            #expect(cache.value(for: number) == number)
        }
    }

    @Test func `what was used lately is spared`() {
        var cache = BoundedCache<String, Int>(capacity: 2)
        cache.insert(1, for: "used")
        cache.insert(2, for: "idle")
        #expect(cache.value(for: "used") == 1)
        cache.insert(3, for: "new")
        #expect(cache.value(for: "used") == 1)
        #expect(cache.value(for: "idle") == nil)
        #expect(cache.value(for: "new") == 3)
    }

    @Test func `a key that is inserted again has the new value`() {
        var cache = BoundedCache<Int, String>(capacity: 2)
        cache.insert("a", for: 1)
        cache.insert("b", for: 1)
        #expect(cache.count == 1)
        #expect(cache.value(for: 1) == "b")
    }

    @Test func `it agrees with a plain dictionary through any life`() {
        var random = RandomSource(seed: 9)
        var cache = BoundedCache<Int, Int>(capacity: 8)
        var all: [Int: Int] = [:]
        for step in 0..<50_000 {
            let key = random.number(0..<20)
            switch random.number(0..<10) {
            case 0..<4:
                cache.insert(step, for: key)
                all[key] = step
            case 4..<6:
                cache.removeValue(for: key)
                all[key] = nil
            case 6 where random.isOne(in: 20):
                cache.removeAll { $0 < step - 30 }
                all = all.filter { $0.value >= step - 30 }
            case 7 where random.isOne(in: 200):
                cache.removeAll()
                all = [:]
            default:
                let value = cache.value(for: key)
                #expect(value == nil || value == all[key])
            }
            #expect(cache.count <= 8)
        }
    }
}
