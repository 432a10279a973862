/* Addresses, and sockets that are being connected to them, without waiting. */
#ifndef DD_CONNECT_H
#define DD_CONNECT_H

#include "failure.h"

enum { DD_HOST_SIZE = 256 };

struct addrinfo;

/* The way to a connected socket. */
struct dd_connector {
    /* What a name stands for, and the next of it to try. NULL for a Unix socket. */
    struct addrinfo *addresses;
    const struct addrinfo *next;
    /* The socket that is being connected; -1 for none. */
    int fd;
    /* The errno of the last attempt. */
    int error;
    /* The host of the address; "" for a Unix socket. */
    char host[DD_HOST_SIZE];
};

enum dd_progress { DD_PROGRESS_FAILED = -1, DD_PROGRESS_WAIT = 0, DD_PROGRESS_DONE = 1 };

/* Nothing is being connected. */
void dd_connector_init(struct dd_connector *connector);

/*
 * Begins to connect to `HOST:PORT`, `[IPv6]:PORT` or `unix:/path`. FAILED with `failure` filled in, or WAIT. A name
 * that is no number is looked up here, by the system's resolver, which waits as long as it is set up to.
 */
enum dd_progress dd_connector_start(struct dd_connector *connector, const char *address, diskdelta_failure *failure);

/* Goes on: WAIT until `fd` can be written to; DONE with a connected socket in `*fd`, which is the caller's; FAILED. */
enum dd_progress dd_connector_step(struct dd_connector *connector, const char *address, int *fd,
                                   diskdelta_failure *failure);

/* Gives up. */
void dd_connector_stop(struct dd_connector *connector);

#endif
