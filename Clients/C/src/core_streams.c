/* Calls: opening, reading, ending. */
#include "core_state.h"

#include <string.h>

diskdelta_core_stream *dd_core_find(const diskdelta_core *core, uint32_t id)
{
    for (diskdelta_core_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->id == id)
            return stream;
    }
    return NULL;
}

bool dd_core_remembers(diskdelta_core *core, uint32_t id, bool forget)
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

size_t diskdelta_core_open_count(const diskdelta_core *core)
{
    size_t count = 0;
    for (const diskdelta_core_stream *stream = core->streams; stream != NULL; stream = stream->next)
        count += stream->state == DD_STREAM_OPEN ? 1 : 0;
    return count;
}

/* The stream limit (P-18). */
static uint32_t stream_limit(const diskdelta_core *core)
{
    uint32_t own = core->own.connection_credit / core->own.stream_credit;
    return own < core->peer.max_streams ? own : core->peer.max_streams;
}

static bool can_open(const diskdelta_core *core, size_t prefix, size_t size, diskdelta_failure *failure)
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
    size_t open = diskdelta_core_open_count(core);
    if (open >= stream_limit(core)) {
        dd_fail(failure, DISKDELTA_REASON_RESOURCE_LIMIT, "%zu calls are open, as many as the connection allows", open);
        return false;
    }
    if (size > core->peer.max_frame || core->peer.max_frame - size < prefix) {
        dd_fail(failure, DISKDELTA_REASON_RESOURCE_LIMIT, "the request has %zu bytes; the server accepts %zu", size,
                core->peer.max_frame - prefix);
        return false;
    }
    return true;
}

/* The parts of a call; false where one is malformed. */
static bool check_call(const diskdelta_core_call *given, diskdelta_core_call *call, struct dd_open *open,
                       size_t *prefix)
{
    if (!dd_copy_sized(call, sizeof *call, given) || call->timeout_ms > DD_MAX_31_BITS)
        return false;
    *open = (struct dd_open){call->path, call->metadata, call->metadata_count};
    *prefix = dd_open_prefix_size(open);
    return *prefix != 0;
}

