// A process that dies at a chosen moment: right before its Nth call that changes a file or a
// directory whose path begins with KEYFOLD_KILL_BELOW, it kills itself with SIGKILL. N is
// KEYFOLD_KILL_AT, from 1 on; without it nothing is killed. With KEYFOLD_FAIL_WITH, the number of an
// error (errno(3)), that one call fails with it instead. Each such call leaves a line in the file
// KEYFOLD_KILL_TRACE, where one is named, so a whole run tells how many there are.
//
// Stores into mapped memory (SQLite's -shm, the keystore's commit counter) are no calls, and are not
// counted.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "KilledCalls.h"

static atomic_long calls_made;

static const char *setting(const char *name) {
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? text : NULL;
}

// The function that this library stands before. With -D_FILE_OFFSET_BITS=64 or not, the
// arguments are the same on 64-bit Linux.
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void trace(const char *call, const char *path) {
    const char *file = setting("KEYFOLD_KILL_TRACE");
    if (file == NULL) return;
    int descriptor = (int)syscall(
        SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) abort();
    char line[PATH_MAX + 64];
    int count = snprintf(line, sizeof line, "%s %s\n", call, path);
    // One write, so lines of several threads do not mix.
    if (syscall(SYS_write, descriptor, line, (size_t)count) != count) abort();
    syscall(SYS_close, descriptor);
}

// Whether the call is to fail with what errno says.
static bool before(const char *call, const char *path) {
    const char *below = setting("KEYFOLD_KILL_BELOW");
    if (below == NULL || strncmp(path, below, strlen(below)) != 0) return false;
    int kept = errno;
    long number = atomic_fetch_add(&calls_made, 1) + 1;
    trace(call, path);
    const char *at = setting("KEYFOLD_KILL_AT");
    const char *failure = setting("KEYFOLD_FAIL_WITH");
    if (at != NULL && failure == NULL && number >= atol(at)) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    bool fails = at != NULL && failure != NULL && number == atol(at);
    errno = fails ? atoi(failure) : kept;
    return fails;
}

static void read_link(const char *link, char *path) {
    ssize_t count = readlink(link, path, PATH_MAX - 1);
    path[count < 0 ? 0 : count] = '\0';
}

static bool before_descriptor(const char *call, int descriptor) {
    if (setting("KEYFOLD_KILL_BELOW") == NULL) return false;
    int kept = errno;
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    read_link(link, path);
    errno = kept;
    return before(call, path);
}

static bool before_name(const char *call, int directory, const char *name) {
    if (setting("KEYFOLD_KILL_BELOW") == NULL || name == NULL) return false;
    if (name[0] == '/') return before(call, name);
    int kept = errno;
    char link[32] = "/proc/self/cwd", parent[PATH_MAX], path[2 * PATH_MAX];
    if (directory != AT_FDCWD) snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    read_link(link, parent);
    snprintf(path, sizeof path, "%s/%s", parent, name);
    errno = kept;
    return before(call, path);
}

// MARK: Contents

ssize_t write(int descriptor, const void *bytes, size_t count) {
    if (before_descriptor("write", descriptor)) return -1;
    return NEXT(write)(descriptor, bytes, count);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    if (before_descriptor("writev", descriptor)) return -1;
    return NEXT(writev)(descriptor, parts, count);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    if (before_descriptor("pwrite", descriptor)) return -1;
    return NEXT(pwrite)(descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
    if (before_descriptor("pwrite", descriptor)) return -1;
    return NEXT(pwrite64)(descriptor, bytes, count, offset);
}

ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t offset) {
    if (before_descriptor("pwritev", descriptor)) return -1;
    return NEXT(pwritev)(descriptor, parts, count, offset);
}

ssize_t pwritev64(int descriptor, const struct iovec *parts, int count, off64_t offset) {
    if (before_descriptor("pwritev", descriptor)) return -1;
    return NEXT(pwritev64)(descriptor, parts, count, offset);
}

