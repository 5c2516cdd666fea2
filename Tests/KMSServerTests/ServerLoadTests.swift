import Glibc
import KMSWire
import TestSupport
import Testing

@Suite struct LoadTests {
    @Test func `connections beyond the limit wait until others end`() throws {
        let server = try LiveServer("connections=8")
        var first = try (0..<8).map { _ in try server.connect() }
        for connection in first {
            try connection.send(Signed.request())
            #expect(try connection.answer().status == 200)
        }
        let waiting = try (0..<20).map { _ in try server.connect() }
        for connection in waiting { try connection.send(Signed.request()) }
        first = []
        for connection in waiting.prefix(8) { #expect(try connection.answer().status == 200) }
    }

    @Test func `running out of descriptors is overcome`() throws {
        let server = try LiveServer(shell: "ulimit -n 48")
        var connections = try (0..<120).map { _ in try server.connect() }
        connections = []
        #expect(connections.isEmpty)
        let isServing = try Deadline.wait(seconds: 30) { try server.isServing() }
        #expect(isServing)
    }

    @Test func `requests beyond the limit are told that the service is busy`() throws {
        let server = try LiveServer("workers=1", "requests=1")
        let slow = try server.connect()
        try slow.send(Signed.request("DescribeKey", body: #"{"KeyId":"sleep:1500"}"#))
        #expect(try server.hasRequestUnderWay())
        let busy = try server.exchange(Signed.request())
        #expect(busy.status == 503)
        #expect(busy.error?.name == "ServiceUnavailableException")
        #expect(try slow.answer().status == 200)
        #expect(try server.isServing())
        let numbers = try server.exchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").body
        #expect(numbers.contains("keyfold_requests_in_flight 0\n"))
        #expect(numbers.contains("keyfold_overload_total 1\n"))
    }

    @Test func `requests that are held up hold up no others while there are threads`() throws {
        let threads = max(8, sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 2)
        let server = try LiveServer("workers=\(threads)", "answer=20")
        // All threads but one, and more than there are processors.
        let slow = try (1..<threads).map { _ in
            let connection = try server.connect()
            try connection.send(Signed.request("DescribeKey", body: #"{"KeyId":"sleep:10000"}"#))
            return connection
        }
        let begin = ContinuousClock.now
        #expect(try server.isServing())
        #expect(ContinuousClock.now - begin < .seconds(8))
        for connection in slow { #expect(try connection.answer().status == 200) }
    }

    @Test func `an answer that does not come in its time is a timeout`() throws {
        let server = try LiveServer("answer=1")
        let answer = try server.exchange(
            Signed.request("DescribeKey", body: #"{"KeyId":"sleep:3000"}"#))
        #expect(answer.status == 500)
        #expect(answer.error?.name == "DependencyTimeoutException")
        #expect(try server.isServing())
    }
}

@Suite struct ShutdownTests {
    @Test func `a signal ends the server after the requests that are under way`() throws {
        let server = try LiveServer()
        let idle = try server.connect()
        try idle.send(Signed.request())
        _ = try idle.answer()
        let slow = try server.connect()
        try slow.send(Signed.request("DescribeKey", body: #"{"KeyId":"sleep:1500"}"#))
        #expect(try server.hasRequestUnderWay())
        server.process.signal(Signal.terminate)
        #expect(try idle.isClosedByPeer())
        #expect(throws: RawConnection.Failed.self) {
            _ = try server.exchange(Signed.request())
        }
        #expect(try slow.answer().status == 200)
        #expect(try slow.isClosedByPeer())
        #expect(try server.process.waitForEnd(seconds: 30) == 0)
        #expect(try server.process.outputText().hasSuffix("ended\n"))
    }

    @Test func `a request that takes too long does not hold up the end`() throws {
        let server = try LiveServer("grace=1", "answer=2")
        let slow = try server.connect()
        try slow.send(Signed.request("DescribeKey", body: #"{"KeyId":"sleep:4000"}"#))
        let body = try server.connect()
        try body.send(Signed.text(Signed.head(), "{", length: 100))
        _ = try server.isServing()
        server.process.signal(Signal.interrupt)
        #expect(try server.process.waitForEnd(seconds: 30) == 0)
    }
}
