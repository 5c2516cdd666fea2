// Linux calls that Swift cannot reach itself: variadic functions and raw system calls.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/keyctl.h>
#include <malloc.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>

// What glibc declares for _GNU_SOURCE only, which this header must not define: Swift's own view of
// glibc is without it, and two views of one struct do not fit together.
int keyfold_fallocate(int descriptor, int mode, off_t offset, off_t count);
int keyfold_syncfs(int descriptor);
ssize_t keyfold_getdents64(int descriptor, void *buffer, size_t size);
extern const int keyfold_O_PATH;
extern const int keyfold_O_DIRECT;
extern const int keyfold_SEEK_DATA;
extern const int keyfold_SEEK_HOLE;
/// fcntl(2) F_OFD_SETLKW.
int keyfold_lock_wait(int descriptor, struct flock *lock);
/// fcntl(2) F_OFD_SETLK.
int keyfold_lock_try(int descriptor, struct flock *lock);
/// fcntl(2) F_OFD_GETLK.
int keyfold_lock_ask(int descriptor, struct flock *lock);
/// statx(2) of a descriptor, for these two alone.
int keyfold_size_and_links(int descriptor, uint64_t *size, uint32_t *links);
/// pipe2(2) with O_CLOEXEC: the end to read, then the end to write.
int keyfold_pipe(int ends[2]);

static inline int keyfold_openat(int directory, const char *name, int flags, mode_t mode) {
    return openat(directory, name, flags, mode);
}

static inline int keyfold_fcntl_int(int descriptor, int command, int argument) {
    return fcntl(descriptor, command, argument);
}

static inline int keyfold_prctl(int option, unsigned long argument) {
    return prctl(option, argument, 0, 0, 0);
}

static inline int keyfold_renameat2(
    int from, const char *old_name, int to, const char *new_name, unsigned int flags) {
    return (int)syscall(SYS_renameat2, from, old_name, to, new_name, flags);
}

/// keyctl(2) and add_key(2); glibc has no wrappers.
static inline long keyfold_add_key(
    const char *type, const char *description, const void *payload, size_t size, int keyring) {
    return syscall(SYS_add_key, type, description, payload, size, keyring);
}

static inline long keyfold_keyctl(
    int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return syscall(SYS_keyctl, operation, a, b, c, d);
}

static inline pid_t keyfold_gettid(void) { return (pid_t)syscall(SYS_gettid); }

static inline unsigned int keyfold_major(dev_t device) { return major(device); }
static inline unsigned int keyfold_minor(dev_t device) { return minor(device); }
