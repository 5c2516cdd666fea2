internal import CLinux
internal import Glibc

/// The C library's heap, under everything that Swift allocates.
package enum Heap {
    /// Keeps what buffers of megabytes leave behind, where the default gives it back to the kernel
    /// and takes it again, cleared, a moment later. For daemons that move much data.
    ///
    /// Call it before the first thread is started (mallopt(3)).
    package static func keepLargeBuffers() {
        // The largest that is taken (DEFAULT_MMAP_THRESHOLD_MAX).
        _ = mallopt(M_MMAP_THRESHOLD, 32 << 20)
        _ = mallopt(M_TRIM_THRESHOLD, 128 << 20)
        _ = mallopt(M_TOP_PAD, 16 << 20)
        _ = mallopt(M_ARENA_MAX, Int32(clamping: max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
    }
}
