/*
 * libdiskdelta: asks a DiskDelta server which byte ranges of a virtual disk changed.
 *
 *     diskdelta_client *client = diskdelta_client_create(NULL);
 *     if (client == NULL || diskdelta_client_connect(client, "127.0.0.1:7420", NULL) != 0)
 *         ... diskdelta_client_error(client)->message ...
 *
 *     diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
 *     request.path = "vm/disk.avhdx";
 *     request.limit_id = "{5a4b...}";
 *     diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
 *
 *     const diskdelta_batch *batch;
 *     int more;
 *     while ((more = diskdelta_changes_next(changes, &batch)) == 1)
 *         for (size_t i = 0; i < batch->count; i++)
 *             ... batch->ranges[i].offset, .length, .kind ...
 *     if (more != 0)
 *         ... the answer is not complete: diskdelta_changes_error(changes) says why ...
 *
 *     diskdelta_changes_close(changes);
 *     diskdelta_client_close(client);
 *
 * THE PROMISE. diskdelta_changes_next() returns 0 only when the server said that the answer is complete, with status
 * OK, and every total it sent equals what was received. A connection that ends early, in whatever way, is -1.
 *
 * ERRORS. A function that fails returns -1 or NULL, and the handle it was called on tells why:
 * diskdelta_client_error(), diskdelta_stream_error(), diskdelta_changes_error(), diskdelta_many_changes_error(). The
 * library prints nothing, and never ends the program.
 *
 * LIFETIMES. What a function hands out through a pointer to const lives until the next call on the same handle. A
 * structure that a caller fills in starts with its _INIT macro. Every close and free function accepts NULL.
 *
 * THREADS. A client, with all streams opened on it, is used by one thread at a time. Different clients are independent.
 * Only diskdelta_client_cancel() may be called from anywhere, also from a signal handler.
 * The library has no global state, starts no thread, and touches no signal (a broken connection raises no SIGPIPE).
 * After fork() only one of the two processes may go on using a client.
 *
 * SEVERAL STREAMS. Any number of streams, up to the limits of both sides, may be open on one client, and may be read in
 * any order: a stream that is not read costs at most its credit in memory and does not hold up the others.
 */
#ifndef DISKDELTA_H
#define DISKDELTA_H

#include <diskdelta/answer.h>
#include <diskdelta/carrier.h>
#include <diskdelta/common.h>
#include <diskdelta/core.h>
#include <diskdelta/health.h>
#include <diskdelta/image_management.h>
#include <diskdelta/jobs.h>
#include <diskdelta/many.h>
#include <diskdelta/outcome.h>
#include <diskdelta/query.h>
#include <diskdelta/reason.h>
#include <diskdelta/reference_points.h>
#include <diskdelta/server_info.h>
#include <diskdelta/status.h>
#include <diskdelta/summary.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DISKDELTA_VERSION_MAJOR 0
#define DISKDELTA_VERSION_MINOR 1
#define DISKDELTA_VERSION_PATCH 0

/* The version of the library that is running, as in "0.1.0". */
DISKDELTA_API const char *diskdelta_version(void);

/* ---- Errors ---------------------------------------------------------------------------------------------------- */

/*
 * Why something failed. diskdelta_reason_name(), diskdelta_status_name() and diskdelta_reason_exit_code() give names
 * and an exit code. It lives as long as the handle, and changes when the next call on the handle fails.
 */
struct diskdelta_error {
    /* gRPC's status; OK where nothing has failed. */
    diskdelta_status status;
    /* What a program can act on; NONE where nothing has failed. */
    diskdelta_reason reason;
    /* What Hyper-V's WMI method would have returned. */
    uint32_t return_value;
    /* The Win32 error code with the detail; 0 where there is none. */
    uint32_t detail_code;
    /* A sentence for a person, in UTF-8 without control characters; never NULL. */
    const char *message;
    /* For range answers: the first byte of the disk that was not answered for. */
    bool has_resume_offset;
    uint64_t resume_offset;
    /* Where a server refused the call because there are too many: the ms after which it is worth making it again. 0
     * where it did not say. */
    uint32_t retry_delay_ms;
};

/* ---- Clients --------------------------------------------------------------------------------------------------- */

