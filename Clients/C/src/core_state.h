/* The state of a connection, shared by the files of the core and by no others. */
#ifndef DD_CORE_STATE_H
#define DD_CORE_STATE_H

#include "core.h"

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

struct dd_stream {
    struct dd_core *core;
    struct dd_stream *next;
    uint32_t id;
    enum dd_stream_state state;
    /* 0: none. */
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
    struct dd_failure failure;
};

enum dd_expecting { DD_EXPECTING_PREFACE, DD_EXPECTING_HEADER, DD_EXPECTING_PAYLOAD };

struct dd_core {
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
    struct dd_stream *receiver;
    uint8_t control[DD_MAX_GOAWAY_SIZE];

    /* Streams. */
    struct dd_stream *streams;
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

    /* The server's GOAWAY. */
    bool is_going_away;
    uint32_t last_accepted;
    struct dd_failure farewell;
    bool has_failed;
    struct dd_failure failure;
};

/* Room for a frame in the output, its header written; NULL where there is no memory: then the connection has failed. */
uint8_t *dd_core_frame(struct dd_core *core, const struct dd_header *header);

/* The connection has failed: `failure` is copied, and every open call fails with it. */
void dd_core_fail(struct dd_core *core, const struct dd_failure *failure);

/* The peer broke a rule: says so to the peer and fails (P-54). */
void dd_core_breach(struct dd_core *core, struct dd_breach breach);

/* There is no memory: fails. */
void dd_core_exhausted(struct dd_core *core);

/* So many bytes of DATA have left the client's memory: grants them to the connection in time (P-46). */
void dd_core_consume(struct dd_core *core, uint32_t cost);

/* The open or not yet freed stream with this id. */
struct dd_stream *dd_core_find(const struct dd_core *core, uint32_t id);

/* Whether the client cancelled this stream, and the server has not closed it; forgets it where `forget`. */
bool dd_core_remembers(struct dd_core *core, uint32_t id, bool forget);

/* What a DATA frame costs (P-41). */
uint32_t dd_cost(size_t size);

/* The call ended without END. */
void dd_stream_fail(struct dd_stream *stream, const struct dd_failure *failure);

/* Unread messages count as consumed for the connection (P-47). They stay readable. */
void dd_stream_settle(struct dd_stream *stream);

#endif
