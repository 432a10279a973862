/* Range answers, from the server's bytes to what a program is handed: whole, broken, and spoilt. */
#include "fake_server.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

struct fixture {
    struct fake_script script;
    struct fake_server *server;
    diskdelta_range expected[RECORDED_RANGES];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    append_hello(&fixture.script.hello);
    append_recorded(&fixture.script.answer, fixture.expected);
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

struct asked {
    int result;
    size_t count;
    diskdelta_range ranges[RECORDED_RANGES + 1];
    bool had_header;
    diskdelta_status status;
    diskdelta_reason reason;
    uint64_t resume_offset;
    uint64_t position;
};

static void read_all(diskdelta_changes *changes, struct asked *asked)
{
    const diskdelta_batch *batch = NULL;
    asked->had_header = diskdelta_changes_header(changes) != NULL;
    uint64_t processed = 0;
    while ((asked->result = diskdelta_changes_next(changes, &batch)) == 1) {
        assert_true(batch->processed_end >= processed);
        processed = batch->processed_end;
        for (size_t i = 0; i < batch->count && asked->count <= RECORDED_RANGES; i++)
            asked->ranges[asked->count++] = batch->ranges[i];
    }
    /* The end stays the end. */
    assert_int_equal(diskdelta_changes_next(changes, &batch), asked->result);
    const diskdelta_error *error = diskdelta_changes_error(changes);
    asked->status = error->status;
    asked->reason = error->reason;
    asked->resume_offset = error->resume_offset;
    asked->position = diskdelta_changes_position(changes);
    assert_true((diskdelta_changes_totals(changes) != NULL) == (asked->result == 0));
    if (asked->result == -1) {
        assert_true(error->has_resume_offset);
        assert_int_equal(error->resume_offset, asked->position);
        assert_true(error->message[0] != '\0');
        assert_int_not_equal(error->reason, DISKDELTA_REASON_NONE);
    }
}

static struct asked ask(const struct fixture *fixture, uint32_t timeout_ms)
{
    struct asked asked = {.result = -1};
    diskdelta_client *client = diskdelta_client_create(NULL);
    if (diskdelta_client_connect(client, fake_server_address(fixture->server), NULL) != 0) {
        asked.status = diskdelta_client_error(client)->status;
        asked.reason = diskdelta_client_error(client)->reason;
    } else {
        diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
        request.path = "disks/a.vhdx";
        request.limit_id = "{00000000-0000-0000-0000-000000000001}";
        diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
        options.timeout_ms = timeout_ms;
        options.patience_ms = DISKDELTA_OFF;
        diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, &options);
        if (changes != NULL) {
            read_all(changes, &asked);
        } else {
            asked.status = diskdelta_client_error(client)->status;
            asked.reason = diskdelta_client_error(client)->reason;
        }
        diskdelta_changes_close(changes);
    }
    diskdelta_client_close(client);
    return asked;
}

static void assert_expected(const struct fixture *fixture, const struct asked *asked)
{
    assert_int_equal(asked->count, RECORDED_RANGES);
    for (size_t i = 0; i < RECORDED_RANGES; i++) {
        assert_int_equal(asked->ranges[i].offset, fixture->expected[i].offset);
        assert_int_equal(asked->ranges[i].length, fixture->expected[i].length);
        assert_int_equal(asked->ranges[i].kind, fixture->expected[i].kind);
    }
}

static void test_complete_in_both_forms(void **state)
{
    struct fixture *fixture = *state;
    struct asked asked = ask(fixture, 0);
    assert_int_equal(asked.result, 0);
    assert_expected(fixture, &asked);
    assert_int_equal(asked.position, RECORDED_SIZE);
}

static void test_byte_by_byte(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.piece = 1;
    struct asked asked = ask(fixture, 0);
    assert_int_equal(asked.result, 0);
    assert_expected(fixture, &asked);
}

static void test_header_and_totals(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
    assert_null(diskdelta_changes_totals(changes));
    const diskdelta_batch *batch = NULL;
    while (diskdelta_changes_next(changes, &batch) == 1)
        ;
    /* The header outlives the messages that came after it. */
    const diskdelta_answer_header *header = diskdelta_changes_header(changes);
    assert_string_equal(header->disk, "disks/a.vhdx");
    assert_string_equal(header->since, "{00000000-0000-0000-0000-000000000001}");
    assert_string_equal(header->target, "");
    assert_string_equal(header->epoch, "e1");
    assert_int_equal(header->size, RECORDED_SIZE);
    assert_int_equal(header->format, DISKDELTA_IMAGE_FORMAT_VHDX);
    assert_int_equal(header->basis, DISKDELTA_ANSWER_BASIS_CHANGES);
    const diskdelta_answer_totals *totals = diskdelta_changes_totals(changes);
    assert_int_equal(totals->ranges, RECORDED_RANGES);
    assert_int_equal(totals->bytes, 10240);
    assert_int_equal(totals->zero_bytes, 2560);
    diskdelta_changes_close(changes);
    diskdelta_client_close(client);
}

