import Cryptography
import KMSModel
import Platform
import SealedFormat

// Directories, their records, and the domains that begin in them.
extension CheckInspector {
    /// What a directory's record says, as far as it can be relied upon.
    struct RecordOutcome {
        var record: DirectoryRecord?
        /// The one that the directory is in, or that begins there.
        var domain: CheckDomain
        var problems: [CheckProblem] = []
    }

    private enum Content {
        case record(DirectoryRecord, bytes: [UInt8])
        case problem(CheckProblem)
    }

    func lookAtDirectory(
        _ item: CheckItem, _ inspection: inout CheckInspection
    ) throws(Errno) {
        let directory = try item.directory.open(
            item.name, OpenFlag.path | OpenFlag.directory)
        let outcome = try record(in: directory, below: item.place.domain)
        // Such a directory may have a name that can't be read either, and so have those below.
        if names == .sealed, outcome.problems.map(\.code) == [.recordMissing],
            try Self.holdsNoFile(directory), try !Self.holdsWork(directory)
        {
            inspection.problems = [CheckProblem(.directoryUnmade)]
            return
        }
        inspection.problems += outcome.problems
        if try isMisplaced(outcome, in: directory) {
            inspection.problems.append(
                CheckProblem(
                    .recordMisplaced, "no name in the directory opens under it",
                    evidence: outcome.record?.directoryID.bytes ?? []))
            inspection.child = item.place.child(
                item.name, plainName: inspection.plainName, directoryID: nil,
                domain: outcome.domain.uncertain)
            return
        }
        inspection.child = item.place.child(
            item.name, plainName: inspection.plainName,
            directoryID: outcome.record?.directoryID, domain: outcome.domain)
        if names == .sealed, let directoryID = outcome.record?.directoryID {
            inspection.identity = CheckInspection.Identity(
                id: .directory(directoryID), backing: BackingID(try directory.status()),
                hasSeveralNames: false)
        }
    }

    /// Of the vault's root, which is no entry of a directory; nil for any other place.
    func rootIdentity(_ place: CheckPlace) -> CheckInspection.Identity? {
        guard names == .sealed, place.isRoot, let directoryID = place.directoryID,
            let status = try? root.status()
        else { return nil }
        return CheckInspection.Identity(
            id: .directory(directoryID), backing: BackingID(status), hasSeveralNames: false)
    }

    /// Whether a genuine record is another directory's: no name opens under it, and some should. In
    /// a directory that began anew none has to: what sealed those is lost, and no backup has it.
    func isMisplaced(
        _ outcome: RecordOutcome, in directory: Descriptor
    ) throws(Errno) -> Bool {
        // What can't be listed, the walk tells.
        guard names == .sealed, let keys = outcome.domain.keys, let record = outcome.record,
            !keys.isLater(record.directoryID),
            let listing = try? directory.reopen(OpenFlag.directory)
        else { return false }
        var hasRefused = false
        var stream = DirectoryStream(listing)
        while let entry = try stream.next() {
            switch opens(entry.name, in: directory, record.directoryID, keys) {
            case true: return false
            case false: hasRefused = true
            case nil: break
            }
        }
        return hasRefused
    }

    /// The record of a directory in a domain, its root included, if it is genuine.
    func record(
        in directory: Descriptor, of domain: CheckDomain
    ) throws(Errno) -> DirectoryRecord? {
        guard case .record(let record, let bytes) = try content(of: directory),
            record.domainID == domain.id
        else { return nil }
        guard let keys = domain.keys else { return record }
        return (try? record.authenticate(bytes, with: keys)) != nil ? record : nil
    }

    /// The record of a directory that lies in another one of the domain `outer`.
    func record(
        in directory: Descriptor, below outer: CheckDomain
    ) throws(Errno) -> RecordOutcome {
        switch try content(of: directory) {
        case .problem(let problem):
            return RecordOutcome(domain: outer.uncertain, problems: [problem])
        case .record(let record, let bytes):
            return record.link == nil
                ? inner(record, bytes, of: outer) : root(record, bytes, below: outer)
        }
    }

