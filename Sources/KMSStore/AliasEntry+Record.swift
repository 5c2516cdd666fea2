package import KMSModel

extension AliasEntry {
    func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.append(region.isEmpty ? RecordForm.first : RecordForm.second)
        writer.append(name.description)
        writer.append(target)
        writer.append(creationDate)
        writer.append(lastUpdatedDate)
        if !region.isEmpty { writer.append(region) }
        return writer.finish()
    }

    init(decoding bytes: [UInt8]) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        let form = try reader.number(UInt8.self)
        guard form == RecordForm.first || form == RecordForm.second,
            let name = AliasName(try reader.text())
        else { throw MalformedRecord() }
        self.init(
            name: name, target: try reader.keyID(), creationDate: try reader.time(),
            lastUpdatedDate: try reader.time())
        if form == RecordForm.second {
            region = try reader.text()
            guard !region.isEmpty else { throw MalformedRecord() }
        }
        try reader.finish()
    }

    package var place: AliasPlace { AliasPlace(region: region, name: name) }
}

/// Where an alias is: names are a Region's own.
package struct AliasPlace: Hashable, Sendable {
    /// "" is the keystore's default Region.
    package var region: String
    package var name: AliasName

    package init(region: String, name: AliasName) {
        self.region = region
        self.name = name
    }

    /// What the row's keyed hash is made of. A Region has no slash.
    var text: String { region.isEmpty ? name.description : "\(region)/\(name.description)" }
}
