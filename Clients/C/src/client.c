#include "client.h"

#include "call.h"
#include "connect.h"
#include "conversion.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define STRING(x) #x
#define VERSION(major, minor, patch) STRING(major) "." STRING(minor) "." STRING(patch)

const char *diskdelta_version(void)
{
    return VERSION(DISKDELTA_VERSION_MAJOR, DISKDELTA_VERSION_MINOR, DISKDELTA_VERSION_PATCH);
}

diskdelta_client *diskdelta_client_create(const diskdelta_allocator *given)
{
    diskdelta_allocator allocator = dd_allocator(given);
    diskdelta_client *client = dd_allocate(&allocator, sizeof *client);
    if (client == NULL)
        return NULL;
    client->allocator = allocator;
    dd_error_init(&client->error);
    return client;
}

const diskdelta_error *diskdelta_client_error(const diskdelta_client *client)
{
    return client != NULL ? &client->error.public : &dd_error_without_handle;
}

int dd_client_fail(diskdelta_client *client, const struct dd_failure *failure)
{
    dd_error_set(&client->error, failure);
    return -1;
}

/* ---- Input and output ------------------------------------------------------------------------------------------ */

/* What the carrier gave, where it can't go on. */
static void fail_as_carrier(diskdelta_client *client, ptrdiff_t result, const char *text)
{
    struct dd_failure failure;
    bool is_refused = result == DISKDELTA_CARRIER_REFUSED;
    dd_fail(&failure, is_refused ? DISKDELTA_REASON_UNAUTHENTICATED : DISKDELTA_REASON_SERVER_UNAVAILABLE, "%s: %s",
            text, client->carrier.functions->error(client->carrier.data));
    dd_core_feed_failure(client->core, &failure);
}

void dd_client_flush(diskdelta_client *client)
{
    const diskdelta_carrier *carrier = &client->carrier;
    const uint8_t *bytes = NULL;
    size_t count = 0;
    while ((count = dd_core_output(client->core, &bytes)) > 0) {
        ptrdiff_t sent = carrier->functions->write(carrier->data, bytes, count);
        if (sent > 0 && (size_t)sent <= count) {
            dd_core_sent(client->core, (size_t)sent);
            continue;
        }
        if (sent == DISKDELTA_CARRIER_REFUSED)
            fail_as_carrier(client, sent, "the connection to the server was refused");
        /* Where the connection broke, receiving tells so, after what had still arrived. */
        return;
    }
}

static void receive(diskdelta_client *client)
{
    const diskdelta_carrier *carrier = &client->carrier;
    ptrdiff_t count;
    while ((count = carrier->functions->read(carrier->data, client->buffer, DD_READ_SIZE)) > 0)
        dd_core_feed(client->core, client->buffer, (size_t)count);
    if (count == 0)
        dd_core_feed_end(client->core, "the server closed the connection");
    else if (count != DISKDELTA_CARRIER_WAIT)
        fail_as_carrier(client, count, "the connection to the server broke");
}

void dd_client_wait(diskdelta_client *client, uint64_t deadline)
{
    struct dd_core *core = client->core;
    dd_core_advance(core, dd_now());
    dd_client_flush(client);
    if (dd_core_failure(core) != NULL)
        return;
    const uint8_t *bytes = NULL;
    bool has_output = dd_core_output(core, &bytes) > 0;
    const diskdelta_carrier *carrier = &client->carrier;
    unsigned wanted = carrier->functions->wants(carrier->data, has_output);
    struct pollfd entry = {.fd = carrier->functions->fd(carrier->data),
                           .events = (short)(((wanted & DISKDELTA_DIRECTION_READ) != 0 ? POLLIN : 0) |
                                             ((wanted & DISKDELTA_DIRECTION_WRITE) != 0 ? POLLOUT : 0))};
    int ready = poll(&entry, 1, dd_until(deadline));
    dd_core_advance(core, dd_now());
    if (ready < 0 && errno != EINTR)
        dd_core_feed_end(core, "cannot wait for the connection to the server");
    /* Either direction may be what the carrier's reading waits for. */
    if (ready > 0)
        receive(client);
    dd_client_flush(client);
    /* After a GOAWAY nothing more is sent (P-54). */
    if (dd_core_failure(core) != NULL && dd_core_output(core, &bytes) == 0)
        carrier->functions->finish(carrier->data);
}

/* ---- Connecting ------------------------------------------------------------------------------------------------ */

static void disconnect(diskdelta_client *client)
{
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_CANCELLED, "the client was closed");
    while (client->streams != NULL)
        dd_call_abandon(client->streams, &failure);
    if (client->core != NULL && dd_core_failure(client->core) == NULL)
        dd_client_flush(client);
    dd_core_free(client->core);
    client->core = NULL;
    if (client->carrier.functions != NULL)
        client->carrier.functions->close(client->carrier.data);
    client->carrier = (diskdelta_carrier){NULL, NULL};
}

