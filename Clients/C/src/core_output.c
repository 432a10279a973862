/* What a connection is to send. */
#include "core_state.h"

#include <string.h>

static bool make_room(diskdelta_core *core, size_t count)
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

uint8_t *dd_core_frame(diskdelta_core *core, const struct dd_header *header)
{
    /* Without one frame the rest would make no sense to the peer. */
    if (core->is_exhausted || !make_room(core, DD_HEADER_SIZE + (size_t)header->length)) {
        core->is_exhausted = true;
        return NULL;
    }
    uint8_t *frame = core->output + core->output_end;
    dd_header_encode(frame, header);
    core->output_end += DD_HEADER_SIZE + (size_t)header->length;
    return frame + DD_HEADER_SIZE;
}

uint64_t dd_core_queued(const diskdelta_core *core)
{
    return core->sent + (core->output_end - core->output_start);
}

size_t diskdelta_core_output(const diskdelta_core *core, const uint8_t **bytes)
{
    *bytes = core->output + core->output_start;
    return core->output_end - core->output_start;
}

void diskdelta_core_sent(diskdelta_core *core, size_t count)
{
    if (count > core->output_end - core->output_start)
        count = core->output_end - core->output_start;
    core->sent += count;
    core->output_start += count;
    if (core->output_start >= core->pong_end)
        core->pong_end = 0;
    if (core->output_start == core->output_end)
        core->output_start = core->output_end = 0;
}
