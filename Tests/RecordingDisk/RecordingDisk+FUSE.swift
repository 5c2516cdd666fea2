internal import CFUSE
internal import Glibc

/// A disk that remembers what was done to it, in order: one image file, served by FUSE as the
/// file `disk`, to lie under a loop device. `Tools/powercut` makes power cuts from the record.
/// With `-` for the record it remembers nothing, and `Tools/bench` has a disk with slow flushes.
///
/// Ends with the numbers of sysexits(3).
@main
enum RecordingDisk {
    static func main() {
        let words = CommandLine.arguments
        let flushMicroseconds = words.count == 5 ? UInt32(words[4]) : 0
        guard words.count == 4 || words.count == 5, let flushMicroseconds else {
            complain("usage: RecordingDisk IMAGE RECORD|- MOUNTPOINT [FLUSH-MICROSECONDS]")
            exit(64)
        }
        let disk = RecordedImage(
            image: words[1], record: words[2] == "-" ? nil : words[2],
            flushMicroseconds: flushMicroseconds)
        guard let disk else {
            unsafe perror("RecordingDisk")
            exit(74)
        }
        exit(serve(disk, at: words[3]))
    }

    /// Returns when the file system is unmounted or a signal ends the program.
    private static func serve(_ disk: RecordedImage, at mountPoint: String) -> Int32 {
        var arguments = unsafe fuse_args()
        defer { unsafe fuse_opt_free_args(&arguments) }
        for argument in ["RecordingDisk", "-o", "fsname=RecordingDisk,nosuid,nodev"] {
            // SAFETY: libfuse copies the string.
            guard unsafe fuse_opt_add_arg(&arguments, argument) == 0 else { return 71 }
        }
        var operations = fuse_lowlevel_ops()
        DiskCallbacks.install(in: &operations)
        // SAFETY: libfuse copies the operations; the disk lives until the program's end.
        let session = unsafe fuse_session_new(
            &arguments, &operations, MemoryLayout<fuse_lowlevel_ops>.size,
            Unmanaged.passRetained(disk).toOpaque())
        guard let session = unsafe session else { return 71 }
        defer { unsafe fuse_session_destroy(session) }
        guard unsafe fuse_set_signal_handlers(session) == 0,
            unsafe fuse_session_mount(session, mountPoint) == 0
        else { return 69 }
        // One thread: requests are carried out, recorded and answered one after the other, so
        // what the record has before a flush was there when the flush was answered.
        let status = unsafe fuse_session_loop(session)
        unsafe fuse_session_unmount(session)
        unsafe fuse_remove_signal_handlers(session)
        return status < 0 ? 71 : 0
    }

    private static func complain(_ message: String) {
        let line = message + "\n"
        // SAFETY: the string's own bytes, for this call.
        _ = unsafe write(STDERR_FILENO, line, line.utf8.count)
    }
}
