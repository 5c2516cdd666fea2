// libcurl's easy interface. Only the module KMSClient imports it.
//
// Its functions for options and answers take any number of arguments, which Swift cannot call; here
// they have one name for each type.
#pragma once
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if LIBCURL_VERSION_NUM < 0x074200
#error "libcurl 7.66 or later is needed"
#endif

typedef size_t (*keyfold_curl_callback)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode keyfold_curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode keyfold_curl_set_size(CURL *handle, CURLoption option, long long value) {
    return curl_easy_setopt(handle, option, (curl_off_t)value);
}

static inline CURLcode keyfold_curl_set_string(
    CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode keyfold_curl_set_pointer(
    CURL *handle, CURLoption option, const void *value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode keyfold_curl_set_callback(
    CURL *handle, CURLoption option, keyfold_curl_callback value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode keyfold_curl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}

/// HTTP and TLS only, whatever the library could do besides.
static inline CURLcode keyfold_curl_set_protocols(CURL *handle, int with_tls) {
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, with_tls ? "https" : "http");
#else
    return curl_easy_setopt(
        handle, CURLOPT_PROTOCOLS, (long)(with_tls ? CURLPROTO_HTTPS : CURLPROTO_HTTP));
#endif
}

/// Does not wait for a thread that still resolves a name when the time is over (7.87).
static inline void keyfold_curl_set_quick_exit(CURL *handle) {
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
#else
    (void)handle;
#endif
}

// --- Memory that is wiped when it is freed: libcurl's buffers hold plaintext keys -----------------

static inline void keyfold_curl_free(void *block) {
    if (block) explicit_bzero(block, malloc_usable_size(block));
    free(block);
}

static inline void *keyfold_curl_realloc(void *block, size_t size) {
    if (!block) return malloc(size);
    size_t old_size = malloc_usable_size(block);
    if (size > 0 && size <= old_size) return block;
    void *moved = malloc(size);
    if (!moved) return NULL;
    memcpy(moved, block, old_size < size ? old_size : size);
    keyfold_curl_free(block);
    return moved;
}

/// Once for each process, before any other call.
static inline CURLcode keyfold_curl_global_init(void) {
    return curl_global_init_mem(
        CURL_GLOBAL_DEFAULT, malloc, keyfold_curl_free, keyfold_curl_realloc, strdup, calloc);
}
