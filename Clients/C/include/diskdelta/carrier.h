/*
 * Carriers: how the bytes of a connection are sent and received.
 *
 * The library brings a carrier for plain sockets. Another one, such as TLS, is a table of functions (struct
 * diskdelta_carrier_functions) and something that puts it on a connected socket (struct diskdelta_security), which
 * diskdelta_client_options names. A program that has a connection already gives a carrier to
 * diskdelta_client_connect_carrier().
 *
 * No function of a carrier waits. All are called by the thread that uses the client, one at a time.
 */
#ifndef DISKDELTA_CARRIER_H
#define DISKDELTA_CARRIER_H

#include <diskdelta/common.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A bit of what to wait for: that bytes can be read from the file descriptor. */
#define DISKDELTA_DIRECTION_READ 1u

/* A bit of what to wait for: that bytes can be written to the file descriptor. */
#define DISKDELTA_DIRECTION_WRITE 2u

/* What a carrier's read or write gives where it would have to wait: for what its `wants` says. */
#define DISKDELTA_CARRIER_WAIT (-1)

/* What a carrier's read or write gives where the connection broke. A client may connect again. */
#define DISKDELTA_CARRIER_BROKEN (-2)

/*
 * What a carrier's read or write gives where the peer is not who it should be, or does not let the client in: a
 * certificate that can't be verified, or an alert that says the same of the client's. Connecting again would not help,
 * so the client does not: its calls fail with UNAUTHENTICATED.
 */
#define DISKDELTA_CARRIER_REFUSED (-3)

/* What a carrier can do. `data` is the member of struct diskdelta_carrier. No function may be NULL. */
typedef struct diskdelta_carrier_functions {
    /* The size of this structure: sizeof(diskdelta_carrier_functions). */
    size_t struct_size;
    /*
     * Reads at most `capacity` bytes, at least 1. Gives their number; 0 where the peer has ended its direction in the
     * proper way; DISKDELTA_CARRIER_WAIT, _BROKEN or _REFUSED. It is called until it gives WAIT, so a carrier may hold
     * bytes of its own back until then. A handshake that the carrier needs goes on inside of read and write.
     */
    ptrdiff_t (*read)(void *data, void *bytes, size_t capacity);
    /* Writes some of `count` bytes, at least 1. Gives how many; or WAIT, BROKEN, REFUSED. A write that gave WAIT is
     * made again with the same bytes at its start, at the same or another address, and perhaps more after them. */
    ptrdiff_t (*write)(void *data, const void *bytes, size_t count);
    /*
     * The directions to wait for until read may give more and, where `has_output`, write may take more. During a
     * handshake that can be another direction than the one of the call. Never 0.
     */
    unsigned (*wants)(void *data, bool has_output);
    /* The file descriptor to wait for. It stays the same. */
    int (*fd)(void *data);
    /* Whether nobody on the way can read along, so that a token may be sent (P-82): TLS, a Unix socket, loopback. */
    bool (*is_private)(void *data);
    /* Why the last function failed: a sentence, in UTF-8 without control characters; lives until the next call. */
    const char *(*error)(void *data);
    /* Nothing more will be written: ends this direction, as far as that goes without waiting. May be called twice. */
    void (*finish)(void *data);
    /* Closes the file descriptor and frees the carrier, without waiting. */
    void (*close)(void *data);
} diskdelta_carrier_functions;

/* A carrier of one connection. */
typedef struct diskdelta_carrier {
    /* It must live as long as the carrier. */
    const diskdelta_carrier_functions *functions;
    /* What the functions are given. */
    void *data;
} diskdelta_carrier;

/*
 * What a client makes its carriers with, such as TLS. It must live as long as the client, which uses it each time it
 * connects. One may serve several clients of several threads, where `wrap` allows that.
 */
typedef struct diskdelta_security {
    /* The size of this structure, as DISKDELTA_SECURITY_INIT sets it. */
    size_t struct_size;
    /*
     * Puts a carrier on `fd`, a connected stream socket that does not block. `host` is the name or the address that was
     * connected to, without port and brackets; empty for a Unix socket. It does not wait: a handshake goes on inside of
     * the carrier's read and write.
     *
     * 0: `*carrier` is filled in and owns `fd`. -1: `fd` stays the caller's, and `text`, which has room for `capacity`
     * bytes, says why, ended by a 0. Connecting then fails with INVALID_PARAMETER.
     */
    int (*wrap)(void *data, int fd, const char *host, diskdelta_carrier *carrier, char *text, size_t capacity);
    /* What `wrap` is given. */
    void *data;
} diskdelta_security;

/* Starts every diskdelta_security: everything else is 0. */
#define DISKDELTA_SECURITY_INIT                                                                                        \
    {                                                                                                                  \
        .struct_size = sizeof(struct diskdelta_security)                                                               \
    }

/*
 * Puts the plain carrier on `fd`, a connected stream socket; it is set not to block. `allocator` may be NULL, for
 * malloc. 0: `*carrier` owns `fd`. -1 where there is no memory or `fd` is no open socket: then it stays the caller's.
 */
DISKDELTA_API int diskdelta_carrier_on_socket(int fd, const diskdelta_allocator *allocator, diskdelta_carrier *carrier);

#ifdef __cplusplus
}
#endif

#endif
