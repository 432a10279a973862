#include "core_state.h"

#include <string.h>

struct dd_core *dd_core_create(const diskdelta_allocator *allocator, const struct dd_settings *settings)
{
    struct dd_core *core = dd_allocate(allocator, sizeof *core);
    if (core == NULL)
        return NULL;
    core->allocator = *allocator;
    core->own = *settings;
    /* The lowest values a server may announce hold until it has announced its own (P-17). The number of streams is
     * left to the caller, who as a rule waits. */
    core->peer = (struct dd_settings){.max_frame = DD_MIN_MAX_FRAME, .max_streams = 65535};
    core->next_id = 1;
    core->credit = settings->connection_credit;
    core->output_capacity = 4096;
    core->output = dd_allocate(allocator, core->output_capacity);
    if (core->output == NULL) {
        dd_release(allocator, core);
        return NULL;
    }
    dd_preface_encode(core->output);
    core->output_end = DD_PREFACE_SIZE;
    uint8_t *payload = dd_core_frame(core, &(struct dd_header){.length = DD_CLIENT_SETTINGS_SIZE,
                                                               .type = DD_FRAME_SETTINGS,
                                                               .aux = DD_CLIENT_SETTINGS_SIZE / 8});
    if (payload != NULL)
        dd_settings_encode(payload, settings);
    return core;
}

void dd_core_free(struct dd_core *core)
{
    if (core == NULL)
        return;
    diskdelta_allocator allocator = core->allocator;
    dd_release(&allocator, core->payload);
    dd_release(&allocator, core->output);
    dd_release(&allocator, core);
}

bool dd_core_is_ready(const struct dd_core *core)
{
    return core->has_settings;
}

const struct dd_failure *dd_core_failure(const struct dd_core *core)
{
    return core->has_failed ? &core->failure : NULL;
}

const struct dd_failure *dd_core_farewell(const struct dd_core *core)
{
    return core->is_going_away ? &core->farewell : NULL;
}

void dd_core_advance(struct dd_core *core, uint64_t now)
{
    core->now = now;
    for (struct dd_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->state != DD_STREAM_OPEN || stream->deadline == 0 || now < stream->deadline)
            continue;
        struct dd_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_DEADLINE, "the time for the call is up");
        dd_stream_cancel(stream, DISKDELTA_STATUS_DEADLINE_EXCEEDED, &failure);
    }
}

/* ---- Output ---------------------------------------------------------------------------------------------------- */

static bool make_room(struct dd_core *core, size_t count)
{
    if (core->output_capacity - core->output_end >= count)
        return true;
    size_t pending = core->output_end - core->output_start;
    size_t capacity = core->output_capacity;
    while (capacity - pending < count)
        capacity *= 2;
    uint8_t *output = core->output;
    if (capacity > core->output_capacity) {
        output = core->allocator.allocate(core->allocator.data, capacity);
        if (output == NULL)
            return false;
    }
    memmove(output, core->output + core->output_start, pending);
    if (output != core->output)
        dd_release(&core->allocator, core->output);
    core->output = output;
    core->output_capacity = capacity;
    core->pong_end = core->pong_end > core->output_start ? core->pong_end - core->output_start : 0;
    core->output_start = 0;
    core->output_end = pending;
    return true;
}

uint8_t *dd_core_frame(struct dd_core *core, const struct dd_header *header)
{
    if (!make_room(core, DD_HEADER_SIZE + (size_t)header->length)) {
        dd_core_exhausted(core);
        return NULL;
    }
    uint8_t *frame = core->output + core->output_end;
    dd_header_encode(frame, header);
    core->output_end += DD_HEADER_SIZE + (size_t)header->length;
    return frame + DD_HEADER_SIZE;
}

size_t dd_core_output(const struct dd_core *core, const uint8_t **bytes)
{
    *bytes = core->output + core->output_start;
    return core->output_end - core->output_start;
}

void dd_core_sent(struct dd_core *core, size_t count)
{
    core->output_start += count;
    if (core->output_start >= core->pong_end)
        core->pong_end = 0;
    if (core->output_start == core->output_end)
        core->output_start = core->output_end = 0;
}

/* ---- Failure --------------------------------------------------------------------------------------------------- */

void dd_core_fail(struct dd_core *core, const struct dd_failure *failure)
{
    if (core->has_failed)
        return;
    core->has_failed = true;
    core->failure = *failure;
    for (struct dd_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->state == DD_STREAM_OPEN)
            dd_stream_fail(stream, failure);
    }
}

void dd_core_breach(struct dd_core *core, struct dd_breach breach)
{
    if (core->has_failed)
        return;
    if (breach.code != DD_NOT_DISKDELTA) {
        struct dd_header header = {.length = 6 + (uint32_t)strlen(breach.text), .type = DD_FRAME_GOAWAY};
        uint8_t *payload = dd_core_frame(core, &header);
        if (payload != NULL)
            dd_goaway_encode(payload, breach.code, breach.text);
    }
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_ANSWER_INVALID, "the server broke the protocol: %s", breach.text);
    dd_core_fail(core, &failure);
}

void dd_core_exhausted(struct dd_core *core)
{
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the connection");
    dd_core_fail(core, &failure);
}

void dd_core_feed_end(struct dd_core *core, const char *text)
{
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "%s", text);
    /* A server that said goodbye had its reason to go. */
    dd_core_fail(core, core->is_going_away ? &core->farewell : &failure);
}

void dd_core_feed_failure(struct dd_core *core, const struct dd_failure *failure)
{
    dd_core_fail(core, failure);
}
