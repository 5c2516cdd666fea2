package import KMSModel

/// An event in its one encoding, which may be kept elsewhere before it is logged.
package struct EncodedEvent: Sendable {
    /// The CloudTrail record, one line, without a line end.
    package let json: [UInt8]
    private let record: MeteredRecord

    package init(_ event: UsageEvent) {
        guard let encoded = EncodedEvent(json: event.cloudTrailJSON(), time: event.eventTime)
        else { preconditionFailure("BUG: an event is no record") }
        self = encoded
    }

    /// nil when the JSON is not a record.
    package init?(json: [UInt8], time: Timestamp) {
        guard let record = MeteredRecord(json: json[...], time: time) else { return nil }
        self.json = json
        self.record = record
    }
}

/// What the log takes.
protocol LoggableEvent: MeteredEvent, Sendable {
    /// Appends the plaintext of the event's record: kind, time, JSON.
    func appendPlaintext(to buffer: EventBuffer)
}

extension UsageEvent: LoggableEvent {}

extension EncodedEvent: LoggableEvent {
    package var time: Timestamp { record.time }
    package var operation: String { record.operation }
    package var id: String { record.id }
    package var idOfRequest: String { record.idOfRequest }
    package var resources: [String] { record.resources }
    package var isRequest: Bool { record.isRequest }
    package var isRefused: Bool { record.isRefused }
    package var priceClass: PriceClass { record.priceClass }

    func appendPlaintext(to buffer: EventBuffer) {
        buffer.appendEventHead(time: time)
        buffer.append(json)
    }
}

extension EventBuffer {
    /// Kind and time of an event's record.
    func appendEventHead(time: Timestamp) {
        append(RecordKind.event.rawValue)
        let offset = count
        append(8) { _ in }
        putBigEndian(UInt64(bitPattern: time.millisecondsSinceEpoch), at: offset)
    }
}
