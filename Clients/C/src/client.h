/* A client: its link, when it is made anew, and waiting for it. */
#ifndef DD_CLIENT_H
#define DD_CLIENT_H

#include "error.h"
#include "link.h"

#include <stdatomic.h>

/* A call that waits for a connection, as its client sees it. */
struct dd_pending {
    struct dd_pending *next;
    /* When the call wants to be looked at, whatever becomes of the connection. */
    uint64_t until;
};

struct diskdelta_client {
    diskdelta_allocator allocator;
    struct dd_error error;
    struct dd_link link;
    struct dd_link_plan plan;
    /* What the plan's address is; NULL where there is none to connect to again. */
    char *address;
    /* Set by a program that has its own event loop. */
    bool never_waits;
    /* The streams that rest on it; once it is closed, the last of them frees it. */
    size_t users;
    bool is_closed;

    /* Why there is no connection, or the last one ended. */
    diskdelta_failure last_failure;
    /* The link's failure was counted. */
    bool has_noticed;
    /* The link was ready when it failed, and nothing has failed since. */
    bool was_ready;
    /* Failures in a row, and when the next attempt may be (P-94). */
    unsigned failures;
    uint64_t next_attempt;
    /* dd_backoff(), but for tests that have no time. */
    uint32_t (*backoff)(unsigned failures, uint32_t random);
    uint64_t random;
    struct dd_pending *pending;

    /* What diskdelta_query.epoch points to. */
    char *query_epoch;

    /* What other threads and signal handlers touch: a file descriptor that wakes, and the wish. */
    int wake;
    atomic_bool is_cancelled;
    /* How often it was wished so far. */
    unsigned cancels;
};

/* -1 (or NULL, by its caller) with the client's error set. */
int dd_client_fail(diskdelta_client *client, const diskdelta_failure *failure);

/* Does all that can be done without waiting. */
void dd_client_step(diskdelta_client *client);

/* The same, where a time has come. */
void dd_client_tend(diskdelta_client *client);

/* When dd_client_step() must be called at the latest. */
uint64_t dd_client_timeout(const diskdelta_client *client);

/* Waits until there is something for dd_client_step() to do, or somebody cancels. */
void dd_client_wait(diskdelta_client *client);

/* How often the client's calls were cancelled from elsewhere: what was under way at an earlier number, fails. */
unsigned dd_client_cancels(diskdelta_client *client);

enum dd_reach {
    /* Calls can be made. */
    DD_REACH_READY,
    /* A connection is being made. */
    DD_REACH_COMING,
    /* There is none, as `last_failure` says; there may be one later. */
    DD_REACH_LATER,
    /* There is none, and trying again would not help. */
    DD_REACH_NEVER,
};

/* Somebody needs a connection: makes one where there is none and the time for it has come. */
enum dd_reach dd_client_reach(diskdelta_client *client);

/* The call waits from now on, or no longer. */
void dd_client_add_pending(diskdelta_client *client, struct dd_pending *pending);
void dd_client_remove_pending(diskdelta_client *client, struct dd_pending *pending);

/* One stream more, or one less, rests on the client. */
void dd_client_retain(diskdelta_client *client);
void dd_client_release(diskdelta_client *client);

#endif
