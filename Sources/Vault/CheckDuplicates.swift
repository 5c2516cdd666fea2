import Platform
import SealedFormat

/// What names a stored file's content, or a directory; another one must not bear it.
enum CheckedID: Hashable, Sendable {
    case file(FileID)
    case directory(DirectoryID)

    var bytes: [UInt8] {
        switch self {
        case .file(let id): id.bytes
        case .directory(let id): id.bytes
        }
    }

    /// What is found when two bear it.
    var code: CheckCode {
        switch self {
        case .file: .fileIDDuplicate
        case .directory: .recordMisplaced
        }
    }

    var words: String {
        switch self {
        case .file: "the same file id as"
        case .directory: "the same directory id as"
        }
    }
}

/// Finds ids that two stored files or directories bear, within a fixed amount of memory.
///
/// A first pass keeps some bits of each id (a Bloom filter; the ids are random already). Ids that
/// may have been there before are candidates, and a second pass looks at who bears those. So
/// nothing is found that is not so; and a copy is missed only when it has as many names as its
/// original has, and the filter takes it for another name of it.
struct CheckDuplicates {
    private static let filterBits = 1 << 26
    private static let probes = 4
    /// Beyond this many, further ones are not looked at.
    private static let maximumCandidates = 1 << 18

    private var seenIDs = Filter()
    private var seenNames = Filter()
    private(set) var candidates: Set<CheckedID> = []

    private struct Filter {
        private static let pageWords = 512
        /// Empty until a bit in it is set: small vaults touch few.
        private var pages = [[UInt64]](
            repeating: [], count: CheckDuplicates.filterBits / (64 * pageWords))

        /// - Returns: whether all bits of these 16 bytes were set already.
        mutating func insert(_ bytes: [UInt8]) -> Bool {
            var isKnown = true
            for probe in 0..<CheckDuplicates.probes {
                let bits = bytes[probe * 4..<probe * 4 + 4].reduce(0) { $0 << 8 | Int($1) }
                let bit = bits % CheckDuplicates.filterBits
                let mask = UInt64(1) << UInt64(bit % 64)
                let (page, word) = (bit / 64).quotientAndRemainder(dividingBy: Self.pageWords)
                if pages[page].isEmpty {
                    pages[page] = Array(repeating: 0, count: Self.pageWords)
                }
                if pages[page][word] & mask == 0 {
                    isKnown = false
                    pages[page][word] |= mask
                }
            }
            return isKnown
        }
    }

    mutating func add(_ file: CheckInspection.Identity) {
        let bytes = file.id.bytes
        // Further names of one file are no copies.
        if file.hasSeveralNames, seenNames.insert(Self.mixed(bytes, file.backing)) { return }
        if seenIDs.insert(bytes), candidates.count < Self.maximumCandidates {
            candidates.insert(file.id)
        }
    }

    /// The id's bytes, told apart by the file that bears it.
    private static func mixed(_ bytes: [UInt8], _ backing: BackingID) -> [UInt8] {
        var number = (backing.inodeNumber ^ backing.device << 40) &* 0x9E37_79B9_7F4A_7C15
        return bytes.map { byte in
            number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return byte ^ UInt8(truncatingIfNeeded: number >> 33)
        }
    }
}

/// Who bears the candidates, as the second pass sees it.
struct CheckBearers {
    struct Bearer {
        let storedPath: String
        let plainPath: String?
    }

    private var bearers: [CheckedID: [BackingID: Bearer]] = [:]

    mutating func add(_ file: CheckInspection.Identity, _ bearer: Bearer) {
        bearers[file.id, default: [:]][file.backing] = bearer
    }

    /// Those that several directories bear.
    var sharedDirectories: Set<DirectoryID> {
        var shared: Set<DirectoryID> = []
        for (id, bearers) in bearers where bearers.count > 1 {
            if case .directory(let id) = id { shared.insert(id) }
        }
        return shared
    }

    /// One finding for each but the first of those with one id.
    var findings: [CheckFinding] {
        bearers.filter { $0.value.count > 1 }.flatMap { id, files -> [CheckFinding] in
            let sorted = files.values.sorted { $0.storedPath < $1.storedPath }
            return sorted.dropFirst().map { file in
                CheckFinding(
                    id.code, storedPath: file.storedPath, plainPath: file.plainPath,
                    detail: "\(id.words) \(sorted[0].plainPath ?? sorted[0].storedPath)")
            }
        }.sorted { $0.storedPath < $1.storedPath }
    }
}
