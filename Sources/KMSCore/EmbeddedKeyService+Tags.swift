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
    func tagResource(
        _ key: String, tags: [Tag], as caller: Caller
    ) throws(KMSError) {
        try perform(.tagResource, as: caller) { request throws(KMSError) in
            request.note("tags", tags.map { "\($0.key)=\($0.value)" }.joined(separator: ","))
            var validation = Validation()
            validation.tags(tags)
            try edit(key, group: .changeAttributes, validation, for: &request) {
                _, record throws(KMSError) in
                record.tags = try TagSet(record.tags).adding(tags).sorted
            }
        }
    }

    func untagResource(
        _ key: String, tagKeys: [String], as caller: Caller
    ) throws(KMSError) {
        try perform(.untagResource, as: caller) { request throws(KMSError) in
            request.note("tagKeys", tagKeys.joined(separator: ","))
            var validation = Validation()
            validation.tagKeys(tagKeys)
            try edit(key, group: .changeAttributes, validation, for: &request) {
                _, record throws(KMSError) in
                record.tags = try TagSet(record.tags).removing(tagKeys).sorted
            }
        }
    }

    func listResourceTags(
        _ key: String, _ page: PageRequest, as caller: Caller
    ) throws(KMSError) -> Page<Tag> {
        try perform(.listResourceTags, as: caller) { request throws(KMSError) in
            try named(key, in: &request)
            try check(page, .tags, in: &request)
            let entry = try self.key(
                named: key, in: try state(for: request), group: .read, for: &request)
            return try PageSize.tags.page(page, of: entry.record.tags) { $0.key }
        }
    }
}
