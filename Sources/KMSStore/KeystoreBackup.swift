internal import Cryptography
internal import Glibc
internal import KMSModel
internal import Platform

/// One file that holds a whole keystore: its database and its usage log.
///
/// ```
/// "KFBACKUP" | format u32 | count u32 | count × (name, size u64, digest 32)
///            | seal 32 | checksum 32 | the files' bytes, one after the other
/// ```
///
/// Numbers are big-endian, a name is a 32-bit length and UTF-8. A file's digest is the SHA-256
/// of its pieces' SHA-256s, a piece being 1 MiB. The checksum is the SHA-256 of all before it and
/// finds damage without any key; the seal is an HMAC-SHA256 of all before it under a key from the
/// root key and finds edits. Everything in the files themselves is sealed as in the keystore.
struct BackupHeader {
    static let magic = Array("KFBACKUP".utf8)
    static let format: UInt32 = 1
    /// Each process that uses a key makes a segment of the log.
    static let maximumEntries: UInt32 = 1 << 24
    static let maximumBytes = 1536 << 20
    static let pieceBytes = 1 << 20
    /// Most headers have some hundred bytes; longer ones are read by twice as much each time.
    private static let firstBytes = 64 << 10
    /// Seal and checksum.
    private static let sealBytes = 64

    struct Entry {
        let name: String
        let sizeBytes: UInt64
        let digest: [UInt8]
    }

    var entries: [Entry]

    private var sealedPart: [UInt8] {
        var writer = RecordWriter()
        writer.append(BackupHeader.format)
        writer.append(UInt32(entries.count))
        for entry in entries {
            writer.append(entry.name)
            writer.append(entry.sizeBytes)
            writer.append(entry.digest)
        }
        return BackupHeader.magic + writer.finish()
    }

    func seal(_ keys: KeystoreKeys) -> [UInt8] {
        HMACSHA256.authenticationCode(for: sealedPart, key: keys.backup)
    }

    func encoded(_ keys: KeystoreKeys) -> [UInt8] {
        let bytes = sealedPart + seal(keys)
        return bytes + SHA256.hash(bytes)
    }

    /// Reads a header from the start of a file; the checksum is verified, the seal handed out.
    static func read(
        _ file: Descriptor, path: String
    ) throws(KeystoreError) -> (header: BackupHeader, seal: [UInt8], sizeBytes: Int) {
        let damaged = KeystoreError.damagedBackup(path: path, reason: "its header is damaged")
        var bytes = try read(file, count: firstBytes, at: 0, path: path)
        guard bytes.starts(with: magic) else {
            throw .damagedBackup(path: path, reason: "it is not a keystore's backup")
        }
        var decoded: (format: UInt32, entries: [Entry])?
        while decoded == nil {
            do throws(MalformedRecord) {
                decoded = try decode(bytes)
            } catch {
                guard error.isCutOff, bytes.count < maximumBytes else { throw damaged }
                let more = try read(file, count: bytes.count, at: UInt64(bytes.count), path: path)
                guard !more.isEmpty else { throw damaged }
                bytes += more
            }
        }
        guard let decoded else { throw damaged }
        guard decoded.format == format else {
            throw .unsupportedVersion(path: path, version: Int(decoded.format))
        }
        let header = BackupHeader(entries: decoded.entries)
        let sealed = header.sealedPart
        let end = sealed.count + sealBytes
        guard bytes.count >= end, bytes.prefix(sealed.count).elementsEqual(sealed),
            SHA256.hash(Array(bytes.prefix(end - 32))) == Array(bytes[(end - 32)..<end])
        else { throw damaged }
        return (header, Array(bytes[sealed.count..<sealed.count + 32]), end)
    }

    private static func read(
        _ file: Descriptor, count: Int, at offset: UInt64, path: String
    ) throws(KeystoreError) -> [UInt8] {
        try onSystem(path) { () throws(Errno) in try file.read(count: count, at: offset) }
    }

