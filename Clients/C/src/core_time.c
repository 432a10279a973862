/* What time does to a connection: calls whose time is up, and keepalive. */
#include "core_state.h"

#include <string.h>

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static bool is_keeping_alive(const diskdelta_core *core)
{
    if (core->keepalive == 0 || core->has_failed || !core->has_settings)
        return false;
    for (const diskdelta_core_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->state == DD_STREAM_OPEN)
            return true;
    }
    return false;
}

/* When the server has been silent for so long that it is asked, and may be asked again (P-83). */
static uint64_t time_to_ask(const diskdelta_core *core)
{
    uint64_t silent = dd_later(core->last_received, core->keepalive);
    if (core->ping_number == 0 || core->has_ping)
        return silent;
    uint64_t allowed = dd_later(core->last_ping, core->peer.min_ping_interval);
    return silent > allowed ? silent : allowed;
}

static uint64_t number_of_ping(const uint8_t *payload)
{
    return (uint64_t)dd_load32(payload) << 32 | dd_load32(payload + 4);
}

static void ask(diskdelta_core *core)
{
    /* While a PING is under way no other is (P-49); its answer is owed all the more. */
    core->owed_since = core->now;
    if (core->has_ping)
        return;
    uint8_t *payload = dd_core_frame(core, &(struct dd_header){.length = 8, .type = DD_FRAME_PING});
    if (payload == NULL)
        return;
    core->ping_number++;
    dd_store32(payload, (uint32_t)(core->ping_number >> 32));
    dd_store32(payload + 4, (uint32_t)core->ping_number);
    core->has_ping = true;
    core->last_ping = core->now;
}

bool dd_core_answered(diskdelta_core *core, const uint8_t *payload)
{
    if (!core->has_ping || number_of_ping(payload) != core->ping_number)
        return false;
    core->has_ping = false;
    return true;
}

static void keep_alive(diskdelta_core *core)
{
    if (core->has_received) {
        core->has_received = false;
        core->last_received = core->now;
        core->owed_since = DD_NEVER;
    }
    if (!is_keeping_alive(core)) {
        /* The silence of a server that has nothing to say is no sign. */
        core->last_received = core->now;
        core->owed_since = DD_NEVER;
        return;
    }
    if (core->owed_since == DD_NEVER) {
        if (core->now >= time_to_ask(core))
            ask(core);
    } else if (core->now >= dd_later(core->owed_since, core->keepalive_timeout)) {
        diskdelta_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the server has not been heard of for %u ms",
                core->keepalive + core->keepalive_timeout);
        dd_core_fail(core, &failure);
    }
}

void diskdelta_core_advance(diskdelta_core *core, uint64_t now)
{
    if (now > core->now)
        core->now = now;
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_DEADLINE, "the time for the call is up");
    for (diskdelta_core_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->state == DD_STREAM_OPEN && core->now >= stream->deadline)
            diskdelta_core_stream_cancel(stream, &failure);
    }
    if (!dd_core_has_failed(core))
        keep_alive(core);
}

uint64_t diskdelta_core_next_timeout(const diskdelta_core *core)
{
    uint64_t next = DD_NEVER;
    for (const diskdelta_core_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->state == DD_STREAM_OPEN)
            next = least(next, stream->deadline);
    }
    if (!is_keeping_alive(core))
        return next;
    if (core->owed_since != DD_NEVER && !core->has_received)
        return least(next, dd_later(core->owed_since, core->keepalive_timeout));
    return least(next, core->has_received ? dd_later(core->now, core->keepalive) : time_to_ask(core));
}
