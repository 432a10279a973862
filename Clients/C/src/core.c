/* The beginning and the end of a connection, and what it says of itself. */
#include "core_options.h"
#include "core_state.h"

static bool complete_options(const diskdelta_core_options *given, diskdelta_core_options *options,
                             struct dd_settings *settings)
{
    *options = (diskdelta_core_options)DISKDELTA_CORE_OPTIONS_INIT;
    if (given != NULL && !dd_copy_sized(options, sizeof *options, given))
        return false;
    *settings = (struct dd_settings){
        .max_frame = options->max_frame != 0 ? options->max_frame : 262144,
        .stream_credit = options->stream_credit != 0 ? options->stream_credit : 1048576,
        .connection_credit = options->connection_credit != 0 ? options->connection_credit : 67108864,
    };
    if (options->keepalive_ms == 0)
        options->keepalive_ms = 30000;
    else if (options->keepalive_ms == DISKDELTA_OFF)
        options->keepalive_ms = 0;
    if (options->keepalive_timeout_ms == 0)
        options->keepalive_timeout_ms = 20000;
    return dd_settings_are_valid(settings);
}

bool dd_core_options_are_valid(const diskdelta_core_options *given)
{
    diskdelta_core_options options;
    struct dd_settings settings;
    return complete_options(given, &options, &settings);
}

diskdelta_core *diskdelta_core_create(const diskdelta_allocator *given_allocator, const diskdelta_core_options *given)
{
    diskdelta_core_options options;
    struct dd_settings settings;
    if (!complete_options(given, &options, &settings))
        return NULL;
    diskdelta_allocator allocator = dd_allocator(given_allocator);
    diskdelta_core *core = dd_allocate(&allocator, sizeof *core);
    if (core == NULL)
        return NULL;
    core->allocator = allocator;
    core->own = settings;
    /* The lowest values a server may announce hold until it has announced its own (P-17). The number of streams is
     * left to the caller, who as a rule waits. */
    core->peer = (struct dd_settings){.max_frame = DD_MIN_MAX_FRAME, .max_streams = 65535};
    core->next_id = 1;
    core->credit = settings.connection_credit;
    core->keepalive = options.keepalive_ms;
    core->keepalive_timeout = options.keepalive_timeout_ms;
    core->owed_since = DD_NEVER;
    core->output_capacity = 4096;
    core->output = dd_allocate(&allocator, core->output_capacity);
    if (core->output == NULL) {
        dd_release(&allocator, core);
        return NULL;
    }
    dd_preface_encode(core->output);
    core->output_end = DD_PREFACE_SIZE;
    uint8_t *payload = dd_core_frame(core, &(struct dd_header){.length = DD_CLIENT_SETTINGS_SIZE,
                                                               .type = DD_FRAME_SETTINGS,
                                                               .aux = DD_CLIENT_SETTINGS_SIZE / 8});
    if (payload != NULL)
        dd_settings_encode(payload, &settings);
    return core;
}

void diskdelta_core_free(diskdelta_core *core)
{
    if (core == NULL)
        return;
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_CANCELLED, "the connection was closed");
    dd_core_fail(core, &failure);
    for (diskdelta_core_stream *stream = core->streams; stream != NULL; stream = stream->next)
        stream->core = NULL;
    diskdelta_allocator allocator = core->allocator;
    dd_release(&allocator, core->payload);
    dd_release(&allocator, core->output);
    dd_release(&allocator, core);
}

bool diskdelta_core_is_ready(const diskdelta_core *core)
{
    return core->has_settings;
}

const diskdelta_failure *diskdelta_core_failure(const diskdelta_core *core)
{
    return core->has_failed ? &core->failure : NULL;
}

const diskdelta_failure *diskdelta_core_farewell(const diskdelta_core *core)
{
    return core->is_going_away ? &core->farewell : NULL;
}

diskdelta_core_stream *diskdelta_core_next_stream(const diskdelta_core *core)
{
    for (diskdelta_core_stream *stream = core->streams; stream != NULL; stream = stream->next) {
        if (stream->first != NULL || (stream->state != DD_STREAM_OPEN && !stream->is_told))
            return stream;
    }
    return NULL;
}
