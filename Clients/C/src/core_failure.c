/* The end of a connection. */
#include "core_state.h"

#include <string.h>

void dd_core_fail(diskdelta_core *core, const diskdelta_failure *failure)
{
    if (core->has_failed)
        return;
    core->has_failed = true;
    core->failure = *failure;
    for (diskdelta_core_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->state == DD_STREAM_OPEN)
            dd_stream_fail(stream, failure);
    }
    /* Only a breach leaves something to say (P-54). What was not sent before never is: a call could be begun by it. */
    if (failure->reason != DISKDELTA_REASON_ANSWER_INVALID)
        core->output_start = core->output_end = core->pong_end = 0;
}

void dd_core_breach(diskdelta_core *core, struct dd_breach breach)
{
    if (core->has_failed)
        return;
    if (breach.code != DD_NOT_DISKDELTA) {
        struct dd_header header = {.length = 6 + (uint32_t)strlen(breach.text), .type = DD_FRAME_GOAWAY};
        uint8_t *payload = dd_core_frame(core, &header);
        if (payload != NULL)
            dd_goaway_encode(payload, breach.code, breach.text);
    }
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_ANSWER_INVALID, "the server broke the protocol: %s", breach.text);
    dd_core_fail(core, &failure);
}

void dd_core_exhausted(diskdelta_core *core)
{
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the connection");
    dd_core_fail(core, &failure);
}

bool dd_core_has_failed(diskdelta_core *core)
{
    if (core->is_exhausted && !core->has_failed)
        dd_core_exhausted(core);
    return core->has_failed;
}

void diskdelta_core_feed_end(diskdelta_core *core, const diskdelta_failure *given)
{
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the connection to the server ended");
    if (given != NULL)
        failure = *given;
    /* A server that said goodbye had its reason to go. */
    bool is_expected = core->is_going_away && failure.reason == DISKDELTA_REASON_SERVER_UNAVAILABLE;
    dd_core_fail(core, is_expected ? &core->farewell : &failure);
}
