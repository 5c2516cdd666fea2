// Nothing to call: the library is preloaded (ld.so(8), LD_PRELOAD) and takes the place of fsync(2)
// and fdatasync(2).
