internal import CLinux
internal import Glibc

/// Seconds and nanoseconds since the epoch, or of a duration.
package struct Timespec: Hashable, Sendable, Comparable {
    package var seconds: Int64
    /// 0…999,999,999.
    package var nanoseconds: Int64

    package init(seconds: Int64, nanoseconds: Int64) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    init(_ value: timespec) {
        self.init(seconds: Int64(value.tv_sec), nanoseconds: Int64(value.tv_nsec))
    }

    var cValue: timespec { timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)) }

    package static func < (a: Timespec, b: Timespec) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }

    /// The wall clock.
    package static var now: Timespec {
        var value = timespec()
        // SAFETY: `value` outlives the call; CLOCK_REALTIME always exists.
        _ = unsafe clock_gettime(CLOCK_REALTIME, &value)
        return Timespec(value)
    }
}

/// What stat(2) tells of a file.
package struct FileStatus: Hashable, Sendable {
    package enum Kind: Sendable {
        case regular, directory, symbolicLink, special
    }

    package let device: UInt64
    package let inodeNumber: UInt64
    /// File type and permission bits.
    package let mode: UInt32
    package let linkCount: UInt32
    package let uid: UInt32
    package let gid: UInt32
    /// Of a character or block device.
    package let specialDevice: UInt64
    package let sizeBytes: UInt64
    package let blocks512: UInt64
    package let blockSizeBytes: UInt32
    package let accessTime: Timespec
    package let modificationTime: Timespec
    package let changeTime: Timespec

    init(_ value: stat) {
        device = UInt64(value.st_dev)
        inodeNumber = UInt64(value.st_ino)
        mode = UInt32(value.st_mode)
        linkCount = UInt32(truncatingIfNeeded: value.st_nlink)
        uid = value.st_uid
        gid = value.st_gid
        specialDevice = UInt64(value.st_rdev)
        sizeBytes = UInt64(value.st_size)
        blocks512 = UInt64(value.st_blocks)
        blockSizeBytes = UInt32(truncatingIfNeeded: value.st_blksize)
        accessTime = Timespec(value.st_atim)
        modificationTime = Timespec(value.st_mtim)
        changeTime = Timespec(value.st_ctim)
    }

    package var kind: Kind {
        // S_IFMT and its values (inode(7)).
        switch mode & 0o170000 {
        case 0o100000: .regular
        case 0o040000: .directory
        case 0o120000: .symbolicLink
        default: .special
        }
    }
}

/// What statvfs(3) tells of a file system.
package struct FileSystemStatistics: Hashable, Sendable {
    package var blockSizeBytes: UInt64
    package var fragmentSizeBytes: UInt64
    package var blocks: UInt64
    package var freeBlocks: UInt64
    package var availableBlocks: UInt64
    package var files: UInt64
    package var freeFiles: UInt64
    package var availableFiles: UInt64
    package var maximumNameBytes: UInt64
    package var isReadOnly: Bool

    init(_ value: statvfs) {
        blockSizeBytes = UInt64(value.f_bsize)
        fragmentSizeBytes = UInt64(value.f_frsize)
        blocks = UInt64(value.f_blocks)
        freeBlocks = UInt64(value.f_bfree)
        availableBlocks = UInt64(value.f_bavail)
        files = UInt64(value.f_files)
        freeFiles = UInt64(value.f_ffree)
        availableFiles = UInt64(value.f_favail)
        maximumNameBytes = UInt64(value.f_namemax)
        isReadOnly = UInt(value.f_flag) & UInt(ST_RDONLY) != 0
    }
}
