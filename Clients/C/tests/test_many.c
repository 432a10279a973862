/* Answers about many disks: each disk gets exactly one end, and is complete only where that is proven. */
#include "client.h"
#include "disk.h"
#include "fake_server.h"
#include "striped.h"
#include "test.h"

#include "diskdelta/v1/image_management.pb-c.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The disks `0` to `4` of the request are striped ones, but for REFUSED, which is none. */
enum { DISKS = 5, REFUSED = 2 };

_Static_assert(sizeof(struct dd_disk) < 1024, "diskdelta/many.h says what a disk takes");

/* How the server answers one question after another, each on whatever connection it comes. */
struct plan {
    struct fake_script script;
    struct fake_server *server;
    /* In which order the messages of the disks come. */
    uint64_t seed;
    /* The bytes of an answer after which the connection ends, for the first `cuts` answers. */
    size_t cut;
    unsigned cuts;
    /* After so many bytes END (UNAVAILABLE) or CANCEL, in place of cutting. */
    bool stops;
    bool cancels;
    /* What becomes of disk 0 in the answers after the first. */
    diskdelta_reason refuses;
    const char *epoch;
    /* The client waits as long as the protocol says. */
    bool is_patient;

    /* What was asked, and whether it was what should be. */
    unsigned asked;
    bool is_wrong;
    size_t whole;
    /* What of each disk was sent whole. */
    bool has_header[DISKS];
    bool has_end[DISKS];
    uint64_t position[DISKS];
};

/* ---- The server ------------------------------------------------------------------------------------------------ */

static uint32_t random_number(struct plan *plan, uint32_t below)
{
    plan->seed = plan->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(plan->seed >> 33) % below;
}

/* Takes the request apart: of which disks it is, from where on. Nothing that was told before is asked again. */
static size_t take_request(struct plan *plan, const struct bytes *request, size_t *disks, uint64_t *offsets)
{
    Diskdelta__V1__GetVirtualDiskChangesBatchRequest *batch =
        diskdelta__v1__get_virtual_disk_changes_batch_request__unpack(NULL, request->size, request->data);
    size_t count = 0;
    bool is_asked[DISKS] = {false};
    for (; batch != NULL && count < batch->n_disks && count < DISKS; count++) {
        const Diskdelta__V1__GetVirtualDiskChangesRequest *disk = batch->disks[count];
        size_t number = (size_t)strtoul(disk->path, NULL, 10) % DISKS;
        disks[count] = number;
        offsets[count] = disk->byte_offset;
        is_asked[number] = true;
        plan->is_wrong |= strcmp(disk->limit_id, "{1}") != 0 || disk->byte_offset != plan->position[number] ||
                          (strcmp(disk->if_epoch, "e1") == 0) != plan->has_header[number];
        if (plan->has_header[number])
            plan->is_wrong |= disk->byte_length != STRIPED_SIZE - disk->byte_offset;
    }
    for (size_t i = 0; i < DISKS; i++)
        plan->is_wrong |= is_asked[i] == plan->has_end[i];
    diskdelta__v1__get_virtual_disk_changes_batch_request__free_unpacked(batch, NULL);
    return count;
}

/* Which disk the next header is about. */
static void name_disk(size_t disk)
{
    static char path[2];
    path[0] = (char)('0' + disk % 10);
    told_header.disk = path;
}

/* The answer about one disk, alone. */
static void append_single(const struct plan *plan, struct bytes *bytes, size_t disk, uint64_t offset)
{
    bool is_other = disk == 0 && plan->asked > 1;
    name_disk(disk);
    if (disk == REFUSED)
        append_refusal(bytes, 1, DISKDELTA_REASON_BASELINE_UNKNOWN, "nothing bears the id {1}");
    else if (is_other && plan->refuses != DISKDELTA_REASON_NONE)
        append_refusal(bytes, 1, plan->refuses, "not any more");
    else
        append_striped(bytes, 1, offset, is_other && plan->epoch != NULL ? plan->epoch : "e1");
}

static void append_many(struct plan *plan, struct bytes *bytes, uint32_t stream, size_t count, const size_t *disks,
                        const uint64_t *offsets)
{
    struct bytes singles[DISKS] = {{0}};
    size_t at[DISKS] = {0};
    size_t left = count;
    uint32_t number = 0;
    for (size_t i = 0; i < count; i++)
        append_single(plan, &singles[i], disks[i], offsets[i]);
    while (left > 0) {
        uint32_t next = random_number(plan, (uint32_t)count);
        if (!append_of_disk(bytes, stream, number, next, &singles[next], &at[next]))
            continue;
        number++;
        left -= at[next] == singles[next].size ? 1 : 0;
    }
    append_plain_end(bytes, stream);
    for (size_t i = 0; i < count; i++)
        bytes_free(&singles[i]);
}

