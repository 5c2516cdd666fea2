// Programs that sync their files, and files that are not synced: for every file whose path has the
// text of KEYFOLD_WITHOUT_SYNC in it, fsync(2) and fdatasync(2) answer and do nothing. The power-cut
// suite must find what is lost then.

#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "WithoutSync.h"

static int is_left_out(int descriptor) {
    const char *text = getenv("KEYFOLD_WITHOUT_SYNC");
    if (text == NULL || *text == '\0') return 0;
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t count = readlink(link, path, sizeof path - 1);
    if (count < 0) return 0;
    path[count] = '\0';
    return strstr(path, text) != NULL;
}

int fsync(int descriptor) {
    return is_left_out(descriptor) ? 0 : (int)syscall(SYS_fsync, descriptor);
}

int fdatasync(int descriptor) {
    return is_left_out(descriptor) ? 0 : (int)syscall(SYS_fdatasync, descriptor);
}
