/*
 * The core: the client's side of a connection as a state machine, for programs that do their own input and output.
 * Bytes go in, bytes come out, and each call has a next event. It knows no socket and no clock. Most programs want the
 * layers above it: see diskdelta.h.
 *
 *     diskdelta_core *core = diskdelta_core_create(NULL, NULL);
 *     diskdelta_core_open(core, &call, &failure);       starts a call
 *     diskdelta_core_output(core, &bytes);              what is to be sent; diskdelta_core_sent() says how much of it
 * was diskdelta_core_feed(core, bytes, count);          what was received; diskdelta_core_feed_end() where no more
 * comes diskdelta_core_advance(core, now);                time passes; at diskdelta_core_next_timeout() at the latest
 *     diskdelta_core_next_stream(core);                 a call that has something to tell
 *     diskdelta_core_stream_next(stream, &event);       what it has to tell
 *
 * WHAT MAY BE CALLED WHEN. Any function at any time, in any order, but none while another one runs on the same core or
 * one of its streams. Every function that takes bytes, time or a wish may add output, so look for output after each.
 * Calls may be started at once: their requests then follow the introduction, and the server's limits of frames are
 * taken to be the lowest that there are (P-17).
 *
 * After a failure of the connection (diskdelta_core_failure()) what is fed is ignored; output that is left should still
 * be sent, since it says why, and then the connection be closed. Events that were not taken stay: what had arrived
 * before is handed out before the failure.
 *
 * TIME is in ms of any clock that only goes forward. Call diskdelta_core_advance() before the first call, after each
 * diskdelta_core_feed(), and when diskdelta_core_next_timeout() has come.
 *
 * MEMORY is bounded by the credit that the client announces, whatever the server sends. Where there is none left, the
 * connection fails with RESOURCE_LIMIT.
 *
 * The requests and messages are serialized protobuf messages; the core does not look inside. In particular the checks
 * of range answers (section 15 of the protocol) are the caller's.
 */
#ifndef DISKDELTA_CORE_H
#define DISKDELTA_CORE_H

#include <diskdelta/common.h>
#include <diskdelta/reason.h>
#include <diskdelta/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A connection. */
typedef struct diskdelta_core diskdelta_core;

/* A call on a connection. */
typedef struct diskdelta_core_stream diskdelta_core_stream;

/* The bytes of a failure's text, with the 0 at its end. */
#define DISKDELTA_FAILURE_TEXT_SIZE 512

/* Why a connection or a call failed. */
typedef struct diskdelta_failure {
    /* gRPC's status. */
    diskdelta_status status;
    /* What a program can act on. */
    diskdelta_reason reason;
    /* A sentence for a person, in UTF-8 without control characters. */
    char text[DISKDELTA_FAILURE_TEXT_SIZE];
} diskdelta_failure;

/* What the client announces and how long it waits. Every member but the first may be 0: then its default holds. */
typedef struct diskdelta_core_options {
    /* The size of this structure, as DISKDELTA_CORE_OPTIONS_INIT sets it. */
    size_t struct_size;
    /* The longest message the client accepts, in bytes: 16384 to 16777215; 262144 by default. */
    uint32_t max_frame;
    /* The bytes that may wait unread on one stream; at least 2 * (max_frame + 16); 1048576 by default. */
    uint32_t stream_credit;
    /* The bytes that may wait unread on all streams; at least stream_credit; 67108864 by default. */
    uint32_t connection_credit;
    /*
     * How long the server may be silent, in ms, while a call is under way, until it is asked whether it is still there;
     * 30000 by default, DISKDELTA_OFF for never. It is not asked more often than it allows (P-83).
     */
    uint32_t keepalive_ms;
    /* How long the server may then stay silent, in ms, until the connection counts as broken; 20000 by default. */
    uint32_t keepalive_timeout_ms;
} diskdelta_core_options;

/* Starts every diskdelta_core_options: everything else is 0. */
#define DISKDELTA_CORE_OPTIONS_INIT                                                                                    \
    {                                                                                                                  \
        .struct_size = sizeof(struct diskdelta_core_options)                                                           \
    }

/* What is asked. All that it points to is copied. */
typedef struct diskdelta_core_call {
    /* The size of this structure, as DISKDELTA_CORE_CALL_INIT sets it. */
    size_t struct_size;
    /* The method, as in "diskdelta.v1.ImageManagement/ListBaselines": 1 to 255 bytes. */
    const char *path;
    /* The serialized request. */
    diskdelta_bytes request;
    /* The time the call may take, in ms from the last diskdelta_core_advance(); at most 2147483647. 0: no limit. */
    uint32_t timeout_ms;
    /* Metadata of the call, at most 8192 bytes with 3 more for each entry (P-24). */
    const diskdelta_metadata *metadata;
    size_t metadata_count;
    /* For the caller: what diskdelta_core_stream_data() gives. */
    void *data;
} diskdelta_core_call;

/* Starts every diskdelta_core_call: everything else is 0. */
#define DISKDELTA_CORE_CALL_INIT                                                                                       \
    {                                                                                                                  \
        .struct_size = sizeof(struct diskdelta_core_call)                                                              \
    }

