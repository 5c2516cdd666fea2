internal import KMSModel
internal import KMSStore

/// The tags of a key, no key twice, with AWS's rules for changing them.
struct TagSet {
    private var values: [String: String] = [:]

    init(_ tags: [Tag] = []) {
        for tag in tags { values[tag.key] = tag.value }
    }

    /// By key.
    var sorted: [Tag] {
        values.map { Tag(key: $0.key, value: $0.value) }.sorted { $0.key < $1.key }
    }

    /// - Throws: ``KMSError/tag(_:)``.
    func adding(_ tags: [Tag]) throws(KMSError) -> TagSet {
        guard Set(tags.map(\.key)).count == tags.count else { throw .tag("Duplicate tag keys") }
        try TagSet.refuseReserved(tags.map(\.key))
        var result = self
        for tag in tags { result.values[tag.key] = tag.value }
        guard result.values.count <= KMSLimit.tagsPerKey else { throw .tag("Too many tags") }
        return result
    }

    /// Keys that are not there are no error.
    func removing(_ keys: [String]) throws(KMSError) -> TagSet {
        try TagSet.refuseReserved(keys)
        var result = self
        for key in keys { result.values[key] = nil }
        return result
    }

    private static func refuseReserved(_ keys: [String]) throws(KMSError) {
        guard !keys.contains(where: { $0.lowercased().hasPrefix("aws:") }) else {
            throw .tag("Tags beginning with aws: are reserved")
        }
    }
}

extension EmbeddedKeyService {
    func tagResource(_ request: inout Request) throws(KMSError) -> Structure {
        let tags = request.input.structures(.tags).compactMap(Tag.init)
        try edit(group: .changeAttributes, for: &request) { _, _, record throws(KMSError) in
            record.tags = try TagSet(record.tags).adding(tags).sorted
        }
        return Structure()
    }

    func untagResource(_ request: inout Request) throws(KMSError) -> Structure {
        let keys = request.input.texts(.tagKeys)
        try edit(group: .changeAttributes, for: &request) { _, _, record throws(KMSError) in
            record.tags = try TagSet(record.tags).removing(keys).sorted
        }
        return Structure()
    }

    func listResourceTags(_ request: inout Request) throws(KMSError) -> Structure {
        let entry = try key(
            named: try request.text(.keyID), in: try state(for: request), group: .read,
            for: &request)
        return try PageSize.tags.answer(request, .tags, entry.record.tags, by: \.key) { tag in
            Structure([.tagKey: .text(tag.key), .tagValue: .text(tag.value)])
        }
    }
}
