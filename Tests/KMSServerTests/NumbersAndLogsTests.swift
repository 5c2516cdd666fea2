import CoreMetrics
import Foundation
import KMSModel
import KMSServer
import Logging
import Synchronization
import Testing

@Suite struct PrometheusTests {
    @Test func `counters, gauges and histograms are written as Prometheus reads them`() {
        let registry = PrometheusRegistry()
        let counter = Counter(
            label: "requests.total", dimensions: [("operation", "De\"cr\\y\npt")],
            factory: registry)
        counter.increment(by: 2)
        let gauge = Meter(label: "connections", factory: registry)
        gauge.increment()
        gauge.increment()
        gauge.decrement()
        let timer = Timer(
            label: "duration_seconds", dimensions: [("operation", "Sign")], factory: registry)
        timer.recordNanoseconds(300_000)
        timer.recordNanoseconds(20_000_000_000)
        let lines = registry.text().split(separator: "\n").map(String.init)
        #expect(lines.contains("# TYPE requests_total counter"))
        #expect(lines.contains(#"requests_total{operation="De\"cr\\y\npt"} 2"#))
        #expect(lines.contains("# TYPE connections gauge"))
        #expect(lines.contains("connections 1"))
        #expect(lines.contains("# TYPE duration_seconds histogram"))
        #expect(lines.contains(#"duration_seconds_bucket{operation="Sign",le="0.00025"} 0"#))
        #expect(lines.contains(#"duration_seconds_bucket{operation="Sign",le="0.0005"} 1"#))
        #expect(lines.contains(#"duration_seconds_bucket{operation="Sign",le="10"} 1"#))
        #expect(lines.contains(#"duration_seconds_bucket{operation="Sign",le="+Inf"} 2"#))
        #expect(lines.contains(#"duration_seconds_sum{operation="Sign"} 20.0003"#))
        #expect(lines.contains(#"duration_seconds_count{operation="Sign"} 2"#))
        #expect(Set(lines).count == lines.count)
    }

    @Test func `one name and its labels are one series`() {
        let registry = PrometheusRegistry()
        for _ in 0..<3 { Counter(label: "c", factory: registry).increment() }
        #expect(registry.text() == "# TYPE c counter\nc 3\n")
    }

    @Test func `there are never more series than agreed`() {
        let registry = PrometheusRegistry()
        for number in 0..<(PrometheusRegistry.capacity + 100) {
            Counter(label: "c", dimensions: [("n", "\(number)")], factory: registry).increment()
        }
        let lines = registry.text().split(separator: "\n")
        #expect(lines.count == PrometheusRegistry.capacity + 1)
    }

    @Test func `counts of many threads add up`() {
        let registry = PrometheusRegistry()
        let counter = Counter(label: "c", factory: registry)
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            for _ in 0..<1000 { counter.increment() }
        }
        #expect(registry.text().hasSuffix("c 4000\n"))
    }
}

@Suite struct LineLogTests {
    private struct StoppedClock: WallClock {
        func now() -> Timestamp { Timestamp(secondsSinceEpoch: 0) }
    }

    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func append(_ line: String) { lines.withLock { $0.append(line) } }
    }

    private func logged(_ style: LineLogHandler.Style, _ body: (Logger) -> Void) -> [String] {
        let lines = Lines()
        body(
            Logger(label: "serve") { label in
                LineLogHandler(
                    label: label, level: .info, style: style, clock: StoppedClock(),
                    to: .init { lines.append($0) })
            })
        return lines.all
    }

    @Test func `a message is one line of JSON, whatever strangers sent`() throws {
        let lines = logged(.json) { logger in
            logger.info("a\n\"b\"", metadata: ["agent": "x\u{1}\\y", "time": "z"])
            logger.debug("not wanted")
        }
        #expect(lines.count == 1)
        let line = try #require(lines.first)
        #expect(!line.contains("\n"))
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(object["message"] == "a\n\"b\"")
        #expect(object["agent"] == "x\u{1}\\y")
        #expect(object["level"] == "info")
        #expect(object["logger"] == "serve")
    }

    @Test func `a message is one line of words`() {
        let lines = logged(.text) { $0.warning("a\nb", metadata: ["k": "v\r\nw"]) }
        #expect(lines == ["1970-01-01T00:00:00Z warning serve: a b k=v  w"])
    }
}
