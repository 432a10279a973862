#include "core_state.h"

#include <string.h>

uint32_t dd_cost(size_t size)
{
    /* A payload has at most 2^24 - 1 bytes. */
    return DD_HEADER_SIZE + (uint32_t)size;
}

struct dd_stream *dd_core_find(const struct dd_core *core, uint32_t id)
{
    for (struct dd_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->id == id)
            return stream;
    }
    return NULL;
}

bool dd_core_remembers(struct dd_core *core, uint32_t id, bool forget)
{
    for (size_t i = 0; i < DD_REMEMBERED; i++) {
        if (core->remembered[i] != id)
            continue;
        if (forget)
            core->remembered[i] = 0;
        return true;
    }
    return false;
}

/* ---- Opening --------------------------------------------------------------------------------------------------- */

/* The stream limit (P-18). */
static uint32_t stream_limit(const struct dd_core *core)
{
    uint32_t own = core->own.connection_credit / core->own.stream_credit;
    return own < core->peer.max_streams ? own : core->peer.max_streams;
}

static bool can_open(const struct dd_core *core, const char *path, size_t size, struct dd_failure *failure)
{
    if (core->has_failed) {
        *failure = core->failure;
        return false;
    }
    if (core->is_going_away) {
        *failure = core->farewell;
        return false;
    }
    if (core->next_id > DD_MAX_31_BITS) {
        dd_fail(failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the connection has carried all the calls it can");
        return false;
    }
    uint32_t open = 0;
    for (const struct dd_stream *stream = core->streams; stream != NULL; stream = stream->next)
        open += stream->state == DD_STREAM_OPEN ? 1 : 0;
    if (open >= stream_limit(core)) {
        dd_fail(failure, DISKDELTA_REASON_RESOURCE_LIMIT, "%u calls are open, as many as the connection allows", open);
        return false;
    }
    size_t prefix = dd_open_prefix_size(path);
    if (size > core->peer.max_frame || core->peer.max_frame - size < prefix) {
        dd_fail(failure, DISKDELTA_REASON_RESOURCE_LIMIT, "the request has %zu bytes; the server accepts %zu", size,
                core->peer.max_frame - prefix);
        return false;
    }
    return true;
}

struct dd_stream *dd_core_open(struct dd_core *core, const char *path, uint32_t timeout, size_t size, uint8_t **request,
                               struct dd_failure *failure)
{
    if (!can_open(core, path, size, failure))
        return NULL;
    size_t prefix = dd_open_prefix_size(path);
    struct dd_stream *stream = dd_allocate(&core->allocator, sizeof *stream);
    struct dd_header header = {
        .length = (uint32_t)(prefix + size), .type = DD_FRAME_OPEN, .stream = core->next_id, .aux = timeout};
    uint8_t *payload = stream != NULL ? dd_core_frame(core, &header) : NULL;
    if (payload == NULL) {
        dd_release(&core->allocator, stream);
        dd_fail(failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the call");
        return NULL;
    }
    dd_open_prefix_encode(payload, path);
    *request = payload + prefix;
    stream->core = core;
    stream->id = core->next_id;
    stream->state = DD_STREAM_OPEN;
    stream->deadline = timeout == 0 ? 0 : core->now + timeout;
    stream->credit = core->own.stream_credit;
    stream->next = core->streams;
    core->streams = stream;
    core->next_id += 2;
    return stream;
}

/* ---- Credit ---------------------------------------------------------------------------------------------------- */

static bool grant(struct dd_core *core, uint32_t id, uint32_t bytes)
{
    if (core->has_failed)
        return false;
    return dd_core_frame(core, &(struct dd_header){.type = DD_FRAME_CREDIT, .stream = id, .aux = bytes}) != NULL;
}

void dd_core_consume(struct dd_core *core, uint32_t cost)
{
    core->consumed += cost;
    if (core->consumed >= core->own.stream_credit / 2 && grant(core, 0, core->consumed)) {
        core->credit += core->consumed;
        core->consumed = 0;
    }
}

static void consume(struct dd_stream *stream, uint32_t cost)
{
    dd_core_consume(stream->core, cost);
    stream->consumed += cost;
    if (stream->consumed >= stream->core->own.stream_credit / 2 && grant(stream->core, stream->id, stream->consumed)) {
        stream->credit += stream->consumed;
        stream->consumed = 0;
    }
}

/* ---- Reading --------------------------------------------------------------------------------------------------- */

void dd_stream_next(struct dd_stream *stream, struct dd_event *event)
{
    dd_release(&stream->core->allocator, stream->taken);
    stream->taken = stream->first;
    *event = (struct dd_event){.type = DD_EVENT_NONE};
    if (stream->taken != NULL) {
        stream->first = stream->taken->next;
        if (stream->first == NULL)
            stream->last = NULL;
        /* What a closed stream had unread was settled when it closed. */
        if (stream->state == DD_STREAM_OPEN)
            consume(stream, dd_cost(stream->taken->size));
        event->type = DD_EVENT_MESSAGE;
        event->bytes = stream->taken->bytes;
        event->size = stream->taken->size;
    } else if (stream->state == DD_STREAM_ENDED) {
        struct dd_end end;
        /* It was checked when it arrived. */
        (void)dd_end_decode(stream->end->bytes, stream->end->size, &end);
        event->type = DD_EVENT_END;
        event->status = stream->end_status;
        event->text = end.text;
        event->text_size = end.text_size;
        event->bytes = end.details;
        event->size = end.details_size;
    } else if (stream->state == DD_STREAM_FAILED) {
        event->type = DD_EVENT_FAILED;
        event->failure = &stream->failure;
    }
}

uint64_t dd_stream_deadline(const struct dd_stream *stream)
{
    return stream->deadline;
}

/* ---- Closing --------------------------------------------------------------------------------------------------- */

void dd_stream_settle(struct dd_stream *stream)
{
    for (const struct dd_payload *payload = stream->first; payload != NULL; payload = payload->next)
        dd_core_consume(stream->core, dd_cost(payload->size));
}

void dd_stream_fail(struct dd_stream *stream, const struct dd_failure *failure)
{
    stream->state = DD_STREAM_FAILED;
    stream->failure = *failure;
    /* Whatever else went wrong: once its time is up, that is what a call failed of (P-25). */
    if (stream->deadline != 0 && stream->core->now >= stream->deadline)
        dd_fail(&stream->failure, DISKDELTA_REASON_DEADLINE, "the time for the call is up");
    dd_stream_settle(stream);
}

static void drop_messages(struct dd_stream *stream)
{
    while (stream->first != NULL) {
        struct dd_payload *payload = stream->first;
        stream->first = payload->next;
        dd_release(&stream->core->allocator, payload);
    }
    stream->last = NULL;
}

void dd_stream_cancel(struct dd_stream *stream, diskdelta_status status, const struct dd_failure *failure)
{
    if (stream->state != DD_STREAM_OPEN)
        return;
    struct dd_core *core = stream->core;
    dd_stream_fail(stream, failure);
    drop_messages(stream);
    core->remembered[core->remembered_next] = stream->id;
    core->remembered_next = (core->remembered_next + 1) % DD_REMEMBERED;
    if (!core->has_failed)
        dd_core_frame(core,
                      &(struct dd_header){.type = DD_FRAME_CANCEL, .stream = stream->id, .aux = (uint32_t)status});
}

void dd_stream_close(struct dd_stream *stream)
{
    if (stream == NULL)
        return;
    struct dd_core *core = stream->core;
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_CANCELLED, "the call was cancelled");
    dd_stream_cancel(stream, DISKDELTA_STATUS_CANCELLED, &failure);
    drop_messages(stream);
    if (core->receiver == stream)
        core->receiver = NULL;
    for (struct dd_stream **link = &core->streams; *link != NULL; link = &(*link)->next) {
        if (*link == stream) {
            *link = stream->next;
            break;
        }
    }
    dd_release(&core->allocator, stream->taken);
    dd_release(&core->allocator, stream->end);
    dd_release(&core->allocator, stream);
}