/* Remembers what is whole of what was sent. */
static void remember(struct plan *plan, const struct bytes *bytes, const size_t *disks)
{
    for (size_t at = 0; bytes->size - at >= DD_HEADER_SIZE;) {
        struct dd_header header = dd_header_decode(bytes->data + at);
        if (bytes->size - at < DD_HEADER_SIZE + header.length)
            return;
        const uint8_t *payload = bytes->data + at + DD_HEADER_SIZE;
        at += DD_HEADER_SIZE + header.length;
        if (header.type != DD_FRAME_DATA)
            continue;
        Diskdelta__V1__BatchRangeAnswer *message =
            diskdelta__v1__batch_range_answer__unpack(NULL, header.length, payload);
        size_t disk = disks[message->disk];
        if (message->part_case == DISKDELTA__V1__BATCH_RANGE_ANSWER__PART_END)
            plan->has_end[disk] = true;
        else if (message->answer->part_case == DISKDELTA__V1__RANGE_ANSWER__PART_HEADER)
            plan->has_header[disk] = true;
        else
            plan->position[disk] = message->answer->runs->processed_end;
        diskdelta__v1__batch_range_answer__free_unpacked(message, NULL);
    }
}

static void serve(int fd, void *context)
{
    struct plan *plan = context;
    struct fake_call call;
    while (fake_receive_call(fd, &call)) {
        size_t disks[DISKS];
        uint64_t offsets[DISKS];
        plan->asked++;
        size_t count = take_request(plan, &call.request, disks, offsets);
        bytes_free(&call.request);
        struct bytes bytes = {0};
        append_many(plan, &bytes, call.stream, count, disks, offsets);
        plan->whole = plan->asked == 1 ? bytes.size : plan->whole;
        bool is_cut = plan->asked <= plan->cuts && plan->cut < bytes.size;
        if (is_cut)
            bytes.size = plan->cut;
        remember(plan, &bytes, disks);
        if (is_cut && plan->stops)
            append_refusal(&bytes, call.stream, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the server is stopping");
        if (is_cut && plan->cancels)
            append_frame(&bytes, DD_FRAME_CANCEL, call.stream, DISKDELTA_STATUS_UNAVAILABLE, NULL, 0);
        bool is_well = fake_send(fd, &bytes);
        bytes_free(&bytes);
        if (!is_well || (is_cut && !plan->stops && !plan->cancels))
            return;
    }
}

static int set_up(void **state)
{
    static struct plan plan;
    memset(&plan, 0, sizeof plan);
    const char *given = getenv("DISKDELTA_SEED");
    plan.seed = given != NULL ? strtoull(given, NULL, 10) : 4711;
    print_message("seed %llu\n", (unsigned long long)plan.seed);
    append_hello(&plan.script.hello);
    plan.script.takes_opens = true;
    plan.script.go_on = serve;
    plan.script.context = &plan;
    plan.server = fake_server_start(&plan.script);
    *state = &plan;
    return 0;
}

static int tear_down(void **state)
{
    struct plan *plan = *state;
    fake_server_stop(plan->server);
    bytes_free(&plan->script.hello);
    bytes_free(&plan->script.answer);
    return 0;
}

/* ---- The client ------------------------------------------------------------------------------------------------ */

/* What was handed out of a disk. */
struct heard {
    bool has_header;
    size_t ranges;
    uint64_t unit;
    /* 0 where there was none. */
    diskdelta_disk_event_type end;
    diskdelta_reason reason;
    uint64_t resume_offset;
    uint64_t position;
};

struct asked {
    int result;
    diskdelta_reason reason;
    char message[256];
    size_t events;
    struct heard disks[DISKS];
};

/* A millisecond in place of the protocol's times. */
static uint32_t hurry(unsigned failures, uint32_t random)
{
    (void)failures;
    (void)random;
    return 1;
}

static void hear(struct heard *heard, const diskdelta_many_changes *many, const diskdelta_disk_event *event)
{
    assert_int_equal(heard->end, 0);
    assert_int_equal(event->header != NULL, event->type == DISKDELTA_DISK_HEADER);
    assert_int_equal(event->batch != NULL, event->type == DISKDELTA_DISK_BATCH);
    assert_int_equal(event->totals != NULL, event->type == DISKDELTA_DISK_COMPLETE);
    assert_int_equal(event->error != NULL, event->type == DISKDELTA_DISK_FAILED);
    switch (event->type) {
    case DISKDELTA_DISK_HEADER:
        assert_false(heard->has_header);
        heard->has_header = true;
        assert_int_equal(event->header->size, STRIPED_SIZE);
        assert_string_equal(event->header->epoch, "e1");
        assert_ptr_equal(event->header, diskdelta_many_changes_header(many, event->disk));
        break;
    case DISKDELTA_DISK_BATCH:
        assert_true(heard->has_header);
        for (size_t i = 0; i < event->batch->count; i++)
            assert_true(striped_is_next(&event->batch->ranges[i], &heard->unit));
        heard->ranges += event->batch->count;
        assert_true(event->batch->processed_end > heard->position);
        heard->position = event->batch->processed_end;
        break;
    case DISKDELTA_DISK_COMPLETE:
        assert_int_equal(heard->ranges, STRIPED_RANGES);
        assert_int_equal(event->totals->ranges, STRIPED_RANGES);
        assert_int_equal(event->totals->processed, STRIPED_SIZE);
        assert_int_equal(event->totals->bytes, STRIPED_RANGES * 512);
        heard->end = event->type;
        break;
    case DISKDELTA_DISK_FAILED:
        heard->end = event->type;
        heard->reason = event->error->reason;
        assert_true(event->error->has_resume_offset);
        assert_int_equal(event->error->resume_offset, heard->position);
        assert_true(strlen(event->error->message) > 0);
        break;
    default:
        fail_msg("there is no event %d", (int)event->type);
    }
}

static diskdelta_many_changes *open_many(diskdelta_client *client, uint32_t patience, uint32_t timeout)
{
    char paths[DISKS][2];
    char limit_id[] = "{1}";
    diskdelta_get_virtual_disk_changes_request requests[DISKS];
    const diskdelta_get_virtual_disk_changes_request *disks[DISKS];
    for (size_t i = 0; i < DISKS; i++) {
        snprintf(paths[i], sizeof paths[i], "%u", (unsigned)i % 10);
        requests[i] = (diskdelta_get_virtual_disk_changes_request)DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
        requests[i].path = paths[i];
        requests[i].limit_id = limit_id;
        disks[i] = &requests[i];
    }
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    request.disks = disks;
    request.disks_count = DISKS;
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.patience_ms = patience;
    options.timeout_ms = timeout;
    diskdelta_many_changes *many = diskdelta_get_virtual_disk_changes_batch(client, &request, &options);
    /* The library has its own copy. */
    memset(paths, 'x', sizeof paths);
    memset(limit_id, 'x', sizeof limit_id);
    memset(requests, 0, sizeof requests);
    memset(disks, 0, sizeof disks);
    return many;
}

/* Reads to the end, and checks what holds of every one. */
static void read_many(diskdelta_many_changes *many, struct asked *asked)
{
    const diskdelta_disk_event *event = NULL;
    while ((asked->result = diskdelta_many_changes_next(many, &event)) == 1) {
        assert_true(event->disk < DISKS);
        hear(&asked->disks[event->disk], many, event);
        asked->events++;
    }
    assert_null(event);
    const diskdelta_error *error = diskdelta_many_changes_error(many);
    asked->reason = error->reason;
    snprintf(asked->message, sizeof asked->message, "%s", error->message);
    assert_int_equal(asked->reason == DISKDELTA_REASON_NONE, asked->result == 0);
    /* It stays as it is. */
    assert_int_equal(diskdelta_many_changes_next(many, &event), asked->result);
    for (size_t i = 0; i < DISKS; i++) {
        assert_int_not_equal(asked->disks[i].end, 0);
        assert_int_equal(asked->disks[i].has_header, diskdelta_many_changes_header(many, i) != NULL);
    }
    assert_null(diskdelta_many_changes_header(many, DISKS));
}

static diskdelta_client *connect_to(const struct plan *plan)
{
    diskdelta_client *client = diskdelta_client_create(NULL);
    client->backoff = plan->is_patient ? client->backoff : hurry;
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(plan->server), NULL), 0);
    return client;
}

