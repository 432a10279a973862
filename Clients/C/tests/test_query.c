/* One window, two arrays: what fits, what is merged, and what is an error. */
#include "fake_server.h"
#include "test.h"

#include <string.h>

enum { MOST = 8 };

/* What the recorded answer is without kinds: the first two touch. */
static const uint64_t offsets[] = {1024, 8192, 9216, 20480, 61440};
static const uint64_t lengths[] = {2560, 512, 2560, 512, 4096};
enum { RANGES = 5 };

struct fixture {
    struct fake_script script;
    struct fake_server *server;
    diskdelta_client *client;
    diskdelta_query query;
    uint64_t offsets[MOST];
    uint64_t lengths[MOST];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    append_hello(&fixture.script.hello);
    append_recorded(&fixture.script.answer, NULL);
    fixture.server = fake_server_start(&fixture.script);
    fixture.client = diskdelta_client_create(NULL);
    fixture.query = (diskdelta_query)DISKDELTA_QUERY_INIT;
    fixture.query.changed_byte_offsets = fixture.offsets;
    fixture.query.changed_byte_lengths = fixture.lengths;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_client_close(fixture->client);
    fake_server_stop(fixture->server);
    bytes_free(&fixture->script.hello);
    bytes_free(&fixture->script.answer);
    return 0;
}

static int query(struct fixture *fixture, size_t capacity)
{
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.patience_ms = DISKDELTA_OFF;
    fixture->query.capacity = capacity;
    return diskdelta_query_virtual_disk_changes(fixture->client, &request, &options, &fixture->query);
}

/* Every capacity: as many ranges as fit, and all below what was processed. */
static void test_every_capacity(void **state)
{
    struct fixture *fixture = *state;
    for (size_t capacity = 1; capacity <= MOST; capacity++) {
        assert_int_equal(query(fixture, capacity), 0);
        const diskdelta_query *found = &fixture->query;
        assert_int_equal(found->count, capacity < RANGES ? capacity : RANGES);
        assert_int_equal(found->processed_byte_length, capacity < RANGES ? offsets[capacity] : RECORDED_SIZE);
        assert_int_equal(found->disk_size, RECORDED_SIZE);
        assert_string_equal(found->epoch, "e1");
        assert_memory_equal(fixture->offsets, offsets, found->count * sizeof offsets[0]);
        assert_memory_equal(fixture->lengths, lengths, found->count * sizeof lengths[0]);
    }
}

static void test_no_room(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(query(fixture, 0), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_INVALID_PARAMETER);
    fixture->query.changed_byte_lengths = NULL;
    assert_int_equal(query(fixture, 1), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_INVALID_PARAMETER);
}

/* Where the arrays are large enough, every cut is an error. */
static void test_cut_at_every_byte(void **state)
{
    struct fixture *fixture = *state;
    size_t size = fixture->script.answer.size;
    for (size_t cut = 0; cut < size; cut++) {
        fixture->script.answer.size = cut;
        if (query(fixture, RANGES) == 0)
            fail_msg("cut at %zu", cut);
        assert_int_equal(fixture->query.count, 0);
        assert_int_equal(fixture->query.processed_byte_length, 0);
        assert_int_equal(diskdelta_client_error(fixture->client)->status, DISKDELTA_STATUS_UNAVAILABLE);
    }
}

static void test_broken_answer(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.answer.size = end_of_answer(&fixture->script.answer);
    append_end(&fixture->script.answer, 1, RECORDED_SIZE, &(diskdelta_answer_totals){.processed = RECORDED_SIZE});
    assert_int_equal(query(fixture, MOST), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_ANSWER_INVALID);
    assert_int_equal(fixture->query.count, 0);
}

static void test_refusal(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.answer.size = 0;
    append_refusal(&fixture->script.answer, 1, DISKDELTA_REASON_BASELINE_UNKNOWN, "nothing bears the id");
    assert_int_equal(query(fixture, MOST), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->return_value, 32775);
    assert_string_equal(diskdelta_client_error(fixture->client)->message, "nothing bears the id");
}

static void test_empty_window(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.answer.size = 0;
    told_header.since = (char *)"";
    told_header.basis = DISKDELTA__V1__ANSWER_BASIS__ANSWER_BASIS_ALLOCATED;
    append_part_header(&fixture->script.answer, 1, RECORDED_SIZE, RECORDED_SIZE, "e1");
    told_header = usual_header;
    append_end(&fixture->script.answer, 1, RECORDED_SIZE, &(diskdelta_answer_totals){0});
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_get_virtual_disk_allocation_request request = DISKDELTA_GET_VIRTUAL_DISK_ALLOCATION_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    request.byte_offset = RECORDED_SIZE;
    fixture->query.capacity = 1;
    assert_int_equal(diskdelta_query_virtual_disk_allocation(fixture->client, &request, NULL, &fixture->query), 0);
    assert_int_equal(fixture->query.count, 0);
    assert_int_equal(fixture->query.processed_byte_length, 0);
    assert_int_equal(fixture->query.disk_size, RECORDED_SIZE);
}

static void test_client_that_never_waits(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    fixture->query.capacity = 1;
    diskdelta_client_set_waiting(fixture->client, false);
    assert_int_equal(diskdelta_query_virtual_disk_changes(fixture->client, &request, NULL, &fixture->query), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_INVALID_PARAMETER);
    assert_int_equal(diskdelta_query_virtual_disk_changes(NULL, &request, NULL, &fixture->query), -1);
}

#define query_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        query_test(test_every_capacity),          query_test(test_no_room), query_test(test_cut_at_every_byte),
        query_test(test_broken_answer),           query_test(test_refusal), query_test(test_empty_window),
        query_test(test_client_that_never_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
