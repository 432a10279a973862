/* Connecting, and calls with one answer. */
#include "fake_server.h"
#include "test.h"

#include "diskdelta/v1/image_management.pb-c.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    struct fake_script script;
    struct fake_server *server;
    diskdelta_client *client;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    append_hello(&fixture.script.hello);
    fixture.server = fake_server_start(&fixture.script);
    fixture.client = diskdelta_client_create(NULL);
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

static void assert_reason(const struct fixture *fixture, int result, diskdelta_reason reason)
{
    assert_int_equal(result, -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, reason);
    assert_int_equal(diskdelta_client_error(fixture->client)->status, diskdelta_reason_status(reason));
}

/* ---- Connecting ------------------------------------------------------------------------------------------------ */

static void test_malformed_addresses(void **state)
{
    struct fixture *fixture = *state;
    static const char *const addresses[] = {
        "",      "localhost", ":7420",   "localhost:", "localhost:x", "localhost:123456", "localhost:7420x",
        "[::1]", "[::1:7420", "[]:7420", "::1:7420",   "unix:",
    };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        assert_reason(fixture, diskdelta_client_connect(fixture->client, addresses[i], NULL),
                      DISKDELTA_REASON_INVALID_PARAMETER);
    assert_reason(fixture, diskdelta_client_connect(fixture->client, NULL, NULL), DISKDELTA_REASON_INVALID_PARAMETER);
    char path[300] = "unix:";
    memset(path + 5, 'a', 200);
    assert_reason(fixture, diskdelta_client_connect(fixture->client, path, NULL), DISKDELTA_REASON_INVALID_PARAMETER);
}

static void test_nobody_there(void **state)
{
    struct fixture *fixture = *state;
    assert_reason(fixture, diskdelta_client_connect(fixture->client, "unix:/nonexistent/socket", NULL),
                  DISKDELTA_REASON_SERVER_UNAVAILABLE);
    assert_reason(fixture, diskdelta_client_connect(fixture->client, "127.0.0.1:1", NULL),
                  DISKDELTA_REASON_SERVER_UNAVAILABLE);
    assert_reason(fixture, diskdelta_client_connect(fixture->client, "[::1]:1", NULL),
                  DISKDELTA_REASON_SERVER_UNAVAILABLE);
}

static void test_options_that_are_not_allowed(void **state)
{
    struct fixture *fixture = *state;
    const char *address = fake_server_address(fixture->server);
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.max_frame = 1000;
    assert_reason(fixture, diskdelta_client_connect(fixture->client, address, &options),
                  DISKDELTA_REASON_INVALID_PARAMETER);
    options.max_frame = 0;
    options.stream_credit = 262144;
    assert_reason(fixture, diskdelta_client_connect(fixture->client, address, &options),
                  DISKDELTA_REASON_INVALID_PARAMETER);
    diskdelta_client_options without_size = {0};
    assert_reason(fixture, diskdelta_client_connect(fixture->client, address, &without_size),
                  DISKDELTA_REASON_INVALID_PARAMETER);
}

/* A program built with a later version, whose structures are larger, works as long as it asks nothing new of this one.
 */
static void test_options_of_another_version(void **state)
{
    struct fixture *fixture = *state;
    struct {
        diskdelta_client_options known;
        uint64_t later;
    } larger = {.known = {.struct_size = sizeof larger}};
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), &larger.known), 0);
    larger.later = 1;
    assert_reason(fixture,
                  diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), &larger.known),
                  DISKDELTA_REASON_INVALID_PARAMETER);
    size_t smaller[2] = {sizeof(size_t), 77};
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server),
                                              (const diskdelta_client_options *)(const void *)smaller),
                     0);
}

static void test_not_a_diskdelta_server(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.hello.size = 0;
    bytes_append(&fixture->script.hello, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    assert_reason(fixture, diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL),
                  DISKDELTA_REASON_ANSWER_INVALID);
}

/* A listener that accepts nobody: the system connects, and then nothing comes. */
static void test_silent_server(void **state)
{
    struct fixture *fixture = *state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && listen(fd, 1) == 0);
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(name.sin_port));
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.connect_timeout_ms = 50;
    assert_reason(fixture, diskdelta_client_connect(fixture->client, address, &options), DISKDELTA_REASON_DEADLINE);
    close(fd);
}

static void test_farewell_in_place_of_settings(void **state)
{
    struct fixture *fixture = *state;
    uint8_t payload[64];
    size_t size = dd_goaway_encode(payload, DD_NO_ERROR, "closed for today");
    fixture->script.hello.size = DD_PREFACE_SIZE;
    append_frame(&fixture->script.hello, DD_FRAME_GOAWAY, 0, 0, payload, size);
    assert_reason(fixture, diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL),
                  DISKDELTA_REASON_SERVER_UNAVAILABLE);
    assert_non_null(strstr(diskdelta_client_error(fixture->client)->message, "closed for today"));
}