static struct asked ask(struct plan *plan, uint32_t patience, uint32_t timeout)
{
    plan->asked = 0;
    memset(plan->has_header, 0, sizeof plan->has_header);
    memset(plan->has_end, 0, sizeof plan->has_end);
    memset(plan->position, 0, sizeof plan->position);
    struct asked asked = {0};
    diskdelta_client *client = connect_to(plan);
    diskdelta_many_changes *many = open_many(client, patience, timeout);
    assert_non_null(many);
    read_many(many, &asked);
    diskdelta_many_changes_close(many);
    diskdelta_client_close(client);
    return asked;
}

/* Each disk has the end that it should have. */
static void assert_answered(const struct plan *plan, const struct asked *asked)
{
    assert_int_equal(asked->result, 0);
    assert_false(plan->is_wrong);
    for (size_t i = 0; i < DISKS; i++) {
        bool is_refused = i == REFUSED;
        assert_int_equal(asked->disks[i].end, is_refused ? DISKDELTA_DISK_FAILED : DISKDELTA_DISK_COMPLETE);
        assert_int_equal(asked->disks[i].reason,
                         is_refused ? DISKDELTA_REASON_BASELINE_UNKNOWN : DISKDELTA_REASON_NONE);
    }
}

/* ---- Whole answers --------------------------------------------------------------------------------------------- */

