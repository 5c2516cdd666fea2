import CPKCS11
import Testing

@testable import KMSPKCS11

/// What the pool decides, without tokens, threads and clocks.
@Suite struct SessionPoolTests {
    private typealias Pool = SessionPool<String, Int>

    private let start = ContinuousClock.now
    private let gone = PKCS11Error.unavailable(.openSession, CKR_DEVICE_REMOVED)

    private func pool(limit: Int = 2) -> Pool { Pool(limit: limit, pause: .seconds(10)) }

    /// In words.
    private func next(
        _ pool: inout Pool, after seconds: Int = 0, generation: Int = 0
    ) -> String {
        switch pool.next(at: start + .seconds(seconds), generation: generation) {
        case .use(let lease, let number): "use \(lease) of \(number)"
        case .open(let link, let number): "open one of \(link), \(number)"
        case .connect(let attempt):
            "connect" + (attempt.previous.map { ", after \($0)" } ?? "")
                + (attempt.mustRestart ? ", restarting" : "")
        case .fail(let error): "\(error)"
        case .wait: "wait"
        }
    }

    private func connect(_ pool: inout Pool, _ link: String, limit: Int? = nil) {
        _ = next(&pool)
        let isTaken = pool.connected(link, generation: 0, limit: limit)
        #expect(isTaken)
    }

    @Test func `one connects, and the others wait`() {
        var pool = pool()
        #expect(next(&pool) == "connect")
        #expect(next(&pool) == "wait")
        #expect(pool.busyCount == 1)
        let isTaken = pool.connected("A", generation: 0, limit: nil)
        #expect(isTaken)
        #expect(pool.busyCount == 0)
        #expect(next(&pool) == "open one of A, 1")
    }

    @Test func `sessions are opened up to the limit, and then waited for`() {
        var pool = pool(limit: 2)
        connect(&pool, "A")
        #expect(next(&pool) == "open one of A, 1")
        #expect(next(&pool) == "open one of A, 1")
        #expect(next(&pool) == "wait")
        let isKept = pool.giveBack(11, 1)
        #expect(isKept)
        #expect(next(&pool) == "use 11 of 1")
        #expect(next(&pool) == "wait")
        pool.discard(1)
        #expect(next(&pool) == "open one of A, 1")
        #expect(pool.busyCount == 2)
    }

    @Test(arguments: [(nil, 4), (100, 4), (3, 3), (1, 1), (0, 1)] as [(Int?, Int)])
    func `the token's own limit counts where it is lower`(_ limit: Int?, _ expected: Int) {
        var pool = pool(limit: 4)
        connect(&pool, "A", limit: limit)
        var count = 0
        while next(&pool) != "wait" { count += 1 }
        #expect(count == expected)
    }

    @Test func `a token that has no room for another session makes the pool smaller`() {
        var pool = pool(limit: 4)
        connect(&pool, "A")
        for _ in 0..<3 { _ = next(&pool) }
        let isWorthWaiting = pool.discardForWantOfRoom(1)
        #expect(isWorthWaiting)
        #expect(next(&pool) == "wait")
        pool.discard(1)
        pool.discard(1)
        #expect(next(&pool) == "open one of A, 1")
        let isWorthMore = pool.discardForWantOfRoom(1)
        #expect(!isWorthMore)
    }

    @Test func `a lost connection is lost once, with all that belonged to it`() throws {
        var pool = pool()
        connect(&pool, "A")
        _ = next(&pool)
        _ = next(&pool)
        let isKept = pool.giveBack(11, 1)
        #expect(isKept)
        let id = try #require(PKCS11KeyID([1]))
        pool.remember(77, of: id, 1)
        #expect(pool.keyHandle(id, 1) == 77)

        #expect(pool.lose(1) == "A")
        #expect(pool.lose(1) == nil)
        #expect(!pool.isConnected)
        #expect(pool.takeDropped() == [11])
        #expect(pool.takeDropped() == [])
        #expect(pool.keyHandle(id, 1) == nil)

        #expect(next(&pool) == "connect, after A")
        let isTaken = pool.connected("B", generation: 0, limit: nil)
        #expect(isTaken)
        // What comes back late is of no use, and is nobody's handle.
        let isLateOneKept = pool.giveBack(12, 1)
        #expect(!isLateOneKept)
        pool.discard(1)
        pool.remember(78, of: id, 1)
        #expect(pool.keyHandle(id, 3) == nil)
        #expect(next(&pool) == "open one of B, 3")
        #expect(pool.busyCount == 1)
    }