    /// The entries are empty when the format is another one.
    ///
    /// - Parameter bytes: from the magic number on.
    private static func decode(
        _ bytes: [UInt8]
    ) throws(MalformedRecord) -> (format: UInt32, entries: [Entry]) {
        var reader = RecordReader(bytes)
        _ = try reader.number(UInt64.self)
        let format = try reader.number(UInt32.self)
        guard format == self.format else { return (format, []) }
        let count = try reader.number(UInt32.self)
        guard count <= maximumEntries else { throw MalformedRecord() }
        var entries: [Entry] = []
        for _ in 0..<count {
            entries.append(
                Entry(
                    name: try reader.text(), sizeBytes: try reader.number(),
                    digest: try reader.byteString()))
        }
        guard reader.hasLeft(sealBytes) else { throw MalformedRecord(isCutOff: true) }
        return (format, entries)
    }
}

/// Copies bytes between files, and what they hash to.
enum BackupCopy {
    /// - Returns: the digest of the bytes.
    static func copy(
        _ source: Descriptor, at sourceOffset: UInt64, to destination: Descriptor,
        at destinationOffset: UInt64, count: UInt64
    ) throws(Errno) -> [UInt8]? {
        var pieces: [UInt8] = []
        var done: UInt64 = 0
        while done < count {
            let size = Int(min(UInt64(BackupHeader.pieceBytes), count - done))
            let piece = try source.read(count: size, at: sourceOffset + done)
            guard piece.count == size else { return nil }
            try destination.write(piece, at: destinationOffset + done)
            pieces += SHA256.hash(piece)
            done += UInt64(size)
        }
        return SHA256.hash(pieces)
    }
}

extension KeystoreStore {
    /// Writes a backup: the database as of now, and of the log what goes with it, while others
    /// read and write. The file appears whole or not at all, and replaces nothing.
    ///
    /// - Parameter logFile: the name of a segment's file in the log's directory.
    /// - Returns: why segments of the log are missing there, if some can't be read: whoever loses his
    ///   log is not to lose his keys as well.
    package func backup(
        to file: String, logFile: (SegmentRow) -> String
    ) throws(KeystoreError) -> [KeystoreError] {
        let target = try BackupTarget(file)
        defer { target.cleanUp() }
        // The database first: whatever it says of the log is in the log's files already.
        let copyPath = "\(target.stagingPath)/\(KeystorePaths.databaseName)"
        try database.copy(to: copyPath)
        var sources = [
            BackupSource(
                name: KeystorePaths.databaseName, keystore: paths.directory,
                directory: target.staging, file: FileName(KeystorePaths.databaseName))
        ]
        let segments = try segments(inCopy: copyPath)
        if !segments.isEmpty {
            let log = try paths.openLog()
            sources += segments.map { segment in
                let name = logFile(segment)
                return BackupSource(
                    name: "\(KeystorePaths.logName)/\(name)", keystore: paths.directory,
                    directory: log, file: FileName(name), mayBeMissing: true)
            }
        }
        let missing = try target.write(sources, keys: keys)
        try target.commit()
        return missing
    }

    private func segments(inCopy path: String) throws(KeystoreError) -> [SegmentRow] {
        let copy = try KeystoreDatabase.open(at: path, keystore: paths.directory).database
        defer { copy.close() }
        let reader = SegmentReader(paths: paths, keys: keys, sealer: RecordSealer(keys))
        return try copy.transaction(.read) { connection throws(KeystoreError) in
            try reader.all(in: connection)
        }
    }

    /// Makes a keystore from a backup, where there is nothing or an empty directory.
    ///
    /// Damage is always found before anything appears. Edits by somebody who can compute
    /// checksums are found here when `method` is given, and otherwise when the keystore is opened.
    package static func restore(
        from file: String, to directory: String, verifyingWith method: UnlockMethod?
    ) throws(KeystoreError) {
        let staged = try StagedDirectory(for: directory, token: hexText(Random.bytes(6)))
        do throws(KeystoreError) {
            let seal = try unpack(file, into: staged.path)
            if let method {
                let store = try open(at: staged.path, unlocking: method)
                defer { store.close() }
                guard constantTimeEqual(seal.header.seal(store.keys), seal.found) else {
                    throw .damagedBackup(path: file, reason: "it was edited")
                }
                _ = try store.segments()
            }
        } catch {
            staged.discard()
            throw error
        }
        try staged.commit()
    }