/* Fills in what was left out. False where a value is not allowed. */
static bool complete_options(const diskdelta_client_options *given, diskdelta_client_options *options)
{
    *options = (diskdelta_client_options)DISKDELTA_CLIENT_OPTIONS_INIT;
    if (given != NULL && !dd_copy_sized(options, sizeof *options, given))
        return false;
    if (options->connect_timeout_ms == 0)
        options->connect_timeout_ms = 5000;
    if (options->max_frame == 0)
        options->max_frame = 262144;
    if (options->stream_credit == 0)
        options->stream_credit = 1048576;
    if (options->connection_credit == 0)
        options->connection_credit = 67108864;
    struct dd_settings settings = {.max_frame = options->max_frame,
                                   .stream_credit = options->stream_credit,
                                   .connection_credit = options->connection_credit};
    return dd_settings_are_valid(&settings);
}

static int fail_as_malformed(diskdelta_client *client)
{
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_INVALID_PARAMETER, "the address or the options of the client are not valid");
    return dd_client_fail(client, &failure);
}

static int fail_without_memory(diskdelta_client *client)
{
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the connection");
    return dd_client_fail(client, &failure);
}

/* Both sides introduce themselves. */
static int shake_hands(diskdelta_client *client, const char *address, uint64_t deadline)
{
    struct dd_failure failure;
    while (!dd_core_is_ready(client->core)) {
        const struct dd_failure *found = dd_core_failure(client->core);
        if (found == NULL)
            found = dd_core_farewell(client->core);
        if (found == NULL && dd_until(deadline) == 0) {
            dd_fail(&failure, DISKDELTA_REASON_DEADLINE, "%s did not introduce itself in time", address);
            found = &failure;
        }
        if (found != NULL)
            return dd_client_fail(client, found);
        dd_client_wait(client, deadline);
    }
    return 0;
}

/* The core, and the room to receive into. */
static int start(diskdelta_client *client, const char *name, const diskdelta_client_options *options, uint64_t deadline)
{
    struct dd_settings settings = {.max_frame = options->max_frame,
                                   .stream_credit = options->stream_credit,
                                   .connection_credit = options->connection_credit};
    client->core = dd_core_create(&client->allocator, &settings);
    if (client->buffer == NULL)
        client->buffer = dd_allocate(&client->allocator, DD_READ_SIZE);
    int result = -1;
    if (client->core != NULL && client->buffer != NULL)
        result = shake_hands(client, name, deadline);
    else
        fail_without_memory(client);
    if (result != 0)
        disconnect(client);
    return result;
}

/* The carrier that the options name, on a connected socket. */
static int wrap(diskdelta_client *client, int fd, const char *address, const diskdelta_client_options *options)
{
    if (options->security == NULL) {
        if (diskdelta_carrier_on_socket(fd, &client->allocator, &client->carrier) == 0)
            return 0;
        (void)close(fd);
        return fail_without_memory(client);
    }
    char host[DD_HOST_SIZE];
    char text[256] = "";
    dd_host(address, host);
    if (options->security->wrap(options->security->data, fd, host, &client->carrier, text, sizeof text) == 0)
        return 0;
    (void)close(fd);
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "cannot secure the connection to %s: %s", address, text);
    return dd_client_fail(client, &failure);
}

int diskdelta_client_connect(diskdelta_client *client, const char *address, const diskdelta_client_options *given)
{
    if (client == NULL)
        return -1;
    disconnect(client);
    struct dd_failure failure;
    diskdelta_client_options options;
    if (!complete_options(given, &options) || address == NULL)
        return fail_as_malformed(client);
    uint64_t deadline = dd_now() + options.connect_timeout_ms;
    int fd = dd_connect(address, deadline, &failure);
    if (fd < 0)
        return dd_client_fail(client, &failure);
    return wrap(client, fd, address, &options) == 0 ? start(client, address, &options, deadline) : -1;
}

int diskdelta_client_connect_carrier(diskdelta_client *client, diskdelta_carrier carrier,
                                     const diskdelta_client_options *given)
{
    diskdelta_client_options options;
    if (client != NULL)
        disconnect(client);
    if (client == NULL || carrier.functions == NULL || !complete_options(given, &options)) {
        if (carrier.functions != NULL)
            carrier.functions->close(carrier.data);
        return client != NULL ? fail_as_malformed(client) : -1;
    }
    client->carrier = carrier;
    return start(client, "the server", &options, dd_now() + options.connect_timeout_ms);
}

void diskdelta_client_close(diskdelta_client *client)
{
    if (client == NULL)
        return;
    disconnect(client);
    diskdelta_allocator allocator = client->allocator;
    dd_release(&allocator, client->buffer);
    dd_release(&allocator, client);
}
