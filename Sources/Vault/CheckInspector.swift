import Cryptography
import KMSModel
import Platform
import SealedFormat
import Synchronization

/// What one look at an entry saw.
struct CheckInspection: Sendable {
    /// A stored file's content, or a directory, for finding the same one twice.
    struct Identity: Sendable, Hashable {
        let id: CheckedID
        let backing: BackingID
        let hasSeveralNames: Bool
    }

    /// It went away meanwhile.
    var isGone = false
    var kind: FileStatus.Kind?
    var sealedBytes: UInt64 = 0
    var plainName: String?
    var problems: [CheckProblem] = []
    /// The directory behind the entry, to be gone through as well.
    var child: CheckPlace?
    var identity: Identity?
    /// An entry whose long name is not beside it.
    var lacksSidecar = false

    static let gone = {
        var inspection = CheckInspection()
        inspection.isGone = true
        return inspection
    }()
}

/// Looks at single entries of a vault. Changes nothing; any thread may use it.
final class CheckInspector: Sendable {
    enum Depth: Sendable {
        /// Names, records and file ids only: no key is asked for.
        case identities
        case content(everyBlock: Bool)
        /// Of the content no more than these blocks and the last one: for a second look.
        case blocks([UInt64])
    }

    let config: VaultConfig
    /// How names are stored; nil where `keyfold.json` was changed, since nobody knows it then.
    let names: NameStorage?
    let root: Descriptor
    let service: any KeyService
    let caller: Caller
    /// False where a recovery has told of them.
    let looksAtJournals: Bool
    /// By mounts that may have begun since the check did.
    private let use = Mutex(CheckUse())
    let scratches = ScratchPool()
    private let onBytes: @Sendable (UInt64) -> Void
    let nestedKeys = Mutex(CheckDomainKeys())

    init(
        config: VaultConfig, isConfigChanged: Bool = false, root: Descriptor,
        service: any KeyService, caller: Caller, looksAtJournals: Bool = true,
        onBytes: @escaping @Sendable (UInt64) -> Void
    ) {
        self.config = config
        names = isConfigChanged ? nil : config.names
        self.root = root
        self.service = service
        self.caller = caller
        self.looksAtJournals = looksAtJournals
        self.onBytes = onBytes
    }

    var isInUse: Bool { use.withLock { $0.isHeld } }

    /// From now on the vault counts as in use, if it is now.
    func noteUse() {
        let now = CheckUse.current(in: root)
        use.withLock { $0.add(now) }
    }

    func mayHaveGaps(changedAt time: Timespec) -> Bool {
        use.withLock { $0.mayHaveGaps(changedAt: time) }
    }

    func count(_ bytes: UInt64) {
        onBytes(bytes)
    }

    /// Opens a directory for reading.
    ///
    /// - Throws: `ESTALE` when another directory is at its path by now, whose names are sealed
    ///   under another id: a mount has renamed one of them.
    func open(_ place: CheckPlace) throws(Errno) -> Descriptor {
        let directory = try place.open(below: root)
        guard let directoryID = place.directoryID,
            let found = try record(in: directory, of: place.domain)?.directoryID,
            found != directoryID
        else { return directory }
        throw .staleFileHandle
    }

    /// Whether what was there when its parent was read has gone, or changed places, since.
    func saysGone(_ error: Errno) -> Bool {
        switch error {
        case .noSuchFileOrDirectory, .staleFileHandle, .notDirectory, .symbolicLinkLoop: true
        default: false
        }
    }

    func inspect(_ item: CheckItem, _ depth: Depth) -> CheckInspection {
        do throws(Errno) {
            return try look(item, depth)
        } catch {
            if saysGone(error) { return .gone }
            var inspection = CheckInspection()
            inspection.problems = [CheckProblem(CheckCode(error), "\(error)")]
            return inspection
        }
    }

