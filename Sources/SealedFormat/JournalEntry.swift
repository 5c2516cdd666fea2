/// Which stored file a journal's entry is about.
package struct JournaledFile: Hashable, Sendable {
    package let fileID: FileID
    /// Stored names from the vault's root down with "/" between them.
    package let path: [UInt8]

    package init(fileID: FileID, path: [UInt8]) {
        self.fileID = fileID
        self.path = path
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
    /// All earlier entries of the file are void: the store has everything.
    case clean
}

/// One entry in the body of a ``JournalFrame``.
///
/// ```
/// size  field
///    1  kind: 1 write, 2 truncate, 3 punch, 4 intent, 5 clean
///   16  file id
///    4  bytes of the path
///    n  path
///    8  sealed offset, sealed size or first block
///    4  bytes that follow (write), or 0
///    8  bytes of the hole (punch), or 0
///    m  sealed bytes (write)
/// ```
package struct JournalEntry: Equatable, Sendable {
    package let file: JournaledFile
    package let action: JournalAction

    package init(_ action: JournalAction, of file: JournaledFile) {
        self.file = file
        self.action = action
    }

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
        case .clean: break
        }
        body.append(kind)
        body += file.fileID.bytes
        body.append(bigEndian: UInt32(file.path.count))
        body += file.path
        body.append(bigEndian: number)
        body.append(bigEndian: UInt32(bytes.count))
        body.append(bigEndian: holeBytes)
        body += bytes
    }

    private var kind: UInt8 {
        switch action {
        case .write: 1
        case .truncate: 2
        case .punch: 3
        case .intent: 4
        case .clean: 5
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
            number <= UInt64(Int64.max), holeBytes <= UInt64(Int64.max) - number
        else { return nil }
        let action: JournalAction
        switch kind {
        case 1: action = .write(sealedOffset: number, bytes: bytes)
        case 2: action = .truncate(sealedSize: number)
        case 3: action = .punch(sealedOffset: number, byteCount: holeBytes)
        case 4: action = .intent(firstBlock: number)
        case 5: action = .clean
        default: return nil
        }
        return JournalEntry(
            action, of: JournaledFile(fileID: fileID, path: path))
    }
}