    private static func unpack(
        _ file: String, into directory: String
    ) throws(KeystoreError) -> (header: BackupHeader, found: [UInt8]) {
        let source: Descriptor
        do throws(Errno) {
            source = try Descriptor.open(path: file, O_RDONLY)
        } catch {
            throw KeystoreError(error, path: file)
        }
        let (header, seal, headerBytes) = try BackupHeader.read(source, path: file)
        let place = try onSystem(directory) { () throws(Errno) in
            try Descriptor.open(path: directory, O_RDONLY | O_DIRECTORY)
        }
        let log = try onSystem(directory) { () throws(Errno) in
            try place.makeDirectory(FileName(KeystorePaths.logName), mode: 0o700)
            return try place.open(FileName(KeystorePaths.logName), O_RDONLY | O_DIRECTORY)
        }
        var offset = UInt64(headerBytes)
        for entry in header.entries {
            guard let (parent, name) = destination(entry.name, root: place, log: log) else {
                throw .damagedBackup(path: file, reason: "it holds a file that no keystore has")
            }
            let digest = try onSystem("\(directory)/\(entry.name)") { () throws(Errno) in
                let written = try parent.open(name, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
                let digest = try BackupCopy.copy(
                    source, at: offset, to: written, at: 0, count: entry.sizeBytes)
                try written.synchronize(dataOnly: false)
                return digest
            }
            guard digest == entry.digest else {
                throw .damagedBackup(path: file, reason: "its copy of \(entry.name) is damaged")
            }
            offset += entry.sizeBytes
        }
        let sizeBytes = try onSystem(file) { () throws(Errno) in try source.status().sizeBytes }
        guard sizeBytes == offset else {
            throw .damagedBackup(path: file, reason: "its size is wrong")
        }
        try onSystem(directory) { () throws(Errno) in try log.synchronize(dataOnly: false) }
        try checkDatabase(KeystorePaths(directory: directory), backup: file)
        return (header, seal)
    }

    /// Where an entry goes; nil for a name that no backup holds.
    private static func destination(
        _ name: String, root: Descriptor, log: Descriptor
    ) -> (Descriptor, FileName)? {
        if name == KeystorePaths.databaseName { return (root, FileName(name)) }
        let prefix = "\(KeystorePaths.logName)/"
        let rest = FileName(String(name.dropFirst(prefix.count)))
        guard name.hasPrefix(prefix), rest.count > 0, !rest.isDots,
            !rest.bytes.contains(UInt8(ascii: "/")), rest.string.utf8.elementsEqual(rest.bytes)
        else { return nil }
        return (log, rest)
    }

    private static func checkDatabase(
        _ paths: KeystorePaths, backup file: String
    ) throws(KeystoreError) {
        let (database, _) = try KeystoreDatabase.open(at: paths.database, keystore: file)
        defer { database.close() }
        if let problem = try database.integrityProblem() {
            throw .damagedBackup(path: file, reason: problem)
        }
        _ = try CommitCounter(paths)
    }
}

/// A file that goes into a backup.
private struct BackupSource {
    /// In the backup.
    let name: String
    let keystore: String
    let directory: Descriptor
    let file: FileName
    /// The backup is worth having without it.
    var mayBeMissing = false

    /// Reads all of it, as a copy does.
    ///
    /// - Returns: its size.
    func readThrough() throws(KeystoreError) -> UInt64 {
        let opened = try open()
        do throws(Errno) {
            let size = try opened.status().sizeBytes
            var done: UInt64 = 0
            while done < size {
                let piece = try opened.read(count: BackupHeader.pieceBytes, at: done)
                guard !piece.isEmpty else { throw .ioError }
                done += UInt64(piece.count)
            }
            return size
        } catch {
            throw KeystoreError(error, path: "\(keystore)/\(name)")
        }
    }

