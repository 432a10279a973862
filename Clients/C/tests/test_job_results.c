/* The results of a job: a range answer whose window is the job's, that can be asked for again from any offset. */
#include "client.h"
#include "fake_server.h"
#include "striped.h"
#include "test.h"

#include "diskdelta/v1/jobs.pb-c.h"

#include <string.h>

/* Where the window of the job starts. */
enum { START = 2 * STRIPED_STEP * 512 };

struct plan {
    struct fake_script script;
    struct fake_server *server;
    /* The bytes of the first answer after which the connection ends. */
    size_t cut;
    /* The server answers about what follows this, whatever was asked; 0: about what was asked. */
    uint64_t start;
    diskdelta_reason refuses;
    unsigned asked;
    bool is_wrong;
    uint64_t offsets[2];
};

static void serve(int fd, void *context)
{
    struct plan *plan = context;
    struct fake_call call;
    while (fake_receive_call(fd, &call)) {
        Diskdelta__V1__JobResultsRequest *job =
            diskdelta__v1__job_results_request__unpack(NULL, call.request.size, call.request.data);
        plan->is_wrong |= strcmp(job->id, "{job}") != 0;
        uint64_t offset = job->byte_offset;
        diskdelta__v1__job_results_request__free_unpacked(job, NULL);
        bytes_free(&call.request);
        plan->offsets[plan->asked % 2] = offset;
        plan->asked++;
        offset = plan->start != 0 ? plan->start : offset != 0 ? offset : START;
        struct bytes bytes = {0};
        if (plan->refuses != DISKDELTA_REASON_NONE)
            append_refusal(&bytes, call.stream, plan->refuses, "not that");
        else
            append_striped(&bytes, call.stream, offset, "e1");
        bool is_cut = plan->asked == 1 && plan->cut < bytes.size;
        bytes.size = is_cut ? plan->cut : bytes.size;
        bool is_well = fake_send(fd, &bytes);
        bytes_free(&bytes);
        if (!is_well || is_cut)
            return;
    }
}

static int set_up(void **state)
{
    static struct plan plan;
    memset(&plan, 0, sizeof plan);
    append_hello(&plan.script.hello);
    plan.cut = SIZE_MAX;
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
    diskdelta_reason reason;
    uint64_t resume_offset;
    bool had_header;
    size_t ranges;
};

static struct asked ask(struct plan *plan, uint64_t offset)
{
    plan->asked = 0;
    struct asked asked = {0};
    diskdelta_client *client = diskdelta_client_create(NULL);
    client->backoff = hurry;
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(plan->server), NULL), 0);
    char id[] = "{job}";
    diskdelta_job_results_request request = DISKDELTA_JOB_RESULTS_REQUEST_INIT;
    request.id = id;
    request.byte_offset = offset;
    diskdelta_changes *changes = diskdelta_get_job_results(client, &request, NULL);
    assert_non_null(changes);
    /* The library has its own copy. */
    memset(id, 'x', 5);
    const diskdelta_answer_header *header = diskdelta_changes_header(changes);
    asked.had_header = header != NULL;
    if (header != NULL)
        assert_int_equal(header->window_offset, diskdelta_changes_position(changes));
    uint64_t unit = (offset != 0 ? offset : START) / 512;
    const diskdelta_batch *batch = NULL;
    while ((asked.result = diskdelta_changes_next(changes, &batch)) == 1) {
        for (size_t i = 0; i < batch->count; i++, asked.ranges++)
            assert_true(striped_is_next(&batch->ranges[i], &unit));
    }
    asked.reason = diskdelta_changes_error(changes)->reason;
    asked.resume_offset = diskdelta_changes_error(changes)->resume_offset;
    diskdelta_changes_close(changes);
    diskdelta_client_close(client);
    assert_false(plan->is_wrong);
    return asked;
}

static void test_the_window_of_the_job(void **state)
{
    struct plan *plan = *state;
    struct asked asked = ask(plan, 0);
    assert_int_equal(asked.result, 0);
    assert_int_equal(asked.ranges, striped_ranges_from(START / 512));
    assert_int_equal(plan->offsets[0], 0);
}

static void test_from_an_offset(void **state)
{
    struct plan *plan = *state;
    for (uint64_t offset = START; offset <= STRIPED_SIZE; offset += STRIPED_STEP * 512) {
        struct asked asked = ask(plan, offset);
        assert_int_equal(asked.result, 0);
        assert_int_equal(asked.ranges, striped_ranges_from(offset / 512));
        assert_int_equal(plan->offsets[0], offset);
    }
}

static void test_cut_at_every_byte(void **state)
{
    struct plan *plan = *state;
    struct bytes whole = {0};
    append_striped(&whole, 1, START, "e1");
    size_t size = whole.size;
    bytes_free(&whole);
    size_t resumed = 0;
    for (plan->cut = 0; plan->cut < size; plan->cut++) {
        struct asked asked = ask(plan, 0);
        if (!asked.had_header) {
            assert_int_equal(asked.reason, DISKDELTA_REASON_SERVER_UNAVAILABLE);
            continue;
        }
        assert_int_equal(asked.result, 0);
        assert_int_equal(asked.ranges, striped_ranges_from(START / 512));
        assert_int_equal(plan->asked, 2);
        assert_true(plan->offsets[1] >= START);
        resumed++;
    }
    assert_true(resumed > 200);
}

/* Another window than the one that was asked for, at first or for the rest. */
static void test_another_window(void **state)
{
    struct plan *plan = *state;
    plan->start = START + 512;
    assert_int_equal(ask(plan, START).reason, DISKDELTA_REASON_ANSWER_INVALID);
    struct bytes bytes = {0};
    append_striped(&bytes, 1, START, "e1");
    plan->cut = end_of_answer(&bytes);
    bytes_free(&bytes);
    plan->start = START;
    struct asked asked = ask(plan, 0);
    assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INVALID);
    assert_true(asked.resume_offset > START);
}

static void test_refusals(void **state)
{
    struct plan *plan = *state;
    plan->refuses = DISKDELTA_REASON_JOB_NOT_READY;
    assert_int_equal(ask(plan, 0).reason, DISKDELTA_REASON_JOB_NOT_READY);
    plan->refuses = DISKDELTA_REASON_JOB_NOT_FOUND;
    struct asked asked = ask(plan, 4096);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_JOB_NOT_FOUND);
    assert_int_equal(asked.resume_offset, 4096);
}

static void test_malformed_request(void **state)
{
    struct plan *plan = *state;
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(plan->server), NULL), 0);
    diskdelta_job_results_request request = DISKDELTA_JOB_RESULTS_REQUEST_INIT;
    request.struct_size = 0;
    assert_null(diskdelta_get_job_results(client, &request, NULL));
    assert_int_equal(diskdelta_client_error(client)->reason, DISKDELTA_REASON_INVALID_PARAMETER);
    diskdelta_client_close(client);
}

#define results_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        results_test(test_the_window_of_the_job),
        results_test(test_from_an_offset),
        results_test(test_cut_at_every_byte),
        results_test(test_another_window),
        results_test(test_refusals),
        results_test(test_malformed_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
