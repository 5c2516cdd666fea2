extension FileID {
    /// Stands for no sealed file.
    package static let none: FileID = {
        guard let none = FileID(bytes: [UInt8](repeating: 0, count: 16)) else {
            preconditionFailure("BUG: an id has 16 bytes")
        }
        return none
    }()
}

/// Which stored file a journal's entry is about.
package struct JournaledFile: Hashable, Sendable {
    package let fileID: FileID
    /// Stored names from the vault's root down with "/" between them.
    package let path: [UInt8]

    /// Of a file that is not sealed: a directory record or a sidecar.
    package init(metadata path: [UInt8]) {
        fileID = FileID.none
        self.path = path
    }

    package init(fileID: FileID, path: [UInt8]) {
        self.fileID = fileID
        self.path = path
    }
}

/// A time of a file; nanoseconds are 0…999,999,999.
package struct JournalTime: Equatable, Sendable {
    package let seconds: Int64
    package let nanoseconds: UInt32

    package init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    fileprivate var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: UInt64(bitPattern: seconds))
        bytes.append(bigEndian: nanoseconds)
        return bytes
    }

    fileprivate init?(_ reader: inout ByteReader) {
        guard let seconds = reader.integer(UInt64.self),
            let nanoseconds = reader.integer(UInt32.self), nanoseconds < 1_000_000_000
        else { return nil }
        self.init(seconds: Int64(bitPattern: seconds), nanoseconds: nanoseconds)
    }
}

/// What recovery does with a file, in the order of the journal.
package enum JournalAction: Equatable, Sendable {
    /// Sealed bytes that belong at an offset of the stored file.
    case write(sealedOffset: UInt64, bytes: [UInt8])
    case truncate(sealedSize: UInt64)
    case punch(sealedOffset: UInt64, byteCount: UInt64)
    /// Blocks from this one on were written straight into the store: what a crash tore of them may
    /// be cut off.
    case intent(firstBlock: UInt64)
    /// The same of a tail that was torn by a power cut before the boot that the journal is of.
    case tornTail(firstBlock: UInt64)
    /// All earlier entries of the file are void: the store has everything.
    case clean
    /// The file's times, as utimensat(2) takes them: seconds and nanoseconds.
    case times(access: JournalTime, modification: JournalTime)
    /// A whole directory record or a long name's sidecar, for the case that the store lost it. The
    /// file id is zero.
    case metadata([UInt8])
}

/// One entry in the body of a ``JournalFrame``.
///
/// ```
/// size  field
///    1  kind: 1 write, 2 truncate, 3 punch, 4 intent, 5 clean, 6 times, 7 metadata
///   16  file id
///    4  bytes of the path
///    n  path
///    8  sealed offset, sealed size or first block; with bit 62, an intent's tail was torn by a
///       power cut before the boot that the journal is of
///    4  bytes that follow (write, times, metadata), or 0
///    8  bytes of the hole (punch), or 0
///    m  sealed bytes (write); for access and modification time each seconds i64 and nanoseconds
///       u32 (times); the whole file (metadata)
/// ```
package struct JournalEntry: Equatable, Sendable {
    package let file: JournaledFile
    package let action: JournalAction

    package init(_ action: JournalAction, of file: JournaledFile) {
        self.file = file
        self.action = action
    }

    /// In the first block of an intent: the tail was torn before the journal's boot. No file has so
    /// many blocks, so whoever does not know it cuts nothing.
    private static let earlierBoot: UInt64 = 1 << 62

    /// What an entry is longer than its path and its sealed bytes.
    package static let fixedBytes = 41

    package func append(to body: inout [UInt8]) {
        var number: UInt64 = 0
        var holeBytes: UInt64 = 0
        var bytes: [UInt8] = []
        switch action {
        case .write(let offset, let sealed): (number, bytes) = (offset, sealed)
        case .truncate(let size): number = size
        case .punch(let offset, let count): (number, holeBytes) = (offset, count)
        case .intent(let block): number = block
        case .tornTail(let block): number = block | Self.earlierBoot
        case .clean: break
        case .times(let access, let modification): bytes = access.encoded + modification.encoded
        case .metadata(let content): bytes = content
        }
        Self.appendHead(kind, of: file, number, byteCount: bytes.count, holeBytes, to: &body)
        body += bytes
    }

    /// A ``JournalAction/write(sealedOffset:bytes:)`` without its `byteCount` sealed bytes, which
    /// the caller appends.
    package static func appendWriteHead(
        of file: JournaledFile, sealedOffset: UInt64, byteCount: Int, to body: inout [UInt8]
    ) {
        appendHead(1, of: file, sealedOffset, byteCount: byteCount, 0, to: &body)
    }

    private static func appendHead(
        _ kind: UInt8, of file: JournaledFile, _ number: UInt64, byteCount: Int,
        _ holeBytes: UInt64, to body: inout [UInt8]
    ) {
        body.append(kind)
        body += file.fileID.bytes
        body.append(bigEndian: UInt32(file.path.count))
        body += file.path
        body.append(bigEndian: number)
        body.append(bigEndian: UInt32(byteCount))
        body.append(bigEndian: holeBytes)
    }

    private var kind: UInt8 {
        switch action {
        case .write: 1
        case .truncate: 2
        case .punch: 3
        case .intent, .tornTail: 4
        case .clean: 5
        case .times: 6
        case .metadata: 7
        }
    }

    /// All entries of a body; nil when it is not what a writer makes.
    package static func decode(_ body: [UInt8]) -> [JournalEntry]? {
        var reader = ByteReader(body)
        var entries: [JournalEntry] = []
        while !reader.isAtEnd {
            guard let entry = next(&reader) else { return nil }
            entries.append(entry)
        }
        return entries
    }

    private static func next(_ reader: inout ByteReader) -> JournalEntry? {
        guard let kind = reader.integer(UInt8.self),
            let fileID = reader.take(16).flatMap(FileID.init(bytes:)),
            let pathBytes = reader.integer(UInt32.self), let path = reader.take(Int(pathBytes)),
            let number = reader.integer(UInt64.self), let byteCount = reader.integer(UInt32.self),
            let holeBytes = reader.integer(UInt64.self), let bytes = reader.take(Int(byteCount)),
            number <= UInt64(Int64.max), holeBytes <= UInt64(Int64.max) - number,
            kind == 3 || holeBytes == 0, kind < 5 || number == 0,
            byteCount == 0 || kind == 1 || kind > 5
        else { return nil }
        let action: JournalAction
        switch kind {
        case 1: action = .write(sealedOffset: number, bytes: bytes)
        case 2: action = .truncate(sealedSize: number)
        case 3: action = .punch(sealedOffset: number, byteCount: holeBytes)
        case 4 where number & earlierBoot != 0:
            action = .tornTail(firstBlock: number & ~earlierBoot)
        case 4: action = .intent(firstBlock: number)
        case 5: action = .clean
        case 6:
            var times = ByteReader(bytes)
            guard let access = JournalTime(&times), let modification = JournalTime(&times),
                times.isAtEnd
            else { return nil }
            action = .times(access: access, modification: modification)
        case 7: action = .metadata(bytes)
        default: return nil
        }
        return JournalEntry(
            action, of: JournaledFile(fileID: fileID, path: path))
    }
}