/* ---- Cut ------------------------------------------------------------------------------------------------------- */

static void test_cut_at_every_byte(void **state)
{
    struct fixture *fixture = *state;
    size_t whole = fixture->script.answer.size;
    size_t after_header = DD_HEADER_SIZE + dd_load32(fixture->script.answer.data);
    for (size_t size = 0; size < whole; size++) {
        fixture->script.answer.size = size;
        struct asked asked = ask(fixture, 0);
        if (size == 0) {
            /* The fake server ends the connection at once where it has nothing to answer. */
            assert_int_equal(asked.result, -1);
            continue;
        }
        assert_int_equal(asked.result, -1);
        assert_int_equal(asked.status, DISKDELTA_STATUS_UNAVAILABLE);
        assert_int_equal(asked.had_header, size >= after_header);
        assert_int_equal(asked.reason, size >= after_header ? DISKDELTA_REASON_ANSWER_INCOMPLETE
                                                            : DISKDELTA_REASON_SERVER_UNAVAILABLE);
        assert_int_equal(diskdelta_reason_exit_code(asked.reason), size >= after_header ? 6 : 7);
    }
    fixture->script.answer.size = whole;
    assert_int_equal(ask(fixture, 0).result, 0);
}

static void test_hello_cut_at_every_byte(void **state)
{
    struct fixture *fixture = *state;
    size_t whole = fixture->script.hello.size;
    size_t answer = fixture->script.answer.size;
    fixture->script.answer.size = 0;
    for (size_t size = 0; size < whole; size++) {
        fixture->script.hello.size = size;
        struct asked asked = ask(fixture, 0);
        assert_int_equal(asked.result, -1);
        assert_int_equal(asked.reason, DISKDELTA_REASON_SERVER_UNAVAILABLE);
    }
    fixture->script.hello.size = whole;
    fixture->script.answer.size = answer;
}

/* ---- Spoilt ---------------------------------------------------------------------------------------------------- */

static void flip(struct bytes *bytes, size_t bit)
{
    bytes->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void test_every_bit_of_end_flipped(void **state)
{
    struct fixture *fixture = *state;
    struct bytes *answer = &fixture->script.answer;
    for (size_t bit = end_of_answer(answer) * 8; bit < answer->size * 8; bit++) {
        flip(answer, bit);
        struct asked asked = ask(fixture, 0);
        flip(answer, bit);
        if (asked.result != -1)
            fail_msg("bit %zu of END flipped gives a complete answer", bit - end_of_answer(answer) * 8);
    }
}

/* Nothing in the protocol notices every spoilt bit of a batch, but no bit brings the client down, and what it calls
 * complete agrees with the totals. */
static void test_every_bit_of_the_answer_flipped(void **state)
{
    struct fixture *fixture = *state;
    struct bytes *answer = &fixture->script.answer;
    for (size_t bit = 0; bit < end_of_answer(answer) * 8; bit++) {
        flip(answer, bit);
        struct asked asked = ask(fixture, 2000);
        flip(answer, bit);
        if (asked.result != 0)
            continue;
        uint64_t bytes[2] = {0, 0};
        assert_int_equal(asked.count, RECORDED_RANGES);
        for (size_t i = 0; i < asked.count; i++)
            bytes[asked.ranges[i].kind] += asked.ranges[i].length;
        assert_int_equal(bytes[DISKDELTA_RANGE_DATA], 7680);
        assert_int_equal(bytes[DISKDELTA_RANGE_ZERO], 2560);
    }
}

static void test_wrong_totals(void **state)
{
    struct fixture *fixture = *state;
    struct bytes *answer = &fixture->script.answer;
    const diskdelta_answer_totals right = {.processed = RECORDED_SIZE,
                                           .ranges = 6,
                                           .bytes = 10240,
                                           .data_bytes = 7680,
                                           .zero_bytes = 2560,
                                           .offset_sum = 101888};
    for (int which = 0; which < 8; which++) {
        diskdelta_answer_totals totals = right;
        uint64_t resume_offset = RECORDED_SIZE;
        totals.processed -= which == 1;
        totals.ranges += which == 2;
        totals.bytes += which == 3;
        totals.data_bytes -= which == 4;
        totals.zero_bytes += which == 5;
        resume_offset -= which == 6;
        totals.offset_sum += which == 7 ? 512 : 0;
        answer->size = end_of_answer(answer);
        append_end(answer, 1, resume_offset, &totals);
        struct asked asked = ask(fixture, 0);
        assert_int_equal(asked.result, which == 0 ? 0 : -1);
        if (which != 0)
            assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INVALID);
    }
}