static void test_in_any_order(void **state)
{
    struct plan *plan = *state;
    for (int round = 0; round < 50; round++) {
        struct asked asked = ask(plan, 0, 0);
        assert_answered(plan, &asked);
        assert_int_equal(plan->asked, 1);
    }
}

static void test_no_disks(void **state)
{
    struct plan *plan = *state;
    append_plain_end(&plan->script.answer, 1);
    plan->script.takes_opens = false;
    diskdelta_client *client = connect_to(plan);
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    diskdelta_many_changes *many = diskdelta_get_virtual_disk_changes_batch(client, &request, NULL);
    const diskdelta_disk_event *event = NULL;
    assert_int_equal(diskdelta_many_changes_next(many, &event), 0);
    diskdelta_many_changes_close(many);
    diskdelta_client_close(client);
}

static void test_malformed_requests(void **state)
{
    struct plan *plan = *state;
    diskdelta_client *client = connect_to(plan);
    diskdelta_get_virtual_disk_changes_request disk = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    disk.struct_size = 0;
    const diskdelta_get_virtual_disk_changes_request *disks[] = {&disk};
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    request.disks = disks;
    request.disks_count = 1;
    assert_null(diskdelta_get_virtual_disk_changes_batch(client, &request, NULL));
    assert_int_equal(diskdelta_client_error(client)->reason, DISKDELTA_REASON_INVALID_PARAMETER);
    assert_null(diskdelta_get_virtual_disk_changes_batch(client, NULL, NULL));
    assert_int_equal(diskdelta_client_error(client)->reason, DISKDELTA_REASON_INVALID_PARAMETER);
    assert_null(diskdelta_get_virtual_disk_changes_batch(NULL, &request, NULL));
    diskdelta_client_close(client);

    const diskdelta_disk_event *event = NULL;
    assert_int_equal(diskdelta_many_changes_next(NULL, &event), -1);
    assert_int_equal(diskdelta_many_changes_error(NULL)->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_null(diskdelta_many_changes_header(NULL, 0));
    diskdelta_many_changes_close(NULL);
}

/* In a loop of the program's own. */
static void test_without_waiting(void **state)
{
    struct plan *plan = *state;
    plan->cut = 900;
    plan->cuts = 1;
    plan->script.piece = 7;
    struct asked asked = {0};
    diskdelta_client *client = connect_to(plan);
    diskdelta_client_set_waiting(client, false);
    diskdelta_many_changes *many = open_many(client, 20000, 0);
    const diskdelta_disk_event *event = NULL;
    int more;
    while ((more = diskdelta_many_changes_next(many, &event)) > 0) {
        if (more == 1) {
            hear(&asked.disks[event->disk], many, event);
            continue;
        }
        unsigned direction = diskdelta_client_direction(client);
        struct pollfd entry = {.fd = diskdelta_client_fd(client)};
        entry.events = (short)(((direction & DISKDELTA_DIRECTION_READ) != 0 ? POLLIN : 0) |
                               ((direction & DISKDELTA_DIRECTION_WRITE) != 0 ? POLLOUT : 0));
        if (poll(&entry, 1, diskdelta_client_timeout_ms(client)) == 0)
            diskdelta_client_notify_timeout(client);
        if ((entry.revents & POLLOUT) != 0)
            diskdelta_client_notify_writable(client);
        if ((entry.revents & ~POLLOUT) != 0)
            diskdelta_client_notify_readable(client);
    }
    asked.result = more;
    assert_answered(plan, &asked);
    assert_int_equal(plan->asked, 2);
    diskdelta_many_changes_close(many);
    diskdelta_client_close(client);
}

/* ---- Breaking off ---------------------------------------------------------------------------------------------- */

/* Wherever it is cut, what was asked again is what was missing, and all of it arrives. */
static void test_cut_at_every_byte(void **state)
{
    struct plan *plan = *state;
    uint64_t seed = plan->seed;
    struct asked whole = ask(plan, 0, 0);
    assert_answered(plan, &whole);
    size_t size = plan->whole;
    plan->cuts = 1;
    size_t resumed = 0;
    size_t without_end = 0;
    for (plan->cut = 0; plan->cut < size; plan->cut++) {
        plan->seed = seed;
        struct asked asked = ask(plan, 0, 0);
        if (asked.events == DISKS && asked.result == -1) {
            /* Nothing had come. */
            assert_int_equal(asked.reason, DISKDELTA_REASON_SERVER_UNAVAILABLE);
            for (size_t i = 0; i < DISKS; i++)
                assert_int_equal(asked.disks[i].reason, DISKDELTA_REASON_SERVER_UNAVAILABLE);
            assert_int_equal(plan->asked, 1);
            continue;
        }
        assert_answered(plan, &asked);
        assert_int_equal(asked.events, whole.events);
        resumed += plan->asked == 2 ? 1 : 0;
        without_end += plan->asked == 1 ? 1 : 0;
    }
    assert_true(resumed > 1000);
    /* All disks had their ends, and only the call's is cut. */
    assert_true(without_end > 10 && without_end < 100);
}

static void test_cut_again_and_again(void **state)
{
    struct plan *plan = *state;
    plan->cut = 400;
    plan->cuts = 1000;
    struct asked asked = ask(plan, 20000, 0);
    assert_answered(plan, &asked);
    assert_true(plan->asked > 5);
}

static void test_server_that_stops(void **state)
{
    struct plan *plan = *state;
    /* Between two messages: what comes of a stream is whole. */
    plan->seed = 1;
    struct asked asked = ask(plan, 0, 0);
    assert_answered(plan, &asked);
    for (int round = 0; round < 2; round++) {
        plan->seed = 1;
        plan->cuts = 1;
        plan->stops = round == 0;
        plan->cancels = round == 1;
        plan->cut = 0;
        struct bytes bytes = {0};
        size_t disks[DISKS] = {0, 1, 2, 3, 4};
        append_many(plan, &bytes, 1, DISKS, disks, (const uint64_t[DISKS]){0});
        for (int message = 0; message < 20; message++)
            plan->cut += DD_HEADER_SIZE + dd_load32(bytes.data + plan->cut);
        bytes_free(&bytes);
        plan->seed = 1;
        asked = ask(plan, 0, 0);
        assert_answered(plan, &asked);
        assert_int_equal(plan->asked, 2);
    }
}

static void test_no_patience(void **state)
{
    struct plan *plan = *state;
    plan->cuts = 1;
    bool had_all = false;
    bool had_unavailable = false;
    bool had_incomplete = false;
    for (plan->cut = 150; plan->cut < 2400; plan->cut += 150) {
        struct asked asked = ask(plan, DISKDELTA_OFF, 0);
        assert_int_equal(plan->asked, 1);
        if (asked.result == 0)
            continue;
        assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INCOMPLETE);
        for (size_t i = 0; i < DISKS; i++) {
            const struct heard *heard = &asked.disks[i];
            if (plan->has_end[i]) {
                had_all = true;
                assert_true(heard->reason == DISKDELTA_REASON_NONE ||
                            heard->reason == DISKDELTA_REASON_BASELINE_UNKNOWN);
                continue;
            }
            had_unavailable |= !heard->has_header;
            had_incomplete |= heard->has_header;
            assert_int_equal(heard->reason, heard->has_header ? DISKDELTA_REASON_ANSWER_INCOMPLETE
                                                              : DISKDELTA_REASON_SERVER_UNAVAILABLE);
        }
    }
    assert_true(had_all && had_unavailable && had_incomplete);
}

