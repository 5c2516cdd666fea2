import Cryptography
import Platform
import SealedFormat

// Stored names: entries, sidecars, temporaries, and the journals of mounts.
extension CheckInspector {
    struct NameOutcome {
        var plain: String?
        var problems: [CheckProblem] = []
    }

    /// No regular temporary of Keyfold is longer.
    private static let maximumTemporaryBytes = UInt64(DirectoryRecord.maximumBytes)
    private static let maximumSidecarBytes = 1024

    // MARK: Entries

    func nameOutcome(
        _ item: CheckItem, _ status: FileStatus, isLong: Bool
    ) throws(Errno) -> NameOutcome {
        guard let names else { return NameOutcome() }
        guard names == .sealed else { return NameOutcome(plain: item.name.string) }
        guard let keys = item.place.domain.keys, let directoryID = item.place.directoryID else {
            // Without the record, or a key, no name tells anything; that is said once, above it.
            return NameOutcome()
        }
        if isLong { return try longName(item, status, keys, directoryID) }
        do throws(FormatError) {
            let name = try keys.openName(item.name.string, in: directoryID)
            return NameOutcome(plain: String(decoding: name, as: UTF8.self))
        } catch {
            // A file that was put here by hand, or Keyfold's own under a name that was changed?
            let isOurs = isKeyfoldsOwn(item, status, hasSealedName: error.isAuthenticationFailure)
            return NameOutcome(problems: [
                CheckProblem(
                    isOurs ? .nameUndecodable : .nameForeign, isOurs ? "\(error)" : nil,
                    evidence: status.identityEvidence)
            ])
        }
    }

    private func longName(
        _ item: CheckItem, _ status: FileStatus, _ keys: DomainKeys, _ directoryID: DirectoryID
    ) throws(Errno) -> NameOutcome {
        let stored = item.name.string
        func problem(_ code: CheckCode, _ detail: String?, _ seen: [UInt8] = []) -> NameOutcome {
            NameOutcome(problems: [
                CheckProblem(code, detail, evidence: status.identityEvidence + seen)
            ])
        }
        let sidecar: [UInt8]
        do throws(Errno) {
            sidecar = try item.directory.open(
                FileName(ReservedName.sidecar(ofLong: stored)), OpenFlag.nonBlocking
            ).readAll(limitBytes: Self.maximumSidecarBytes)
        } catch {
            switch error {
            case .noSuchFileOrDirectory:
                // Entry and sidecar may have gone together.
                _ = try item.directory.status(of: item.name)
                return problem(.sidecarMissing, nil)
            case .fileTooLarge, .isDirectory, .symbolicLinkLoop, .illegalSeek,
                .noDeviceOrAddress:
                return problem(.sidecarDamaged, "\(error)")
            default: throw error
            }
        }
        do throws(FormatError) {
            let name = try keys.openLongName(sidecar: sidecar, stored: stored, in: directoryID)
            return NameOutcome(plain: String(decoding: name, as: UTF8.self))
        } catch {
            return problem(
                error.isAuthenticationFailure ? .nameUndecodable : .sidecarDamaged, "\(error)",
                SHA256.hash(sidecar))
        }
    }

    /// Whether a name opens in a directory; nil where it tells nothing, as it is none of an entry,
    /// or its sidecar is not whole.
    func opens(
        _ name: FileName, in directory: Descriptor, _ directoryID: DirectoryID, _ keys: DomainKeys
    ) -> Bool? {
        let stored = name.string
        do throws(FormatError) {
            switch CheckNameKind(stored, isRoot: false, names: .sealed) {
            case .direct: _ = try keys.openName(stored, in: directoryID)
            case .long:
                guard let sidecar = sidecar(ofLong: stored, in: directory) else { return nil }
                _ = try keys.openLongName(sidecar: sidecar, stored: stored, in: directoryID)
            case .own, .journal, .temporary, .sidecar, .reserved: return nil
            }
            return true
        } catch {
            return error.isAuthenticationFailure ? false : nil
        }
    }

    private func sidecar(ofLong stored: String, in directory: Descriptor) -> [UInt8]? {
        try? directory.open(
            FileName(ReservedName.sidecar(ofLong: stored)), OpenFlag.nonBlocking
        ).readAll(limitBytes: Self.maximumSidecarBytes)
    }

