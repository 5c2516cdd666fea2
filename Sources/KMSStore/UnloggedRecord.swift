package import KMSModel

/// A place for the event of a change: it is in the keystore with the change, and waits there until
/// it is in the usage log.
///
/// Places are used again and never deleted, since other processes find out that a row is gone at the
/// price of all rows' ids.
package struct UnloggedRecord: Sendable {
    package struct Event: Sendable {
        package var eventID: String
        package var time: Timestamp
        /// As it will stand in the log.
        package var json: [UInt8]
        /// Of the process that is to log it (``WriterLock``).
        package var writer: UInt64

        package init(eventID: String, time: Timestamp, json: [UInt8], writer: UInt64) {
            self.eventID = eventID
            self.time = time
            self.json = json
            self.writer = writer
        }
    }

    /// 0, 1, 2…
    package let place: UInt32
    /// nil: the place is free.
    package var event: Event?

    package init(place: UInt32, event: Event?) {
        self.place = place
        self.event = event
    }

    var rowKey: RowKey { .unlogged(place: place) }

    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(RecordForm.first)
        writer.append(place)
        writer.append(event != nil)
        if let event {
            writer.append(event.eventID)
            writer.append(event.time)
            writer.append(event.json)
            writer.append(event.writer)
        }
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        try RecordForm.expect(RecordForm.first, &reader)
        place = try reader.number()
        if try reader.flag() {
            event = Event(
                eventID: try reader.text(), time: try reader.time(),
                json: try reader.byteString(), writer: try reader.number())
        }
        try reader.finish()
    }
}

extension RowKey {
    static func unlogged(place: UInt32) -> RowKey {
        var writer = RecordWriter()
        writer.append(place)
        return RowKey(kind: .unlogged, id: writer.finish())
    }

    /// The place that the id of such a row names.
    static func unloggedPlace(_ id: [UInt8]) -> UInt32? {
        var reader = RecordReader(id)
        guard let place = try? reader.number(UInt32.self) else { return nil }
        return place
    }
}
