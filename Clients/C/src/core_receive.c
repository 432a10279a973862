/* What is received: frames, their order, and what they do. */
#include "core_state.h"

#include <string.h>

static void breach(diskdelta_core *core, enum dd_code code, const char *text)
{
    dd_core_breach(core, (struct dd_breach){code, text});
}

/* ---- Streams --------------------------------------------------------------------------------------------------- */

/* A frame for a stream that is not open: a race that is tolerated, or an error (P-22). */
static void check_closed(diskdelta_core *core)
{
    if ((core->header.stream & 1) == 0 || core->header.stream >= core->next_id)
        return breach(core, DD_STREAM_ERROR, "P-21: a frame names a stream that was never opened");
    if (!dd_core_remembers(core, core->header.stream, core->header.type != DD_FRAME_DATA))
        return breach(core, DD_STREAM_ERROR, "P-22: a frame names a stream that its sender had closed");
}

/* Room for the payload of DATA or END, whose length the header check has bounded. */
static void prepare_payload(diskdelta_core *core, diskdelta_core_stream *stream)
{
    core->payload =
        core->allocator.allocate(core->allocator.data, sizeof(struct dd_payload) + (size_t)core->header.length);
    if (core->payload == NULL)
        return dd_core_exhausted(core);
    core->payload->next = NULL;
    core->payload->size = core->header.length;
    core->receiver = stream;
}

static void begin_data(diskdelta_core *core, diskdelta_core_stream *stream)
{
    uint32_t cost = dd_cost(core->header.length);
    if (cost > core->credit || (stream != NULL && cost > stream->credit))
        return breach(core, DD_FLOW_CONTROL_ERROR, "P-30: DATA is not covered by credit");
    core->credit -= cost;
    if (stream == NULL)
        return;
    stream->credit -= cost;
    if (core->header.aux != stream->next_number)
        return breach(core, DD_PROTOCOL_ERROR, "P-29: the number of a message is out of order");
    stream->next_number++;
    prepare_payload(core, stream);
}

static void finish_data(diskdelta_core *core)
{
    diskdelta_core_stream *stream = core->receiver;
    if (stream == NULL || stream->state != DD_STREAM_OPEN) {
        dd_release(&core->allocator, core->payload);
        core->payload = NULL;
        return dd_core_consume(core, dd_cost(core->header.length));
    }
    if (stream->last != NULL)
        stream->last->next = core->payload;
    else
        stream->first = core->payload;
    stream->last = core->payload;
    core->payload = NULL;
}

static void finish_end(diskdelta_core *core)
{
    diskdelta_core_stream *stream = core->receiver;
    struct dd_payload *payload = core->payload;
    core->payload = NULL;
    if (payload == NULL)
        return;
    struct dd_end end;
    struct dd_breach broken = dd_end_decode(payload->bytes, payload->size, &end);
    if (broken.text != NULL || stream == NULL || stream->state != DD_STREAM_OPEN) {
        dd_release(&core->allocator, payload);
        if (broken.text != NULL)
            dd_core_breach(core, broken);
        else
            (void)dd_core_remembers(core, core->header.stream, true);
        return;
    }
    stream->end = payload;
    stream->end_status = (diskdelta_status)core->header.aux;
    stream->state = DD_STREAM_ENDED;
    dd_stream_settle(stream);
}

static void receive_cancel(diskdelta_core *core, diskdelta_core_stream *stream)
{
    diskdelta_failure failure;
    if (core->header.aux == DD_CANCEL_REFUSED) {
        dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "the server has too many calls at the moment");
        stream->is_refused = true;
    } else {
        diskdelta_status status = (diskdelta_status)core->header.aux;
        dd_fail(&failure, dd_reason_of_status(status), "the server cancelled the call (%s)",
                diskdelta_status_name(status));
        failure.status = status;
    }
    dd_stream_fail(stream, &failure);
}

static void begin_stream_frame(diskdelta_core *core)
{
    diskdelta_core_stream *stream = dd_core_find(core, core->header.stream);
    if (stream == NULL || stream->state != DD_STREAM_OPEN) {
        check_closed(core);
        if (!core->has_failed && core->header.type == DD_FRAME_DATA)
            begin_data(core, NULL);
        return;
    }
    switch (core->header.type) {
    case DD_FRAME_DATA:
        return begin_data(core, stream);
    case DD_FRAME_END:
        return prepare_payload(core, stream);
    default:
        return receive_cancel(core, stream);
    }
}

/* ---- The connection's own frames ------------------------------------------------------------------------------- */

static void finish_settings(diskdelta_core *core)
{
    struct dd_breach broken = dd_settings_decode(core->control, core->header.length, &core->peer);
    if (broken.text != NULL)
        return dd_core_breach(core, broken);
    core->has_settings = true;
}

