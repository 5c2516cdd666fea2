// libfuse3's low-level API. Only the module Mount imports it.
//
// The system headers come first and _FILE_OFFSET_BITS after them: clang's importer refuses the
// second definition of `flock` that the other order gives.
#pragma once
#include <fcntl.h>
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#define _FILE_OFFSET_BITS 64
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/// tgkill(2), which glibc before 2.30 lacks and which Swift's view of glibc leaves out.
static inline int keyfold_tgkill(int process, int thread, int signal) {
    return (int)syscall(SYS_tgkill, process, thread, signal);
}
