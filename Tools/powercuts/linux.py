"""System calls that Python has not."""

import ctypes
import os
import uuid

LIBC = ctypes.CDLL(None, use_errno=True)
KEEP_SIZE, PUNCH_HOLE = 1, 2
CLONE_NEWNS, MS_BIND, MNT_DETACH = 0x20000, 4096, 2
BOOT_ID = b"/proc/sys/kernel/random/boot_id"  # proc(5)


def unshare_mounts():
    """What this process mounts from now on is seen by its children alone, and ends with them."""
    check(LIBC.unshare(CLONE_NEWNS))


def boot_anew(place):
    """Another boot id, as after a power cut, for this mount namespace. `place` holds it."""
    path = os.path.join(place, "boot_id")
    with open(path, "w") as file:
        file.write(f"{uuid.uuid4()}\n")
    LIBC.umount2(BOOT_ID, MNT_DETACH)  # The one before, if any.
    check(LIBC.mount(path.encode(), BOOT_ID, None, MS_BIND, None), path)


def check(result, *names):
    if result:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), *names)


def fallocate(descriptor, mode, offset, length):
    check(LIBC.fallocate(
        descriptor, ctypes.c_int(mode), ctypes.c_int64(offset), ctypes.c_int64(length)))


def syncfs(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        check(LIBC.syncfs(descriptor), path)
    finally:
        os.close(descriptor)