/* How to connect. Every member but the first may be 0: then its default holds. */
typedef struct diskdelta_client_options {
    /* The size of this structure, as DISKDELTA_CLIENT_OPTIONS_INIT sets it. */
    size_t struct_size;
    /* How long connecting may take, in ms, until the server has introduced itself; 5000 by default. */
    uint32_t connect_timeout_ms;
    /* The longest message the client accepts, in bytes: 16384 to 16777215; 262144 by default. */
    uint32_t max_frame;
    /* The bytes that may wait unread on one stream; at least 2 * (max_frame + 16); 1048576 by default. */
    uint32_t stream_credit;
    /* The bytes that may wait unread on all streams; at least stream_credit; 67108864 by default. It limits the number
     * of streams to connection_credit / stream_credit. */
    uint32_t connection_credit;
    /* What the connection is secured with, such as TLS; NULL for a plain one. It must live as long as the client. */
    const diskdelta_security *security;
    /*
     * How long the server may be silent, in ms, while a call is under way, until it is asked whether it is still there;
     * 30000 by default, DISKDELTA_OFF for never. It is not asked more often than it allows. Time that the program
     * spends outside of the library does not count against the server.
     */
    uint32_t keepalive_ms;
    /* How long the server may then stay silent, in ms, until the connection counts as broken; 20000 by default. */
    uint32_t keepalive_timeout_ms;
} diskdelta_client_options;

#define DISKDELTA_CLIENT_OPTIONS_INIT                                                                                  \
    {                                                                                                                  \
        .struct_size = sizeof(struct diskdelta_client_options)                                                         \
    }

/* Makes a client that is not connected; with `allocator` NULL it uses malloc. NULL where there is no memory. */
DISKDELTA_API diskdelta_client *diskdelta_client_create(const diskdelta_allocator *allocator);

/*
 * What a function gives in place of waiting, on a client that never waits: see diskdelta_client_set_waiting(). Nothing
 * has failed; the same call gives more later.
 */
#define DISKDELTA_WOULD_WAIT 2

/*
 * Connects to `HOST:PORT`, `[IPv6]:PORT` or `unix:/path`, and waits until both sides have introduced themselves.
 * `options` may be NULL. 0, or -1: SERVER_UNAVAILABLE where nobody answers, DEADLINE where the time was up,
 * INVALID_PARAMETER where the address or an option is malformed, ANSWER_INVALID where the peer is no DiskDelta server,
 * UNAUTHENTICATED where it is not who it should be, or refuses the client, CANCELLED after diskdelta_client_cancel().
 * DISKDELTA_WOULD_WAIT on a client that never waits: then diskdelta_client_finish_connecting() tells what became of it.
 *
 * The time of connecting bounds everything but one: a HOST that is a name is looked up first, by the system's resolver,
 * which takes as long as it is set up to (resolv.conf, 5 s for each server by default). That time counts, but it is not
 * cut short. A numeric address is not looked up.
 *
 * From then on the client connects again by itself, when a call needs a connection and there is none: after a failure
 * it waits 100 ms first, then each time 1.6 times as long, at most 120 s, varied by 20 %. A client that is connected
 * already may also be told to connect elsewhere: the streams it had have failed.
 */
DISKDELTA_API int diskdelta_client_connect(diskdelta_client *client, const char *address,
                                           const diskdelta_client_options *options);

/*
 * Like diskdelta_client_connect(), over a carrier that is connected already; the client never connects again by itself.
 * The carrier belongs to the client from the call on, also where it fails.
 */
DISKDELTA_API int diskdelta_client_connect_carrier(diskdelta_client *client, diskdelta_carrier carrier,
                                                   const diskdelta_client_options *options);

/* What became of connecting, on a client that never waits: 0, -1, or DISKDELTA_WOULD_WAIT while it is under way. On one
 * that waits, it waits for the connection that is being made. */
DISKDELTA_API int diskdelta_client_finish_connecting(diskdelta_client *client);

/*
 * Cancels what is under way on the client: connecting, and every call that has not ended, fails with CANCELLED, and a
 * function that waits returns at once. Where nothing is under way, the next thing is cancelled. The client can be used
 * as before afterwards. A program that has an event loop of its own wakes it itself.
 *
 * It may be called from any thread and from a signal handler, while the client is not being closed.
 */
DISKDELTA_API void diskdelta_client_cancel(diskdelta_client *client);

/* Why the last call on the client failed. Never NULL, also for a NULL client. */
DISKDELTA_API const diskdelta_error *diskdelta_client_error(const diskdelta_client *client);

/* Disconnects and frees. Streams that are still open have failed with CANCELLED, and must still be closed. */
DISKDELTA_API void diskdelta_client_close(diskdelta_client *client);

/* ---- Event loops ----------------------------------------------------------------------------------------------- */

