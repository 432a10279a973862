#include "client.h"

#include "call.h"
#include "connect.h"
#include "conversion.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
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
    client->fd = -1;
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

void dd_client_flush(diskdelta_client *client)
{
    const uint8_t *bytes = NULL;
    size_t count = 0;
    while ((count = dd_core_output(client->core, &bytes)) > 0) {
        ssize_t sent = send(client->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            dd_core_sent(client->core, (size_t)sent);
        } else if (sent < 0 && errno == EINTR) {
            continue;
        } else {
            /* Where the connection broke, receiving tells so, after what had still arrived. */
            return;
        }
    }
}

static void receive(diskdelta_client *client)
{
    ssize_t count = recv(client->fd, client->buffer, DD_READ_SIZE, MSG_DONTWAIT);
    if (count > 0)
        dd_core_feed(client->core, client->buffer, (size_t)count);
    else if (count == 0)
        dd_core_feed_end(client->core, "the server closed the connection");
    else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
        dd_core_feed_end(client->core, "the connection to the server broke");
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
    struct pollfd entry = {.fd = client->fd, .events = (short)(has_output ? POLLIN | POLLOUT : POLLIN)};
    int ready = poll(&entry, 1, dd_until(deadline));
    dd_core_advance(core, dd_now());
    if (ready < 0 && errno != EINTR)
        dd_core_feed_end(core, "cannot wait for the connection to the server");
    if (ready > 0 && (entry.revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL)) != 0)
        receive(client);
    dd_client_flush(client);
    /* After a GOAWAY nothing more is sent (P-54). */
    if (dd_core_failure(core) != NULL && dd_core_output(core, &bytes) == 0)
        (void)shutdown(client->fd, SHUT_WR);
}

/* ---- Connecting ------------------------------------------------------------------------------------------------ */

static void disconnect(diskdelta_client *client)
{
    struct dd_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_CANCELLED, "the client was closed");
    while (client->streams != NULL)
        dd_call_abandon(client->streams, &failure);
    if (client->core != NULL && client->fd >= 0)
        dd_client_flush(client);
    dd_core_free(client->core);
    client->core = NULL;
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
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
    return true;
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

int diskdelta_client_connect(diskdelta_client *client, const char *address, const diskdelta_client_options *given)
{
    if (client == NULL)
        return -1;
    disconnect(client);
    struct dd_failure failure;
    diskdelta_client_options options;
    bool is_complete = complete_options(given, &options);
    struct dd_settings settings = {.max_frame = options.max_frame,
                                   .stream_credit = options.stream_credit,
                                   .connection_credit = options.connection_credit};
    if (!is_complete || !dd_settings_are_valid(&settings) || address == NULL) {
        dd_fail(&failure, DISKDELTA_REASON_INVALID_PARAMETER, "the address or the options of the client are not valid");
        return dd_client_fail(client, &failure);
    }
    uint64_t deadline = dd_now() + options.connect_timeout_ms;
    client->fd = dd_connect(address, deadline, &failure);
    if (client->fd < 0)
        return dd_client_fail(client, &failure);
    client->core = dd_core_create(&client->allocator, &settings);
    if (client->buffer == NULL)
        client->buffer = dd_allocate(&client->allocator, DD_READ_SIZE);
    if (client->core == NULL || client->buffer == NULL) {
        disconnect(client);
        dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the connection");
        return dd_client_fail(client, &failure);
    }
    int result = shake_hands(client, address, deadline);
    if (result != 0)
        disconnect(client);
    return result;
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
