package import KMSModel

/// One segment of the usage log and how far it surely goes; UsageLog's words, kept as plain values.
package struct SegmentRow: Hashable, Sendable {
    /// 16 bytes.
    package var id: [UInt8]
    package var ordinal: UInt64
    package var createdAt: Timestamp
    package var previousDigest: [UInt8]
    package var eventCount: UInt64
    package var chainHash: [UInt8]
    package var isClosed: Bool

    package init(
        id: [UInt8], ordinal: UInt64, createdAt: Timestamp, previousDigest: [UInt8],
        eventCount: UInt64, chainHash: [UInt8], isClosed: Bool
    ) {
        self.id = id
        self.ordinal = ordinal
        self.createdAt = createdAt
        self.previousDigest = previousDigest
        self.eventCount = eventCount
        self.chainHash = chainHash
        self.isClosed = isClosed
    }
}

extension SegmentRow {
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(RecordForm.first)
        writer.append(id)
        writer.append(ordinal)
        writer.append(createdAt)
        writer.append(previousDigest)
        writer.append(eventCount)
        writer.append(chainHash)
        writer.append(isClosed)
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        try RecordForm.expect(RecordForm.first, &reader)
        self.init(
            id: try reader.byteString(), ordinal: try reader.number(), createdAt: try reader.time(),
            previousDigest: try reader.byteString(), eventCount: try reader.number(),
            chainHash: try reader.byteString(), isClosed: try reader.flag())
        try reader.finish()
    }
}
