/* Answers that break off and are resumed: the whole answer, checked across its parts, or an error. */
#include "client.h"
#include "fake_server.h"
#include "striped.h"
#include "test.h"

#include "diskdelta/v1/image_management.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* How the server answers one question after another, each on whatever connection it comes. */
struct plan {
    struct fake_script script;
    struct fake_server *server;
    /* The bytes of an answer after which the connection ends, for the first `cuts` answers. */
    size_t cut;
    unsigned cuts;
    /* In place of cutting: END or CANCEL with this status, after so many batches. */
    diskdelta_status end;
    bool cancels;
    unsigned batches;
    /* What is wrong with the answers after the first. */
    const char *epoch;
    bool touches;
    bool refuses;
    bool wrong_totals;
    /* The client waits as long as the protocol says before it connects again. */
    bool is_patient;
    /* What was asked. */
    unsigned asked;
    unsigned with_epoch;
    unsigned with_attempts;
    uint64_t offsets[64];
    size_t whole;
};

static void append_part(struct plan *plan, struct bytes *bytes, uint32_t id, uint64_t offset)
{
    bool is_later = plan->asked > 1;
    append_part_header(bytes, id, STRIPED_SIZE, offset, is_later && plan->epoch != NULL ? plan->epoch : "e1");
    diskdelta_answer_totals totals = {.processed = STRIPED_SIZE - offset};
    uint32_t number = 1;
    for (uint64_t unit = offset / 512; unit < STRIPED_UNITS; unit += STRIPED_STEP) {
        if (!is_later && plan->batches != 0 && number > plan->batches)
            return;
        if (is_later && plan->touches && number == 1) {
            /* The range before ends where this starts. */
            append_runs(bytes, id, number++, (unit + STRIPED_STEP) * 512, 1, (const uint64_t[]){0},
                        (const uint64_t[]){1}, (const uint8_t[]){striped_is_zero(unit - 1) ? 1 : 0});
            continue;
        }
        append_striped_batch(bytes, id, number++, unit, unit + STRIPED_STEP, &totals);
    }
    if (is_later && plan->wrong_totals)
        totals.ranges++;
    append_end(bytes, id, STRIPED_SIZE, &totals);
}

/* Reads an OPEN; its offset, whether it had an epoch and said that there were attempts before. */
static bool receive_open(int fd, struct plan *plan, uint32_t *id, uint64_t *offset)
{
    struct dd_header header;
    struct bytes payload = {0};
    do {
        payload.size = 0;
        if (!fake_receive_payload(fd, &header, &payload)) {
            bytes_free(&payload);
            return false;
        }
    } while (header.type != DD_FRAME_OPEN);
    *id = header.stream;
    size_t path = dd_load16(payload.data);
    size_t metadata = dd_load16(payload.data + 2);
    plan->with_attempts += metadata > 0 ? 1 : 0;
    Diskdelta__V1__GetVirtualDiskChangesRequest *request = diskdelta__v1__get_virtual_disk_changes_request__unpack(
        NULL, payload.size - 4 - path - metadata, payload.data + 4 + path + metadata);
    assert_non_null(request);
    *offset = request->byte_offset;
    plan->with_epoch += strcmp(request->if_epoch, "e1") == 0 ? 1 : 0;
    if (*offset > 0 || request->window_case == 5)
        assert_int_equal(request->byte_length, STRIPED_SIZE - *offset);
    assert_string_equal(request->limit_id, "{1}");
    diskdelta__v1__get_virtual_disk_changes_request__free_unpacked(request, NULL);
    bytes_free(&payload);
    return true;
}

static void answer(int fd, void *context)
{
    struct plan *plan = context;
    uint32_t id = 0;
    uint64_t offset = 0;
    while (receive_open(fd, plan, &id, &offset)) {
        plan->offsets[plan->asked++ % 64] = offset;
        struct bytes bytes = {0};
        append_part(plan, &bytes, id, offset);
        bool is_first = plan->asked <= (plan->cuts != 0 ? plan->cuts : 1);
        plan->whole = bytes.size;
        if (plan->refuses && plan->asked > 1) {
            bytes.size = 0;
            append_refusal(&bytes, id, DISKDELTA_REASON_EPOCH_CHANGED, "the disk is in another epoch");
        } else if (is_first && plan->cancels) {
            append_frame(&bytes, DD_FRAME_CANCEL, id, plan->end, NULL, 0);
        } else if (is_first && plan->end != DISKDELTA_STATUS_OK) {
            append_refusal(&bytes, id, DISKDELTA_REASON_SERVER_UNAVAILABLE, "the server is stopping");
        } else if (is_first && plan->batches == 0) {
            bytes.size = plan->cut < bytes.size ? plan->cut : bytes.size;
        }
        bool is_cut = is_first && plan->end == DISKDELTA_STATUS_OK;
        bool is_well = fake_send(fd, &bytes);
        bytes_free(&bytes);
        if (is_cut || !is_well)
            return;
    }
}

