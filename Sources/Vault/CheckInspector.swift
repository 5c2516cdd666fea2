import Cryptography
import KMSModel
import Platform
import SealedFormat
import Synchronization

/// What one look at an entry saw.
struct CheckInspection: Sendable {
    /// A stored file's content, for finding the same one twice.
    struct Identity: Sendable, Hashable {
        let fileID: FileID
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
    let root: Descriptor
    /// nil when no key opens the root domain: then only what needs no key is checked.
    let keys: DomainKeys?
    let service: any KeyService
    let caller: Caller
    /// A mount may be changing the vault; it may have begun since the check did.
    private let isHeld = Atomic<Bool>(false)
    let scratches = ScratchPool()
    private let onBytes: @Sendable (UInt64) -> Void

    init(
        config: VaultConfig, root: Descriptor, keys: DomainKeys?, service: any KeyService,
        caller: Caller, onBytes: @escaping @Sendable (UInt64) -> Void
    ) {
        self.config = config
        self.root = root
        self.keys = keys
        self.service = service
        self.caller = caller
        self.onBytes = onBytes
    }

    var isInUse: Bool { isHeld.load(ordering: .relaxed) }

    /// From now on the vault counts as in use.
    func noteUse() {
        isHeld.store(true, ordering: .relaxed)
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
            let found = try record(in: directory).record?.directoryID, found != directoryID
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
        let kind = CheckNameKind(
            item.name.string, isRoot: item.place.isRoot, names: config.names)
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

    private func lookAtEntry(
        _ item: CheckItem, _ status: FileStatus, isLong: Bool, _ depth: Depth,
        _ inspection: inout CheckInspection
    ) throws(Errno) {
        let name = try nameOutcome(item, status, isLong: isLong)
        inspection.plainName = name.plain
        inspection.problems += name.problems
        // What is not Keyfold's is none of its business.
        if name.problems.contains(where: { $0.code == .nameForeign }) { return }
        switch status.kind {
        case .directory: try lookAtDirectory(item, &inspection)
        case .regular: try lookAtFile(item, depth, &inspection)
        case .symbolicLink: inspection.problems += try linkProblems(item)
        case .special: break
        }
        if status.kind == .regular || status.kind == .directory {
            inspection.problems += try attributeProblems(item)
        }
    }

    // MARK: Directories

    private func lookAtDirectory(
        _ item: CheckItem, _ inspection: inout CheckInspection
    ) throws(Errno) {
        let directory = try item.directory.open(
            item.name, OpenFlag.path | OpenFlag.directory)
        let (record, problem) = try record(in: directory)
        if let problem { inspection.problems.append(problem) }
        inspection.child = item.place.child(
            item.name, plainName: inspection.plainName, directoryID: record?.directoryID)
    }

    /// A directory's record, as far as it can be relied upon, and what is wrong with it.
    func record(
        in directory: Descriptor
    ) throws(Errno) -> (record: DirectoryRecord?, problem: CheckProblem?) {
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try directory.open(
                FileName(ReservedName.directoryRecord), OpenFlag.nonBlocking
            )
            .readAll(limitBytes: DirectoryRecord.maximumBytes)
        } catch {
            switch error {
            case .noSuchFileOrDirectory:
                // The directory itself may have gone: then it has no link any more.
                if try directory.status().linkCount == 0 { throw error }
                return (nil, CheckProblem(.recordMissing))
            case .fileTooLarge, .isDirectory, .symbolicLinkLoop, .illegalSeek,
                .noDeviceOrAddress:
                return (nil, CheckProblem(.recordMalformed, "\(error)"))
            default: throw error
            }
        }
        let evidence = SHA256.hash(bytes)
        let record: DirectoryRecord
        do throws(FormatError) {
            record = try DirectoryRecord(decoding: bytes)
        } catch {
            return (nil, CheckProblem(.recordMalformed, "\(error)", evidence: evidence))
        }
        guard record.domainID == config.rootDomainID else {
            return (
                nil, CheckProblem(.recordForeign, "domain \(record.domainID)", evidence: evidence)
            )
        }
        guard let keys else { return (record, nil) }
        do throws(FormatError) {
            try record.authenticate(bytes, with: keys)
            return (record, nil)
        } catch {
            return (nil, CheckProblem(.recordChanged, "\(error)", evidence: evidence))
        }
    }

    // MARK: Links and attributes

    private func linkProblems(_ item: CheckItem) throws(Errno) -> [CheckProblem] {
        guard let keys else { return [] }
        let text = try item.directory.readSymbolicLink(item.name)
        do throws(FormatError) {
            _ = try keys.openSymbolicLink(text)
            return []
        } catch {
            return [CheckProblem(.linkDamaged, "\(error)", evidence: SHA256.hash(text))]
        }
    }

    private func attributeProblems(_ item: CheckItem) throws(Errno) -> [CheckProblem] {
        try attributeProblems(of: try item.directory.open(item.name, OpenFlag.path))
    }

    func attributeProblems(of node: Descriptor) throws(Errno) -> [CheckProblem] {
        guard let keys else { return [] }
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
