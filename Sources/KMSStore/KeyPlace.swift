package import KMSModel

/// Where a key is: a Region and an id. Multi-Region keys have one id in several Regions.
package struct KeyPlace: Hashable, Sendable {
    /// "" is the keystore's default Region.
    package var region: String
    package var id: KeyID

    package init(region: String, id: KeyID) {
        self.region = region
        self.id = id
    }
}

// Records begin with the number of their form. A record is written in the first form that can say
// what it holds, so that one record has one encoding, and old keystores stay as they are.
enum RecordForm {
    /// Symmetric keys made here, in the default Region.
    static let first: UInt8 = 1
    static let second: UInt8 = 2
    /// Keys whose deletion waits (``DeletionWait``).
    static let third: UInt8 = 3

    static func expect(_ form: UInt8, _ reader: inout RecordReader) throws(MalformedRecord) {
        guard try reader.number(UInt8.self) == form else { throw MalformedRecord() }
    }
}

extension RecordReader {
    /// A text that is one of a set.
    mutating func choice<Choice: RawRepresentable<String>>(
        _: Choice.Type = Choice.self
    ) throws(MalformedRecord) -> Choice {
        guard let choice = Choice(rawValue: try text()) else { throw MalformedRecord() }
        return choice
    }

    /// As ``RecordWriter/append(_:)-(String?)`` wrote it.
    mutating func optionalText() throws(MalformedRecord) -> String? {
        try flag() ? try text() : nil
    }
}

extension RecordWriter {
    mutating func append(_ text: String?) {
        append(text != nil)
        if let text { append(text) }
    }
}