static void finish_ping(diskdelta_core *core)
{
    if ((core->header.flags & DD_FLAG_ACK) != 0) {
        if (!dd_core_answered(core, core->control))
            breach(core, DD_PROTOCOL_ERROR, "P-49: an answer to a PING that was not sent");
        return;
    }
    if (core->pong_end != 0)
        return breach(core, DD_EXCESSIVE_LOAD, "P-49: PING while the answer to another waits");
    uint8_t *payload =
        dd_core_frame(core, &(struct dd_header){.length = 8, .type = DD_FRAME_PING, .flags = DD_FLAG_ACK});
    if (payload == NULL)
        return;
    memcpy(payload, core->control, 8);
    core->pong_end = core->output_end;
}

static void finish_goaway(diskdelta_core *core)
{
    struct dd_goaway goaway;
    struct dd_breach broken = dd_goaway_decode(core->control, core->header.length, &goaway);
    if (broken.text != NULL)
        return dd_core_breach(core, broken);
    if (core->is_going_away && core->header.aux > core->last_accepted)
        return breach(core, DD_PROTOCOL_ERROR, "P-53: the last accepted stream of GOAWAY rises");
    core->is_going_away = true;
    core->last_accepted = core->header.aux;
    char text[256];
    dd_copy_text(text, sizeof text, goaway.text, goaway.text_size);
    dd_fail(&core->farewell, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the server closes the connection: %s",
            text[0] != '\0' ? text : "it is stopping");
    for (diskdelta_core_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->state != DD_STREAM_OPEN || stream->id <= core->last_accepted)
            continue;
        stream->is_refused = true;
        dd_stream_fail(stream, &core->farewell);
    }
    if (goaway.code != DD_NO_ERROR)
        dd_core_fail(core, &core->farewell);
}

/* ---- Frames ---------------------------------------------------------------------------------------------------- */

static void begin_frame(diskdelta_core *core)
{
    core->header = dd_header_decode(core->head);
    core->receiver = NULL;
    struct dd_breach broken = dd_header_check(&core->header, core->own.max_frame);
    if (broken.text != NULL)
        return dd_core_breach(core, broken);
    bool is_first = !core->has_settings && !core->is_going_away;
    if (is_first && core->header.type != DD_FRAME_SETTINGS && core->header.type != DD_FRAME_GOAWAY)
        return breach(core, DD_PROTOCOL_ERROR, "P-12: the first frame is not SETTINGS");
    switch (core->header.type) {
    case DD_FRAME_SETTINGS:
        if (core->has_settings)
            breach(core, DD_PROTOCOL_ERROR, "P-15: SETTINGS comes a second time");
        break;
    case DD_FRAME_OPEN:
    case DD_FRAME_CREDIT:
        breach(core, DD_PROTOCOL_ERROR, "P-11: a server does not send frames of this type");
        break;
    case DD_FRAME_DATA:
    case DD_FRAME_END:
    case DD_FRAME_CANCEL:
        begin_stream_frame(core);
        break;
    default:
        break;
    }
}

static void finish_frame(diskdelta_core *core)
{
    switch (core->header.type) {
    case DD_FRAME_SETTINGS:
        return finish_settings(core);
    case DD_FRAME_DATA:
        return finish_data(core);
    case DD_FRAME_END:
        return finish_end(core);
    case DD_FRAME_PING:
        return finish_ping(core);
    case DD_FRAME_GOAWAY:
        return finish_goaway(core);
    default:
        return;
    }
}

static void take_payload(diskdelta_core *core, const uint8_t *bytes, size_t count)
{
    if (core->payload != NULL)
        memcpy(core->payload->bytes + core->filled, bytes, count);
    else if (core->header.type == DD_FRAME_SETTINGS || core->header.type == DD_FRAME_PING ||
             core->header.type == DD_FRAME_GOAWAY)
        memcpy(core->control + core->filled, bytes, count);
}

void diskdelta_core_feed(diskdelta_core *core, const uint8_t *bytes, size_t count)
{
    core->has_received = core->has_received || count > 0;
    while (!dd_core_has_failed(core)) {
        size_t wanted = core->expecting == DD_EXPECTING_PAYLOAD ? core->header.length : DD_HEADER_SIZE;
        size_t taken = wanted - core->filled < count ? wanted - core->filled : count;
        if (taken > 0) {
            if (core->expecting == DD_EXPECTING_PAYLOAD)
                take_payload(core, bytes, taken);
            else
                memcpy(core->head + core->filled, bytes, taken);
            core->filled += taken;
            bytes += taken;
            count -= taken;
        }
        if (core->filled < wanted)
            return;
        core->filled = 0;
        switch (core->expecting) {
        case DD_EXPECTING_PREFACE: {
            struct dd_breach broken = dd_preface_check(core->head);
            if (broken.text != NULL)
                return dd_core_breach(core, broken);
            core->expecting = DD_EXPECTING_HEADER;
            break;
        }
        case DD_EXPECTING_HEADER:
            core->expecting = DD_EXPECTING_PAYLOAD;
            begin_frame(core);
            break;
        case DD_EXPECTING_PAYLOAD:
            core->expecting = DD_EXPECTING_HEADER;
            finish_frame(core);
            break;
        }
    }
}
