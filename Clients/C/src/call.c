#include "call.h"

#include "backoff.h"
#include "client.h"
#include "metadata.h"
#include "outcome.h"

#include <string.h>

/* What a message may take in memory for each of its bytes. The structures of a plausible message stay far below; one
 * made to be unpacked into as much as possible does not (an empty message in a list has two bytes). */
enum { MEMORY_PER_BYTE = 32, MEMORY_AT_LEAST = 65536 };

/* How often a call that was not begun is made again without being asked to wait. */
enum { MOST_RETRIES = 3 };

enum state {
    /* It has no connection yet. */
    PENDING,
    RUNNING,
    COMPLETE,
    FAILED,
};

struct diskdelta_stream {
    diskdelta_allocator allocator;
    diskdelta_client *client;
    const struct dd_method *method;
    enum state state;
    /* NULL while it is pending. */
    diskdelta_core_stream *stream;

    /* What it takes to make the call, also a second time. */
    struct dd_arena request_arena;
    diskdelta_bytes request;
    struct dd_metadata metadata;
    uint64_t deadline;
    /* Until when it waits for a connection that can't be had at once; 0: it does not. */
    uint64_t wait_until;
    /* It is not made again before this time. */
    uint64_t not_before;
    /* How often it was made. */
    unsigned attempts;
    /* How often it was not begun. */
    unsigned refusals;
    /* It gave a message since it was made. */
    bool has_answered;
    struct dd_pending pending;
    /* What dd_client_cancels() was when the call began. */
    unsigned cancels;

    struct dd_arena arena;
    struct dd_arena details_arena;
    const diskdelta_status_details *details;
    struct dd_error error;
};

static void *take_for_protobuf(void *arena, size_t size)
{
    return dd_arena_take(arena, size);
}

static void release_for_protobuf(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *descriptor, struct dd_arena *arena,
                                diskdelta_bytes bytes)
{
    dd_arena_reset(arena, bytes.size * MEMORY_PER_BYTE + MEMORY_AT_LEAST);
    ProtobufCAllocator allocator = {.alloc = take_for_protobuf, .free = release_for_protobuf, .allocator_data = arena};
    return protobuf_c_message_unpack(descriptor, &allocator, bytes.size, bytes.data);
}

/* ---- Ends ------------------------------------------------------------------------------------------------------ */

static void set_state(diskdelta_stream *stream, enum state state)
{
    if (stream->state == PENDING && state != PENDING)
        dd_client_remove_pending(stream->client, &stream->pending);
    if (stream->state != PENDING && state == PENDING)
        dd_client_add_pending(stream->client, &stream->pending);
    stream->state = state;
}

static int fail(diskdelta_stream *stream, const diskdelta_failure *failure)
{
    set_state(stream, FAILED);
    dd_error_set(&stream->error, failure);
    if (stream->stream != NULL) {
        diskdelta_core_stream_cancel(stream->stream, failure);
        dd_link_flush(&stream->client->link);
    }
    return -1;
}

static int fail_for(diskdelta_stream *stream, diskdelta_reason reason, const char *text)
{
    diskdelta_failure failure;
    dd_fail(&failure, reason, "%s", text);
    return fail(stream, &failure);
}

int dd_call_invalid(diskdelta_stream *stream, const char *text)
{
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_ANSWER_INVALID, "the answer can't be trusted: %s", text);
    return fail(stream, &failure);
}

int dd_call_exhausted(diskdelta_stream *stream, const char *text)
{
    return fail_for(stream, DISKDELTA_REASON_RESOURCE_LIMIT, text);
}