/* Nothing but a header, ever: the patience runs out. */
static void test_no_progress(void **state)
{
    struct plan *plan = *state;
    struct bytes header = {0};
    struct bytes single = {0};
    size_t at = 0;
    name_disk(1);
    append_part_header(&single, 1, STRIPED_SIZE, 0, "e1");
    append_of_disk(&header, 1, 0, 1, &single, &at);
    plan->cut = header.size;
    bytes_free(&single);
    bytes_free(&header);
    plan->cuts = 1000;
    plan->is_patient = true;
    struct asked asked = ask(plan, 700, 0);
    assert_int_equal(asked.result, -1);
    assert_true(plan->asked < 12);
}

static void test_another_epoch_of_one_disk(void **state)
{
    struct plan *plan = *state;
    /* So that disk 0 is cut in two. */
    plan->seed = 1;
    plan->cut = 700;
    plan->cuts = 1;
    plan->refuses = DISKDELTA_REASON_EPOCH_CHANGED;
    struct asked asked = ask(plan, 0, 0);
    assert_int_equal(asked.result, 0);
    assert_int_equal(asked.disks[0].reason, DISKDELTA_REASON_EPOCH_CHANGED);
    for (size_t i = 1; i < DISKS; i++)
        assert_int_equal(asked.disks[i].reason,
                         i == REFUSED ? DISKDELTA_REASON_BASELINE_UNKNOWN : DISKDELTA_REASON_NONE);
}

