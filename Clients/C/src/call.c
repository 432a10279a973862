#include "call.h"

#include "client.h"
#include "connect.h"
#include "outcome.h"

#include <string.h>

/* What a message may take in memory for each of its bytes. The structures of a plausible message stay far below; one
 * made to be unpacked into as much as possible does not (an empty message in a list has two bytes). */
enum { MEMORY_PER_BYTE = 32, MEMORY_AT_LEAST = 65536 };

enum state { RUNNING, COMPLETE, FAILED };

struct diskdelta_stream {
    diskdelta_allocator allocator;
    /* NULL once the client is closed. */
    diskdelta_client *client;
    diskdelta_stream *next;
    struct dd_stream *stream;
    const struct dd_method *method;
    enum state state;
    bool has_end;
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
                                const uint8_t *bytes, size_t size)
{
    dd_arena_reset(arena, size * MEMORY_PER_BYTE + MEMORY_AT_LEAST);
    ProtobufCAllocator allocator = {.alloc = take_for_protobuf, .free = release_for_protobuf, .allocator_data = arena};
    return protobuf_c_message_unpack(descriptor, &allocator, size, bytes);
}

/* ---- Ends ------------------------------------------------------------------------------------------------------ */

static int fail(diskdelta_stream *stream, const struct dd_failure *failure)
{
    stream->state = FAILED;
    dd_error_set(&stream->error, failure);
    if (stream->stream != NULL) {
        dd_stream_cancel(stream->stream, failure->status, failure);
        dd_client_flush(stream->client);
    }
    return -1;
}

int dd_call_invalid(diskdelta_stream *stream, const char *text)
{
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_ANSWER_INVALID, "the answer can't be trusted: %s", text);
    return fail(stream, &failure);
}

/* What could not be unpacked: there is no memory for it, or it is no message. */
static int fail_to_unpack(diskdelta_stream *stream, const struct dd_arena *arena)
{
    if (!arena->is_out_of_memory)
        return dd_call_invalid(stream, "a message can't be read");
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the answer");
    return fail(stream, &failure);
}

static int finish(diskdelta_stream *stream, const struct dd_event *event)
{
    stream->has_end = true;
    ProtobufCMessage *message =
        unpack(&diskdelta__v1__status_details__descriptor, &stream->details_arena, event->bytes, event->size);
    const diskdelta_status_details *details =
        message != NULL
            ? dd_decode_status_details(&stream->details_arena, (const Diskdelta__V1__StatusDetails *)message)
            : NULL;
    if (details == NULL)
        return fail_to_unpack(stream, &stream->details_arena);
    if (event->status != DISKDELTA_STATUS_OK) {
        stream->state = FAILED;
        dd_error_set_end(&stream->error, event->status, details, event->text, event->text_size);
        return -1;
    }
    if (details->reason != DISKDELTA_REASON_NONE || details->return_value != 0 || details->detail_code != 0)
        return dd_call_invalid(stream, "P-35: its end is OK and has a reason to fail");
    stream->details = details;
    stream->state = COMPLETE;
    return 0;
}

/* ---- Messages -------------------------------------------------------------------------------------------------- */

static int take_message(diskdelta_stream *stream, const struct dd_event *event, const void **response)
{
    ProtobufCMessage *message = unpack(stream->method->response, &stream->arena, event->bytes, event->size);
    *response = message != NULL ? stream->method->unpack(&stream->arena, message) : NULL;
    return *response != NULL ? 1 : fail_to_unpack(stream, &stream->arena);
}

int dd_call_next(diskdelta_stream *stream, const struct dd_method *method, const void **response)
{
    *response = NULL;
    if (stream == NULL)
        return -1;
    if (stream->method != method) {
        struct dd_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_INVALID_PARAMETER, "the stream is a call of %s, not of %s",
                stream->method->path, method->path);
        return fail(stream, &failure);
    }
    while (stream->state == RUNNING) {
        struct dd_event event;
        dd_core_advance(stream->client->core, dd_now());
        dd_stream_next(stream->stream, &event);
        switch (event.type) {
        case DD_EVENT_NONE:
            dd_client_wait(stream->client, dd_stream_deadline(stream->stream));
            break;
        case DD_EVENT_MESSAGE:
            /* Credit that was granted for it goes out now, while the server has some left. */
            dd_client_flush(stream->client);
            return take_message(stream, &event, response);
        case DD_EVENT_END:
            return finish(stream, &event);
        case DD_EVENT_FAILED:
            return fail(stream, event.failure);
        }
    }
    return stream->state == COMPLETE ? 0 : -1;
}

