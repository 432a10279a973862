/* Granting credit for what was consumed (section 10). */
#include "core_state.h"

uint32_t dd_cost(size_t size)
{
    /* A payload has at most 2^24 - 1 bytes. */
    return DD_HEADER_SIZE + (uint32_t)size;
}

static bool grant(diskdelta_core *core, uint32_t id, uint32_t bytes)
{
    if (core->has_failed)
        return false;
    return dd_core_frame(core, &(struct dd_header){.type = DD_FRAME_CREDIT, .stream = id, .aux = bytes}) != NULL;
}

void dd_core_consume(diskdelta_core *core, uint32_t cost)
{
    core->consumed += cost;
    if (core->consumed >= core->own.stream_credit / 2 && grant(core, 0, core->consumed)) {
        core->credit += core->consumed;
        core->consumed = 0;
    }
}

void dd_core_consume_of(diskdelta_core_stream *stream, uint32_t cost)
{
    diskdelta_core *core = stream->core;
    dd_core_consume(core, cost);
    stream->consumed += cost;
    if (stream->consumed >= core->own.stream_credit / 2 && grant(core, stream->id, stream->consumed)) {
        stream->credit += stream->consumed;
        stream->consumed = 0;
    }
}
