#include "link.h"

#include <unistd.h>

enum { READ_SIZE = 256 * 1024, READS_AT_ONCE = 16 };

void dd_link_init(struct dd_link *link, const diskdelta_allocator *allocator)
{
    *link = (struct dd_link){.allocator = *allocator};
    dd_connector_init(&link->connector);
}

static void fail(struct dd_link *link, const diskdelta_failure *failure)
{
    if (link->state == DD_LINK_FAILED)
        return;
    link->state = DD_LINK_FAILED;
    link->failure = *failure;
    dd_connector_stop(&link->connector);
    if (link->core != NULL)
        diskdelta_core_feed_end(link->core, failure);
}

/* ---- Connecting ------------------------------------------------------------------------------------------------ */

static void fail_without_memory(struct dd_link *link)
{
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the connection");
    fail(link, &failure);
}

/* The carrier stands: the core begins. */
static void introduce(struct dd_link *link)
{
    if (link->buffer == NULL)
        link->buffer = dd_allocate(&link->allocator, READ_SIZE);
    link->core = link->buffer != NULL ? diskdelta_core_create(&link->allocator, &link->plan->core) : NULL;
    if (link->core == NULL)
        return fail_without_memory(link);
    link->state = DD_LINK_INTRODUCING;
    diskdelta_core_advance(link->core, dd_now());
}

/* Puts the carrier that the plan names on a connected socket. */
static void carry(struct dd_link *link, int fd)
{
    const diskdelta_security *security = link->plan->security;
    char text[256] = "";
    int result = security == NULL
                     ? diskdelta_carrier_on_socket(fd, &link->allocator, &link->carrier)
                     : security->wrap(security->data, fd, link->connector.host, &link->carrier, text, sizeof text);
    if (result == 0)
        return introduce(link);
    (void)close(fd);
    link->carrier = (diskdelta_carrier){NULL, NULL};
    if (security == NULL)
        return fail_without_memory(link);
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_INVALID_PARAMETER, "cannot secure the connection to %s: %s", link->plan->address,
            text);
    fail(link, &failure);
}

static void connect_on(struct dd_link *link)
{
    diskdelta_failure failure;
    int fd = -1;
    enum dd_progress progress = dd_connector_step(&link->connector, link->plan->address, &fd, &failure);
    if (progress == DD_PROGRESS_DONE)
        carry(link, fd);
    else if (progress == DD_PROGRESS_FAILED)
        fail(link, &failure);
}

static void begin(struct dd_link *link, const struct dd_link_plan *plan)
{
    dd_link_close(link);
    link->plan = plan;
    link->deadline = dd_later(dd_now(), plan->timeout);
}

void dd_link_start(struct dd_link *link, const struct dd_link_plan *plan)
{
    begin(link, plan);
    diskdelta_failure failure;
    link->state = DD_LINK_CONNECTING;
    if (dd_connector_start(&link->connector, plan->address, &failure) == DD_PROGRESS_FAILED)
        fail(link, &failure);
}

void dd_link_start_on(struct dd_link *link, const struct dd_link_plan *plan, diskdelta_carrier carrier)
{
    begin(link, plan);
    link->carrier = carrier;
    introduce(link);
}

/* ---- Input and output ------------------------------------------------------------------------------------------ */

