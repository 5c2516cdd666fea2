"""System calls that Python has not."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
KEEP_SIZE, PUNCH_HOLE = 1, 2


def fallocate(descriptor, mode, offset, length):
    result = LIBC.fallocate(
        descriptor, ctypes.c_int(mode), ctypes.c_int64(offset), ctypes.c_int64(length))
    if result:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def syncfs(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if LIBC.syncfs(descriptor):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), path)
    finally:
        os.close(descriptor)
