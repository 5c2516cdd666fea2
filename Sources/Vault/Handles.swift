import Platform
import Synchronization

/// An open file as one open(2) sees it.
final class FileHandle: Sendable {
    let inode: Inode
    let content: SealedFile
    let allowsWriting: Bool
    /// How many of the content's failures this handle has heard of.
    private let heardFailures: Mutex<Int>

    init(inode: Inode, content: SealedFile, allowsWriting: Bool) {
        self.inode = inode
        self.content = content
        self.allowsWriting = allowsWriting
        heardFailures = Mutex(content.failureCount)
    }

    /// - Throws: what kept changes of the file from becoming durable since this was last asked.
    func hearFailures() throws(VaultError) {
        let failure = heardFailures.withLock { content.failure(since: &$0) }
        if let failure { throw failure }
    }

    /// The same for a close(2), which takes nothing from what the next fsync(2) hears: a child closes
    /// its copy of the descriptor without a look at the answer.
    func tellFailures() throws(VaultError) {
        var seen = heardFailures.withLock { $0 }
        if let failure = content.failure(since: &seen) { throw failure }
    }
}

/// An open directory; its stream has a position, so one reader at a time.
final class DirectoryHandle: Sendable {
    let inode: Inode
    let descriptor: Descriptor
    // SAFETY: only used inside the lock.
    private struct Stream: ~Copyable, @unchecked Sendable {  // SAFETY: above
        var stream: DirectoryStream
    }
    private let stream: Mutex<Stream>

    init(inode: Inode, descriptor: Descriptor) {
        self.inode = inode
        self.descriptor = descriptor
        stream = Mutex(Stream(stream: DirectoryStream(descriptor)))
    }

    func withStream<Result>(
        _ body: (inout DirectoryStream) throws(VaultError) -> Result
    ) throws(VaultError) -> Result {
        try stream.withLock { holder throws(VaultError) in try body(&holder.stream) }
    }
}

/// Everything that is open in the mount.
struct HandleTable {
    private var files: [HandleID: FileHandle] = [:]
    private var directories: [HandleID: DirectoryHandle] = [:]
    private var next: UInt64 = 1

    var fileCount: Int { files.count }

    mutating func add(_ file: FileHandle) -> HandleID {
        let id = HandleID(rawValue: next)
        next += 1
        files[id] = file
        return id
    }

    mutating func add(_ directory: DirectoryHandle) -> HandleID {
        let id = HandleID(rawValue: next)
        next += 1
        directories[id] = directory
        return id
    }

    func file(_ id: HandleID) -> FileHandle? { files[id] }
    func directory(_ id: HandleID) -> DirectoryHandle? { directories[id] }

    mutating func removeFile(_ id: HandleID) -> FileHandle? { files.removeValue(forKey: id) }

    mutating func removeDirectory(_ id: HandleID) -> DirectoryHandle? {
        directories.removeValue(forKey: id)
    }

    mutating func removeAll() -> [FileHandle] {
        let open = Array(files.values)
        files = [:]
        directories = [:]
        return open
    }
}

/// What the mount has done since it began.
final class Counters: Sendable {
    /// More undecodable names than this are not told apart any more.
    static let maximumUndecodableNames = 10_000

    let opens = Atomic<UInt64>(0)
    let undecodableNames = Mutex<Set<String>>([])

    func countUndecodable(_ stored: FileName, in directory: String) {
        undecodableNames.withLock { names in
            guard names.count < Self.maximumUndecodableNames else { return }
            names.insert(directory + "/" + stored.string)
        }
    }
}