/*
 * Whether functions wait, which they do by default. Those of a client that never waits return at once:
 * diskdelta_client_connect(), diskdelta_changes_next() and the _next functions of streams give DISKDELTA_WOULD_WAIT
 * where they would have to wait; calls with one answer fail with INVALID_PARAMETER. The program's event loop waits
 * instead:
 *
 *     poll for diskdelta_client_fd() and diskdelta_client_direction(), at most diskdelta_client_timeout_ms();
 *     call diskdelta_client_notify_readable(), _writable() or _timeout();
 *     call the _next functions of all open streams until they give DISKDELTA_WOULD_WAIT;
 *     and again, with what fd, direction and timeout are then.
 *
 * Looking up the name of a host is the one thing that waits all the same: give a numeric address.
 */
DISKDELTA_API void diskdelta_client_set_waiting(diskdelta_client *client, bool waits);

/* The file descriptor to wait for; -1 where there is none now. It changes whenever the client connects. */
DISKDELTA_API int diskdelta_client_fd(const diskdelta_client *client);

/* What to wait for: DISKDELTA_DIRECTION_READ, DISKDELTA_DIRECTION_WRITE, both, or 0 where there is nothing now. */
DISKDELTA_API unsigned diskdelta_client_direction(const diskdelta_client *client);

/* The ms until diskdelta_client_notify_timeout() must be called, as poll(2) takes them: -1 for never. */
DISKDELTA_API int diskdelta_client_timeout_ms(const diskdelta_client *client);

/* The file descriptor can be read from, or has an error: receives what there is, without waiting. */
DISKDELTA_API void diskdelta_client_notify_readable(diskdelta_client *client);

/* The file descriptor can be written to: sends what there is, without waiting. */
DISKDELTA_API void diskdelta_client_notify_writable(diskdelta_client *client);

/* The time has come: lets calls fail whose time is up, and connects again where a call waits for that. */
DISKDELTA_API void diskdelta_client_notify_timeout(diskdelta_client *client);

/* ---- Calls ----------------------------------------------------------------------------------------------------- */

/*
 * What a caller may say about one call. Every member but the first may be 0: then its default holds.
 *
 * A call that the server provably did not begin is made again by itself: its request was never sent whole, or the
 * server said that it was going away and did not take it up, or, if the call may wait, that it was full: then not
 * before the time that the server named. No other call is, but range answers are resumed.
 */
struct diskdelta_call_options {
    /* The size of this structure, as DISKDELTA_CALL_OPTIONS_INIT sets it. */
    size_t struct_size;
    /* The time the whole call may take, in ms, from its start; at most 2147483647. 0 means no limit. */
    uint32_t timeout_ms;
    /*
     * Whether the call waits for a connection while there is none, as long as its time lasts. Otherwise it fails with
     * SERVER_UNAVAILABLE as soon as an attempt to connect fails.
     */
    bool wait_for_ready;
    /*
     * How long a range answer that broke off may go on without progress, in ms, while it is resumed; 30000 by default,
     * DISKDELTA_OFF: it is not resumed. Other calls have no use for it.
     */
    uint32_t patience_ms;
    /*
     * A token that says who asks, of the characters A-Z a-z 0-9 - . _ ~ + / =; NULL for none. It is only sent over TLS,
     * to a Unix socket or to this machine: otherwise the call fails with INVALID_PARAMETER.
     */
    const char *bearer_token;
    /* More metadata, `metadata_count` entries of at most 8192 bytes in all. The keys `authorization` and
     * `diskdelta-...` are not for programs. */
    const diskdelta_metadata *metadata;
    size_t metadata_count;
};

#define DISKDELTA_CALL_OPTIONS_INIT                                                                                    \
    {                                                                                                                  \
        .struct_size = sizeof(struct diskdelta_call_options)                                                           \
    }

/* Why the stream ended, or why the last call on it failed. Never NULL. */
DISKDELTA_API const diskdelta_error *diskdelta_stream_error(const diskdelta_stream *stream);

/* What the server said at the end, once the stream's _next function has returned 0; else NULL. */
DISKDELTA_API const diskdelta_status_details *diskdelta_stream_details(const diskdelta_stream *stream);

/* Cancels the call where it has not ended, and frees the stream. */
DISKDELTA_API void diskdelta_stream_close(diskdelta_stream *stream);

/* ---- Range answers --------------------------------------------------------------------------------------------- */

typedef enum diskdelta_range_kind {
    /* To be read from the disk. */
    DISKDELTA_RANGE_DATA = 0,
    /* Reads as zeroes: nothing to transfer. */
    DISKDELTA_RANGE_ZERO = 1,
} diskdelta_range_kind;

