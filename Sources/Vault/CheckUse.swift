import Platform
import SealedFormat

/// Which mounts of this host have a vault, as their locks tell it.
struct CheckUse: Sendable {
    /// Some mount has it, perhaps only to read.
    private(set) var isHeld = false
    /// Several mounts may be writing, begun at any time.
    private var isShared = false
    /// When the one mount that may be writing began.
    private var begin: Timespec?

    static func current(in root: Descriptor) -> CheckUse {
        var use = CheckUse()
        let name = FileName(ReservedName.lock)
        // Before the locks: a mount that begins in between is then taken for an older one.
        guard let status = try? root.status(of: name) else { return use }
        let locks = CheckLocks.current()
        let holders = locks.filter { $0.inodeNumber == status.inodeNumber }
        use.isHeld = !holders.isEmpty
        if holders.contains(where: \.isExclusive) {
            // It has written its name into the file.
            use.begin = status.modificationTime
        } else if use.isHeld {
            let writer = writer(in: root, name)
            use.isShared =
                holders.contains { $0.pid == writer } || hasLivingJournal(root, locks)
        }
        return use
    }

    /// The process that wrote its number into the lock file last, as mounts do that may write.
    private static func writer(in root: Descriptor, _ lock: FileName) -> Int32? {
        let bytes = try? root.open(lock, OpenFlag.nonBlocking).read(count: 16, at: 0)
        return bytes?.split(separator: UInt8(ascii: "\n")).first
            .flatMap { Int32(String(decoding: $0, as: UTF8.self)) }
    }

    private static func hasLivingJournal(_ root: Descriptor, _ locks: [CheckLocks.Lock]) -> Bool {
        guard let directory = try? root.open(Journal.directoryName, OpenFlag.directory) else {
            return false
        }
        let numbers = Set(locks.map(\.inodeNumber))
        var stream = DirectoryStream(directory)
        while let entry = try? stream.next() {
            if !entry.name.isDots, numbers.contains(entry.inodeNumber) { return true }
        }
        return false
    }

    mutating func add(_ later: CheckUse) {
        isHeld = isHeld || later.isHeld
        isShared = isShared || later.isShared
        if let other = later.begin { begin = min(begin ?? other, other) }
    }

    /// Whether a stored file that was changed last at `time` may be open with gaps that its mount
    /// still has to settle.
    func mayHaveGaps(changedAt time: Timespec) -> Bool {
        isShared || begin.map { time >= $0 } ?? false
    }
}