    /// Follows no link, and waits for nobody at a FIFO.
    ///
    /// - Throws: ``KeystoreError/tampered(path:what:)`` for anything but a regular file.
    func open() throws(KeystoreError) -> Descriptor {
        do throws(Errno) {
            return try directory.openRegularFile(file)
        } catch {
            switch error {
            case .symbolicLinkLoop, .noDeviceOrAddress:
                throw .tampered(path: keystore, what: "\(name) is no regular file")
            default: throw KeystoreError(error, path: "\(keystore)/\(name)")
            }
        }
    }
}

/// The place where a backup is put together, beside where it goes.
private struct BackupTarget {
    private let parent: Descriptor
    let staging: Descriptor
    private let stagingName: FileName
    private let finalName: FileName
    private let path: String
    let stagingPath: String
    private let fileName = FileName("backup")

    init(_ path: String) throws(KeystoreError) {
        self.path = path
        let cut = path.lastIndex(of: "/")
        let parentPath = cut.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        finalName = FileName(cut.map { String(path[path.index(after: $0)...]) } ?? path)
        stagingName = FileName("\(finalName.string).new-\(hexText(Random.bytes(6)))")
        stagingPath = "\(parentPath)/\(stagingName.string)"
        do throws(Errno) {
            parent = try Descriptor.open(path: parentPath, O_RDONLY | O_DIRECTORY)
            if (try? parent.status(of: finalName)) != nil { throw .fileExists }
            try parent.makeDirectory(stagingName, mode: 0o700)
            staging = try parent.open(stagingName, O_RDONLY | O_DIRECTORY)
        } catch {
            throw error == .fileExists ? .exists(path: path) : KeystoreError(error, path: path)
        }
    }

    /// Writes header and contents, and syncs them.
    ///
    /// - Returns: why some of the sources are not there.
    func write(
        _ sources: [BackupSource], keys: KeystoreKeys
    ) throws(KeystoreError) -> [KeystoreError] {
        let file = try onSystem(path) { () throws(Errno) in
            try staging.open(fileName, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        }
        // Digests have a fixed size, so the header's size is known before them.
        var header = BackupHeader(entries: [])
        var readable: [BackupSource] = []
        var missing: [KeystoreError] = []
        // A log has more segments than a process may have files open: one at a time.
        for source in sources {
            do throws(KeystoreError) {
                let size = try source.readThrough()
                header.entries.append(
                    BackupHeader.Entry(
                        name: source.name, sizeBytes: size,
                        digest: [UInt8](repeating: 0, count: 32)))
                readable.append(source)
            } catch {
                // What somebody put in a file's place is nothing to be silent about.
                if case .tampered = error { throw error }
                guard source.mayBeMissing else { throw error }
                missing.append(error)
            }
        }
        try copy(readable, behind: &header, to: file, keys)
        let bytes = header.encoded(keys)
        try onSystem(path) { () throws(Errno) in
            try file.write(bytes, at: 0)
            try file.synchronize(dataOnly: false)
        }
        // What no restore would take is no backup.
        _ = try BackupHeader.read(file, path: path)
        return missing
    }

    private func copy(
        _ sources: [BackupSource], behind header: inout BackupHeader, to file: Descriptor,
        _ keys: KeystoreKeys
    ) throws(KeystoreError) {
        var offset = UInt64(header.encoded(keys).count)
        for (index, source) in sources.enumerated() {
            let opened = try source.open()
            let (start, size) = (offset, header.entries[index].sizeBytes)
            let digest = try onSystem(path) { () throws(Errno) in
                try BackupCopy.copy(opened, at: 0, to: file, at: start, count: size)
            }
            // A file that shrinks was replaced under us.
            guard let digest else { throw KeystoreError(.ioError, path: path) }
            header.entries[index] = BackupHeader.Entry(
                name: source.name, sizeBytes: size, digest: digest)
            offset += size
        }
    }

    func commit() throws(KeystoreError) {
        do throws(Errno) {
            // RENAME_NOREPLACE of renameat2(2).
            try staging.rename(fileName, to: parent, finalName, flags: 1)
            try parent.synchronize(dataOnly: false)
        } catch {
            throw error == .fileExists ? .exists(path: path) : KeystoreError(error, path: path)
        }
    }

    func cleanUp() {
        DirectoryContents.remove(stagingName, in: parent)
    }
}