int ftruncate(int descriptor, off_t size) {
    if (before_descriptor("ftruncate", descriptor)) return -1;
    return NEXT(ftruncate)(descriptor, size);
}

int ftruncate64(int descriptor, off64_t size) {
    if (before_descriptor("ftruncate", descriptor)) return -1;
    return NEXT(ftruncate64)(descriptor, size);
}

int fallocate(int descriptor, int mode, off_t offset, off_t count) {
    if (before_descriptor("fallocate", descriptor)) return -1;
    return NEXT(fallocate)(descriptor, mode, offset, count);
}

int fallocate64(int descriptor, int mode, off64_t offset, off64_t count) {
    if (before_descriptor("fallocate", descriptor)) return -1;
    return NEXT(fallocate64)(descriptor, mode, offset, count);
}

int fsync(int descriptor) {
    if (before_descriptor("fsync", descriptor)) return -1;
    return NEXT(fsync)(descriptor);
}

int fdatasync(int descriptor) {
    if (before_descriptor("fdatasync", descriptor)) return -1;
    return NEXT(fdatasync)(descriptor);
}

// MARK: Names

// open(2) changes a directory or a file where it may create or empty one.
static int changes(int flags) { return (flags & (O_CREAT | O_TRUNC)) != 0; }

#define OPEN(name, directory, ...)                                         \
    mode_t mode = 0;                                                       \
    if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {      \
        va_list arguments;                                                 \
        va_start(arguments, flags);                                        \
        mode = va_arg(arguments, mode_t);                                  \
        va_end(arguments);                                                 \
    }                                                                      \
    if (changes(flags) && before_name("open", directory, path)) return -1; \
    return NEXT(name)(__VA_ARGS__, flags, mode)

int open(const char *path, int flags, ...) { OPEN(open, AT_FDCWD, path); }
int open64(const char *path, int flags, ...) { OPEN(open64, AT_FDCWD, path); }
int openat(int directory, const char *path, int flags, ...) {
    OPEN(openat, directory, directory, path);
}
int openat64(int directory, const char *path, int flags, ...) {
    OPEN(openat64, directory, directory, path);
}

int unlink(const char *path) {
    if (before_name("unlink", AT_FDCWD, path)) return -1;
    return NEXT(unlink)(path);
}

int unlinkat(int directory, const char *name, int flags) {
    if (before_name("unlink", directory, name)) return -1;
    return NEXT(unlinkat)(directory, name, flags);
}

int rmdir(const char *path) {
    if (before_name("rmdir", AT_FDCWD, path)) return -1;
    return NEXT(rmdir)(path);
}

int mkdir(const char *path, mode_t mode) {
    if (before_name("mkdir", AT_FDCWD, path)) return -1;
    return NEXT(mkdir)(path, mode);
}

int mkdirat(int directory, const char *name, mode_t mode) {
    if (before_name("mkdir", directory, name)) return -1;
    return NEXT(mkdirat)(directory, name, mode);
}

int link(const char *old, const char *new) {
    if (before_name("link", AT_FDCWD, new)) return -1;
    return NEXT(link)(old, new);
}

int linkat(int old_directory, const char *old, int directory, const char *name, int flags) {
    if (before_name("link", directory, name)) return -1;
    return NEXT(linkat)(old_directory, old, directory, name, flags);
}

int rename(const char *old, const char *new) {
    if (before_name("rename", AT_FDCWD, new)) return -1;
    return NEXT(rename)(old, new);
}

int renameat(int old_directory, const char *old, int directory, const char *name) {
    if (before_name("rename", directory, name)) return -1;
    return NEXT(renameat)(old_directory, old, directory, name);
}

// renameat2(2) comes as syscall(2) from CLinux.
long syscall(long number, ...) {
    va_list arguments;
    va_start(arguments, number);
    long given[6];
    for (int index = 0; index < 6; index++) given[index] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_renameat2
        && before_name("rename", (int)given[2], (const char *)given[3])) {
        return -1;
    }
    return NEXT(syscall)(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
