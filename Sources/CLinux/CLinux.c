#define _GNU_SOURCE
#include "include/CLinux.h"

int keyfold_fallocate(int descriptor, int mode, off_t offset, off_t count) {
    return fallocate(descriptor, mode, offset, count);
}

int keyfold_syncfs(int descriptor) { return syncfs(descriptor); }

ssize_t keyfold_getdents64(int descriptor, void *buffer, size_t size) {
    return getdents64(descriptor, buffer, size);
}

int keyfold_lock_wait(int descriptor, struct flock *lock) {
    return fcntl(descriptor, F_OFD_SETLKW, lock);
}

int keyfold_lock_try(int descriptor, struct flock *lock) {
    return fcntl(descriptor, F_OFD_SETLK, lock);
}

int keyfold_lock_ask(int descriptor, struct flock *lock) {
    return fcntl(descriptor, F_OFD_GETLK, lock);
}

int keyfold_size_and_links(int descriptor, uint64_t *size, uint32_t *links) {
    struct statx value;
    if (statx(descriptor, "", AT_EMPTY_PATH, STATX_SIZE | STATX_NLINK, &value) != 0) return -1;
    *size = value.stx_size;
    *links = value.stx_nlink;
    return 0;
}

int keyfold_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

const int keyfold_O_PATH = O_PATH;
const int keyfold_O_DIRECT = O_DIRECT;
const int keyfold_SEEK_DATA = SEEK_DATA;
const int keyfold_SEEK_HOLE = SEEK_HOLE;