static void test_header_that_does_not_repeat(void **state)
{
    struct plan *plan = *state;
    /* So that disk 0 is cut in two. */
    plan->seed = 1;
    plan->cut = 700;
    plan->cuts = 1;
    plan->epoch = "e2";
    struct asked asked = ask(plan, 0, 0);
    assert_true(plan->has_header[0]);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INVALID);
    assert_non_null(strstr(asked.message, "of disk 0: P-92"));
}

/* ---- Answers that break a rule --------------------------------------------------------------------------------- */

enum breach {
    UNKNOWN_DISK,
    NEITHER,
    AFTER_THE_END,
    BATCH_FIRST,
    SECOND_HEADER,
    WRONG_TOTALS,
    NO_TOTALS,
    NO_DETAILS,
    ENDS_EARLY,
    OK_WITH_A_REASON,
    UNKNOWN_STATUS,
    NO_UTF8,
    MISSING_END,
    TOTALS_AT_THE_END,
    BREACHES,
};

static const char *const rules[BREACHES] = {"P-95", "P-95", "P-96", "P-60", "P-60", "P-75", "P-75",
                                            "P-75", "P-74", "P-35", "P-97", "P-97", "P-98", "P-98"};

static void append_disk_end(struct bytes *bytes, uint32_t number, enum breach breach)
{
    Diskdelta__V1__AnswerTotals totals = DISKDELTA__V1__ANSWER_TOTALS__INIT;
    Diskdelta__V1__StatusDetails details = DISKDELTA__V1__STATUS_DETAILS__INIT;
    Diskdelta__V1__BatchDiskEnd end = DISKDELTA__V1__BATCH_DISK_END__INIT;
    Diskdelta__V1__BatchRangeAnswer message = DISKDELTA__V1__BATCH_RANGE_ANSWER__INIT;
    message.disk = 1;
    message.part_case = DISKDELTA__V1__BATCH_RANGE_ANSWER__PART_END;
    message.end = &end;
    end.details = &details;
    details.totals = &totals;
    details.resume_offset = totals.processed = 4096;
    totals.ranges = breach == WRONG_TOTALS ? 1 : 0;
    if (breach == NO_TOTALS)
        details.totals = NULL;
    if (breach == NO_DETAILS)
        end.details = NULL;
    if (breach == OK_WITH_A_REASON)
        details.reason = DISKDELTA__V1__REASON__REASON_FILE_NOT_FOUND;
    if (breach == UNKNOWN_STATUS)
        end.status = (Diskdelta__V1__Status)17;
    if (breach == NO_UTF8) {
        end.status = DISKDELTA__V1__STATUS__STATUS_INTERNAL;
        end.message = (char *)"\xc0\x80";
    }
    append_message(bytes, 1, number, &message.base);
}

/* The next message of an answer about one disk, where there is one. */
static void append_next(struct bytes *bytes, uint32_t *number, uint32_t disk, const struct bytes *single, size_t *at)
{
    if (append_of_disk(bytes, 1, *number, disk, single, at))
        ++*number;
}

/* Disk 0 is complete; then something about disk 1 that is not allowed. */
static void append_breach(struct bytes *bytes, enum breach breach)
{
    struct bytes first = {0};
    struct bytes second = {0};
    size_t at = 0;
    size_t read = 0;
    uint32_t number = 0;
    name_disk(0);
    append_striped(&first, 1, 0, "e1");
    while (at < first.size)
        append_next(bytes, &number, 0, &first, &at);
    at = 0;
    if (breach == UNKNOWN_DISK || breach == AFTER_THE_END)
        append_next(bytes, &number, breach == AFTER_THE_END ? 0 : DISKS, &first, &at);
    name_disk(1);
    append_header(&second, 1, 4096);
    if (breach == BATCH_FIRST)
        read = second.size;
    append_runs(&second, 1, 1, 4096, 0, NULL, NULL, NULL);
    append_next(bytes, &number, 1, &second, &read);
    if (breach == SECOND_HEADER) {
        read = 0;
        append_next(bytes, &number, 1, &second, &read);
    }
    if (breach == NEITHER) {
        Diskdelta__V1__BatchRangeAnswer message = DISKDELTA__V1__BATCH_RANGE_ANSWER__INIT;
        message.disk = 1;
        append_message(bytes, 1, number++, &message.base);
    }
    if (breach != ENDS_EARLY)
        append_next(bytes, &number, 1, &second, &read);
    if (breach != MISSING_END)
        append_disk_end(bytes, number, breach);
    bytes_free(&first);
    bytes_free(&second);
}

static void await_cancel(int fd, void *context)
{
    struct plan *plan = context;
    struct dd_header header;
    while (fake_receive(fd, &header))
        plan->asked += header.type == DD_FRAME_CANCEL && header.aux == DISKDELTA_STATUS_INTERNAL ? 1 : 0;
}

