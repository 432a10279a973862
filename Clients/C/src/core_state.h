/*
 * The state of a connection, shared by the files of the core and by no others. Each file rests on those before it:
 * core_output, core_credit, core_streams, core_failure, core_time, core_receive, core.
 */
#ifndef DD_CORE_STATE_H
#define DD_CORE_STATE_H

#include "clock.h"
#include "failure.h"
#include "memory.h"
#include "wire.h"

#include <diskdelta/core.h>

/* How many cancelled streams are remembered (P-22). */
enum { DD_REMEMBERED = 64 };

/* A frame's payload that waits to be read. */
struct dd_payload {
    struct dd_payload *next;
    size_t size;
    uint8_t bytes[];
};

enum dd_stream_state {
    DD_STREAM_OPEN,
    /* END arrived. */
    DD_STREAM_ENDED,
    /* Everything else that ends a call. */
    DD_STREAM_FAILED,
};

struct diskdelta_core_stream {
    diskdelta_allocator allocator;
    /* NULL once the connection is freed. */
    diskdelta_core *core;
    diskdelta_core_stream *next;
    void *data;
    uint32_t id;
    enum dd_stream_state state;
    uint64_t deadline;
    uint32_t next_number;
    uint32_t credit;
    uint32_t consumed;
    struct dd_payload *first;
    struct dd_payload *last;
    /* The message that was handed out last. */
    struct dd_payload *taken;
    /* END's payload and status. */
    struct dd_payload *end;
    diskdelta_status end_status;
    diskdelta_failure failure;
    /* Whether the end was taken. */
    bool is_told;
    /* Where its OPEN ends in all that the connection ever sends. */
    uint64_t open_end;
    /* The server said that it did not begin the call. */
    bool is_refused;
};

enum dd_expecting { DD_EXPECTING_PREFACE, DD_EXPECTING_HEADER, DD_EXPECTING_PAYLOAD };

struct diskdelta_core {
    diskdelta_allocator allocator;
    struct dd_settings own;
    struct dd_settings peer;
    uint64_t now;

    /* What is being received. */
    enum dd_expecting expecting;
    uint8_t head[DD_HEADER_SIZE];
    size_t filled;
    struct dd_header header;
    bool has_settings;
    /* Where the payload goes: into `payload` for DATA and END, into `control` for the connection's own; else it is
     * discarded. */
    struct dd_payload *payload;
    diskdelta_core_stream *receiver;
    uint8_t control[DD_MAX_GOAWAY_SIZE];

    /* Streams. */
    diskdelta_core_stream *streams;
    uint32_t next_id;
    uint32_t remembered[DD_REMEMBERED];
    size_t remembered_next;

    /* Credit of the connection: what the server may still send, and what was consumed and not granted again. */
    uint32_t credit;
    uint32_t consumed;

    /* What is to be sent. */
    uint8_t *output;
    size_t output_start;
    size_t output_end;
    size_t output_capacity;
    /* The bytes of output up to and including the answer to a PING; 0 for none. */
    size_t pong_end;
    /* The bytes that were ever sent. */
    uint64_t sent;
    /* There was no memory for a frame: the connection fails as soon as somebody looks. */
    bool is_exhausted;

    /* Keepalive (P-84). */
    uint32_t keepalive;
    uint32_t keepalive_timeout;
    uint64_t last_received;
    /* Bytes arrived since the time was told. */
    bool has_received;
    uint64_t last_ping;
    uint64_t ping_number;
    /* A PING without answer is under way. */
    bool has_ping;
    /* When the server began to owe a sign of life; DD_NEVER where it owes none. */
    uint64_t owed_since;

    /* The server's GOAWAY. */
    bool is_going_away;
    uint32_t last_accepted;
    diskdelta_failure farewell;
    bool has_failed;
    diskdelta_failure failure;
};

/* ---- Output ---------------------------------------------------------------------------------------------------- */

/* Room for a frame in the output, its header written; NULL where there is no memory, which is remembered. */
uint8_t *dd_core_frame(diskdelta_core *core, const struct dd_header *header);

/* The bytes that were or will be sent, counted from the first. */
uint64_t dd_core_queued(const diskdelta_core *core);

/* ---- Credit ---------------------------------------------------------------------------------------------------- */

/* What a DATA frame costs (P-41). */
uint32_t dd_cost(size_t size);

/* So many bytes of DATA have left the client's memory: grants them to the connection in time (P-46). */
void dd_core_consume(diskdelta_core *core, uint32_t cost);

/* The same for a message that a reader took of an open stream (P-45). */
void dd_core_consume_of(diskdelta_core_stream *stream, uint32_t cost);

/* ---- Streams --------------------------------------------------------------------------------------------------- */

/* The open or not yet freed stream with this id. */
diskdelta_core_stream *dd_core_find(const diskdelta_core *core, uint32_t id);

/* Whether the client cancelled this stream, and the server has not closed it; forgets it where `forget`. */
bool dd_core_remembers(diskdelta_core *core, uint32_t id, bool forget);

/* The call ended without END. */
void dd_stream_fail(diskdelta_core_stream *stream, const diskdelta_failure *failure);

/* Unread messages count as consumed for the connection (P-47). They stay readable. */
void dd_stream_settle(diskdelta_core_stream *stream);

/* ---- Failure --------------------------------------------------------------------------------------------------- */

/* The connection has failed: `failure` is copied, and every open call fails with it. */
void dd_core_fail(diskdelta_core *core, const diskdelta_failure *failure);

/* The peer broke a rule: says so to the peer and fails (P-54). */
void dd_core_breach(diskdelta_core *core, struct dd_breach breach);

/* Fails where there was no memory for a frame. Whether the connection has failed. */
bool dd_core_has_failed(diskdelta_core *core);

/* There is no memory: fails. */
void dd_core_exhausted(diskdelta_core *core);

/* ---- Time ------------------------------------------------------------------------------------------------------ */

/* An answer to a PING arrived, with these 8 bytes. Whether one was asked for (P-49). */
bool dd_core_answered(diskdelta_core *core, const uint8_t *payload);

#endif