diskdelta_core_stream *diskdelta_core_open(diskdelta_core *core, const diskdelta_core_call *given,
                                           diskdelta_failure *failure)
{
    diskdelta_core_call call;
    struct dd_open open;
    size_t prefix = 0;
    if (!check_call(given, &call, &open, &prefix)) {
        dd_fail(failure, DISKDELTA_REASON_INVALID_PARAMETER,
                "the path, the metadata or the time of the call is malformed");
        return NULL;
    }
    if (!can_open(core, prefix, call.request.size, failure))
        return NULL;
    diskdelta_core_stream *stream = dd_allocate(&core->allocator, sizeof *stream);
    struct dd_header header = {.length = (uint32_t)(prefix + call.request.size),
                               .type = DD_FRAME_OPEN,
                               .stream = core->next_id,
                               .aux = call.timeout_ms};
    uint8_t *payload = stream != NULL ? dd_core_frame(core, &header) : NULL;
    if (payload == NULL) {
        dd_release(&core->allocator, stream);
        dd_fail(failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the call");
        return NULL;
    }
    dd_open_prefix_encode(payload, &open);
    if (call.request.size > 0)
        memcpy(payload + prefix, call.request.data, call.request.size);
    stream->allocator = core->allocator;
    stream->core = core;
    stream->data = call.data;
    stream->id = core->next_id;
    stream->state = DD_STREAM_OPEN;
    stream->deadline = call.timeout_ms == 0 ? DD_NEVER : core->now + call.timeout_ms;
    stream->credit = core->own.stream_credit;
    stream->open_end = dd_core_queued(core);
    stream->next = core->streams;
    core->streams = stream;
    core->next_id += 2;
    return stream;
}

/* ---- Reading --------------------------------------------------------------------------------------------------- */

void *diskdelta_core_stream_data(const diskdelta_core_stream *stream)
{
    return stream->data;
}

static void give_message(diskdelta_core_stream *stream, diskdelta_core_event *event)
{
    stream->taken = stream->first;
    stream->first = stream->taken->next;
    if (stream->first == NULL)
        stream->last = NULL;
    /* What a closed stream had unread was settled when it closed. */
    if (stream->state == DD_STREAM_OPEN)
        dd_core_consume_of(stream, dd_cost(stream->taken->size));
    event->type = DISKDELTA_CORE_MESSAGE;
    event->message = (diskdelta_bytes){stream->taken->bytes, stream->taken->size};
}

static void give_end(diskdelta_core_stream *stream, diskdelta_core_event *event)
{
    struct dd_end end;
    /* It was checked when it arrived. */
    (void)dd_end_decode(stream->end->bytes, stream->end->size, &end);
    stream->is_told = true;
    event->type = DISKDELTA_CORE_END;
    event->status = stream->end_status;
    event->text = (diskdelta_bytes){end.text, end.text_size};
    event->details = (diskdelta_bytes){end.details, end.details_size};
}

void diskdelta_core_stream_next(diskdelta_core_stream *stream, diskdelta_core_event *event)
{
    dd_release(&stream->allocator, stream->taken);
    stream->taken = NULL;
    *event = (diskdelta_core_event){.type = DISKDELTA_CORE_NONE};
    if (stream->first != NULL) {
        give_message(stream, event);
    } else if (stream->state == DD_STREAM_ENDED) {
        give_end(stream, event);
    } else if (stream->state == DD_STREAM_FAILED) {
        stream->is_told = true;
        event->type = DISKDELTA_CORE_FAILED;
        event->failure = &stream->failure;
        event->was_not_begun = stream->is_refused;
    }
}

/* ---- Closing --------------------------------------------------------------------------------------------------- */

void dd_stream_settle(diskdelta_core_stream *stream)
{
    for (const struct dd_payload *payload = stream->first; payload != NULL; payload = payload->next)
        dd_core_consume(stream->core, dd_cost(payload->size));
}

void dd_stream_fail(diskdelta_core_stream *stream, const diskdelta_failure *failure)
{
    const diskdelta_core *core = stream->core;
    stream->state = DD_STREAM_FAILED;
    stream->failure = *failure;
    /* Whatever else went wrong: once its time is up, that is what a call failed of (P-25). */
    if (core->now >= stream->deadline)
        dd_fail(&stream->failure, DISKDELTA_REASON_DEADLINE, "the time for the call is up");
    /* What was not sent whole was not begun (P-93). */
    stream->is_refused = stream->is_refused || core->sent < stream->open_end;
    dd_stream_settle(stream);
}

static void drop_messages(diskdelta_core_stream *stream)
{
    while (stream->first != NULL) {
        struct dd_payload *payload = stream->first;
        stream->first = payload->next;
        dd_release(&stream->allocator, payload);
    }
    stream->last = NULL;
}

void diskdelta_core_stream_cancel(diskdelta_core_stream *stream, const diskdelta_failure *failure)
{
    if (stream->state != DD_STREAM_OPEN)
        return;
    diskdelta_core *core = stream->core;
    dd_stream_fail(stream, failure);
    drop_messages(stream);
    core->remembered[core->remembered_next] = stream->id;
    core->remembered_next = (core->remembered_next + 1) % DD_REMEMBERED;
    uint32_t status = failure->status != DISKDELTA_STATUS_OK ? (uint32_t)failure->status : DISKDELTA_STATUS_CANCELLED;
    if (!core->has_failed)
        dd_core_frame(core, &(struct dd_header){.type = DD_FRAME_CANCEL, .stream = stream->id, .aux = status});
}

static void detach(diskdelta_core_stream *stream)
{
    diskdelta_core *core = stream->core;
    if (core->receiver == stream)
        core->receiver = NULL;
    for (diskdelta_core_stream **link = &core->streams; *link != NULL; link = &(*link)->next) {
        if (*link == stream) {
            *link = stream->next;
            break;
        }
    }
}

void diskdelta_core_stream_close(diskdelta_core_stream *stream)
{
    if (stream == NULL)
        return;
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_CANCELLED, "the call was cancelled");
    diskdelta_core_stream_cancel(stream, &failure);
    drop_messages(stream);
    if (stream->core != NULL)
        detach(stream);
    diskdelta_allocator allocator = stream->allocator;
    dd_release(&allocator, stream->taken);
    dd_release(&allocator, stream->end);
    dd_release(&allocator, stream);
}
