/* Sums without ranges: only what can be true is believed (P-105). */
#include "fake_server.h"
#include "test.h"

#include "diskdelta/v1/image_management.pb-c.h"

#include <string.h>

struct fixture {
    struct fake_script script;
    struct fake_server *server;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    append_hello(&fixture.script.hello);
    fixture.server = fake_server_start(&fixture.script);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    fake_server_stop(fixture->server);
    bytes_free(&fixture->script.hello);
    bytes_free(&fixture->script.answer);
    return 0;
}

/* Asks a server that answers with these sums; gives the reason of the failure. */
static diskdelta_reason ask(struct fixture *fixture, bool of_allocation, const Diskdelta__V1__AnswerHeader *told,
                            const uint64_t sums[5])
{
    Diskdelta__V1__AnswerHeader header = told != NULL ? *told : usual_header;
    Diskdelta__V1__ChangesSummary summary = DISKDELTA__V1__CHANGES_SUMMARY__INIT;
    summary.header = told != NULL ? &header : NULL;
    summary.ranges = sums[0];
    summary.bytes = sums[1];
    summary.data_bytes = sums[2];
    summary.zero_bytes = sums[3];
    summary.largest = sums[4];
    fixture->script.answer.size = 0;
    append_message(&fixture->script.answer, 1, 0, &summary.base);
    append_plain_end(&fixture->script.answer, 1);

    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_changes_summary *found = NULL;
    int result = -1;
    if (of_allocation) {
        diskdelta_get_virtual_disk_allocation_request request = DISKDELTA_GET_VIRTUAL_DISK_ALLOCATION_REQUEST_INIT;
        request.path = "disks/a.vhdx";
        result = diskdelta_get_virtual_disk_allocation_summary(client, &request, NULL, &found);
    } else {
        diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
        request.path = "disks/a.vhdx";
        result = diskdelta_get_virtual_disk_changes_summary(client, &request, NULL, &found);
    }
    diskdelta_reason reason = diskdelta_client_error(client)->reason;
    if (result == 0) {
        assert_non_null(found);
        assert_int_equal(found->largest, sums[4]);
        reason = DISKDELTA_REASON_NONE;
    } else {
        assert_null(found);
    }
    diskdelta_changes_summary_free(found);
    diskdelta_client_close(client);
    return reason;
}

static Diskdelta__V1__AnswerHeader usual(void)
{
    Diskdelta__V1__AnswerHeader header = usual_header;
    header.epoch = (char *)"e1";
    header.size = header.window_length = 65536;
    return header;
}

static const uint64_t sums[5] = {3, 6144, 4096, 2048, 4096};

static void test_what_can_be_true(void **state)
{
    Diskdelta__V1__AnswerHeader header = usual();
    assert_int_equal(ask(*state, false, &header, sums), DISKDELTA_REASON_NONE);
    assert_int_equal(ask(*state, false, &header, (const uint64_t[5]){0}), DISKDELTA_REASON_NONE);
    assert_int_equal(ask(*state, false, &header, (const uint64_t[]){1, 512, 0, 512, 512}), DISKDELTA_REASON_NONE);
    header.since = (char *)"";
    header.basis = DISKDELTA__V1__ANSWER_BASIS__ANSWER_BASIS_ALLOCATED;
    assert_int_equal(ask(*state, true, &header, sums), DISKDELTA_REASON_NONE);
}

static void test_sums_that_contradict_each_other(void **state)
{
    static const uint64_t wrong[][5] = {
        {0, 6144, 4096, 2048, 4096},    {3, 6145, 4096, 2048, 4096},
        {3, 6144, 4608, 2048, 4096},    {3, 6144, 4096, UINT64_MAX, 1},
        {3, 6144, UINT64_MAX, 6145, 1}, {3, 6144, 4096, 2048, 0},
        {3, 6144, 4096, 2048, 6145},    {6145, 6144, 4096, 2048, 4096},
        {1, 6144, 4096, 2048, 4096},    {1, 0, 0, 0, 0},
        {3, 66048, 64000, 2048, 4096},
    };
    Diskdelta__V1__AnswerHeader header = usual();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (ask(*state, false, &header, wrong[i]) != DISKDELTA_REASON_ANSWER_INVALID)
            fail_msg("sums %zu", i);
    }
}

static void test_headers_that_answer_something_else(void **state)
{
    assert_int_equal(ask(*state, false, NULL, sums), DISKDELTA_REASON_ANSWER_INVALID);
    Diskdelta__V1__AnswerHeader header = usual();
    assert_int_equal(ask(*state, true, &header, sums), DISKDELTA_REASON_ANSWER_INVALID);
    header.window_length -= 512;
    assert_int_equal(ask(*state, false, &header, sums), DISKDELTA_REASON_ANSWER_INVALID);
    header = usual();
    header.disk = (char *)"disks/b.vhdx";
    assert_int_equal(ask(*state, false, &header, sums), DISKDELTA_REASON_ANSWER_INVALID);
    header = usual();
    header.granularity = 0;
    assert_int_equal(ask(*state, false, &header, sums), DISKDELTA_REASON_ANSWER_INVALID);
}

static void test_refused(void **state)
{
    struct fixture *fixture = *state;
    append_refusal(&fixture->script.answer, 1, DISKDELTA_REASON_BASELINE_UNKNOWN, "nothing bears the id");
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    diskdelta_changes_summary *found = NULL;
    assert_int_equal(diskdelta_get_virtual_disk_changes_summary(client, &request, NULL, &found), -1);
    assert_null(found);
    assert_int_equal(diskdelta_client_error(client)->reason, DISKDELTA_REASON_BASELINE_UNKNOWN);
    /* A structure that was not started with its _INIT macro. */
    request.struct_size = 0;
    assert_int_equal(diskdelta_get_virtual_disk_changes_summary(client, &request, NULL, &found), -1);
    assert_null(found);
    diskdelta_client_close(client);
}

#define summary_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        summary_test(test_what_can_be_true),
        summary_test(test_sums_that_contradict_each_other),
        summary_test(test_headers_that_answer_something_else),
        summary_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
