import Cryptography
import Dispatch
import Foundation
import KMSClient
import KMSModel
import Synchronization
import TestSupport
import Testing

@Suite struct DataKeyCacheTests {
    /// Time that stands still until it is moved.
    private final class Time: Sendable {
        private let start = ContinuousClock.now
        private let passed = Mutex(Duration.zero)

        var now: ContinuousClock.Instant { start.advanced(by: passed.withLock { $0 }) }

        func advance(seconds: Int) { passed.withLock { $0 += .seconds(seconds) } }
    }

    /// A service that counts its requests.
    private final class Service: Sendable {
        private let count = Atomic(0)

        var requests: Int { count.load(ordering: .relaxed) }

        func unwrap(_ text: String = "key") -> UnwrappedData {
            count.add(1, ordering: .relaxed)
            return DataKeyCacheTests.data(text)
        }
    }

    private static func data(_ text: String) -> UnwrappedData {
        var bytes = Array(text.utf8)
        guard let scope = AccountScope(account: "111122223333", region: "us-east-1"),
            let material = KeyMaterialID(bytes: [UInt8](repeating: 7, count: 32))
        else { preconditionFailure("both are well formed") }
        let arn = KeyARN(scope: scope, keyID: KeyID(high: 1, low: 2, isMultiRegion: false))
        return UnwrappedData(
            plaintext: SecretBytes(consuming: &bytes), keyARN: arn, materialID: material)
    }

    private static func request(
        _ blob: [UInt8] = [1], _ context: [String: String] = [:], key: String? = nil
    ) -> DataKeyCache.Request {
        DataKeyCache.Request(blob: blob, context: EncryptionContext(context), key: key)
    }

    private let time = Time()
    private let service = Service()

    private func cache(_ limits: String = "5m,1000") throws -> DataKeyCache {
        let time = time
        return DataKeyCache(limits: try #require(DataKeyCache.Limits(limits)), now: { time.now })
    }

    @Test func `a key that was unwrapped is not asked for again`() throws {
        let cache = try cache()
        for _ in 0..<3 {
            let data = try cache.key(for: Self.request()) { self.service.unwrap() }
            #expect(exposed(data.plaintext) == Array("key".utf8))
        }
        #expect(service.requests == 1)
        #expect(cache.count == 1)
    }

    @Test func `blob, context and key all tell requests apart`() throws {
        let cache = try cache()
        let requests = [
            Self.request(), Self.request([2]), Self.request([]), Self.request([1], ["a": "bc"]),
            Self.request([1], ["ab": "c"]), Self.request([1], key: ""), Self.request([1], key: "a"),
            Self.request([1, 0]), Self.request([1], ["": ""]),
        ]
        for (index, request) in requests.enumerated() {
            let data = try cache.key(for: request) { self.service.unwrap("\(index)") }
            #expect(exposed(data.plaintext) == Array("\(index)".utf8))
        }
        #expect(service.requests == requests.count)
    }

    @Test func `an entry serves for its age, counted from the request's start`() throws {
        let cache = try cache("60s,10")
        _ = try cache.key(for: Self.request()) {
            self.time.advance(seconds: 20)
            return self.service.unwrap()
        }
        time.advance(seconds: 39)
        _ = try cache.key(for: Self.request()) { self.service.unwrap() }
        #expect(service.requests == 1)
        time.advance(seconds: 1)
        _ = try cache.key(for: Self.request()) { self.service.unwrap() }
        #expect(service.requests == 2)
    }

    @Test func `no more entries are kept than may be`() throws {
        let cache = try cache("5m,3")
        for number in 0..<20 {
            _ = try cache.key(for: Self.request([UInt8(number)])) { self.service.unwrap() }
            #expect(cache.count == min(number + 1, 3))
        }
    }

    @Test func `failures are not kept`() throws {
        let cache = try cache()
        for _ in 0..<2 {
            #expect(throws: KMSError.disabled("x")) {
                try cache.key(for: Self.request()) { () throws(KMSError) in
                    _ = self.service.unwrap()
                    throw .disabled("x")
                }
            }
        }
        #expect(service.requests == 2)
        #expect(cache.count == 0)
        _ = try cache.key(for: Self.request()) { self.service.unwrap() }
        #expect(service.requests == 3)
    }