/* What could not be unpacked: there is no memory for it, or it is no message. */
static int fail_to_unpack(diskdelta_stream *stream, const struct dd_arena *arena)
{
    if (!arena->is_out_of_memory)
        return dd_call_invalid(stream, "a message can't be read");
    return fail_for(stream, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the answer");
}

bool dd_call_is_over(const diskdelta_stream *stream)
{
    return stream->client->is_closed || dd_client_cancels(stream->client) != stream->cancels ||
           dd_now() >= stream->deadline;
}

/* ---- Beginning ------------------------------------------------------------------------------------------------- */

/* Sends the call on the connection there is. */
static void send_call(diskdelta_stream *stream)
{
    const struct dd_link *link = &stream->client->link;
    if (stream->metadata.has_token && !link->carrier.functions->is_private(link->carrier.data)) {
        fail_for(stream, DISKDELTA_REASON_INVALID_PARAMETER,
                 "the token is not sent without TLS, unless to this machine: others could read it (P-82)");
        return;
    }
    uint64_t now = dd_now();
    diskdelta_core_advance(link->core, now);
    diskdelta_core_call call = DISKDELTA_CORE_CALL_INIT;
    call.path = stream->method->path;
    call.request = stream->request;
    call.metadata = stream->metadata.entries;
    call.metadata_count = dd_metadata_count(&stream->metadata, stream->attempts);
    call.timeout_ms = stream->deadline != DD_NEVER ? (uint32_t)(stream->deadline - now) : 0;
    diskdelta_failure failure;
    diskdelta_core_stream *begun = diskdelta_core_open(link->core, &call, &failure);
    if (begun == NULL) {
        fail(stream, &failure);
        return;
    }
    diskdelta_core_stream_close(stream->stream);
    stream->stream = begun;
    stream->attempts++;
    stream->has_answered = false;
    set_state(stream, RUNNING);
    dd_link_flush(&stream->client->link);
}

/* The call has no connection: sends it where there is one now, and fails where it need not wait for one. */
static void begin(diskdelta_stream *stream)
{
    diskdelta_client *client = stream->client;
    uint64_t now = dd_now();
    if (now >= stream->deadline) {
        fail_for(stream, DISKDELTA_REASON_DEADLINE, "the time for the call is up");
        return;
    }
    stream->pending.until = stream->deadline;
    if (stream->not_before > now) {
        if (stream->not_before < stream->deadline)
            stream->pending.until = stream->not_before;
        return;
    }
    enum dd_reach reach = dd_client_reach(client);
    if (reach == DD_REACH_READY)
        return send_call(stream);
    bool may_wait = reach == DD_REACH_COMING ? stream->wait_until == 0 || now < stream->wait_until
                                             : reach == DD_REACH_LATER && now < stream->wait_until;
    if (!may_wait) {
        diskdelta_failure failure = client->last_failure;
        /* It was the connection's time that was up, not the call's. */
        if (failure.reason == DISKDELTA_REASON_DEADLINE)
            dd_fail(&failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "%s", client->last_failure.text);
        fail(stream, &failure);
    } else if (stream->wait_until != 0 && stream->wait_until < stream->deadline)
        stream->pending.until = stream->wait_until;
}

/* The call failed without having been begun (P-93). Whether it waits for another try, for at least `delay` ms. */
static bool may_try_again(diskdelta_stream *stream, bool is_full, uint32_t delay)
{
    uint64_t now = dd_now();
    uint64_t wait = stream->client->backoff(++stream->refusals, dd_random(&stream->client->random));
    if (wait < delay)
        wait = delay;
    /* A server that is full is left alone, unless the call may wait. */
    bool is_impatient = is_full || stream->refusals > MOST_RETRIES;
    if (is_impatient && dd_later(now, wait) >= stream->wait_until)
        return false;
    /* A call that would only wait for its deadline says at once what the server said. */
    if (delay > 0 && dd_later(now, wait) >= stream->deadline)
        return false;
    stream->not_before = is_full || stream->refusals > 1 ? dd_later(now, wait) : 0;
    return true;
}

static void wait_for_connection(diskdelta_stream *stream)
{
    diskdelta_core_stream_close(stream->stream);
    stream->stream = NULL;
    stream->pending.until = 0;
    set_state(stream, PENDING);
}

/* ---- Messages -------------------------------------------------------------------------------------------------- */

static int take_message(diskdelta_stream *stream, const diskdelta_core_event *event, const void **response)
{
    ProtobufCMessage *message = unpack(stream->method->response, &stream->arena, event->message);
    *response = message != NULL ? stream->method->unpack(&stream->arena, message) : NULL;
    return *response != NULL ? 1 : fail_to_unpack(stream, &stream->arena);
}

/* END. */
static int finish(diskdelta_stream *stream, const diskdelta_core_event *event)
{
    ProtobufCMessage *message =
        unpack(&diskdelta__v1__status_details__descriptor, &stream->details_arena, event->details);
    const diskdelta_status_details *details =
        message != NULL
            ? dd_decode_status_details(&stream->details_arena, (const Diskdelta__V1__StatusDetails *)message)
            : NULL;
    if (details == NULL)
        return fail_to_unpack(stream, &stream->details_arena);
    /* A refusal that names a delay says that nothing was begun (P-99). */
    bool is_full = event->status == DISKDELTA_STATUS_RESOURCE_EXHAUSTED && details->retry_delay > 0;
    if (is_full && !stream->has_answered && may_try_again(stream, true, details->retry_delay)) {
        wait_for_connection(stream);
        return DISKDELTA_WOULD_WAIT;
    }
    if (event->status != DISKDELTA_STATUS_OK) {
        set_state(stream, FAILED);
        dd_error_set_end(&stream->error, event->status, details, event->text.data, event->text.size);
        return -1;
    }
    if (details->reason != DISKDELTA_REASON_NONE || details->return_value != 0 || details->detail_code != 0)
        return dd_call_invalid(stream, "P-35: its end is OK and has a reason to fail");
    stream->details = details;
    set_state(stream, COMPLETE);
    return 0;
}

/* Whether what was not begun may go well another time. */
static bool is_passing(const diskdelta_failure *failure)
{
    return failure->reason == DISKDELTA_REASON_SERVER_UNAVAILABLE || failure->reason == DISKDELTA_REASON_RESOURCE_LIMIT;
}

/* What the running call has to tell: as dd_call_next(), DISKDELTA_WOULD_WAIT where it is nothing. */
static int take_event(diskdelta_stream *stream, const void **response)
{
    diskdelta_core_event event;
    diskdelta_core_stream_next(stream->stream, &event);
    switch (event.type) {
    case DISKDELTA_CORE_MESSAGE:
        stream->has_answered = true;
        /* Credit that was granted for it goes out now, while the server has some left. */
        dd_link_flush(&stream->client->link);
        return take_message(stream, &event, response);
    case DISKDELTA_CORE_END:
        return finish(stream, &event);
    case DISKDELTA_CORE_FAILED:
        if (!event.was_not_begun || !is_passing(event.failure) ||
            !may_try_again(stream, event.failure->reason == DISKDELTA_REASON_RESOURCE_LIMIT, 0))
            return fail(stream, event.failure);
        wait_for_connection(stream);
        return DISKDELTA_WOULD_WAIT;
    default:
        return DISKDELTA_WOULD_WAIT;
    }
}

bool dd_call_is_cancelled(diskdelta_stream *stream)
{
    if (stream->state != PENDING && stream->state != RUNNING)
        return false;
    bool is_closed = stream->client->is_closed;
    if (!is_closed && dd_client_cancels(stream->client) == stream->cancels)
        return false;
    fail_for(stream, DISKDELTA_REASON_CANCELLED, is_closed ? "the client was closed" : "the call was cancelled");
    return true;
}

/* One look at the call; DISKDELTA_WOULD_WAIT where it has nothing to tell now. */
static int look(diskdelta_stream *stream, const void **response)
{
    if (dd_call_is_cancelled(stream))
        return -1;
    if (stream->state == PENDING)
        begin(stream);
    if (stream->state == RUNNING)
        return take_event(stream, response);
    return stream->state == PENDING ? DISKDELTA_WOULD_WAIT : stream->state == COMPLETE ? 0 : -1;
}

int dd_call_next(diskdelta_stream *stream, const struct dd_method *method, const void **response)
{
    *response = NULL;
    if (stream == NULL)
        return -1;
    if (stream->method != method) {
        diskdelta_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_INVALID_PARAMETER, "the stream is a call of %s, not of %s",
                stream->method->path, method->path);
        return fail(stream, &failure);
    }
    diskdelta_client *client = stream->client;
    if (!client->is_closed)
        dd_client_tend(client);
    for (;;) {
        int result = look(stream, response);
        if (result != DISKDELTA_WOULD_WAIT)
            return result;
        dd_client_step(client);
        result = look(stream, response);
        if (result != DISKDELTA_WOULD_WAIT || client->never_waits)
            return result;
        dd_client_wait(client);
    }
}