    func lacksSidecar(_ item: CheckItem) throws(Errno) -> Bool {
        do throws(Errno) {
            _ = try item.directory.status(
                of: FileName(ReservedName.sidecar(ofLong: item.name.string)))
            return false
        } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            return true
        }
    }

    /// Whether an entry that no name leads to was made by Keyfold, in this domain or another one.
    private func isKeyfoldsOwn(
        _ item: CheckItem, _ status: FileStatus, hasSealedName: Bool
    ) -> Bool {
        if hasSealedName { return true }
        switch status.kind {
        case .regular: return isSealedFile(item.name, in: item.directory)
        case .directory:
            guard
                let directory = try? item.directory.open(
                    item.name, OpenFlag.path | OpenFlag.directory)
            else { return false }
            return Self.holdsRecord(directory)
        case .symbolicLink:
            guard let text = try? item.directory.readSymbolicLink(item.name) else { return false }
            return (try? item.place.domain.keys?.openSymbolicLink(text)) != nil
        case .special: return false
        }
    }

    private func isSealedFile(_ name: FileName, in directory: Descriptor) -> Bool {
        guard
            let bytes = try? directory.open(name, OpenFlag.nonBlocking)
                .read(count: config.layout.headerBytes, at: 0)
        else { return false }
        return (try? FileHeader(decoding: bytes, layout: config.layout)) != nil
    }

    // MARK: Keyfold's own files

    func sidecarProblems(
        _ item: CheckItem, _ status: FileStatus
    ) throws(Errno) -> [CheckProblem] {
        guard Self.isSidecar(status) else {
            return [CheckProblem(.nameReserved, evidence: status.evidence)]
        }
        do throws(Errno) {
            _ = try item.directory.status(of: Self.entry(ofSidecar: item.name))
            return []
        } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            return [
                isOfAnotherDirectory(item)
                    ? CheckProblem(
                        .nameReserved, "the long name of an entry of another directory",
                        evidence: status.evidence)
                    : CheckProblem(.sidecarOrphan, evidence: status.evidence)
            ]
        }
    }

    /// Whether a sidecar is whole and was not made here: then it is the only copy of a name.
    private func isOfAnotherDirectory(_ item: CheckItem) -> Bool {
        guard let keys = item.place.domain.keys, let directoryID = item.place.directoryID else {
            return false
        }
        let entry = Self.entry(ofSidecar: item.name)
        return opens(entry, in: item.directory, directoryID, keys) == false
    }

    /// Whether a file may be a sidecar, by its looks.
    static func isSidecar(_ status: FileStatus) -> Bool {
        status.kind == .regular && status.sizeBytes <= UInt64(maximumSidecarBytes)
    }

    /// The entry that a sidecar belongs to.
    static func entry(ofSidecar name: FileName) -> FileName {
        FileName(
            ReservedName.longPrefix
                + String(name.string.dropFirst(ReservedName.sidecarPrefix.count)))
    }

    func temporaryProblems(
        _ item: CheckItem, _ status: FileStatus
    ) throws(Errno) -> [CheckProblem] {
        let code: CheckCode
        switch status.kind {
        case .regular: code = try temporaryFileCode(item, status)
        case .directory:
            let directory = try item.directory.open(item.name, OpenFlag.directory)
            if try Self.holdsNothing(directory) {
                code = .temporaryStale
            } else {
                let outcome = try record(in: directory, below: item.place.domain)
                // Without a record it would be no better anywhere else.
                if outcome.record == nil { return outcome.problems }
                code = .temporaryWithData
            }
        case .symbolicLink, .special: code = .nameReserved
        }
        return [CheckProblem(code, evidence: status.evidence)]
    }

    /// Only what is certain to be no data is stale: too short for a sealed block, or a record, or a
    /// config, or zeros that a power cut left of one.
    private func temporaryFileCode(
        _ item: CheckItem, _ status: FileStatus
    ) throws(Errno) -> CheckCode {
        if isSealedFile(item.name, in: item.directory) { return .temporaryWithData }
        if status.sizeBytes <= UInt64(config.layout.headerBytes) { return .temporaryStale }
        guard status.sizeBytes <= Self.maximumTemporaryBytes else { return .nameReserved }
        let bytes = try item.directory.open(item.name, OpenFlag.nonBlocking)
            .read(count: Int(Self.maximumTemporaryBytes), at: 0)
        let isKnown =
            (try? DirectoryRecord(decoding: bytes)) != nil
            || (try? VaultConfig(decoding: bytes)) != nil || bytes.allSatisfy { $0 == 0 }
        return isKnown ? .temporaryStale : .nameReserved
    }

    /// Whether a temporary directory has nothing in it but what Keyfold itself puts there: its
    /// record, and sidecars and temporaries that are small files.
    static func holdsNothing(_ directory: Descriptor) throws(Errno) -> Bool {
        for name in try entries(of: directory) {
            guard isOwnSmallFile(name, try directory.status(of: name)) else { return false }
        }
        return true
    }

    /// Journals that no living mount holds, read as the next mount does it.
    func journalProblems(
        _ item: CheckItem, _ status: FileStatus
    ) throws(Errno) -> [CheckProblem] {
        guard status.kind == .directory else {
            return [CheckProblem(.nameReserved, evidence: status.evidence)]
        }
        guard looksAtJournals else { return [] }
        let directory = try item.directory.open(item.name, OpenFlag.directory)
        var stream = DirectoryStream(try directory.reopen(OpenFlag.directory))
        let locked = Set(CheckLocks.current().map(\.inodeNumber))
        var count = 0
        var problems: [CheckProblem] = []
        while let entry = try stream.next() {
            guard !entry.name.isDots, !locked.contains(entry.inodeNumber) else { continue }
            if let problem = journalProblem(entry.name, in: directory, item.place.domain.keys) {
                problems.append(problem)
            } else {
                count += 1
            }
        }
        if count > 0 {
            problems.append(
                CheckProblem(.journalLeft, count == 1 ? "1 journal" : "\(count) journals"))
        }
        return problems
    }

    private func journalProblem(
        _ name: FileName, in directory: Descriptor, _ keys: DomainKeys?
    ) -> CheckProblem? {
        guard let keys else { return nil }
        do throws(VaultError) {
            let file = try system { () throws(Errno) in try directory.openRegularFile(name) }
            _ = try Journal.read(file, name: name, keys: keys)
            return nil
        } catch {
            if case .journal(_, let error) = error {
                return CheckProblem(.journalDamaged, "\(name.string): \(error)")
            }
            let errno = Errno(error)
            return saysGone(errno)
                ? nil : CheckProblem(CheckCode(errno), "\(name.string): \(errno)")
        }
    }
}

extension FormatError {
    fileprivate var isAuthenticationFailure: Bool {
        if case .authenticationFailed = self { true } else { false }
    }
}

extension FileStatus {
    /// The same as long as the name leads to the same file.
    fileprivate var identityEvidence: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: inodeNumber >> UInt64(8 * $0)) }
    }
}
