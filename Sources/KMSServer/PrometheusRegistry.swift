package import CoreMetrics
internal import Synchronization

/// The numbers that the server counts, as Prometheus reads them (text format, version 0.0.4).
///
/// A `MetricsFactory` of swift-metrics: whatever in the process counts with that API shows here.
/// Thread-safe. Holds at most ``capacity`` series; more are counted nowhere, so that no label can
/// fill the memory.
package final class PrometheusRegistry: MetricsFactory {
    package static let capacity = 4096
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private let series = Mutex<[SeriesName: Series]>([:])

    package init() {}

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        named(label, dimensions, .counter)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        named(label, dimensions, .gauge)
    }

    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        named(label, dimensions, aggregate ? .histogram : .gauge)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        named(label, dimensions, .histogram)
    }

    // Series stay: what a process has counted does not become uncounted.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    private func named(
        _ label: String, _ dimensions: [(String, String)], _ kind: Series.Kind
    ) -> Series {
        let name = SeriesName(
            metric: Self.legal(label),
            labels: dimensions.map { SeriesName.Label(name: Self.legal($0.0), value: $0.1) })
        return series.withLock { series in
            if let known = series[name], known.kind == kind { return known }
            let made = Series(kind)
            if series.count < Self.capacity, series[name] == nil { series[name] = made }
            return made
        }
    }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`; other characters become `_`.
    private static func legal(_ name: String) -> String {
        let letters = name.unicodeScalars.map { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                ? Character(scalar) : "_"
        }
        guard let first = letters.first, !first.isNumber else { return "_" + String(letters) }
        return String(letters)
    }

    /// All series, by name.
    package func text() -> String {
        let all = series.withLock { $0 }.sorted { $0.key < $1.key }
        var text = ""
        var metric: String?
        for (name, series) in all {
            if name.metric != metric {
                text += "# TYPE \(name.metric) \(series.kind.rawValue)\n"
                metric = name.metric
            }
            series.append(as: name, to: &text)
        }
        return text
    }
}

private struct SeriesName: Hashable, Comparable {
    struct Label: Hashable {
        let name: String
        let value: String
    }

    let metric: String
    let labels: [Label]

    static func < (a: SeriesName, b: SeriesName) -> Bool {
        a.metric == b.metric
            ? a.labels.map(\.value).lexicographicallyPrecedes(b.labels.map(\.value))
            : a.metric < b.metric
    }

    func text(suffix: String = "", extra: Label? = nil) -> String {
        let all = labels + (extra.map { [$0] } ?? [])
        guard !all.isEmpty else { return metric + suffix }
        let pairs = all.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }
        return "\(metric)\(suffix){\(pairs.joined(separator: ","))}"
    }

    private static func escaped(_ value: String) -> String {
        var text = ""
        for character in value {
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.append(character)
            }
        }
        return text
    }
}

/// One series of numbers.
private final class Series: CounterHandler, MeterHandler, RecorderHandler, TimerHandler {
    enum Kind: String {
        case counter, gauge, histogram
    }

    private struct State {
        var value = 0.0
        var count: Int64 = 0
        var buckets = [Int64](repeating: 0, count: Series.bounds.count)
    }

    /// In seconds: from a symmetric operation to an RSA-4096 key.
    private static let bounds = [
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
        0.5, 1, 2.5, 5, 10,
    ]

    let kind: Kind
    private let state = Mutex(State())

    init(_ kind: Kind) {
        self.kind = kind
    }

    func increment(by amount: Int64) { state.withLock { $0.value += Double(amount) } }
    func increment(by amount: Double) { state.withLock { $0.value += amount } }
    func decrement(by amount: Double) { state.withLock { $0.value -= amount } }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { state.withLock { $0.value = value } }
    func reset() { state.withLock { $0 = State() } }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        if kind == .gauge { return set(value) }
        state.withLock { state in
            state.value += value
            state.count += 1
            if let bucket = Self.bounds.firstIndex(where: { value <= $0 }) {
                state.buckets[bucket] += 1
            }
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    func append(as name: SeriesName, to text: inout String) {
        let state = state.withLock { $0 }
        guard kind == .histogram else {
            text += "\(name.text()) \(Self.text(state.value))\n"
            return
        }
        var sum: Int64 = 0
        for (bound, count) in zip(Self.bounds, state.buckets) {
            sum += count
            let label = SeriesName.Label(name: "le", value: Self.text(bound))
            text += "\(name.text(suffix: "_bucket", extra: label)) \(sum)\n"
        }
        let last = SeriesName.Label(name: "le", value: "+Inf")
        text += "\(name.text(suffix: "_bucket", extra: last)) \(state.count)\n"
        text += "\(name.text(suffix: "_sum")) \(Self.text(state.value))\n"
        text += "\(name.text(suffix: "_count")) \(state.count)\n"
    }

    private static func text(_ value: Double) -> String {
        Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}