static int set_up(void **state)
{
    static struct plan plan;
    memset(&plan, 0, sizeof plan);
    append_hello(&plan.script.hello);
    plan.script.takes_opens = true;
    plan.script.go_on = answer;
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
    return 0;
}

/* A millisecond in place of the protocol's times. */
static uint32_t hurry(unsigned failures, uint32_t random)
{
    (void)failures;
    (void)random;
    return 1;
}

struct asked {
    int result;
    unsigned ranges;
    bool is_true;
    diskdelta_reason reason;
    uint64_t resume_offset;
    bool had_header;
};

static struct asked ask(struct plan *plan, uint32_t patience)
{
    struct asked asked = {.result = -1, .is_true = true};
    plan->asked = 0;
    diskdelta_client *client = diskdelta_client_create(NULL);
    client->backoff = plan->is_patient ? client->backoff : hurry;
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(plan->server), NULL), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    char limit_id[] = "{1}";
    request.limit_id = limit_id;
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.patience_ms = patience;
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, &options);
    assert_non_null(changes);
    /* The library has its own copy. */
    memset(limit_id, 'x', 3);
    const diskdelta_batch *batch = NULL;
    uint64_t unit = 0;
    while ((asked.result = diskdelta_changes_next(changes, &batch)) == 1) {
        for (size_t i = 0; i < batch->count; i++, asked.ranges++)
            asked.is_true = striped_is_next(&batch->ranges[i], &unit) && asked.is_true;
    }
    const diskdelta_error *error = diskdelta_changes_error(changes);
    asked.reason = error->reason;
    asked.resume_offset = error->resume_offset;
    asked.had_header = diskdelta_changes_header(changes) != NULL;
    const diskdelta_answer_totals *totals = diskdelta_changes_totals(changes);
    if (asked.result == 0) {
        assert_int_equal(totals->processed, STRIPED_SIZE);
        assert_int_equal(totals->ranges, asked.ranges);
        assert_int_equal(totals->bytes, asked.ranges * 512);
        assert_int_equal(totals->data_bytes + totals->zero_bytes, totals->bytes);
        assert_int_equal(error->reason, DISKDELTA_REASON_NONE);
    } else {
        assert_null(totals);
    }
    diskdelta_changes_close(changes);
    diskdelta_client_close(client);
    return asked;
}

static void assert_whole(const struct asked *asked)
{
    assert_int_equal(asked->result, 0);
    assert_int_equal(asked->ranges, STRIPED_RANGES);
    assert_true(asked->is_true);
}

/* ---- Tests ----------------------------------------------------------------------------------------------------- */

static void test_cut_at_every_byte(void **state)
{
    struct plan *plan = *state;
    plan->cut = SIZE_MAX;
    struct asked whole = ask(plan, 0);
    assert_whole(&whole);
    size_t size = plan->whole;
    for (plan->cut = 0; plan->cut < size; plan->cut++) {
        struct asked asked = ask(plan, 0);
        if (asked.had_header) {
            assert_whole(&asked);
            assert_int_equal(plan->asked, 2);
            assert_int_equal(plan->offsets[1] % (STRIPED_STEP * 512), 0);
        } else {
            assert_int_equal(asked.result, -1);
            assert_int_equal(asked.reason, DISKDELTA_REASON_SERVER_UNAVAILABLE);
            assert_int_equal(asked.ranges, 0);
        }
    }
    assert_true(plan->with_epoch > 0);
    assert_int_equal(plan->with_epoch, plan->with_attempts);
}