    @Test func `a connection that never served is not tried again without a restart`() {
        var pool = pool()
        connect(&pool, "A")
        _ = next(&pool)
        _ = pool.giveBack(11, 1)
        _ = pool.lose(1)
        #expect(next(&pool) == "connect, after A")
        _ = pool.connected("B", generation: 0, limit: nil)
        _ = pool.lose(3)
        #expect(next(&pool) == "connect, after B, restarting")
        _ = pool.connected("C", generation: 0, limit: nil)
        _ = next(&pool)
        _ = pool.giveBack(12, 5)
        _ = pool.lose(5)
        #expect(next(&pool) == "connect, after C")
    }

    @Test func `a module that was started again has no connections`() {
        var pool = pool()
        connect(&pool, "A")
        _ = next(&pool)
        _ = pool.giveBack(11, 1)
        #expect(next(&pool, generation: 1) == "connect, after A")
        #expect(pool.takeDropped() == [11])
    }

    @Test func `who looked at the module before it was started again disturbs nobody`() {
        var pool = pool()
        _ = next(&pool, generation: 4)
        let isTaken = pool.connected("A", generation: 5, limit: nil)
        #expect(isTaken)
        #expect(next(&pool, generation: 4) == "open one of A, 1")
        #expect(next(&pool, generation: 6) == "connect, after A, restarting")
    }

    @Test func `a failure to connect is the answer for the time of the pause`() {
        var pool = pool()
        _ = next(&pool)
        pool.connectFailed(gone, at: start, previous: "A", isFinal: false)
        #expect(pool.busyCount == 0)
        #expect(next(&pool, after: 9) == "\(gone)")
        #expect(next(&pool, after: 10) == "connect, after A")
        pool.connectFailed(gone, at: start + .seconds(10), previous: nil, isFinal: false)
        #expect(next(&pool, after: 19) == "\(gone)")
        pool.endPause()
        #expect(next(&pool, after: 19) == "connect")
    }

    @Test func `a request that connected in vain makes the next ones pause`() {
        var pool = pool()
        connect(&pool, "A")
        // Another thread's connection is of more worth than this one's failure.
        pool.requestFailed(gone, at: start)
        #expect(next(&pool) == "open one of A, 1")
        _ = pool.lose(1)
        pool.requestFailed(gone, at: start)
        #expect(next(&pool, after: 9) == "\(gone)")
        #expect(next(&pool, after: 10) == "connect, after A, restarting")
    }

    @Test func `a refused login is final`() {
        let refused = PKCS11Error.loginRefused(.login, CKR_PIN_INCORRECT)
        var pool = pool()
        _ = next(&pool)
        pool.connectFailed(refused, at: start, previous: nil, isFinal: true)
        pool.endPause()
        #expect(next(&pool, after: 1_000_000) == "\(refused)")
    }

    @Test func `a closed pool begins nothing, and says what is left to end`() {
        var pool = pool()
        connect(&pool, "A")
        _ = next(&pool)
        let (current, previous) = pool.close()
        #expect(current == "A" && previous == nil)
        #expect(next(&pool) == "\(PKCS11Error.closed)")
        #expect(pool.busyCount == 1)
        let isKept = pool.giveBack(11, 1)
        #expect(!isKept)
        pool.discard(1)
        #expect(pool.busyCount == 0)
        let again = pool.close()
        #expect(again.current == nil && again.previous == nil)

        // A connection that comes too late is not wanted, and still counted until it has ended.
        var late = self.pool()
        _ = next(&late)
        _ = late.close()
        let isTaken = late.connected("B", generation: 0, limit: nil)
        #expect(!isTaken)
        #expect(late.busyCount == 1)
        late.connectFailed(.closed, at: start, previous: nil, isFinal: false)
        #expect(late.busyCount == 0)

        var lost = self.pool()
        connect(&lost, "C")
        _ = lost.lose(1)
        let left = lost.close()
        #expect(left.current == nil && left.previous == "C")
    }

