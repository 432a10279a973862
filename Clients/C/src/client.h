/* A client's connection: the core with a socket. */
#ifndef DD_CLIENT_H
#define DD_CLIENT_H

#include "core.h"
#include "error.h"

enum { DD_READ_SIZE = 256 * 1024 };

struct diskdelta_client {
    diskdelta_allocator allocator;
    /* Its functions are NULL where there is none. */
    diskdelta_carrier carrier;
    /* NULL where it never connected. */
    struct dd_core *core;
    diskdelta_stream *streams;
    uint8_t *buffer;
    struct dd_error error;
};

/* -1 (or NULL, by its caller) with the client's error set. */
int dd_client_fail(diskdelta_client *client, const struct dd_failure *failure);

/* Sends what can be sent without waiting. */
void dd_client_flush(diskdelta_client *client);

/* Waits until something arrives, something can be sent, or the deadline passes (0: none), and lets the core know. */
void dd_client_wait(diskdelta_client *client, uint64_t deadline);

#endif