/* ---- Opening and closing --------------------------------------------------------------------------------------- */

static bool pack_request(diskdelta_stream *stream, const void *request, diskdelta_failure *failure)
{
    /* A request is the caller's own: its size is not bounded here, but by what the server accepts. */
    dd_arena_reset(&stream->request_arena, SIZE_MAX / 2);
    ProtobufCMessage *message = NULL;
    diskdelta_reason reason = stream->method->pack(&stream->request_arena, request, &message);
    if (reason == DISKDELTA_REASON_INVALID_PARAMETER) {
        dd_fail(failure, reason, "the request can't be sent: a structure was not started with its _INIT macro");
        return false;
    }
    size_t size = reason == DISKDELTA_REASON_NONE ? protobuf_c_message_get_packed_size(message) : 0;
    uint8_t *bytes = reason == DISKDELTA_REASON_NONE ? dd_arena_take(&stream->request_arena, size) : NULL;
    if (bytes == NULL) {
        dd_fail(failure, DISKDELTA_REASON_RESOURCE_LIMIT, "the request can't be sent: there is not enough memory");
        return false;
    }
    protobuf_c_message_pack(message, bytes);
    stream->request = (diskdelta_bytes){bytes, size};
    return true;
}

static bool check_options(const diskdelta_call_options *given, diskdelta_call_options *options)
{
    *options = (diskdelta_call_options)DISKDELTA_CALL_OPTIONS_INIT;
    if (given != NULL && !dd_copy_sized(options, sizeof *options, given))
        return false;
    return options->timeout_ms <= DD_MAX_31_BITS;
}