    private func look(_ item: CheckItem, _ depth: Depth) throws(Errno) -> CheckInspection {
        let status = try item.directory.status(of: item.name)
        var inspection = CheckInspection()
        let kind = kind(of: item)
        // Which such names there may be, and how long a file without data is, the config tells.
        if names == nil, [.temporary, .sidecar, .reserved].contains(kind) { return inspection }
        switch kind {
        case .own: break
        case .journal: inspection.problems = try journalProblems(item, status)
        case .temporary: inspection.problems = try temporaryProblems(item, status)
        case .sidecar: inspection.problems = try sidecarProblems(item, status)
        case .reserved:
            inspection.problems = [CheckProblem(.nameReserved, evidence: status.evidence)]
        case .long, .direct:
            inspection.kind = status.kind
            try lookAtEntry(item, status, isLong: kind == .long, depth, &inspection)
        }
        return inspection
    }

    func kind(of item: CheckItem) -> CheckNameKind {
        CheckNameKind(item.name.string, isRoot: item.place.isRoot, names: names ?? .sealed)
    }

    private func lookAtEntry(
        _ item: CheckItem, _ status: FileStatus, isLong: Bool, _ depth: Depth,
        _ inspection: inout CheckInspection
    ) throws(Errno) {
        let name = try nameOutcome(item, status, isLong: isLong)
        inspection.plainName = name.plain
        inspection.problems += name.problems
        if isLong { inspection.lacksSidecar = try lacksSidecar(item) }
        // What is not Keyfold's is none of its business.
        if name.problems.contains(where: { $0.code == .nameForeign }) { return }
        switch status.kind {
        case .directory: try lookAtDirectory(item, &inspection)
        case .regular: try lookAtFile(item, depth, &inspection)
        case .symbolicLink: inspection.problems += try linkProblems(item)
        case .special: break
        }
        if status.kind == .regular || status.kind == .directory {
            let domain = inspection.child?.domain ?? item.place.domain
            inspection.problems += try attributeProblems(
                of: try item.directory.open(item.name, OpenFlag.path), domain)
        }
    }

    // MARK: Links and attributes

    private func linkProblems(_ item: CheckItem) throws(Errno) -> [CheckProblem] {
        let domain = item.place.domain
        guard domain.isCertain, let keys = domain.keys else { return [] }
        let text = try item.directory.readSymbolicLink(item.name)
        do throws(FormatError) {
            _ = try keys.openSymbolicLink(text)
            return []
        } catch {
            return [CheckProblem(.linkDamaged, "\(error)", evidence: SHA256.hash(text))]
        }
    }

    /// - Parameter domain: of a domain's root, the one that begins there.
    func attributeProblems(
        of node: Descriptor, _ domain: CheckDomain
    ) throws(Errno) -> [CheckProblem] {
        guard domain.isCertain, let keys = domain.keys else { return [] }
        let names: [String]
        do throws(Errno) {
            names = try node.extendedAttributeNames()
        } catch {
            if error == .notSupported { return [] }
            throw error
        }
        var problems: [CheckProblem] = []
        // Labels, ACLs and capabilities are the system's own.
        for name in names where name.utf8.starts(with: "user.".utf8) {
            guard name.utf8.starts(with: DomainKeys.attributePrefix.utf8) else {
                problems.append(CheckProblem(.attributeForeign, name))
                continue
            }
            if let problem = try attributeProblem(name, of: node, keys) {
                problems.append(problem)
            }
        }
        return problems
    }

    private func attributeProblem(
        _ stored: String, of node: Descriptor, _ keys: DomainKeys
    ) throws(Errno) -> CheckProblem? {
        let value: [UInt8]
        do throws(Errno) {
            value = try node.extendedAttribute(stored)
        } catch {
            if error == .noAttribute { return nil }
            throw error
        }
        var plain: [UInt8]?
        do throws(FormatError) {
            let name = try keys.openAttributeName(stored)
            plain = name
            _ = try keys.openAttributeValue(value, name: name)
            return nil
        } catch {
            let name = plain.map { String(decoding: $0, as: UTF8.self) } ?? stored
            return CheckProblem(
                .attributeDamaged, "\(name): \(error)", evidence: SHA256.hash(value))
        }
    }
}

extension FileStatus {
    /// The same for a file that nobody touched in between.
    var evidence: [UInt8] {
        let numbers = [
            inodeNumber, sizeBytes, UInt64(bitPattern: modificationTime.seconds),
            UInt64(bitPattern: modificationTime.nanoseconds),
        ]
        return numbers.flatMap { number in
            (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
        }
    }
}
