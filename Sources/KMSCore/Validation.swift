internal import KMSModel

/// The checks that AWS makes of a request's form before anything else, all of them at once.
struct Validation {
    private var failures: [String] = []

    private mutating func fail(_ member: String, _ value: String?, _ constraint: String) {
        let shown = value.map { "Value '\($0)'" } ?? "Value"
        failures.append(
            "\(shown) at '\(member)' failed to satisfy constraint: Member must \(constraint)")
    }

    /// The length of a text; its value is shown.
    mutating func length(of text: String, at member: String, _ range: ClosedRange<Int>) {
        length(text.unicodeScalars.count, value: text, at: member, range)
    }

    /// The length of bytes; their value is never shown.
    mutating func length(ofBytes count: Int, at member: String, _ range: ClosedRange<Int>) {
        length(count, value: nil, at: member, range)
    }

    private mutating func length(
        _ count: Int, value: String?, at member: String, _ range: ClosedRange<Int>
    ) {
        if count < range.lowerBound {
            fail(member, value, "have length greater than or equal to \(range.lowerBound)")
        } else if count > range.upperBound {
            fail(member, value, "have length less than or equal to \(range.upperBound)")
        }
    }

    mutating func value(_ number: Int, at member: String, _ range: ClosedRange<Int>) {
        if number < range.lowerBound {
            fail(member, "\(number)", "have value greater than or equal to \(range.lowerBound)")
        } else if number > range.upperBound {
            fail(member, "\(number)", "have value less than or equal to \(range.upperBound)")
        }
    }

    mutating func key(_ text: String, at member: String = "keyId") {
        length(of: text, at: member, 1...2048)
    }

    mutating func aliasName(_ text: String) {
        length(of: text, at: "aliasName", 1...256)
        let isAllowed = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "/"),
                UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        if !isAllowed || text.isEmpty {
            fail("aliasName", text, "satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$")
        }
    }

    mutating func tags(_ tags: [Tag]) {
        for (index, tag) in tags.enumerated() {
            length(of: tag.key, at: "tags.\(index + 1).member.tagKey", 1...128)
            length(of: tag.value, at: "tags.\(index + 1).member.tagValue", 0...256)
        }
    }

    mutating func tagKeys(_ keys: [String]) {
        for (index, key) in keys.enumerated() {
            length(of: key, at: "tagKeys.\(index + 1).member", 1...128)
        }
    }

    mutating func page(_ page: PageRequest, _ size: PageSize) {
        if let limit = page.limit { value(limit, at: "limit", 1...size.maximum) }
        if let marker = page.marker { length(of: marker, at: "marker", 1...1024) }
    }

    /// - Throws: ``KMSError/validation(_:)`` in AWS's words, when anything failed.
    func check() throws(KMSError) {
        guard !failures.isEmpty else { return }
        let count = "\(failures.count) validation error\(failures.count == 1 ? "" : "s") detected"
        throw .validation("\(count): \(failures.joined(separator: "; "))")
    }
}

/// Numbers from AWS KMS's service model and quotas.
enum KMSLimit {
    static let plaintextBytes = 1...4096
    static let blobBytes = 1...6144
    static let dataKeyBytes = 1...1024
    static let descriptionCharacters = 0...8192
    static let pendingWindowDays = 7...30
    static let defaultPendingWindowDays = 30
    /// What the service model lets through; the service itself then refuses more.
    static let modelPendingWindowDays = 1...365
    static let rotationPeriodDays = 90...2560
    static let defaultRotationPeriodDays = 365
    static let onDemandRotations = 25
    static let aliasesPerKey = 50
    static let tagsPerKey = 50
    static let keys = 100_000
    /// Keyfold's own: an encryption context's names and values together.
    static let encryptionContextBytes = 8192
    /// An on-demand rotation keeps this distance from an automatic one.
    static let rotationDistanceMilliseconds: Int64 = 20 * 60 * 1000
}

/// How many elements a page of a list has.
struct PageSize: Sendable {
    let standard: Int
    let maximum: Int

    static let keys = PageSize(standard: 100, maximum: 1000)
    static let rotations = PageSize(standard: 100, maximum: 1000)
    static let aliases = PageSize(standard: 50, maximum: 100)
    static let tags = PageSize(standard: 50, maximum: 50)

    /// One page of `elements`, which are sorted by their names. The marker holds the name of the
    /// page's last element, so that what is added or removed in between shifts nothing.
    ///
    /// - Throws: ``KMSError/invalidMarker``.
    func page<Element>(
        _ page: PageRequest, of elements: [Element], by name: (Element) -> String
    ) throws(KMSError) -> Page<Element> {
        var rest = elements[...]
        if let marker = page.marker {
            let last = try PageSize.name(marker)
            rest = rest.drop { name($0) <= last }
        }
        let taken = rest.prefix(page.limit ?? standard)
        let hasMore = taken.count < rest.count
        return Page(
            elements: Array(taken),
            nextMarker: hasMore ? taken.last.map { hexText(name($0).utf8) } : nil)
    }

    private static func name(_ marker: String) throws(KMSError) -> String {
        let digits = Array(marker.utf8)
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count - digits.count % 2, by: 2) {
            let pair = String(decoding: digits[index...index + 1], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16) else { throw .invalidMarker }
            bytes.append(byte)
        }
        guard digits.count % 2 == 0, let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalidMarker
        }
        return text
    }
}