    @Test func `key handles have a bound`() throws {
        var pool = pool()
        connect(&pool, "A")
        for number in 0..<10_000 {
            let id = try #require(PKCS11KeyID([UInt8(number >> 8), UInt8(number & 255)]))
            pool.remember(UInt(number), of: id, 1)
        }
        let remembered = try (0..<10_000).filter { number in
            let id = try #require(PKCS11KeyID([UInt8(number >> 8), UInt8(number & 255)]))
            return pool.keyHandle(id, 1) != nil
        }
        #expect((1...4096).contains(remembered.count))
        #expect(remembered.last == 9_999)
    }
}

@Suite struct CallGateTests {
    @Test func `callers go in together, and one who needs the module alone waits for them`() {
        var gate = CallGate()
        #expect(gate.enter()?.generation == 0)
        #expect(gate.enter()?.generation == 0)
        let isMine = gate.take()
        #expect(isMine)
        #expect(!gate.isEmpty)
        #expect(gate.enter() == nil)
        let isMineToo = gate.take()
        #expect(!isMineToo)
        gate.leave()
        gate.leave()
        #expect(gate.isEmpty)
        gate.restarted(nil)
        gate.giveBack()
        #expect(gate.enter()?.generation == 1)
    }

    @Test func `a module that failed to start tells everybody why`() {
        var gate = CallGate()
        _ = gate.take()
        gate.restarted(.busy)
        gate.giveBack()
        #expect(gate.enter()?.startFailure == .busy)
        gate.leave()
        _ = gate.take()
        gate.restarted(nil)
        gate.giveBack()
        #expect(gate.enter()?.startFailure == nil)
        #expect(gate.generation == 2)
    }
}

@Suite struct ModuleTableTests {
    private typealias Table = ModuleTable<String>

    private let start = ContinuousClock.now

    /// In words.
    private func next(
        _ table: inout Table, _ name: Table.Name = .path("/a.so"), after seconds: Int = 0
    ) -> String {
        switch table.next(name, at: start + .seconds(seconds)) {
        case .use(let module)?: "use \(module)"
        case .begin?: "begin"
        case .giveUp?: "give up"
        case nil: "wait"
        }
    }

    @Test func `one starts a library, and the others wait until it seems to hang`() {
        var table = Table(patience: .seconds(5))
        #expect(next(&table) == "begin")
        #expect(next(&table, after: 4) == "wait")
        #expect(next(&table, after: 5) == "give up")
        // Who comes later doesn't wait again.
        #expect(next(&table, after: 100) == "give up")
        #expect(next(&table, .path("/b.so"), after: 100) == "begin")
        table.ended(.path("/a.so"), "A")
        #expect(next(&table, after: 200) == "use A")
        #expect(next(&table, .path("/b.so"), after: 104) == "wait")
    }

    @Test func `a library that did not start is started anew`() {
        var table = Table(patience: .seconds(5))
        #expect(next(&table) == "begin")
        table.ended(.path("/a.so"), nil)
        #expect(next(&table, after: 1) == "begin")
        #expect(next(&table, after: 5) == "wait")
        #expect(next(&table, after: 6) == "give up")
    }

    @Test func `a library of two paths is started once`() {
        var table = Table(patience: .seconds(5))
        for path in ["/a.so", "/b.so"] { #expect(next(&table, .path(path)) == "begin") }
        #expect(next(&table, .address(1)) == "begin")
        #expect(next(&table, .address(1)) == "wait")
        table.ended(.address(1), "A")
        #expect(next(&table, .address(1)) == "use A")
        #expect(next(&table, .path("/a.so")) == "wait")
        for path in ["/a.so", "/b.so"] {
            table.ended(.path(path), "A")
            #expect(next(&table, .path(path)) == "use A")
        }
    }
}

@Suite struct TokenClaimTests {
    private func token(_ serial: String, flags: PKCS11TokenFlags = []) -> PKCS11TokenDescription {
        PKCS11TokenDescription(
            label: "a token", serial: serial, model: "M", manufacturer: "N", flags: flags,
            maximumSessions: nil)
    }