/* What the carrier gave, where it can't go on. */
static void fail_as_carrier(struct dd_link *link, ptrdiff_t result)
{
    diskdelta_failure failure;
    const char *text = result != 0 ? link->carrier.functions->error(link->carrier.data) : NULL;
    if (result == 0)
        dd_fail(&failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the server closed the connection");
    else if (result == DISKDELTA_CARRIER_REFUSED)
        dd_fail(&failure, DISKDELTA_REASON_UNAUTHENTICATED, "the connection was refused: %s", text);
    else
        dd_fail(&failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the connection to the server broke: %s", text);
    diskdelta_core_feed_end(link->core, &failure);
}

static void receive(struct dd_link *link)
{
    const diskdelta_carrier *carrier = &link->carrier;
    ptrdiff_t count = 1;
    for (int i = 0; i < READS_AT_ONCE && count > 0 && diskdelta_core_failure(link->core) == NULL; i++) {
        count = carrier->functions->read(carrier->data, link->buffer, READ_SIZE);
        if (count > READ_SIZE)
            count = DISKDELTA_CARRIER_BROKEN;
        if (count > 0)
            diskdelta_core_feed(link->core, link->buffer, (size_t)count);
        else if (count != DISKDELTA_CARRIER_WAIT)
            fail_as_carrier(link, count);
    }
    link->has_more = count > 0;
}

void dd_link_flush(struct dd_link *link)
{
    const diskdelta_carrier *carrier = &link->carrier;
    const uint8_t *bytes = NULL;
    size_t count = 0;
    while (link->core != NULL && carrier->functions != NULL &&
           (count = diskdelta_core_output(link->core, &bytes)) > 0) {
        ptrdiff_t sent = carrier->functions->write(carrier->data, bytes, count);
        if (sent <= 0 || (size_t)sent > count) {
            if (sent == DISKDELTA_CARRIER_REFUSED)
                fail_as_carrier(link, sent);
            /* Where the connection broke, receiving tells so, after what had still arrived. */
            return;
        }
        diskdelta_core_sent(link->core, (size_t)sent);
    }
}

static void close_carrier(struct dd_link *link)
{
    if (link->carrier.functions != NULL)
        link->carrier.functions->close(link->carrier.data);
    link->carrier = (diskdelta_carrier){NULL, NULL};
}

/*
 * The link has failed. Where the server is told why, nothing more is sent, and the carrier is closed later: closing it
 * at once could lose what is under way (P-54).
 */
static void part(struct dd_link *link)
{
    const uint8_t *bytes = NULL;
    if (link->failure.reason != DISKDELTA_REASON_ANSWER_INVALID)
        close_carrier(link);
    else if (diskdelta_core_output(link->core, &bytes) == 0)
        link->carrier.functions->finish(link->carrier.data);
}

/* Whether the link stands, has become ready, or is no more. */
static void judge(struct dd_link *link)
{
    if (diskdelta_core_is_ready(link->core)) {
        link->state = DD_LINK_READY;
        link->was_ready = true;
    }
    const diskdelta_failure *found = diskdelta_core_failure(link->core);
    if (found == NULL && link->state == DD_LINK_INTRODUCING)
        found = diskdelta_core_farewell(link->core);
    if (found != NULL) {
        fail(link, found);
        part(link);
    }
}

void dd_link_step(struct dd_link *link)
{
    if (link->state == DD_LINK_CONNECTING)
        connect_on(link);
    if (link->state == DD_LINK_INTRODUCING || link->state == DD_LINK_READY) {
        dd_link_flush(link);
        receive(link);
        diskdelta_core_advance(link->core, dd_now());
        dd_link_flush(link);
        judge(link);
    }
    if ((link->state == DD_LINK_CONNECTING || link->state == DD_LINK_INTRODUCING) && dd_now() >= link->deadline) {
        diskdelta_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_DEADLINE, "%s did not %s in time",
                link->plan->address != NULL ? link->plan->address : "the server",
                link->state == DD_LINK_CONNECTING ? "answer" : "introduce itself");
        fail(link, &failure);
        close_carrier(link);
    }
}

/* ---- Waiting --------------------------------------------------------------------------------------------------- */

int dd_link_fd(const struct dd_link *link)
{
    if (link->state == DD_LINK_CONNECTING)
        return link->connector.fd;
    if (link->state == DD_LINK_INTRODUCING || link->state == DD_LINK_READY)
        return link->carrier.functions->fd(link->carrier.data);
    return -1;
}

unsigned dd_link_direction(const struct dd_link *link)
{
    if (link->state == DD_LINK_CONNECTING)
        return DISKDELTA_DIRECTION_WRITE;
    if (link->state != DD_LINK_INTRODUCING && link->state != DD_LINK_READY)
        return 0;
    const uint8_t *bytes = NULL;
    bool has_output = diskdelta_core_output(link->core, &bytes) > 0;
    return link->carrier.functions->wants(link->carrier.data, has_output);
}

uint64_t dd_link_timeout(const struct dd_link *link)
{
    if (link->state == DD_LINK_CONNECTING)
        return link->deadline;
    if (link->state != DD_LINK_INTRODUCING && link->state != DD_LINK_READY)
        return DD_NEVER;
    if (link->has_more)
        return 0;
    uint64_t timeout = diskdelta_core_next_timeout(link->core);
    return link->state == DD_LINK_INTRODUCING && link->deadline < timeout ? link->deadline : timeout;
}

/* ---- Closing --------------------------------------------------------------------------------------------------- */

void dd_link_close(struct dd_link *link)
{
    dd_connector_stop(&link->connector);
    dd_link_flush(link);
    diskdelta_core_free(link->core);
    link->core = NULL;
    /* Something left unread would make the system throw away what is under way to the server (P-54). */
    if (link->carrier.functions != NULL && link->state == DD_LINK_FAILED)
        (void)link->carrier.functions->read(link->carrier.data, link->buffer, READ_SIZE);
    close_carrier(link);
    link->state = DD_LINK_NONE;
    link->was_ready = false;
    link->has_more = false;
}

void dd_link_free(struct dd_link *link)
{
    dd_link_close(link);
    dd_release(&link->allocator, link->buffer);
    link->buffer = NULL;
}
