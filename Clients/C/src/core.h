/*
 * The client's side of a connection as a state machine: bytes go in, bytes come out, and each stream has a next event.
 * It knows no socket and no clock. Docs/Protocol.md numbers the rules (P-9).
 *
 *     dd_core_advance(core, now);          time passes: calls whose time is up fail
 *     dd_core_feed(core, bytes, count);    what was received
 *     dd_core_feed_end(core, text);        the connection ended, in whatever way
 *     dd_core_output(core, &bytes);        what is to be sent; dd_core_sent() says how much of it was
 *     dd_stream_next(stream, &event);      what a stream has to tell
 *
 * Memory is bounded by the credit the client announced, whatever the server sends.
 */
#ifndef DD_CORE_H
#define DD_CORE_H

#include "failure.h"
#include "memory.h"
#include "wire.h"

struct dd_core;
struct dd_stream;

enum dd_event_type {
    /* Nothing yet: more bytes are needed. */
    DD_EVENT_NONE,
    /* `bytes` are a message. They live until the next call on the stream. */
    DD_EVENT_MESSAGE,
    /* END arrived: `status`, `text`, and the details in `bytes`. */
    DD_EVENT_END,
    /* The call failed without END, as `failure` says. */
    DD_EVENT_FAILED,
};

struct dd_event {
    enum dd_event_type type;
    const uint8_t *bytes;
    size_t size;
    diskdelta_status status;
    const uint8_t *text;
    size_t text_size;
    const struct dd_failure *failure;
};

/* A connection that has just begun: its preface and SETTINGS are in its output. NULL where there is no memory. */
struct dd_core *dd_core_create(const diskdelta_allocator *allocator, const struct dd_settings *settings);

/* Frees the connection. Its streams must have been closed. NULL is allowed. */
void dd_core_free(struct dd_core *core);

/* Takes all of the bytes. After a failure they are ignored. */
void dd_core_feed(struct dd_core *core, const uint8_t *bytes, size_t count);

/* No more bytes come: every call that has not ended fails. `text` says what happened. */
void dd_core_feed_end(struct dd_core *core, const char *text);

/* The same, for a reason that is known. */
void dd_core_feed_failure(struct dd_core *core, const struct dd_failure *failure);

/* What is to be sent. Gives its size; 0 for nothing. */
size_t dd_core_output(const struct dd_core *core, const uint8_t **bytes);

/* So much of the output was sent. */
void dd_core_sent(struct dd_core *core, size_t count);

/* Says what time it is, in ms of any clock that only goes forward. */
void dd_core_advance(struct dd_core *core, uint64_t now);

/* Whether the server has introduced itself. */
bool dd_core_is_ready(const struct dd_core *core);

/* Why the server takes no more calls, though it may go on with those there are; NULL while it takes them. */
const struct dd_failure *dd_core_farewell(const struct dd_core *core);

/* Why the connection can't be used any more; NULL while it can. Output that is left should still be sent. */
const struct dd_failure *dd_core_failure(const struct dd_core *core);

/*
 * Starts a call. The caller writes the `size` bytes of the request to `*request` before it does anything else with the
 * core. `timeout` is in ms, 0 for none. NULL where the call can't be started, with `failure` filled in.
 */
struct dd_stream *dd_core_open(struct dd_core *core, const char *path, uint32_t timeout, size_t size, uint8_t **request,
                               struct dd_failure *failure);

/* The oldest event of the stream that was not taken. END and FAILED stay. */
void dd_stream_next(struct dd_stream *stream, struct dd_event *event);

/* Ends the call where it has not ended: the server is told `status`, and the stream fails with `failure`. */
void dd_stream_cancel(struct dd_stream *stream, diskdelta_status status, const struct dd_failure *failure);

/* The time at which the call's time is up; 0 for never. */
uint64_t dd_stream_deadline(const struct dd_stream *stream);

/* Frees the stream; a call that has not ended is cancelled. NULL is allowed. */
void dd_stream_close(struct dd_stream *stream);

#endif