    private func content(of directory: Descriptor) throws(Errno) -> Content {
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
                return .problem(CheckProblem(.recordMissing))
            case .fileTooLarge, .isDirectory, .symbolicLinkLoop, .illegalSeek,
                .noDeviceOrAddress:
                return .problem(CheckProblem(.recordMalformed, "\(error)"))
            default: throw error
            }
        }
        // What the store had not written yet when the power failed.
        if bytes.allSatisfy({ $0 == 0 }) {
            return .problem(
                CheckProblem(.recordMissing, bytes.isEmpty ? "it is empty" : "it is zeros"))
        }
        do throws(FormatError) {
            return .record(try DirectoryRecord(decoding: bytes), bytes: bytes)
        } catch {
            return .problem(
                CheckProblem(.recordMalformed, "\(error)", evidence: SHA256.hash(bytes)))
        }
    }

    // MARK: Directories that were never finished

    /// With more directories in one another, or entries, nobody looks further.
    private static let maximumUnmadeDepth = 64
    private static let maximumUnmadeEntries = 10_000

    /// Whether a directory has nothing below it but directories and Keyfold's own small files, and
    /// no domain begins there.
    static func holdsNoFile(_ directory: Descriptor) throws(Errno) -> Bool {
        var left = maximumUnmadeEntries
        return try holdsNoFile(directory, depth: 0, &left)
    }

    private static func holdsNoFile(
        _ directory: Descriptor, depth: Int, _ left: inout Int
    ) throws(Errno) -> Bool {
        guard depth < maximumUnmadeDepth else { return false }
        for name in try entries(of: directory) {
            left -= 1
            guard left > 0 else { return false }
            let status = try directory.status(of: name)
            if status.kind == .directory {
                let below = try directory.open(name, OpenFlag.path | OpenFlag.directory)
                guard try !beginsDomain(below), try holdsNoFile(below, depth: depth + 1, &left)
                else { return false }
            } else if !isOwnSmallFile(name, status) {
                return false
            }
        }
        return true
    }

    /// Whether somebody went on below a directory that holds no file: a directory with a record, or
    /// an attribute, was made later than the record above it.
    private static func holdsWork(_ directory: Descriptor) throws(Errno) -> Bool {
        if try holdsAttribute(directory) { return true }
        for name in try entries(of: directory) {
            guard try directory.status(of: name).kind == .directory else { continue }
            let below = try directory.open(name, OpenFlag.path | OpenFlag.directory)
            if holdsRecord(below) { return true }
            if try holdsWork(below) { return true }
        }
        return false
    }

    private static func holdsAttribute(_ directory: Descriptor) throws(Errno) -> Bool {
        do throws(Errno) {
            return try directory.extendedAttributeNames()
                .contains { $0.utf8.starts(with: DomainKeys.attributePrefix.utf8) }
        } catch {
            if error == .notSupported { return false }
            throw error
        }
    }

    /// Whether a directory has a record that some writer made, of whatever domain.
    static func holdsRecord(_ directory: Descriptor) -> Bool {
        let bytes = try? directory.openRegularFile(FileName(ReservedName.directoryRecord))
            .readAll(limitBytes: DirectoryRecord.maximumBytes)
        return bytes.map { (try? DirectoryRecord(decoding: $0)) != nil } ?? false
    }

    private static func beginsDomain(_ directory: Descriptor) throws(Errno) -> Bool {
        do throws(Errno) {
            let bytes = try directory.openRegularFile(FileName(ReservedName.directoryRecord))
                .readAll(limitBytes: DirectoryRecord.maximumBytes)
            return (try? DirectoryRecord(decoding: bytes))?.domainKey.isEmpty == false
        } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            return false
        }
    }

    static func entries(of directory: Descriptor) throws(Errno) -> [FileName] {
        var names: [FileName] = []
        var stream = DirectoryStream(try directory.reopen(OpenFlag.directory))
        while let entry = try stream.next() {
            if !entry.name.isDots { names.append(entry.name) }
        }
        return names
    }

    /// A record, a sidecar or an unfinished one of them.
    static func isOwnSmallFile(_ name: FileName, _ status: FileStatus) -> Bool {
        let text = name.string
        if text == ReservedName.directoryRecord { return status.kind == .regular }
        return isSidecar(status)
            && (text.utf8.starts(with: ReservedName.sidecarPrefix.utf8)
                || text.utf8.starts(with: ReservedName.temporaryPrefix.utf8))
    }

    private func inner(
        _ record: DirectoryRecord, _ bytes: [UInt8], of domain: CheckDomain
    ) -> RecordOutcome {
        func refused(_ code: CheckCode, _ detail: String) -> RecordOutcome {
            RecordOutcome(
                domain: domain.uncertain,
                problems: [CheckProblem(code, detail, evidence: SHA256.hash(bytes))])
        }
        guard record.domainID == domain.id else {
            if !domain.isCertain { return Self.below(record) }
            return refused(.recordForeign, "domain \(record.domainID)")
        }
        guard let keys = domain.keys else { return RecordOutcome(record: record, domain: domain) }
        do throws(FormatError) {
            try record.authenticate(bytes, with: keys)
            return RecordOutcome(record: record, domain: domain)
        } catch {
            return refused(.recordChanged, "\(error)")
        }
    }

    // MARK: Roots of nested domains

    private func root(
        _ record: DirectoryRecord, _ bytes: [UInt8], below outer: CheckDomain
    ) -> RecordOutcome {
        let closed = CheckDomain(id: record.domainID, keys: nil)
        func refused(_ code: CheckCode, _ detail: String) -> RecordOutcome {
            RecordOutcome(
                domain: closed.uncertain,
                problems: [CheckProblem(code, detail, evidence: SHA256.hash(bytes))])
        }
        guard record.link?.outerID == outer.id else {
            if !outer.isCertain { return Self.below(record) }
            return refused(.domainLinkWrong, "domain \(record.domainID)")
        }
        // What is around it is closed itself, which is said there.
        guard let outerKeys = outer.keys else {
            return RecordOutcome(record: record, domain: closed)
        }
        do throws(FormatError) {
            try record.authenticateLink(below: outerKeys)
        } catch {
            return refused(.domainLinkWrong, "domain \(record.domainID)")
        }
        let opened = open(record)
        guard let keys = opened.keys else {
            return RecordOutcome(record: record, domain: closed, problems: opened.problems)
        }
        do throws(FormatError) {
            try record.authenticate(bytes, with: keys)
        } catch {
            return refused(.recordChanged, "\(error)")
        }
        return RecordOutcome(
            record: record, domain: CheckDomain(id: record.domainID, keys: keys),
            problems: opened.problems)
    }

    /// What is above was refused, which is said there; nothing tells whether this fits it.
    private static func below(_ record: DirectoryRecord) -> RecordOutcome {
        RecordOutcome(
            record: record,
            domain: CheckDomain(id: record.domainID, keys: nil, isCertain: false))
    }

    private func open(_ record: DirectoryRecord) -> CheckDomainKeys.Opened {
        if let known = nestedKeys.withLock({ $0.find(record) }) { return known }
        let (domainKey, problems) = unwrap(
            record.domainKey,
            EncryptionContext(vault: config.vaultID, domain: record.domainID), as: caller,
            service: service)
        guard let domainKey else {
            return CheckDomainKeys.Opened(
                problems: problems.map { problem in
                    guard problem.code == .keyUnusable else { return problem }
                    return CheckProblem(
                        .domainKeyUnusable, problem.detail, evidence: problem.evidence)
                })
        }
        let opened = CheckDomainKeys.Opened(
            keys: DomainKeys(domainKey: domainKey, domainID: record.domainID), problems: problems)
        nestedKeys.withLock { $0.keep(opened, record) }
        return opened
    }
}

/// The keys of domains that were opened, since a check comes to each root several times.
struct CheckDomainKeys {
    struct Opened: Sendable {
        var keys: DomainKeys?
        /// With the wrappings that did not open.
        var problems: [CheckProblem] = []
    }

    private static let maximumCount = 1024
    private var byID: [DomainID: (wrapped: [WrappedKey], opened: Opened)] = [:]

    func find(_ record: DirectoryRecord) -> Opened? {
        guard let known = byID[record.domainID], known.wrapped == record.domainKey else {
            return nil
        }
        return known.opened
    }

    mutating func keep(_ opened: Opened, _ record: DirectoryRecord) {
        if byID.count >= Self.maximumCount { byID.removeAll() }
        byID[record.domainID] = (record.domainKey, opened)
    }
}
