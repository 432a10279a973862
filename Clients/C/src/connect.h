/* Addresses, and sockets connected to them. */
#ifndef DD_CONNECT_H
#define DD_CONNECT_H

#include "failure.h"

#include <stdint.h>

/* Now, in ms of a clock that only goes forward. */
uint64_t dd_now(void);

/* The ms until a time, as poll(2) takes them: at least 0; -1 for the time 0, which never comes. */
int dd_until(uint64_t deadline);

/*
 * A non-blocking socket connected to `HOST:PORT`, `[IPv6]:PORT` or `unix:/path`; -1 with `failure` filled in. Looking
 * up a name is not bounded by the deadline: the system's resolver has its own.
 */
int dd_connect(const char *address, uint64_t deadline, struct dd_failure *failure);

/* The host of an address, as a carrier is told it; "" for a Unix socket. `host` has room for DD_HOST_SIZE bytes. */
enum { DD_HOST_SIZE = 256 };
void dd_host(const char *address, char host[DD_HOST_SIZE]);

#endif
