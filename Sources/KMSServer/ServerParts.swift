internal import KMSModel
internal import Logging

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

    /// Counts a request, and logs it where such lines are wanted: who asked for what from where,
    /// and how it ended. Never what with.
    func tell(_ record: RequestRecord, of exchange: ConnectionHandler.Exchange) {
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