static void test_breaches(void **state)
{
    struct plan *plan = *state;
    plan->script.takes_opens = false;
    plan->script.go_on = await_cancel;
    for (int breach = 0; breach < BREACHES; breach++) {
        plan->script.answer.size = 0;
        append_breach(&plan->script.answer, (enum breach)breach);
        if (breach == MISSING_END)
            append_plain_end(&plan->script.answer, 1);
        if (breach == TOTALS_AT_THE_END) {
            /* The other disks, and an end with totals. */
            plan->script.answer.size = 0;
            uint32_t number = 0;
            for (uint32_t disk = 0; disk < DISKS; disk++) {
                struct bytes single = {0};
                size_t at = 0;
                name_disk(disk);
                append_striped(&single, 1, 0, "e1");
                while (append_of_disk(&plan->script.answer, 1, number, disk, &single, &at))
                    number++;
                bytes_free(&single);
            }
            append_end(&plan->script.answer, 1, 0, &(diskdelta_answer_totals){0});
        }
        plan->asked = 0;
        struct asked asked = {0};
        diskdelta_client *client = connect_to(plan);
        diskdelta_many_changes *many = open_many(client, 20000, 0);
        const diskdelta_disk_event *event = NULL;
        diskdelta_disk_event_type ends[DISKS] = {0};
        while ((asked.result = diskdelta_many_changes_next(many, &event)) == 1) {
            if (event->type >= DISKDELTA_DISK_COMPLETE) {
                assert_int_equal(ends[event->disk], 0);
                ends[event->disk] = event->type;
            }
            if (event->type == DISKDELTA_DISK_FAILED)
                assert_int_equal(event->error->reason, DISKDELTA_REASON_ANSWER_INVALID);
        }
        assert_int_equal(asked.result, -1);
        assert_int_equal(diskdelta_many_changes_error(many)->reason, DISKDELTA_REASON_ANSWER_INVALID);
        if (strstr(diskdelta_many_changes_error(many)->message, rules[breach]) == NULL)
            fail_msg("breach %d is told as %s", breach, diskdelta_many_changes_error(many)->message);
        assert_int_equal(ends[0], DISKDELTA_DISK_COMPLETE);
        for (size_t i = 1; i < DISKS; i++)
            assert_int_equal(ends[i], breach == TOTALS_AT_THE_END ? DISKDELTA_DISK_COMPLETE : DISKDELTA_DISK_FAILED);
        diskdelta_many_changes_close(many);
        diskdelta_client_close(client);
        /* The server hears of it, unless the call had ended. */
        fake_server_stop(plan->server);
        unsigned cancelled = plan->asked;
        plan->server = fake_server_start(&plan->script);
        if (cancelled != (breach == MISSING_END || breach == TOTALS_AT_THE_END ? 0 : 1))
            fail_msg("the server heard %u cancels of breach %d", cancelled, breach);
    }
}

/* No bit of the end of a disk can be another and the disk be complete. */
static void test_every_bit_of_an_end_flipped(void **state)
{
    struct plan *plan = *state;
    struct bytes *answer = &plan->script.answer;
    append_breach(answer, MISSING_END);
    plan->script.takes_opens = false;
    plan->script.go_on = NULL;
    /* The end of disk 0 is the third message from the end: a header and a batch of disk 1 follow. */
    size_t starts[3] = {0};
    for (size_t at = 0; at < answer->size; at += DD_HEADER_SIZE + dd_load32(answer->data + at)) {
        starts[0] = starts[1];
        starts[1] = starts[2];
        starts[2] = at;
    }
    size_t end = starts[0];
    answer->size = starts[1];
    for (size_t bit = end * 8; bit <= answer->size * 8; bit++) {
        bool is_flipped = bit < answer->size * 8;
        if (is_flipped)
            answer->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct asked asked = ask(plan, DISKDELTA_OFF, 0);
        if (is_flipped)
            answer->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(asked.result, -1);
        if ((asked.disks[0].end == DISKDELTA_DISK_COMPLETE) == is_flipped)
            fail_msg("bit %zu of the end of a disk flipped: it is told as %d", bit - end * 8, asked.disks[0].end);
    }
}

/* ---- Ends of the call ------------------------------------------------------------------------------------------ */

static void test_refusal_of_the_call(void **state)
{
    struct plan *plan = *state;
    append_refusal(&plan->script.answer, 1, DISKDELTA_REASON_ACCESS_DENIED, "not you");
    plan->script.takes_opens = false;
    plan->script.go_on = NULL;
    struct asked asked = ask(plan, 0, 0);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_ACCESS_DENIED);
    for (size_t i = 0; i < DISKS; i++)
        assert_int_equal(asked.disks[i].reason, DISKDELTA_REASON_ACCESS_DENIED);
}

