import Console
import Mount

extension Failure {
    init(_ error: MountError) {
        let words = error.words
        self.init(ExitStatus(error), words.object, words.message, wayOut: error.hint)
    }
}

extension ExitStatus {
    init(_ error: MountError) {
        switch error {
        case .missing: self = .notFound
        case .notADirectory, .unknownOption, .invalidOption: self = .usage
        case .notEmpty: self = .cannotCreate
        case .alreadyMounted, .deadMount: self = .busy
        case .cannotInspect(_, let errno): self = ExitStatus(errno)
        case .deviceMissing, .helperMissing: self = .unavailable
        case .deviceNotPermitted, .refused: self = .noPermission
        case .systemRefused: self = .unavailable
        }
    }
}

extension MountError {
    /// The object, and what happened to it.
    fileprivate var words: (object: String?, message: String) {
        switch self {
        case .missing(let path): (path, "the mount point does not exist")
        case .notADirectory(let path): (path, "the mount point is not a directory")
        case .notEmpty(let path): (path, "the mount point is not empty")
        case .alreadyMounted(let path): (path, "something is mounted here already")
        case .deadMount(let path): (path, "the mount of a daemon that has ended is still here")
        case .cannotInspect(let path, let errno): (path, "\(errno)")
        case .deviceMissing: ("/dev/fuse", "it does not exist")
        case .deviceNotPermitted(let errno): ("/dev/fuse", "it can't be opened: \(errno)")
        case .helperMissing: ("fusermount3", "the program is not installed")
        case .unknownOption(let name): ("-o \(name)", "there is no such mount option")
        case .invalidOption(let option, let expected): ("-o \(option)", "expected \(expected)")
        case .refused(let path): (path, "mounting was refused")
        case .systemRefused(let what, let errno): (what, "\(errno)")
        }
    }
}