/* ---- Other ends ------------------------------------------------------------------------------------------------ */

static void test_refusal_before_the_header(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.answer.size = 0;
    append_refusal(&fixture->script.answer, 1, DISKDELTA_REASON_BASELINE_UNKNOWN, "nothing bears the id\n{x}");
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    request.byte_offset = 4096;
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
    assert_null(diskdelta_changes_header(changes));
    const diskdelta_batch *batch = NULL;
    assert_int_equal(diskdelta_changes_next(changes, &batch), -1);
    const diskdelta_error *error = diskdelta_changes_error(changes);
    assert_int_equal(error->status, DISKDELTA_STATUS_FAILED_PRECONDITION);
    assert_int_equal(error->reason, DISKDELTA_REASON_BASELINE_UNKNOWN);
    assert_int_equal(error->return_value, 32775);
    assert_int_equal(error->detail_code, 0xC03A0030);
    assert_string_equal(error->message, "nothing bears the id?{x}");
    assert_int_equal(error->resume_offset, 4096);
    diskdelta_changes_close(changes);
    diskdelta_client_close(client);
}

static void test_refusal_after_batches(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.answer.size = end_of_answer(&fixture->script.answer);
    append_refusal(&fixture->script.answer, 1, DISKDELTA_REASON_READ_FAILED, "");
    struct asked asked = ask(fixture, 0);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_READ_FAILED);
    assert_int_equal(asked.status, DISKDELTA_STATUS_INTERNAL);
    assert_int_equal(asked.resume_offset, RECORDED_SIZE);
    assert_expected(fixture, &asked);
}

static void append_goaway(struct bytes *bytes, uint32_t last, uint32_t code)
{
    uint8_t payload[DD_MAX_GOAWAY_SIZE];
    size_t size = dd_goaway_encode(payload, (enum dd_code)code, "told so");
    append_frame(bytes, DD_FRAME_GOAWAY, 0, last, payload, size);
}

static void test_goaway_lets_the_answer_end(void **state)
{
    struct fixture *fixture = *state;
    struct bytes answer = {0};
    append_goaway(&answer, 1, 0);
    bytes_append(&answer, fixture->script.answer.data, fixture->script.answer.size);
    bytes_free(&fixture->script.answer);
    fixture->script.answer = answer;
    assert_int_equal(ask(fixture, 0).result, 0);
}

static void test_goaway_with_an_error(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.answer.size = end_of_answer(&fixture->script.answer);
    append_goaway(&fixture->script.answer, 1, DD_EXCESSIVE_LOAD);
    struct asked asked = ask(fixture, 0);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INCOMPLETE);
}

static void wait_for_the_client(int fd, void *context)
{
    struct dd_header header;
    uint32_t *status = context;
    while (fake_receive(fd, &header)) {
        if (header.type == DD_FRAME_CANCEL)
            *status = header.aux;
    }
}

static void test_deadline(void **state)
{
    struct fixture *fixture = *state;
    uint32_t cancelled = 0;
    fixture->script.answer.size = end_of_answer(&fixture->script.answer);
    fixture->script.go_on = wait_for_the_client;
    fixture->script.context = &cancelled;
    struct asked asked = ask(fixture, 100);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_DEADLINE);
    assert_int_equal(asked.status, DISKDELTA_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(asked.resume_offset, asked.position);
    fake_server_stop(fixture->server);
    assert_int_equal(cancelled, DISKDELTA_STATUS_DEADLINE_EXCEEDED);
    fixture->server = fake_server_start(&fixture->script);
}

static void test_invalid_content_is_cancelled(void **state)
{
    struct fixture *fixture = *state;
    uint32_t cancelled = 0;
    fixture->script.answer.size = 0;
    append_header(&fixture->script.answer, 1, RECORDED_SIZE);
    append_runs(&fixture->script.answer, 1, 1, RECORDED_SIZE, 1, (const uint64_t[]){100}, (const uint64_t[]){100},
                NULL);
    fixture->script.go_on = wait_for_the_client;
    fixture->script.context = &cancelled;
    struct asked asked = ask(fixture, 0);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INVALID);
    assert_int_equal(asked.resume_offset, 0);
    fake_server_stop(fixture->server);
    assert_int_equal(cancelled, DISKDELTA_STATUS_INTERNAL);
    fixture->server = fake_server_start(&fixture->script);
}

