/* A connection: the core on a carrier, from the first attempt to connect to the last byte. Nothing here waits. */
#ifndef DD_LINK_H
#define DD_LINK_H

#include "clock.h"
#include "connect.h"
#include "memory.h"

#include <diskdelta/carrier.h>

enum dd_link_state {
    /* Nothing was tried yet, or it was closed. */
    DD_LINK_NONE,
    /* A socket is being connected. */
    DD_LINK_CONNECTING,
    /* Both sides introduce themselves. */
    DD_LINK_INTRODUCING,
    /* Calls can be made. */
    DD_LINK_READY,
    /* It failed: `failure` says why. */
    DD_LINK_FAILED,
};

/* What a link is made with. It belongs to the caller and outlives the link. */
struct dd_link_plan {
    const char *address;
    const diskdelta_security *security;
    diskdelta_core_options core;
    /* How long it may take until the link is ready, in ms. */
    uint32_t timeout;
};

struct dd_link {
    diskdelta_allocator allocator;
    const struct dd_link_plan *plan;
    enum dd_link_state state;
    diskdelta_failure failure;
    /* It was ready, if only until the server closed it. */
    bool was_ready;
    /* The time by which it must be ready. */
    uint64_t deadline;
    struct dd_connector connector;
    /* Its functions are NULL where there is none. */
    diskdelta_carrier carrier;
    diskdelta_core *core;
    uint8_t *buffer;
    /* The carrier had more to read. */
    bool has_more;
};

void dd_link_init(struct dd_link *link, const diskdelta_allocator *allocator);

/* Connects anew to the plan's address. */
void dd_link_start(struct dd_link *link, const struct dd_link_plan *plan);

/* Begins on a carrier that is connected, and owns it. */
void dd_link_start_on(struct dd_link *link, const struct dd_link_plan *plan, diskdelta_carrier carrier);

/* Does all that can be done now: connects, receives, lets time pass, sends. */
void dd_link_step(struct dd_link *link);

/* Sends what can be sent now. */
void dd_link_flush(struct dd_link *link);

/* The file descriptor to wait for, and for what: DISKDELTA_DIRECTION_READ, _WRITE. -1 and 0 where there is none. */
int dd_link_fd(const struct dd_link *link);
unsigned dd_link_direction(const struct dd_link *link);

/* The time at which dd_link_step() must be called at the latest. */
uint64_t dd_link_timeout(const struct dd_link *link);

/* Closes it: calls that are left fail with CANCELLED. */
void dd_link_close(struct dd_link *link);

/* Gives all memory back. */
void dd_link_free(struct dd_link *link);

#endif