/* What the end of a disk says, word by word. */
static void test_end_of_a_disk(void **state)
{
    struct plan *plan = *state;
    struct bytes full = {0};
    struct bytes refused = {0};
    size_t at = 0;
    append_full(&full, 1, 1500);
    append_of_disk(&plan->script.answer, 1, 0, 0, &full, &at);
    append_refusal(&refused, 1, DISKDELTA_REASON_PARENT_MISMATCH, "the parent\nis another");
    at = 0;
    append_of_disk(&plan->script.answer, 1, 1, 1, &refused, &at);
    bytes_free(&full);
    bytes_free(&refused);
    plan->script.takes_opens = false;
    plan->script.go_on = NULL;
    diskdelta_client *client = connect_to(plan);
    diskdelta_many_changes *many = open_many(client, DISKDELTA_OFF, 0);
    const diskdelta_disk_event *event = NULL;
    assert_int_equal(diskdelta_many_changes_next(many, &event), 1);
    assert_int_equal(event->error->status, DISKDELTA_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(event->error->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_int_equal(event->error->retry_delay_ms, 1500);
    assert_int_equal(diskdelta_many_changes_next(many, &event), 1);
    assert_int_equal(event->disk, 1);
    assert_int_equal(event->error->reason, DISKDELTA_REASON_PARENT_MISMATCH);
    assert_int_equal(event->error->return_value, 32775);
    assert_int_equal(event->error->detail_code, 0xC03A000E);
    assert_int_equal(event->error->retry_delay_ms, 0);
    assert_string_equal(event->error->message, "the parent?is another");
    diskdelta_many_changes_close(many);
    diskdelta_client_close(client);
}

static void test_deadline(void **state)
{
    struct plan *plan = *state;
    plan->script.takes_opens = false;
    plan->script.go_on = await_cancel;
    append_breach(&plan->script.answer, MISSING_END);
    struct asked asked = {0};
    diskdelta_client *client = connect_to(plan);
    diskdelta_many_changes *many = open_many(client, 0, 100);
    const diskdelta_disk_event *event = NULL;
    unsigned complete = 0;
    unsigned late = 0;
    while ((asked.result = diskdelta_many_changes_next(many, &event)) == 1) {
        complete += event->type == DISKDELTA_DISK_COMPLETE ? 1 : 0;
        late += event->type == DISKDELTA_DISK_FAILED && event->error->reason == DISKDELTA_REASON_DEADLINE ? 1 : 0;
    }
    assert_int_equal(asked.result, -1);
    assert_int_equal(complete, 1);
    assert_int_equal(late, DISKS - 1);
    diskdelta_many_changes_close(many);
    diskdelta_client_close(client);
}

static void test_cancel(void **state)
{
    struct plan *plan = *state;
    diskdelta_client *client = connect_to(plan);
    diskdelta_many_changes *many = open_many(client, 0, 0);
    diskdelta_client_cancel(client);
    struct asked asked = {0};
    read_many(many, &asked);
    assert_int_equal(asked.reason, DISKDELTA_REASON_CANCELLED);
    assert_int_equal(asked.disks[3].reason, DISKDELTA_REASON_CANCELLED);
    diskdelta_many_changes_close(many);
    diskdelta_client_close(client);
}

/* A server can't have the client keep what it likes. */
static void test_header_with_too_much_text(void **state)
{
    struct plan *plan = *state;
    char epoch[20000];
    memset(epoch, 'e', sizeof epoch - 1);
    epoch[sizeof epoch - 1] = '\0';
    struct bytes single = {0};
    size_t at = 0;
    name_disk(0);
    append_part_header(&single, 1, STRIPED_SIZE, 0, epoch);
    append_of_disk(&plan->script.answer, 1, 0, 0, &single, &at);
    bytes_free(&single);
    plan->script.takes_opens = false;
    plan->script.go_on = NULL;
    struct asked asked = ask(plan, 0, 0);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_non_null(strstr(asked.message, "text"));
}

#define many_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        many_test(test_in_any_order),
        many_test(test_no_disks),
        many_test(test_malformed_requests),
        many_test(test_without_waiting),
        many_test(test_cut_at_every_byte),
        many_test(test_cut_again_and_again),
        many_test(test_server_that_stops),
        many_test(test_no_patience),
        many_test(test_no_progress),
        many_test(test_another_epoch_of_one_disk),
        many_test(test_header_that_does_not_repeat),
        many_test(test_breaches),
        many_test(test_every_bit_of_an_end_flipped),
        many_test(test_refusal_of_the_call),
        many_test(test_end_of_a_disk),
        many_test(test_deadline),
        many_test(test_cancel),
        many_test(test_header_with_too_much_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
