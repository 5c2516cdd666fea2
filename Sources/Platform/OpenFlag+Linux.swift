internal import CLinux
internal import Glibc

/// open(2) flags, also those that Swift's view of glibc leaves out. 0 opens for reading.
package enum OpenFlag {
    package static var path: Int32 { keyfold_O_PATH }
    package static var direct: Int32 { keyfold_O_DIRECT }
    package static var directory: Int32 { O_DIRECTORY }
    package static var readWrite: Int32 { O_RDWR }
    package static var append: Int32 { O_APPEND }
    /// Waits for nobody, should the name lead to a FIFO.
    package static var nonBlocking: Int32 { O_NONBLOCK }
    package static var create: Int32 { O_CREAT }
    /// For writing, and the name must be new.
    package static var createNew: Int32 { O_RDWR | O_CREAT | O_EXCL }
}

/// renameat2(2) flags (linux/fs.h).
package enum RenameFlag {
    package static let noReplace: UInt32 = 1
    package static let exchange: UInt32 = 2
}

/// lseek(2) whence values that Swift's view of glibc leaves out.
package enum SeekWhence {
    package static var data: Int32 { keyfold_SEEK_DATA }
    package static var hole: Int32 { keyfold_SEEK_HOLE }
}
