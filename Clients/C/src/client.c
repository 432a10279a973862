#include "client.h"

#include "backoff.h"
#include "core_options.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
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
    client->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->wake < 0) {
        dd_release(&allocator, client);
        return NULL;
    }
    client->allocator = allocator;
    client->backoff = dd_backoff;
    client->random = dd_now() ^ (uint64_t)(uintptr_t)client << 16;
    atomic_init(&client->is_cancelled, false);
    dd_link_init(&client->link, &client->allocator);
    dd_error_init(&client->error);
    dd_fail(&client->last_failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the client is not connected");
    return client;
}

const diskdelta_error *diskdelta_client_error(const diskdelta_client *client)
{
    return client != NULL ? &client->error.public : &dd_error_without_handle;
}

int dd_client_fail(diskdelta_client *client, const diskdelta_failure *failure)
{
    dd_error_set(&client->error, failure);
    return -1;
}

/* ---- Cancelling ------------------------------------------------------------------------------------------------ */

void diskdelta_client_cancel(diskdelta_client *client)
{
    if (client == NULL)
        return;
    int kept = errno;
    atomic_store(&client->is_cancelled, true);
    /* Where it can't be written there are wishes enough in it. */
    uint64_t one = 1;
    ssize_t written = write(client->wake, &one, sizeof one);
    (void)written;
    errno = kept;
}

unsigned dd_client_cancels(diskdelta_client *client)
{
    if (atomic_exchange(&client->is_cancelled, false)) {
        uint64_t count;
        ssize_t taken = read(client->wake, &count, sizeof count);
        (void)taken;
        client->cancels++;
    }
    return client->cancels;
}

/* ---- The link -------------------------------------------------------------------------------------------------- */

/* Whether trying again could help. */
static bool is_passing(const diskdelta_failure *failure)
{
    return failure->reason == DISKDELTA_REASON_SERVER_UNAVAILABLE || failure->reason == DISKDELTA_REASON_DEADLINE;
}

static void notice(diskdelta_client *client)
{
    struct dd_link *link = &client->link;
    if (link->was_ready && !client->has_noticed) {
        client->was_ready = true;
        client->failures = 0;
    }
    if (link->state == DD_LINK_FAILED && !client->has_noticed) {
        client->has_noticed = true;
        client->last_failure = link->failure;
        if (client->failures > 0)
            client->was_ready = false;
        client->failures++;
        client->next_attempt = dd_later(dd_now(), client->backoff(client->failures, dd_random(&client->random)));
    }
}

static void start(diskdelta_client *client)
{
    client->has_noticed = false;
    dd_link_start(&client->link, &client->plan);
    notice(client);
}

enum dd_reach dd_client_reach(diskdelta_client *client)
{
    struct dd_link *link = &client->link;
    if (link->state == DD_LINK_CONNECTING || link->state == DD_LINK_INTRODUCING)
        return DD_REACH_COMING;
    if (link->state == DD_LINK_READY) {
        const diskdelta_failure *farewell = diskdelta_core_farewell(link->core);
        if (farewell == NULL)
            return DD_REACH_READY;
        client->last_failure = *farewell;
        if (client->address == NULL)
            return DD_REACH_NEVER;
        /* The calls that are left go on to their ends on the connection there is. */
        if (diskdelta_core_open_count(link->core) > 0)
            return DD_REACH_LATER;
        client->next_attempt = 0;
    } else if (client->address == NULL || !is_passing(&client->last_failure)) {
        return DD_REACH_NEVER;
    }
    if (dd_now() < client->next_attempt)
        return client->was_ready ? DD_REACH_COMING : DD_REACH_LATER;
    start(client);
    if (link->state != DD_LINK_FAILED)
        return DD_REACH_COMING;
    return is_passing(&link->failure) ? DD_REACH_LATER : DD_REACH_NEVER;
}

void dd_client_step(diskdelta_client *client)
{
    dd_link_step(&client->link);
    notice(client);
    if (client->pending != NULL)
        (void)dd_client_reach(client);
}

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

uint64_t dd_client_timeout(const diskdelta_client *client)
{
    uint64_t timeout = dd_link_timeout(&client->link);
    for (const struct dd_pending *pending = client->pending; pending != NULL; pending = pending->next)
        timeout = least(timeout, pending->until);
    bool is_to_connect = client->pending != NULL && client->link.state == DD_LINK_FAILED && client->address != NULL &&
                         is_passing(&client->last_failure);
    return is_to_connect ? least(timeout, client->next_attempt) : timeout;
}

void dd_client_tend(diskdelta_client *client)
{
    if (dd_until(dd_client_timeout(client)) == 0)
        dd_client_step(client);
}

void dd_client_wait(diskdelta_client *client)
{
    unsigned wanted = dd_link_direction(&client->link);
    struct pollfd entries[2] = {
        {.fd = dd_link_fd(&client->link),
         .events = (short)(((wanted & DISKDELTA_DIRECTION_READ) != 0 ? POLLIN : 0) |
                           ((wanted & DISKDELTA_DIRECTION_WRITE) != 0 ? POLLOUT : 0))},
        {.fd = client->wake, .events = POLLIN},
    };
    /* An interruption is as good a reason to look again as any. */
    (void)poll(entries, 2, dd_until(dd_client_timeout(client)));
}

