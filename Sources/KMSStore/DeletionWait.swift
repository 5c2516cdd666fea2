package import KMSModel

/// How a key's deletion waits once its date has come: a clock that is ahead for a moment must not
/// end anything for good.
///
/// Whoever sees first that the date has come notes when that was, and the key goes when so many days
/// have gone by since. Who finds that the date is still to come takes the note back.
package struct DeletionWait: Hashable, Sendable {
    /// The waiting period of AWS KMS may be up to 24 hours longer than the one that was asked for,
    /// too (its developer guide, "Deleting AWS KMS keys").
    package static let usualDays = 1

    package var days: Int
    /// nil while nobody has seen the date come.
    package var firstSeen: ClockReading?

    package init(days: Int = DeletionWait.usualDays) {
        self.days = days
    }

    /// When the key goes; nil before its date was seen to come.
    package var end: ClockReading? { firstSeen?.advanced(byDays: days) }
}

extension DeletionWait {
    func append(to writer: inout RecordWriter) {
        writer.append(UInt32(days))
        writer.append(firstSeen != nil)
        guard let firstSeen else { return }
        writer.append(firstSeen.wall)
        writer.append(firstSeen.bootID)
        writer.append(firstSeen.bootMilliseconds)
    }

    init(_ reader: inout RecordReader) throws(MalformedRecord) {
        days = Int(try reader.number(UInt32.self))
        guard try reader.flag() else { return }
        let reading = ClockReading(
            wall: try reader.time(), bootID: try reader.byteString(),
            bootMilliseconds: try reader.number())
        guard reading.bootID.count == ClockReading.bootIDBytes else { throw MalformedRecord() }
        firstSeen = reading
    }
}