    @Test func `a token has one owner, wherever it is plugged in`() {
        var claims = TokenClaims()
        let (first, second) = (claims.newOwner(), claims.newOwner())
        let isFirsts = claims.claim(token("1"), in: 5, by: first)
        #expect(isFirsts)
        let isSeconds = claims.claim(token("1", flags: .pinTriesAreLow), in: 6, by: second)
        #expect(!isSeconds)
        let isAgain = claims.claim(token("1"), in: 6, by: first)
        #expect(isAgain)
        claims.end(first)
        let isFree = claims.claim(token("1"), in: 6, by: second)
        #expect(isFree)
    }

    @Test func `a claim outlasts the connection`() {
        var claims = TokenClaims()
        let (first, second) = (claims.newOwner(), claims.newOwner())
        _ = claims.claim(token("1"), in: 5, by: first)
        #expect(claims.others(than: second).map(\.slot) == [5])
        #expect(claims.others(than: first).isEmpty)
        claims.disconnect(first)
        #expect(claims.others(than: second).isEmpty)
        let isSeconds = claims.claim(token("1"), in: 5, by: second)
        #expect(!isSeconds)
    }
}

@Suite struct ErrorTests {
    @Test func `values are told by name and number`() {
        #expect(ReturnValue(rawValue: CKR_PIN_INCORRECT).description == "CKR_PIN_INCORRECT (0xa0)")
        #expect(ReturnValue(rawValue: 0x42).description == "CKR_AEAD_DECRYPT_FAILED (0x42)")
        #expect(ReturnValue(rawValue: 0x8000_0011).description == "0x80000011")
        #expect(
            PKCS11Error.unavailable(.login, CKR_DEVICE_REMOVED).description
                == "the token is unavailable: C_Login answered CKR_DEVICE_REMOVED (0x32)")
    }

    @Test func `a value says what became of the token`() {
        let lost = [
            CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_SESSION_HANDLE_INVALID,
            CKR_SESSION_CLOSED, CKR_USER_NOT_LOGGED_IN, CKR_CRYPTOKI_NOT_INITIALIZED,
        ]
        for value in lost { #expect(ReturnValue(rawValue: value).verdict == .lost) }
        for value in [CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED, 0x8000_0001, 0x1234] {
            #expect(ReturnValue(rawValue: value).verdict == .unclear)
        }
        for value in [CKR_PIN_INCORRECT, CKR_PIN_LOCKED, CKR_PIN_EXPIRED] {
            #expect(ReturnValue(rawValue: value).verdict == .login)
        }
        for value in [CKR_DATA_LEN_RANGE, CKR_MECHANISM_INVALID, CKR_KEY_FUNCTION_NOT_PERMITTED] {
            #expect(ReturnValue(rawValue: value).verdict == .request)
        }
        #expect(ReturnValue(rawValue: CKR_OBJECT_HANDLE_INVALID).verdict == .staleKey)
    }

    @Test func `names of tokens and keys have their limits`() throws {
        #expect(PKCS11TokenSelector() == nil)
        #expect(
            PKCS11TokenSelector(label: "a b  ", serial: "1 ")
                == PKCS11TokenSelector(label: "a b", serial: "1"))
        #expect(
            PKCS11TokenSelector(label: "a", serial: "1")?.description
                == "the label 'a' and the serial number '1'")
        #expect(PKCS11KeyID([]) == nil)
        #expect(PKCS11KeyID([UInt8](repeating: 1, count: 256)) == nil)
        #expect(try #require(PKCS11KeyID([0x0A, 0xF1])).description == "0af1")
    }
}