/* ---- Opening and closing --------------------------------------------------------------------------------------- */

static struct dd_stream *send_request(diskdelta_client *client, const struct dd_method *method, struct dd_arena *arena,
                                      const void *request, uint32_t timeout, struct dd_failure *failure)
{
    /* A request is the caller's own: its size is not bounded here, but by what the server accepts. */
    dd_arena_reset(arena, SIZE_MAX / 2);
    ProtobufCMessage *message = NULL;
    diskdelta_reason reason = method->pack(arena, request, &message);
    if (reason != DISKDELTA_REASON_NONE) {
        dd_fail(failure, reason, "the request can't be sent: %s",
                reason == DISKDELTA_REASON_INVALID_PARAMETER ? "a structure was not started with its _INIT macro"
                                                             : "there is not enough memory");
        return NULL;
    }
    uint8_t *bytes = NULL;
    size_t size = protobuf_c_message_get_packed_size(message);
    struct dd_stream *stream = dd_core_open(client->core, method->path, timeout, size, &bytes, failure);
    if (stream != NULL)
        protobuf_c_message_pack(message, bytes);
    return stream;
}

diskdelta_stream *dd_call_open(diskdelta_client *client, const struct dd_method *method, const void *request,
                               const diskdelta_call_options *given)
{
    if (client == NULL)
        return NULL;
    struct dd_failure failure;
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    if ((given != NULL && !dd_copy_sized(&options, sizeof options, given)) || options.timeout_ms > DD_MAX_31_BITS) {
        dd_fail(&failure, DISKDELTA_REASON_INVALID_PARAMETER, "the options of the call are not valid");
        dd_client_fail(client, &failure);
        return NULL;
    }
    if (client->core == NULL) {
        dd_fail(&failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the client is not connected");
        dd_client_fail(client, &failure);
        return NULL;
    }
    diskdelta_stream *stream = dd_allocate(&client->allocator, sizeof *stream);
    if (stream == NULL) {
        dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the call");
        dd_client_fail(client, &failure);
        return NULL;
    }
    stream->allocator = client->allocator;
    stream->method = method;
    dd_error_init(&stream->error);
    dd_arena_init(&stream->arena, &stream->allocator);
    dd_arena_init(&stream->details_arena, &stream->allocator);
    dd_core_advance(client->core, dd_now());
    stream->stream = send_request(client, method, &stream->arena, request, options.timeout_ms, &failure);
    if (stream->stream == NULL) {
        diskdelta_stream_close(stream);
        dd_client_fail(client, &failure);
        return NULL;
    }
    stream->client = client;
    stream->next = client->streams;
    client->streams = stream;
    dd_client_flush(client);
    return stream;
}

/* Takes the stream away from its client. */
static void detach(diskdelta_stream *stream)
{
    if (stream->client == NULL)
        return;
    for (diskdelta_stream **link = &stream->client->streams; *link != NULL; link = &(*link)->next) {
        if (*link == stream) {
            *link = stream->next;
            break;
        }
    }
    dd_stream_close(stream->stream);
    stream->stream = NULL;
    dd_client_flush(stream->client);
    stream->client = NULL;
}

void dd_call_abandon(diskdelta_stream *stream, const struct dd_failure *failure)
{
    if (stream->state == RUNNING)
        fail(stream, failure);
    detach(stream);
}

void diskdelta_stream_close(diskdelta_stream *stream)
{
    if (stream == NULL)
        return;
    detach(stream);
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

bool dd_call_has_end(const diskdelta_stream *stream)
{
    return stream->has_end;
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
    diskdelta_stream *stream = dd_call_open(client, method, request, options);
    if (stream == NULL)
        return -1;
    struct owned_answer *owned = dd_allocate(&stream->allocator, sizeof(struct owned_answer) + method->response_size);
    int result = -1;
    if (owned != NULL) {
        dd_arena_init(&owned->arena, &stream->allocator);
        result = take_only_message(stream, owned);
    } else {
        struct dd_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the answer");
        fail(stream, &failure);
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
