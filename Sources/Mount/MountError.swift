package import Platform

/// Why a vault cannot be mounted: each case names the object, ``hint`` the way out.
package enum MountError: Error, Sendable, Hashable {
    /// No file or directory has that name.
    case missing(mountPoint: String)
    case notADirectory(mountPoint: String)
    case notEmpty(mountPoint: String)
    case alreadyMounted(mountPoint: String)
    /// The mount of a process that died is still there, and it is none of ours or we may not end it.
    case deadMount(mountPoint: String)
    case cannotInspect(mountPoint: String, Errno)
    case deviceMissing
    case deviceNotPermitted(Errno)
    case helperMissing
    case unknownOption(String)
    case invalidOption(String, expected: String)
    /// The kernel or fusermount3 refused; what it said is on standard error.
    case refused(mountPoint: String)
    case systemRefused(what: String, Errno)
}

extension MountError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let path): "mount point \(path) does not exist"
        case .notADirectory(let path): "mount point \(path) is not a directory"
        case .notEmpty(let path): "mount point \(path) is not empty"
        case .alreadyMounted(let path): "\(path) is already a mount point"
        case .deadMount(let path): "\(path) is the mount of a process that has ended"
        case .cannotInspect(let path, let errno): "mount point \(path): \(errno)"
        case .deviceMissing: "/dev/fuse does not exist"
        case .deviceNotPermitted(let errno): "/dev/fuse cannot be opened: \(errno)"
        case .helperMissing: "fusermount3 is not installed"
        case .unknownOption(let name): "unknown mount option: \(name)"
        case .invalidOption(let option, let expected):
            "mount option \(option): expected \(expected)"
        case .refused(let path): "mounting on \(path) was refused"
        case .systemRefused(let what, let errno): "\(what): \(errno)"
        }
    }

    /// What the person can do about it.
    package var hint: String {
        switch self {
        case .missing(let path): "create it: mkdir -p \(path)"
        case .notADirectory: "name a directory"
        case .notEmpty: "name an empty directory, or mount over its files with -o nonempty"
        case .alreadyMounted(let path): "unmount it first: keyfold unmount \(path)"
        case .deadMount(let path): "unmount it: umount -l \(path) (or fusermount3 -uz \(path))"
        case .cannotInspect: "check the permissions of the directories above it"
        case .deviceMissing:
            "load the kernel module (modprobe fuse); in a container, pass --device /dev/fuse"
        case .deviceNotPermitted:
            "check the permissions of /dev/fuse; in a container, add the capability SYS_ADMIN"
        case .helperMissing: "install the package fuse3, or mount as root"
        case .unknownOption, .invalidOption: "see keyfoldfs --help for the options"
        case .refused:
            "see the message above; allow_other needs root or user_allow_other in /etc/fuse.conf"
        case .systemRefused: "check the limits of this process (ulimit -a)"
        }
    }
}