void dd_client_add_pending(diskdelta_client *client, struct dd_pending *pending)
{
    pending->next = client->pending;
    client->pending = pending;
}

void dd_client_remove_pending(diskdelta_client *client, struct dd_pending *pending)
{
    for (struct dd_pending **link = &client->pending; *link != NULL; link = &(*link)->next) {
        if (*link == pending) {
            *link = pending->next;
            return;
        }
    }
}

/* ---- Connecting ------------------------------------------------------------------------------------------------ */

/* What the options say, with the defaults of what they leave out. False where a value is not allowed. */
static bool make_plan(const diskdelta_client_options *given, struct dd_link_plan *plan)
{
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    if (given != NULL && !dd_copy_sized(&options, sizeof options, given))
        return false;
    *plan = (struct dd_link_plan){
        .security = options.security,
        .core = DISKDELTA_CORE_OPTIONS_INIT,
        .timeout = options.connect_timeout_ms != 0 ? options.connect_timeout_ms : 5000,
    };
    plan->core.max_frame = options.max_frame;
    plan->core.stream_credit = options.stream_credit;
    plan->core.connection_credit = options.connection_credit;
    plan->core.keepalive_ms = options.keepalive_ms;
    plan->core.keepalive_timeout_ms = options.keepalive_timeout_ms;
    return dd_core_options_are_valid(&plan->core);
}

/* Forgets the connection and where it went. */
static void disconnect(diskdelta_client *client)
{
    dd_link_close(&client->link);
    dd_release(&client->allocator, client->address);
    client->address = NULL;
    client->failures = 0;
    client->was_ready = false;
    client->has_noticed = false;
    client->next_attempt = 0;
    dd_fail(&client->last_failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the client is not connected");
}

static int fail_as_malformed(diskdelta_client *client)
{
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_INVALID_PARAMETER, "the address or the options of the client are not valid");
    return dd_client_fail(client, &failure);
}

int diskdelta_client_finish_connecting(diskdelta_client *client)
{
    if (client == NULL)
        return -1;
    unsigned cancels = client->cancels;
    for (;;) {
        notice(client);
        if (client->link.was_ready)
            return 0;
        if (client->link.state == DD_LINK_NONE || client->link.state == DD_LINK_FAILED)
            return dd_client_fail(client, &client->last_failure);
        if (dd_client_cancels(client) != cancels) {
            disconnect(client);
            diskdelta_failure failure;
            dd_fail(&failure, DISKDELTA_REASON_CANCELLED, "connecting was cancelled");
            return dd_client_fail(client, &failure);
        }
        dd_link_step(&client->link);
        if (client->link.state != DD_LINK_CONNECTING && client->link.state != DD_LINK_INTRODUCING)
            continue;
        if (client->never_waits)
            return DISKDELTA_WOULD_WAIT;
        dd_client_wait(client);
    }
}

int diskdelta_client_connect(diskdelta_client *client, const char *address, const diskdelta_client_options *options)
{
    if (client == NULL)
        return -1;
    disconnect(client);
    if (address == NULL || !make_plan(options, &client->plan))
        return fail_as_malformed(client);
    size_t size = strlen(address) + 1;
    client->address = dd_allocate(&client->allocator, size);
    if (client->address == NULL) {
        diskdelta_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the connection");
        return dd_client_fail(client, &failure);
    }
    memcpy(client->address, address, size);
    client->plan.address = client->address;
    start(client);
    return diskdelta_client_finish_connecting(client);
}

int diskdelta_client_connect_carrier(diskdelta_client *client, diskdelta_carrier carrier,
                                     const diskdelta_client_options *options)
{
    if (client != NULL)
        disconnect(client);
    bool is_whole = carrier.functions != NULL && carrier.functions->struct_size >= sizeof(diskdelta_carrier_functions);
    if (client == NULL || !is_whole || !make_plan(options, &client->plan)) {
        if (is_whole)
            carrier.functions->close(carrier.data);
        return client != NULL ? fail_as_malformed(client) : -1;
    }
    dd_link_start_on(&client->link, &client->plan, carrier);
    return diskdelta_client_finish_connecting(client);
}

/* ---- Closing --------------------------------------------------------------------------------------------------- */

void dd_client_retain(diskdelta_client *client)
{
    client->users++;
}

static void free_client(diskdelta_client *client)
{
    diskdelta_allocator allocator = client->allocator;
    (void)close(client->wake);
    dd_release(&allocator, client->query_epoch);
    dd_release(&allocator, client);
}

void dd_client_release(diskdelta_client *client)
{
    client->users--;
    if (client->is_closed && client->users == 0)
        free_client(client);
}

void diskdelta_client_close(diskdelta_client *client)
{
    if (client == NULL)
        return;
    disconnect(client);
    dd_link_free(&client->link);
    client->is_closed = true;
    if (client->users == 0)
        free_client(client);
}