static void test_errors_without_a_handle(void **state)
{
    (void)state;
    assert_int_equal(diskdelta_client_error(NULL)->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_int_equal(diskdelta_changes_error(NULL)->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_int_equal(diskdelta_stream_error(NULL)->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_int_equal(diskdelta_client_connect(NULL, "localhost:1", NULL), -1);
    const diskdelta_batch *batch = NULL;
    assert_int_equal(diskdelta_changes_next(NULL, &batch), -1);
    assert_null(diskdelta_changes_header(NULL));
    assert_null(diskdelta_changes_totals(NULL));
    diskdelta_client_close(NULL);
    diskdelta_stream_close(NULL);
    diskdelta_changes_close(NULL);
    diskdelta_job_free(NULL);
}

/* ---- One answer ------------------------------------------------------------------------------------------------ */

static void append_baselines(struct bytes *bytes, uint32_t number)
{
    Diskdelta__V1__Baseline first = DISKDELTA__V1__BASELINE__INIT;
    first.id = (char *)"{1}";
    first.kind = DISKDELTA__V1__BASELINE_KIND__BASELINE_KIND_LAYER;
    first.granularity = 512;
    first.usable = 1;
    Diskdelta__V1__Baseline second = DISKDELTA__V1__BASELINE__INIT;
    second.id = (char *)"{2}";
    second.reason = (char *)"PARENT_MISMATCH";
    Diskdelta__V1__Baseline *baselines[] = {&first, &second};
    Diskdelta__V1__ListBaselinesResponse response = DISKDELTA__V1__LIST_BASELINES_RESPONSE__INIT;
    response.epoch = (char *)"e1";
    response.baselines = baselines;
    response.n_baselines = 2;
    uint8_t payload[256];
    size_t size = diskdelta__v1__list_baselines_response__pack(&response, payload);
    append_frame(bytes, DD_FRAME_DATA, 1, number, payload, size);
}

static void append_ok(struct bytes *bytes)
{
    append_frame(bytes, DD_FRAME_END, 1, 0, (const uint8_t[4]){0}, 4);
}

static int list_baselines(struct fixture *fixture, diskdelta_list_baselines_response **answer)
{
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_virtual_hard_disk_request request = DISKDELTA_VIRTUAL_HARD_DISK_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    return diskdelta_image_management_list_baselines(fixture->client, &request, NULL, answer);
}

static void test_one_answer(void **state)
{
    struct fixture *fixture = *state;
    append_baselines(&fixture->script.answer, 0);
    append_ok(&fixture->script.answer);
    diskdelta_list_baselines_response *answer = NULL;
    assert_int_equal(list_baselines(fixture, &answer), 0);
    /* It outlives the client. */
    diskdelta_client_close(fixture->client);
    fixture->client = NULL;
    assert_string_equal(answer->epoch, "e1");
    assert_int_equal(answer->baselines_count, 2);
    assert_string_equal(answer->baselines[0]->id, "{1}");
    assert_int_equal(answer->baselines[0]->kind, DISKDELTA_BASELINE_KIND_LAYER);
    assert_true(answer->baselines[0]->usable);
    assert_int_equal(answer->baselines[0]->granularity, 512);
    assert_string_equal(answer->baselines[0]->path, "");
    assert_string_equal(answer->baselines[1]->reason, "PARENT_MISMATCH");
    assert_null(answer->tracking);
    diskdelta_list_baselines_response_free(answer);
}

static void test_no_answer(void **state)
{
    struct fixture *fixture = *state;
    append_ok(&fixture->script.answer);
    diskdelta_list_baselines_response *answer = NULL;
    assert_reason(fixture, list_baselines(fixture, &answer), DISKDELTA_REASON_ANSWER_INVALID);
    assert_null(answer);
}

static void test_two_answers(void **state)
{
    struct fixture *fixture = *state;
    append_baselines(&fixture->script.answer, 0);
    append_baselines(&fixture->script.answer, 1);
    append_ok(&fixture->script.answer);
    diskdelta_list_baselines_response *answer = NULL;
    assert_reason(fixture, list_baselines(fixture, &answer), DISKDELTA_REASON_ANSWER_INVALID);
    assert_null(answer);
}

static void test_answer_and_no_end(void **state)
{
    struct fixture *fixture = *state;
    append_baselines(&fixture->script.answer, 0);
    diskdelta_list_baselines_response *answer = NULL;
    assert_reason(fixture, list_baselines(fixture, &answer), DISKDELTA_REASON_SERVER_UNAVAILABLE);
    assert_null(answer);
}

static void test_answer_that_is_no_message(void **state)
{
    struct fixture *fixture = *state;
    append_frame(&fixture->script.answer, DD_FRAME_DATA, 1, 0, "\xff\xff\xff", 3);
    append_ok(&fixture->script.answer);
    diskdelta_list_baselines_response *answer = NULL;
    assert_reason(fixture, list_baselines(fixture, &answer), DISKDELTA_REASON_ANSWER_INVALID);
}

/* 128 KiB that would unpack to a hundred times as much: the arena gives out, and nothing else happens. */
static void test_answer_made_to_fill_memory(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t payload[131072];
    for (size_t i = 0; i < sizeof payload; i += 2)
        payload[i] = 0x12;
    append_frame(&fixture->script.answer, DD_FRAME_DATA, 1, 0, payload, sizeof payload);
    append_ok(&fixture->script.answer);
    diskdelta_list_baselines_response *answer = NULL;
    assert_reason(fixture, list_baselines(fixture, &answer), DISKDELTA_REASON_ANSWER_INVALID);
}

static void test_refusal(void **state)
{
    struct fixture *fixture = *state;
    append_refusal(&fixture->script.answer, 1, DISKDELTA_REASON_FILE_NOT_FOUND, "there is no disks/a.vhdx");
    diskdelta_list_baselines_response *answer = NULL;
    assert_reason(fixture, list_baselines(fixture, &answer), DISKDELTA_REASON_FILE_NOT_FOUND);
    assert_string_equal(diskdelta_client_error(fixture->client)->message, "there is no disks/a.vhdx");
    assert_int_equal(diskdelta_client_error(fixture->client)->return_value, 32779);
}

static void test_request_that_was_not_started(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_virtual_hard_disk_request request = {.path = "disks/a.vhdx"};
    diskdelta_list_baselines_response *answer = NULL;
    assert_reason(fixture, diskdelta_image_management_list_baselines(fixture->client, &request, NULL, &answer),
                  DISKDELTA_REASON_INVALID_PARAMETER);
    assert_reason(fixture, diskdelta_image_management_list_baselines(fixture->client, NULL, NULL, &answer),
                  DISKDELTA_REASON_INVALID_PARAMETER);
}

static void test_not_connected(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_virtual_hard_disk_request request = DISKDELTA_VIRTUAL_HARD_DISK_REQUEST_INIT;
    diskdelta_list_baselines_response *answer = NULL;
    assert_reason(fixture, diskdelta_image_management_list_baselines(fixture->client, &request, NULL, &answer),
                  DISKDELTA_REASON_SERVER_UNAVAILABLE);
}

static void test_connecting_again(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_list_baselines_response *answer = NULL;
    append_baselines(&fixture->script.answer, 0);
    assert_reason(fixture, list_baselines(fixture, &answer), DISKDELTA_REASON_SERVER_UNAVAILABLE);
    append_ok(&fixture->script.answer);
    assert_int_equal(list_baselines(fixture, &answer), 0);
    diskdelta_list_baselines_response_free(answer);
}

/* ---- Streams of messages --------------------------------------------------------------------------------------- */

static void test_stream(void **state)
{
    struct fixture *fixture = *state;
    append_frame(&fixture->script.answer, DD_FRAME_DATA, 1, 0, "\x08\x01", 2);
    append_frame(&fixture->script.answer, DD_FRAME_DATA, 1, 1, "\x08\x02", 2);
    append_ok(&fixture->script.answer);
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_health_check_request request = DISKDELTA_HEALTH_CHECK_REQUEST_INIT;
    diskdelta_stream *stream = diskdelta_health_watch(fixture->client, &request, NULL);
    assert_non_null(stream);
    const diskdelta_health_check_response *response = NULL;
    assert_int_equal(diskdelta_health_watch_next(stream, &response), 1);
    assert_int_equal(response->status, DISKDELTA_SERVING_STATUS_SERVING);
    assert_int_equal(diskdelta_health_watch_next(stream, &response), 1);
    assert_int_equal(response->status, DISKDELTA_SERVING_STATUS_NOT_SERVING);
    assert_null(diskdelta_stream_details(stream));
    assert_int_equal(diskdelta_health_watch_next(stream, &response), 0);
    assert_null(response);
    assert_int_equal(diskdelta_stream_details(stream)->reason, DISKDELTA_REASON_NONE);
    assert_int_equal(diskdelta_stream_error(stream)->status, DISKDELTA_STATUS_OK);
    /* The function of another method takes no message from it. */
    const diskdelta_job *job = NULL;
    assert_int_equal(diskdelta_jobs_watch_job_next(stream, &job), -1);
    assert_int_equal(diskdelta_stream_error(stream)->reason, DISKDELTA_REASON_INVALID_PARAMETER);
    diskdelta_stream_close(stream);
}

#define call_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        call_test(test_malformed_addresses),
        call_test(test_nobody_there),
        call_test(test_options_that_are_not_allowed),
        call_test(test_options_of_another_version),
        call_test(test_not_a_diskdelta_server),
        call_test(test_silent_server),
        call_test(test_farewell_in_place_of_settings),
        cmocka_unit_test(test_errors_without_a_handle),
        call_test(test_one_answer),
        call_test(test_no_answer),
        call_test(test_two_answers),
        call_test(test_answer_and_no_end),
        call_test(test_answer_that_is_no_message),
        call_test(test_answer_made_to_fill_memory),
        call_test(test_refusal),
        call_test(test_request_that_was_not_started),
        call_test(test_not_connected),
        call_test(test_connecting_again),
        call_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
