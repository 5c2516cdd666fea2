import Cryptography
import Platform
import SealedFormat

/// Mends what a check found, one finding at a time. The caller holds the vault's lock.
///
/// Every step is a rename, or takes away what holds no data, the deepest first, so a repair that is
/// killed is run again. Nothing that holds data is deleted, and nothing is written over.
struct CheckRepair {
    struct Action {
        let place: CheckPlace
        let name: FileName
        let problem: CheckProblem
        let finding: CheckFinding

        /// To lost+found; else what is found is removed.
        var moves: Bool {
            switch problem.code {
            case .temporaryStale, .sidecarOrphan, .directoryUnmade: false
            default: true
            }
        }
    }

    static let lostAndFound = "lost+found"

    private let inspector: CheckInspector
    private let limits: CheckRepairLimits
    /// The last one that was used: findings come sorted by where they are.
    private var target: Target?

    /// The lost+found of a domain.
    private struct Target {
        let place: CheckPlace
        let directory: Descriptor
    }

    init(inspector: CheckInspector, limits: CheckRepairLimits) {
        self.inspector = inspector
        self.limits = limits
    }

    mutating func carryOut(_ action: Action) -> CheckFinding.Outcome {
        if let refusal = limits.refusal(of: action) { return .notRepaired(refusal) }
        do throws(Errno) {
            let directory = try action.place.open(below: inspector.root)
            let item = CheckItem(place: action.place, directory: directory, name: action.name)
            let now = inspector.inspect(item, .identities)
            guard now.problems.contains(where: { action.problem.confirmed(by: $0) != nil }) else {
                return .notRepaired("it has changed meanwhile")
            }
            if action.moves, now.problems.contains(where: \.code.isOfRecord) {
                return .notRepaired("its own record is refused: put that right first")
            }
            switch action.problem.code {
            case .temporaryStale: try removeTemporary(item)
            case .sidecarOrphan: try directory.unlink(item.name)
            case .directoryUnmade:
                try removeUnmade(item.name, in: directory)
                removeSidecar(of: item)
            case .nameUndecodable, .sidecarMissing, .sidecarDamaged, .temporaryWithData:
                let isWhole = action.problem.code == .nameUndecodable
                try moveToLostAndFound(item, takingSidecar: isWhole)
            case .configMalformed, .configChanged, .recordMissing, .recordMalformed,
                .recordChanged, .recordForeign, .recordMisplaced, .domainLinkWrong,
                .domainKeyUnusable, .nameForeign, .nameReserved, .sizeImpossible,
                .headerMalformed, .headerChanged, .keyUnusable, .keyMissing, .keyVersionMissing,
                .wrappedKeyDamaged, .finalBlockMissing, .blockDamaged, .holeUnexpected,
                .holeUnsettled, .fileIDDuplicate, .linkDamaged, .attributeDamaged,
                .attributeForeign, .journalLeft, .journalDamaged, .changing, .notPermitted,
                .unreadable:
                preconditionFailure("BUG: nothing repairs \(action.problem.code)")
            }
            try directory.synchronize(dataOnly: false)
            return .repaired
        } catch {
            return .notRepaired("\(error)")
        }
    }

    private func removeTemporary(_ item: CheckItem) throws(Errno) {
        guard try item.directory.status(of: item.name).kind == .directory else {
            return try item.directory.unlink(item.name)
        }
        let inner = try item.directory.open(item.name, OpenFlag.path | OpenFlag.directory)
        try inner.asOwner(0o700) { () throws(Errno) in
            guard try CheckInspector.holdsNothing(inner) else { throw .directoryNotEmpty }
            for name in try CheckInspector.entries(of: inner) { try inner.unlink(name) }
        }
        try item.directory.removeDirectory(item.name)
    }

    /// A tree of directories without a file, deepest first; what came since keeps it from going.
    private func removeUnmade(_ name: FileName, in parent: Descriptor) throws(Errno) {
        let directory = try parent.open(name, OpenFlag.path | OpenFlag.directory)
        try directory.asOwner(0o700) { () throws(Errno) in
            for entry in try CheckInspector.entries(of: directory) {
                let status = try directory.status(of: entry)
                if status.kind == .directory {
                    try removeUnmade(entry, in: directory)
                } else if CheckInspector.isOwnSmallFile(entry, status) {
                    try directory.unlink(entry)
                }
            }
        }
        try parent.removeDirectory(name)
    }

    // MARK: lost+found

