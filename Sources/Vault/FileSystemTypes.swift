package import Platform

/// A file of the mount while the kernel knows it; never used for another one. 1 is the root.
package struct InodeID: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static let root = InodeID(rawValue: 1)
}

/// An open file or directory.
package struct HandleID: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// The process behind a request.
package struct Requester: Sendable, Hashable {
    package var uid: UInt32
    package var gid: UInt32
    package var pid: Int32
    package var umask: UInt32

    package init(uid: UInt32, gid: UInt32, pid: Int32, umask: UInt32) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.umask = umask
    }
}

/// What stat(2) shows of a file in the mount.
package struct Attributes: Sendable, Hashable {
    package var inodeNumber: UInt64
    package var mode: UInt32
    package var linkCount: UInt32
    package var uid: UInt32
    package var gid: UInt32
    package var device: UInt64
    package var sizeBytes: UInt64
    package var blocks512: UInt64
    package var blockSizeBytes: UInt32
    package var accessTime: Timespec
    package var modificationTime: Timespec
    package var changeTime: Timespec

    init(_ status: FileStatus, sizeBytes: UInt64) {
        inodeNumber = status.inodeNumber
        mode = status.mode
        linkCount = status.linkCount
        uid = status.uid
        gid = status.gid
        device = status.specialDevice
        self.sizeBytes = sizeBytes
        blocks512 = status.blocks512
        blockSizeBytes = 4096
        accessTime = status.accessTime
        modificationTime = status.modificationTime
        changeTime = status.changeTime
    }
}

package struct Entry: Sendable {
    package let inode: InodeID
    package let attributes: Attributes
}

package enum TimeChange: Sendable, Hashable {
    case now
    case at(Timespec)
}

/// What chmod(2), chown(2), truncate(2) and utimensat(2) ask for; nil leaves a value as it is.
package struct AttributeChange: Sendable {
    package var mode: UInt32?
    package var uid: UInt32?
    package var gid: UInt32?
    package var sizeBytes: UInt64?
    package var accessTime: TimeChange?
    package var modificationTime: TimeChange?
    /// The kernel asks to drop set-user-id and set-group-id bits (FATTR_KILL_SUIDGID).
    package var clearsSetID = false

    package init() {}

    var setsTimesOnly: Bool {
        mode == nil && uid == nil && gid == nil && sizeBytes == nil && !clearsSetID
    }
}

/// open(2) flags, and the kernel's wish to drop set-id bits (FUSE_OPEN_KILL_SUIDGID).
package struct OpenFlags: Sendable, Hashable {
    package let rawValue: Int32
    package var clearsSetID = false

    package init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    // The access mode's two bits are the same on every Linux (open(2)).
    var allowsWriting: Bool { rawValue & 0o3 != 0 }
    var truncates: Bool { rawValue & 0o1000 != 0 }
    var isExclusive: Bool { rawValue & 0o200 != 0 }
}

package struct DirectoryEntry: Sendable {
    package let name: FileName
    package let inodeNumber: UInt64
    /// DT_ constants of readdir(3).
    package let type: UInt32
    package let nextCookie: UInt64
}

/// How a vault is used by one mount.
package struct VaultOptions: Sendable {
    package var isReadOnly = false
    /// Other hosts may write the same vault: the lock is shared and nothing is cached for long.
    package var isShared = false
    /// Old blocks are overwritten without a journal: faster, and a killed mount or a power cut may
    /// leave a block unreadable that was synced.
    package var overwritesInPlace = false
    /// The usage log tells the plaintext paths of files.
    package var logsPaths = false
    /// For tests of the tests: what the mount does wrong on purpose.
    package var broken: BrokenOrdering?
    /// For tests of power cuts, which happen within one boot: 36 characters that stand for another.
    package var bootID: String?
    /// For tests: the journal's size, at least 64 KiB; nil for what the store has room for.
    package var journalBytes: Int?
    /// Where the mount is; told to whoever finds the vault locked.
    package var mountPoint: String?
    /// Whose requests to the key service they are.
    package var principals = MountPrincipals()
    package var userAgent = "keyfoldfs"
    /// Gets one line for each failure that an operator should know, naming the file.
    package var onIncident: @Sendable (String) -> Void = { _ in }

    package init() {}
}

/// Which principals of the key service stand behind a mount's users.
package struct MountPrincipals: Sendable {
    /// Who mounted: an ARN. He had what unlocks the keys, so he is their owner here.
    package let mountARN: String
    private let mounter: UInt32?
    private let others: @Sendable (UInt32) -> String

    /// - Parameters:
    ///   - mounter: the uid that `mountARN` stands for.
    ///   - others: the ARN of any other uid.
    package init(
        mountARN: String, mounter: UInt32, others: @escaping @Sendable (UInt32) -> String
    ) {
        self.mountARN = mountARN
        self.mounter = mounter
        self.others = others
    }

    /// One principal for everybody.
    package init(_ everybody: String = "") {
        mountARN = everybody
        mounter = nil
        others = { _ in everybody }
    }

    func arn(uid: UInt32) -> String { uid == mounter ? mountARN : others(uid) }
}