/* The same answer again, cut at the same place each time: progress each time is enough. */
static void test_cut_again_and_again(void **state)
{
    struct plan *plan = *state;
    plan->cut = 200;
    plan->cuts = 64;
    struct asked asked = ask(plan, 20000);
    assert_whole(&asked);
    assert_true(plan->asked > 3);
}

static void test_no_patience(void **state)
{
    struct plan *plan = *state;
    plan->cut = 200;
    struct asked asked = ask(plan, DISKDELTA_OFF);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INCOMPLETE);
    assert_true(asked.is_true);
    assert_int_equal(plan->asked, 1);
}

/* Nothing but headers, ever: the patience runs out. */
static void test_no_progress(void **state)
{
    struct plan *plan = *state;
    struct bytes header = {0};
    append_part_header(&header, 1, STRIPED_SIZE, 0, "e1");
    plan->cut = header.size;
    plan->cuts = 1000;
    bytes_free(&header);
    plan->is_patient = true;
    struct asked asked = ask(plan, 700);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INCOMPLETE);
    assert_int_equal(asked.resume_offset, 0);
    assert_true(plan->asked > 1 && plan->asked < 12);
}

static void test_server_that_stops(void **state)
{
    struct plan *plan = *state;
    plan->batches = 3;
    plan->end = DISKDELTA_STATUS_UNAVAILABLE;
    struct asked asked = ask(plan, 0);
    assert_whole(&asked);
    assert_int_equal(plan->offsets[1], 3 * STRIPED_STEP * 512);
}

static void test_server_that_cancels(void **state)
{
    struct plan *plan = *state;
    plan->batches = 2;
    plan->end = DISKDELTA_STATUS_UNAVAILABLE;
    plan->cancels = true;
    struct asked asked = ask(plan, 0);
    assert_whole(&asked);
    assert_int_equal(plan->offsets[1], 2 * STRIPED_STEP * 512);
}

/* P-86: it broke off, whoever said so. */
static void test_server_that_stops_without_patience(void **state)
{
    struct plan *plan = *state;
    plan->batches = 3;
    plan->end = DISKDELTA_STATUS_UNAVAILABLE;
    struct asked asked = ask(plan, DISKDELTA_OFF);
    assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INCOMPLETE);
    assert_int_equal(asked.resume_offset, 3 * STRIPED_STEP * 512);
}

static void test_another_status_ends_it(void **state)
{
    struct plan *plan = *state;
    plan->batches = 2;
    plan->end = DISKDELTA_STATUS_INTERNAL;
    plan->cancels = true;
    struct asked asked = ask(plan, 0);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_INTERNAL);
    assert_int_equal(plan->asked, 1);
}

static void test_another_epoch(void **state)
{
    struct plan *plan = *state;
    plan->cut = 300;
    plan->refuses = true;
    struct asked asked = ask(plan, 0);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_EPOCH_CHANGED);
    assert_true(asked.is_true);
}

static void test_header_that_does_not_repeat(void **state)
{
    struct plan *plan = *state;
    plan->cut = 300;
    plan->epoch = "e2";
    assert_int_equal(ask(plan, 0).reason, DISKDELTA_REASON_ANSWER_INVALID);
}

static void test_ranges_that_touch_across_the_parts(void **state)
{
    struct plan *plan = *state;
    plan->batches = 1;
    plan->end = DISKDELTA_STATUS_UNAVAILABLE;
    plan->touches = true;
    assert_int_equal(ask(plan, 0).reason, DISKDELTA_REASON_ANSWER_INVALID);
}

static void test_wrong_totals_of_the_second_part(void **state)
{
    struct plan *plan = *state;
    plan->cut = 300;
    plan->wrong_totals = true;
    assert_int_equal(ask(plan, 0).reason, DISKDELTA_REASON_ANSWER_INVALID);
}

#define resume_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        resume_test(test_cut_at_every_byte),
        resume_test(test_cut_again_and_again),
        resume_test(test_no_patience),
        resume_test(test_no_progress),
        resume_test(test_server_that_stops),
        resume_test(test_server_that_cancels),
        resume_test(test_server_that_stops_without_patience),
        resume_test(test_another_status_ends_it),
        resume_test(test_another_epoch),
        resume_test(test_header_that_does_not_repeat),
        resume_test(test_ranges_that_touch_across_the_parts),
        resume_test(test_wrong_totals_of_the_second_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