    @Test func `a key leaves memory when it leaves the cache`() throws {
        let cache = try cache("60s,1")
        weak var first: SecretBytes?
        weak var second: SecretBytes?
        first = try cache.key(for: Self.request([1])) { self.service.unwrap() }.plaintext
        #expect(first != nil)
        second = try cache.key(for: Self.request([2])) { self.service.unwrap() }.plaintext
        #expect(first == nil)
        #expect(second != nil)
        time.advance(seconds: 59)
        #expect(cache.removeExpired() == time.now.advanced(by: .seconds(1)))
        #expect(second != nil)
        time.advance(seconds: 1)
        #expect(cache.removeExpired() == nil)
        #expect(second == nil)
    }

    @Test func `a key that was just made can be kept`() throws {
        let cache = try cache("60s,10")
        let asked = cache.instant
        // The answer took its time.
        time.advance(seconds: 20)
        cache.keep(Self.data("new"), for: Self.request(), since: asked)
        let data = try cache.key(for: Self.request()) { self.service.unwrap() }
        #expect(exposed(data.plaintext) == Array("new".utf8))
        #expect(service.requests == 0)
        #expect(cache.removeExpired() == asked.advanced(by: .seconds(60)))
        cache.removeAll()
        _ = try cache.key(for: Self.request()) { self.service.unwrap() }
        #expect(service.requests == 1)
    }

    @Test func `what was under way when the cache was emptied is not kept`() throws {
        let cache = try cache()
        let data = try cache.key(for: Self.request()) {
            cache.removeAll()
            return self.service.unwrap()
        }
        #expect(exposed(data.plaintext) == Array("key".utf8))
        #expect(cache.count == 0)
    }

    /// One thread is held inside its request until all others have asked for the same key.
    @Test(arguments: [nil, KMSError.keyUnavailable("gone")])
    func `of many that want one key, one asks`(_ failure: KMSError?) throws {
        let cache = try cache()
        let (others, asked) = (7, DispatchSemaphore(value: 0))
        let (inside, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let answers = Mutex<[Result<[UInt8], KMSError>]>([])
        let group = DispatchGroup()
        let service = service
        @Sendable func ask() {
            let result: Result<[UInt8], KMSError>
            do throws(KMSError) {
                let data = try cache.key(for: Self.request()) { () throws(KMSError) in
                    inside.signal()
                    release.wait()
                    let data = service.unwrap()
                    if let failure { throw failure }
                    return data
                }
                result = .success(exposed(data.plaintext))
            } catch {
                result = .failure(error)
            }
            answers.withLock { $0.append(result) }
        }
        // Threads, since those that wait would hold up a queue's few.
        func start(_ body: @escaping @Sendable () -> Void) {
            group.enter()
            Thread {
                body()
                group.leave()
            }.start()
        }
        start { ask() }
        inside.wait()
        for _ in 0..<others {
            start {
                asked.signal()
                ask()
            }
        }
        for _ in 0..<others { asked.wait() }
        release.signal()
        // Those that came too late for the first request, if it failed, ask for themselves.
        for _ in 0..<others { release.signal() }
        group.wait()
        let expected: Result<[UInt8], KMSError> =
            failure.map { .failure($0) } ?? .success(Array("key".utf8))
        #expect(answers.withLock { $0 } == Array(repeating: expected, count: others + 1))
        if failure == nil { #expect(service.requests == 1) }
        #expect(cache.count == (failure == nil ? 1 : 0))
    }

    @Test func `many threads on few keys get the right ones`() throws {
        let cache = try cache("1h,4")
        let wrong = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            var random = RandomSource(seed: UInt64(thread))
            for _ in 0..<2000 {
                let number = random.number(0..<8)
                let data = try? cache.key(for: Self.request([UInt8(number)])) {
                    Self.data("\(number)")
                }
                if data.map({ exposed($0.plaintext) }) != Array("\(number)".utf8) {
                    wrong.add(1, ordering: .relaxed)
                }
                if random.isOne(in: 100) { cache.removeAll() }
            }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(cache.count <= 4)
    }

    @Test(arguments: [
        ("5m,1000", 300, 1000), ("1s", 1, 1000), ("24h,100000", 86_400, 100_000), ("90s,1", 90, 1),
    ])
    func `limits are read as they are written`(_ text: String, _ seconds: Int, _ entries: Int)
        throws
    {
        let limits = try #require(DataKeyCache.Limits(text))
        #expect(limits.maximumAge == .seconds(seconds))
        #expect(limits.maximumEntries == entries)
    }

    @Test(arguments: [
        "", ",", "5", "m", "5m,", ",5", "0s", "25h", "5d", "5m,0", "5m,100001", "5m,1,1", "+5m",
        "5m,+1", "5 m", "-1s", "99999999999s", "٥m",
    ])
    func `limits that make no sense are refused`(_ text: String) {
        #expect(DataKeyCache.Limits(text) == nil)
    }
}