    /// The entry gets a name that a mount shows, `undecodable-` and a hash of where it stood. It
    /// stays in its domain: in another one, its key would not open.
    ///
    /// - Parameter takesSidecar: of a name that is whole, and opens where it was made; what is
    ///   damaged goes.
    private mutating func moveToLostAndFound(
        _ item: CheckItem, takingSidecar takesSidecar: Bool
    ) throws(Errno) {
        let target = try openLostAndFound(of: item.place.domainRoot)
        let path = item.place.storedPath(item.name)
        let hash = hexadecimal(Array(SHA256.hash(Array(path.utf8)).prefix(8)))
        for attempt in 0..<100 {
            let plain = "undecodable-\(hash)" + (attempt == 0 ? "" : "-\(attempt)")
            guard let stored = inspector.storedName(of: plain, in: target.place) else {
                throw .noKey
            }
            do throws(Errno) {
                try item.directory.rename(
                    item.name, to: target.directory, stored, flags: RenameFlag.noReplace)
            } catch {
                if error == .fileExists { continue }
                throw error
            }
            if takesSidecar { moveSidecar(of: item, to: target.directory) }
            try target.directory.synchronize(dataOnly: false)
            if !takesSidecar { removeSidecar(of: item) }
            return
        }
        throw .fileExists
    }

    /// It keeps its name, so that it leads back: the check takes it for no entry's there.
    private func moveSidecar(of item: CheckItem, to directory: Descriptor) {
        guard ReservedName.isLong(item.name.string) else { return }
        let sidecar = FileName(ReservedName.sidecar(ofLong: item.name.string))
        try? item.directory.rename(
            sidecar, to: directory, sidecar, flags: RenameFlag.noReplace)
    }

    /// Of an entry that has moved away. What is no small file is not one, and stays.
    private func removeSidecar(of item: CheckItem) {
        guard ReservedName.isLong(item.name.string) else { return }
        let sidecar = FileName(ReservedName.sidecar(ofLong: item.name.string))
        guard let status = try? item.directory.status(of: sidecar),
            CheckInspector.isSidecar(status)
        else { return }
        try? item.directory.unlink(sidecar)
    }

    /// The sealed directory `lost+found` at the root of a domain, made when it is not there.
    private mutating func openLostAndFound(of top: CheckPlace) throws(Errno) -> Target {
        if let target, target.place.domain.id == top.domain.id { return target }
        let root = try inspector.open(top)
        guard let keys = top.domain.keys, top.directoryID != nil,
            let stored = inspector.storedName(of: Self.lostAndFound, in: top)
        else { throw .noKey }
        if (try? root.status(of: stored)) == nil { try makeLostAndFound(stored, in: root, keys) }
        let directory = try root.open(stored, OpenFlag.directory)
        guard let record = try inspector.record(in: directory, of: top.domain),
            record.link == nil,
            try !inspector.isMisplaced(
                CheckInspector.RecordOutcome(record: record, domain: top.domain), in: directory)
        else { throw .ioError }
        let opened = Target(
            place: top.child(
                stored, plainName: Self.lostAndFound, directoryID: record.directoryID),
            directory: directory)
        target = opened
        return opened
    }

    /// Appears whole, with its record, and belongs to whom the domain's root belongs.
    private func makeLostAndFound(
        _ stored: FileName, in root: Descriptor, _ keys: DomainKeys
    ) throws(Errno) {
        let temporary = FileName(ReservedName.temporaryPrefix + hexadecimal(Random.bytes(8)))
        try root.makeDirectory(temporary, mode: 0o700)
        let directory = try root.open(temporary, OpenFlag.directory)
        let record = DirectoryRecord(directoryID: DirectoryID(), domainID: keys.domainID)
        let file = try directory.open(
            FileName(ReservedName.directoryRecord), OpenFlag.createNew, mode: 0o600)
        try file.write(record.encoded(with: keys), at: 0)
        let owner = try root.status()
        try file.changeOwner(uid: owner.uid, gid: owner.gid)
        try directory.changeOwner(uid: owner.uid, gid: owner.gid)
        try file.synchronize(dataOnly: false)
        try directory.synchronize(dataOnly: false)
        try root.rename(temporary, to: root, stored, flags: RenameFlag.noReplace)
        try root.reopen(OpenFlag.directory).synchronize(dataOnly: false)
    }
}

extension CheckInspector {
    /// The stored form of a plaintext name; nil where no key seals names, or nobody knows whether
    /// one has to.
    func storedName(of plain: String, in place: CheckPlace) -> FileName? {
        guard let names else { return nil }
        if names == .plaintext { return FileName(plain) }
        guard (1...DomainKeys.maximumNameBytes).contains(plain.utf8.count),
            let keys = place.domain.keys, let directoryID = place.directoryID
        else { return nil }
        return FileName(keys.sealName(Array(plain.utf8), in: directoryID).stored)
    }
}
