internal import Cryptography
internal import KMSModel
internal import Logging
internal import NIOCore

/// What all connections share.
struct ServerParts: Sendable {
    let host: any KeyServiceHost
    let processor: RequestProcessor
    let limits: ServerLimits
    let pool: RequestPool
    let budget: BodyBudget
    let metrics: ServerMetrics
    let registry: PrometheusRegistry
    let clock: any WallClock
    let started = ContinuousClock.now
    let logger: Logger

    struct Now: Sendable {
        let moment: Moment
        let instant: ContinuousClock.Instant
    }

    @Sendable func now() -> Now {
        let instant = ContinuousClock.now
        let uptime = (instant - started).components
        return Now(
            moment: Moment(
                time: clock.now(),
                uptimeMilliseconds: uptime.seconds * 1000 + uptime.attoseconds
                    / 1_000_000_000_000_000),
            instant: instant)
    }

    /// Closes the connection after that time, unless it is cancelled before.
    func closing(_ channel: any Channel, afterSeconds seconds: Int) -> Scheduled<Void> {
        channel.eventLoop.scheduleTask(in: .seconds(Int64(seconds))) {
            channel.close(mode: .all, promise: nil)
        }
    }

    /// Counts a request, and logs it where such lines are wanted: who asked for what from where,
    /// and how it ended. Never what with.
    func tell(_ record: RequestRecord, of exchange: HTTPResponder.Exchange) {
        let took = ContinuousClock.now - exchange.begin.instant
        metrics.count(record, took: took)
        logger.info(
            "request",
            metadata: [
                "requestId": "\(record.requestID)", "peer": "\(exchange.peer.text)",
                "operation": "\(record.operation?.rawValue ?? exchange.head.method)",
                "principal": "\(record.principalARN ?? "-")", "status": "\(record.status)",
                "exception": "\(record.exceptionName ?? "-")",
                "microseconds":
                    "\(took.components.seconds * 1_000_000 + took.components.attoseconds / 1_000_000_000_000)",
            ])
    }
}

/// A name for one request.
enum RequestID {
    /// A random UUID (RFC 9562 §5.4).
    static func random() -> String {
        var bytes = Random.bytes(16)
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return KeyID(bytes: bytes, isMultiRegion: false)?.description ?? ""
    }
}