/* What kind of thing a stream has to tell. */
typedef enum diskdelta_core_event_type {
    /* Nothing yet: more bytes are needed. */
    DISKDELTA_CORE_NONE = 0,
    /* A message arrived. */
    DISKDELTA_CORE_MESSAGE = 1,
    /* The server ended the call, with whatever status. Only status OK is success, and only if the details agree (P-35).
     */
    DISKDELTA_CORE_END = 2,
    /* The call failed without an end. */
    DISKDELTA_CORE_FAILED = 3,
} diskdelta_core_event_type;

/* What a stream has to tell. What it points to lives until the next call on the stream. */
typedef struct diskdelta_core_event {
    diskdelta_core_event_type type;
    /* MESSAGE: a serialized response. */
    diskdelta_bytes message;
    /* END: its status, its text (UTF-8, not ended by a 0), and a serialized diskdelta.v1.StatusDetails. */
    diskdelta_status status;
    diskdelta_bytes text;
    diskdelta_bytes details;
    /* FAILED: why, and whether the server provably did not begin the call, so that it can be made again (P-93). */
    const diskdelta_failure *failure;
    bool was_not_begun;
} diskdelta_core_event;

/*
 * A connection that has just begun: its introduction is in its output. `allocator` and `options` may be NULL. NULL
 * where there is no memory, or an option is not allowed.
 */
DISKDELTA_API diskdelta_core *diskdelta_core_create(const diskdelta_allocator *allocator,
                                                    const diskdelta_core_options *options);

/* Frees the connection. Streams that are left have failed with CANCELLED and must still be closed. NULL is allowed. */
DISKDELTA_API void diskdelta_core_free(diskdelta_core *core);

/* Takes all of the `count` bytes that were received. After a failure they are ignored. */
DISKDELTA_API void diskdelta_core_feed(diskdelta_core *core, const uint8_t *bytes, size_t count);

/*
 * No more bytes come: every call that has not ended fails, as `failure` says; with NULL, with SERVER_UNAVAILABLE. What
 * the server said in its GOAWAY, where it sent one, is told in place of a SERVER_UNAVAILABLE.
 */
DISKDELTA_API void diskdelta_core_feed_end(diskdelta_core *core, const diskdelta_failure *failure);

/* What is to be sent: `*bytes` lives until the next call on the core. Gives its size; 0 for nothing. */
DISKDELTA_API size_t diskdelta_core_output(const diskdelta_core *core, const uint8_t **bytes);

/* So many bytes of the output were sent; what is above its size is ignored. */
DISKDELTA_API void diskdelta_core_sent(diskdelta_core *core, size_t count);

/*
 * Says what time it is. Calls whose time is up fail with DEADLINE, and the server is told; where it has been silent for
 * long it is asked whether it is there, and where it does not answer, the connection fails.
 */
DISKDELTA_API void diskdelta_core_advance(diskdelta_core *core, uint64_t now);

/* The time at which diskdelta_core_advance() must be called at the latest; UINT64_MAX for never. */
DISKDELTA_API uint64_t diskdelta_core_next_timeout(const diskdelta_core *core);

/* Whether the server has introduced itself. */
DISKDELTA_API bool diskdelta_core_is_ready(const diskdelta_core *core);

/*
 * Why the server takes no more calls, though it may go on with those there are; NULL while it takes them. It lives as
 * long as the connection.
 */
DISKDELTA_API const diskdelta_failure *diskdelta_core_farewell(const diskdelta_core *core);

/* Why the connection can't be used any more; NULL while it can. It lives as long as the connection. */
DISKDELTA_API const diskdelta_failure *diskdelta_core_failure(const diskdelta_core *core);

/* How many calls have not ended. */
DISKDELTA_API size_t diskdelta_core_open_count(const diskdelta_core *core);

/*
 * Starts a call. NULL where it can't be started, with `failure` filled in: INVALID_PARAMETER where a member is
 * malformed, RESOURCE_LIMIT where the connection's limits of streams or bytes are reached, or what the connection
 * failed of.
 */
DISKDELTA_API diskdelta_core_stream *diskdelta_core_open(diskdelta_core *core, const diskdelta_core_call *call,
                                                         diskdelta_failure *failure);

/* A stream whose next event is not NONE, of those whose end was not taken; NULL where there is none. */
DISKDELTA_API diskdelta_core_stream *diskdelta_core_next_stream(const diskdelta_core *core);

/* What the caller gave with the call. */
DISKDELTA_API void *diskdelta_core_stream_data(const diskdelta_core_stream *stream);

/*
 * Takes the oldest event of the stream that was not taken. A message counts as read, so that the server may send more.
 * END and FAILED stay: they are given again and again.
 */
DISKDELTA_API void diskdelta_core_stream_next(diskdelta_core_stream *stream, diskdelta_core_event *event);

/* Ends the call where it has not ended: it fails as `failure` says, and its status is told to the server. */
DISKDELTA_API void diskdelta_core_stream_cancel(diskdelta_core_stream *stream, const diskdelta_failure *failure);

/* Frees the stream; a call that has not ended is cancelled. NULL is allowed. */
DISKDELTA_API void diskdelta_core_stream_close(diskdelta_core_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
