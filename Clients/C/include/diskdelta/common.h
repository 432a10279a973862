/*
 * What every header of libdiskdelta shares. Programs include <diskdelta.h>, which includes this.
 */
#ifndef DISKDELTA_COMMON_H
#define DISKDELTA_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DISKDELTA_API __attribute__((visibility("default")))
#else
#define DISKDELTA_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Where memory comes from. `allocate` returns NULL where there is none; `release` is never given NULL. */
typedef struct diskdelta_allocator {
    void *(*allocate)(void *data, size_t size);
    void (*release)(void *data, void *pointer);
    void *data;
} diskdelta_allocator;

/* A connection to a server. */
typedef struct diskdelta_client diskdelta_client;

/* A call whose answer is a stream of messages. */
typedef struct diskdelta_stream diskdelta_stream;

/* What a caller may say about one call: see diskdelta.h. */
typedef struct diskdelta_call_options diskdelta_call_options;

/* Why something failed: see diskdelta.h. */
typedef struct diskdelta_error diskdelta_error;

/* Some ranges of an answer: see diskdelta.h. */
typedef struct diskdelta_batch diskdelta_batch;

/* Bytes that belong to somebody else. `data` may be NULL where `size` is 0. */
typedef struct diskdelta_bytes {
    const uint8_t *data;
    size_t size;
} diskdelta_bytes;

/* An entry of a call's metadata. */
typedef struct diskdelta_metadata {
    /* 1 to 255 characters of 0-9 a-z _ . - */
    const char *key;
    /* Any bytes, at most 65535. */
    diskdelta_bytes value;
} diskdelta_metadata;

/* Given for a time in ms: turns off what it is the time of, where an option says that it can be turned off. */
#define DISKDELTA_OFF UINT32_MAX

#ifdef __cplusplus
}
#endif

#endif
