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
    /// Of the segment's format. The fields below are those of version 2 and later.
    package var version: UInt32
    package var bootID: [UInt8]
    package var treeRoot: [UInt8]
    package var tally: [UInt8]

    package init(
        id: [UInt8], ordinal: UInt64, createdAt: Timestamp, previousDigest: [UInt8],
        eventCount: UInt64, chainHash: [UInt8], isClosed: Bool, version: UInt32 = 1,
        bootID: [UInt8] = [], treeRoot: [UInt8] = [], tally: [UInt8] = []
    ) {
        self.version = version
        self.bootID = bootID
        self.treeRoot = treeRoot
        self.tally = tally
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
    /// Form 1 for segments of version 1, as it always was; form 2 has the fields of later ones.
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(version == 1 ? RecordForm.first : RecordForm.second)
        writer.append(id)
        writer.append(ordinal)
        writer.append(createdAt)
        writer.append(previousDigest)
        writer.append(eventCount)
        writer.append(chainHash)
        writer.append(isClosed)
        if version > 1 {
            writer.append(version)
            writer.append(bootID)
            writer.append(treeRoot)
            writer.append(tally)
        }
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        let form = try reader.number(UInt8.self)
        guard form == RecordForm.first || form == RecordForm.second else {
            throw MalformedRecord()
        }
        self.init(
            id: try reader.byteString(), ordinal: try reader.number(), createdAt: try reader.time(),
            previousDigest: try reader.byteString(), eventCount: try reader.number(),
            chainHash: try reader.byteString(), isClosed: try reader.flag())
        if form == RecordForm.second {
            version = try reader.number()
            bootID = try reader.byteString()
            treeRoot = try reader.byteString()
            tally = try reader.byteString()
            guard version > 1 else { throw MalformedRecord() }
        }
        try reader.finish()
    }
}
