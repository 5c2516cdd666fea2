internal import CLinux

/// open(2) and lseek(2) flags that Swift's view of glibc leaves out.
package enum OpenFlag {
    package static var path: Int32 { keyfold_O_PATH }
    package static var direct: Int32 { keyfold_O_DIRECT }
}

package enum SeekWhence {
    package static var data: Int32 { keyfold_SEEK_DATA }
    package static var hole: Int32 { keyfold_SEEK_HOLE }
}