/* A piece of the disk, in bytes. */
typedef struct diskdelta_range {
    uint64_t offset;
    uint64_t length;
    diskdelta_range_kind kind;
} diskdelta_range;

/*
 * Some ranges of an answer. They ascend, within a batch and from batch to batch, are never empty, lie inside the
 * window, and never touch a range of the same kind.
 */
struct diskdelta_batch {
    const diskdelta_range *ranges;
    /* How many; may be 0, then the batch only tells progress. */
    size_t count;
    /* Every byte of the window below this one is answered for. */
    uint64_t processed_end;
};

/*
 * A range answer under way. Every range is verified before it is handed out.
 *
 * An answer that breaks off after its header, because the connection ends or the server does, is resumed by itself: the
 * client connects again and asks for the rest, on the condition that the disk is still in the same epoch. What is
 * handed out is one sequence, checked across its parts, or ends with an error. See diskdelta_call_options.patience_ms.
 */
typedef struct diskdelta_changes diskdelta_changes;

/*
 * Asks which ranges of a disk changed since a baseline. Does not wait for the answer. `options` may be NULL. NULL where
 * the call could not be started: see diskdelta_client_error().
 */
DISKDELTA_API diskdelta_changes *
diskdelta_get_virtual_disk_changes(diskdelta_client *client, const diskdelta_get_virtual_disk_changes_request *request,
                                   const diskdelta_call_options *options);

/* Asks which ranges of a disk hold data; otherwise as diskdelta_get_virtual_disk_changes(). */
DISKDELTA_API diskdelta_changes *
diskdelta_get_virtual_disk_allocation(diskdelta_client *client,
                                      const diskdelta_get_virtual_disk_allocation_request *request,
                                      const diskdelta_call_options *options);

/*
 * Reads the ranges that a job found; otherwise as diskdelta_get_virtual_disk_changes(). A job that is completed gives
 * its answer as often as it is asked for; one that failed gives its error, one that has not ended JOB_NOT_READY. The
 * window is the job's, from the request's byte_offset on, where that is not 0.
 *
 * What was found stays: a program that stopped in the midst goes on from where it was, with byte_offset set to
 * diskdelta_changes_position(), and needs no epoch for it.
 */
DISKDELTA_API diskdelta_changes *diskdelta_get_job_results(diskdelta_client *client,
                                                           const diskdelta_job_results_request *request,
                                                           const diskdelta_call_options *options);

/*
 * Waits until the answer's header is there. NULL where the call has failed before: see diskdelta_changes_error(); on a
 * client that never waits also where the header is not there yet. The header lives as long as the handle.
 */
DISKDELTA_API const diskdelta_answer_header *diskdelta_changes_header(diskdelta_changes *changes);

/*
 * Waits for the next batch.
 *
 *  1  `*batch` has ranges, or progress. It lives until the next call on this handle.
 *  0  The answer is complete: the server said so, and every total agrees.
 *  2  DISKDELTA_WOULD_WAIT: nothing yet, on a client that never waits.
 * -1  The answer is not complete: see diskdelta_changes_error(). What was handed out before is true, and everything
 * below resume_offset is answered for. Where the reason is ANSWER_INCOMPLETE, asking again from there, with if_epoch
 * set to the header's epoch, completes it.
 *
 * After 0 or -1 every further call returns the same, and diskdelta_changes_error() stays as it is, whatever becomes of
 * the client. So a second loop over a complete answer gets 0 and no batch: how many ranges there were,
 * diskdelta_changes_totals() says. A loop that was left is gone on with by the next call, with the batch after the one
 * that it was handed. After diskdelta_client_cancel() or diskdelta_client_close() nothing more is handed out of an
 * answer that has not ended. With `changes` NULL it returns -1.
 */
DISKDELTA_API int diskdelta_changes_next(diskdelta_changes *changes, const diskdelta_batch **batch);

/* The byte of the disk below which the window is answered for by the batches handed out so far. */
DISKDELTA_API uint64_t diskdelta_changes_position(const diskdelta_changes *changes);

/* The verified sum of the whole answer, once diskdelta_changes_next() has returned 0; else NULL. */
DISKDELTA_API const diskdelta_answer_totals *diskdelta_changes_totals(const diskdelta_changes *changes);

/* Why the answer is not complete. Never NULL. */
DISKDELTA_API const diskdelta_error *diskdelta_changes_error(const diskdelta_changes *changes);

/* Cancels the call where it has not ended, and frees the handle. */
DISKDELTA_API void diskdelta_changes_close(diskdelta_changes *changes);

#ifdef __cplusplus
}
#endif

#endif
