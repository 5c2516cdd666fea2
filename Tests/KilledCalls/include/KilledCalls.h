// Nothing to call: the library is preloaded (ld.so(8), LD_PRELOAD) and stands before the calls that
// change files.