static diskdelta_stream *fail_to_open(diskdelta_client *client, diskdelta_reason reason, const char *text)
{
    diskdelta_failure failure;
    dd_fail(&failure, reason, "%s", text);
    dd_client_fail(client, &failure);
    return NULL;
}

diskdelta_stream *dd_call_open(diskdelta_client *client, const struct dd_method *method, const void *request,
                               const diskdelta_call_options *given)
{
    if (client == NULL)
        return NULL;
    diskdelta_call_options options;
    if (!check_options(given, &options))
        return fail_to_open(client, DISKDELTA_REASON_INVALID_PARAMETER, "the options of the call are not valid");
    diskdelta_stream *stream = dd_allocate(&client->allocator, sizeof *stream);
    if (stream == NULL)
        return fail_to_open(client, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the call");
    stream->allocator = client->allocator;
    stream->client = client;
    dd_client_retain(client);
    stream->method = method;
    stream->deadline = options.timeout_ms != 0 ? dd_later(dd_now(), options.timeout_ms) : DD_NEVER;
    stream->wait_until = options.wait_for_ready ? DD_NEVER : 0;
    stream->cancels = client->cancels;
    dd_error_init(&stream->error);
    dd_arena_init(&stream->request_arena, &stream->allocator);
    dd_arena_init(&stream->arena, &stream->allocator);
    dd_arena_init(&stream->details_arena, &stream->allocator);
    dd_metadata_init(&stream->metadata, &stream->allocator);
    dd_client_add_pending(client, &stream->pending);
    diskdelta_failure failure;
    if (pack_request(stream, request, &failure) && dd_metadata_set(&stream->metadata, &options, &failure)) {
        /* A connection that has ended since somebody last looked is noticed before the call is sent on it. */
        dd_client_step(client);
        begin(stream);
    } else {
        fail(stream, &failure);
    }
    if (stream->state != FAILED)
        return stream;
    dd_error_copy(&client->error, &stream->error);
    diskdelta_stream_close(stream);
    return NULL;
}

bool dd_call_again(diskdelta_stream *stream, const void *request, uint64_t until, unsigned failures)
{
    diskdelta_failure failure;
    if (!pack_request(stream, request, &failure)) {
        fail(stream, &failure);
        return false;
    }
    stream->wait_until = until;
    stream->details = NULL;
    uint32_t random = dd_random(&stream->client->random);
    stream->not_before = failures > 0 ? dd_later(dd_now(), stream->client->backoff(failures, random)) : 0;
    wait_for_connection(stream);
    return true;
}

void diskdelta_stream_close(diskdelta_stream *stream)
{
    if (stream == NULL)
        return;
    set_state(stream, FAILED);
    diskdelta_core_stream_close(stream->stream);
    if (!stream->client->is_closed)
        dd_link_flush(&stream->client->link);
    dd_client_release(stream->client);
    dd_metadata_free(&stream->metadata);
    dd_arena_free(&stream->request_arena);
    dd_arena_free(&stream->arena);
    dd_arena_free(&stream->details_arena);
    diskdelta_allocator allocator = stream->allocator;
    dd_release(&allocator, stream);
}

const diskdelta_error *diskdelta_stream_error(const diskdelta_stream *stream)
{
    return stream != NULL ? &stream->error.public : &dd_error_without_handle;
}

const diskdelta_status_details *diskdelta_stream_details(const diskdelta_stream *stream)
{
    return stream != NULL ? stream->details : NULL;
}

const diskdelta_allocator *dd_call_allocator(const diskdelta_stream *stream)
{
    return &stream->allocator;
}

/* ---- Calls with one answer ------------------------------------------------------------------------------------- */

/* An answer with what it points to. The caller sees `answer`. */
struct owned_answer {
    struct dd_arena arena;
    _Alignas(16) uint8_t answer[];
};

void dd_answer_free(void *answer)
{
    if (answer == NULL)
        return;
    struct owned_answer *owned = (void *)((uint8_t *)answer - offsetof(struct owned_answer, answer));
    diskdelta_allocator allocator = owned->arena.allocator;
    dd_arena_free(&owned->arena);
    dd_release(&allocator, owned);
}

/* Exactly one message, then the end (P-36). The message lives in the arena that is given up to the answer. */
static int take_only_message(diskdelta_stream *stream, struct owned_answer *owned)
{
    const void *message = NULL;
    int result = dd_call_next(stream, stream->method, &message);
    if (result == 0)
        return dd_call_invalid(stream, "P-36: it has no message");
    if (result < 0)
        return -1;
    memcpy(owned->answer, message, stream->method->response_size);
    owned->arena = stream->arena;
    dd_arena_init(&stream->arena, &stream->allocator);
    result = dd_call_next(stream, stream->method, &message);
    return result == 1 ? dd_call_invalid(stream, "P-36: it has a second message") : result;
}

int dd_call_unary(diskdelta_client *client, const struct dd_method *method, const void *request,
                  const diskdelta_call_options *options, void **response)
{
    *response = NULL;
    if (client != NULL && client->never_waits) {
        fail_to_open(client, DISKDELTA_REASON_INVALID_PARAMETER, "the client never waits, and this function would");
        return -1;
    }
    diskdelta_stream *stream = dd_call_open(client, method, request, options);
    if (stream == NULL)
        return -1;
    struct owned_answer *owned = dd_allocate(&stream->allocator, sizeof(struct owned_answer) + method->response_size);
    int result = -1;
    if (owned != NULL) {
        dd_arena_init(&owned->arena, &stream->allocator);
        result = take_only_message(stream, owned);
    } else {
        fail_for(stream, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the answer");
    }
    if (result == 0) {
        *response = owned->answer;
    } else {
        dd_error_copy(&client->error, &stream->error);
        dd_answer_free(owned != NULL ? owned->answer : NULL);
    }
    diskdelta_stream_close(stream);
    return result;
}