static void wait_for_goaway(int fd, void *context)
{
    struct dd_header header;
    while (fake_receive(fd, &header)) {
        if (header.type == DD_FRAME_GOAWAY)
            ++*(uint32_t *)context;
    }
}

/* The client says why before it goes. */
static void test_breach_is_told(void **state)
{
    struct fixture *fixture = *state;
    uint32_t told = 0;
    fixture->script.answer.size = 0;
    append_frame(&fixture->script.answer, DD_FRAME_CREDIT, 1, 4096, NULL, 0);
    fixture->script.go_on = wait_for_goaway;
    fixture->script.context = &told;
    struct asked asked = ask(fixture, 0);
    assert_int_equal(asked.result, -1);
    assert_int_equal(asked.reason, DISKDELTA_REASON_ANSWER_INVALID);
    fake_server_stop(fixture->server);
    assert_int_equal(told, 1);
    fixture->server = fake_server_start(&fixture->script);
}

static void test_close_cancels(void **state)
{
    struct fixture *fixture = *state;
    uint32_t cancelled = 0;
    fixture->script.answer.size = end_of_answer(&fixture->script.answer);
    fixture->script.go_on = wait_for_the_client;
    fixture->script.context = &cancelled;
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
    const diskdelta_batch *batch = NULL;
    assert_int_equal(diskdelta_changes_next(changes, &batch), 1);
    diskdelta_changes_close(changes);
    diskdelta_client_close(client);
    fake_server_stop(fixture->server);
    assert_int_equal(cancelled, DISKDELTA_STATUS_CANCELLED);
    fixture->server = fake_server_start(&fixture->script);
}

static void test_closing_the_client_first(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
    const diskdelta_batch *batch = NULL;
    assert_int_equal(diskdelta_changes_next(changes, &batch), 1);
    diskdelta_client_close(client);
    int result;
    while ((result = diskdelta_changes_next(changes, &batch)) == 1)
        ;
    assert_int_equal(result, -1);
    assert_int_equal(diskdelta_changes_error(changes)->reason, DISKDELTA_REASON_CANCELLED);
    diskdelta_changes_close(changes);
}

/* An end stays what it was, whatever becomes of the client: a second loop can't take the one for the other. */
static void test_the_end_stays(void **state)
{
    struct fixture *fixture = *state;
    size_t size = fixture->script.answer.size;
    for (int is_whole = 0; is_whole < 2; is_whole++) {
        fixture->script.answer.size = is_whole ? size : size - 1;
        diskdelta_client *client = diskdelta_client_create(NULL);
        assert_int_equal(diskdelta_client_connect(client, fake_server_address(fixture->server), NULL), 0);
        diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
        request.path = "disks/a.vhdx";
        diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
        options.patience_ms = DISKDELTA_OFF;
        diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, &options);
        struct asked asked = {0};
        read_all(changes, &asked);
        assert_int_equal(asked.result, is_whole ? 0 : -1);
        assert_int_equal(asked.reason, is_whole ? DISKDELTA_REASON_NONE : DISKDELTA_REASON_ANSWER_INCOMPLETE);
        for (int i = 0; i < 4; i++) {
            struct asked again = {0};
            read_all(changes, &again);
            assert_int_equal(again.result, asked.result);
            assert_int_equal(again.count, 0);
            assert_int_equal(again.reason, asked.reason);
            assert_int_equal(again.position, asked.position);
            assert_int_equal(diskdelta_changes_totals(changes) != NULL, is_whole);
            if (i == 1)
                diskdelta_client_cancel(client);
            if (i == 2)
                diskdelta_client_close(client);
        }
        diskdelta_changes_close(changes);
    }
}

#define answer_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        answer_test(test_complete_in_both_forms),
        answer_test(test_byte_by_byte),
        answer_test(test_header_and_totals),
        answer_test(test_cut_at_every_byte),
        answer_test(test_hello_cut_at_every_byte),
        answer_test(test_every_bit_of_end_flipped),
        answer_test(test_every_bit_of_the_answer_flipped),
        answer_test(test_wrong_totals),
        answer_test(test_refusal_before_the_header),
        answer_test(test_refusal_after_batches),
        answer_test(test_goaway_lets_the_answer_end),
        answer_test(test_goaway_with_an_error),
        answer_test(test_deadline),
        answer_test(test_invalid_content_is_cancelled),
        answer_test(test_breach_is_told),
        answer_test(test_close_cancels),
        answer_test(test_closing_the_client_first),
        answer_test(test_the_end_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
