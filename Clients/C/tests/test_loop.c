/* A client in somebody else's event loop: nothing waits, and bytes may come one at a time. */
#include "fake_server.h"
#include "test.h"

#include <poll.h>
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
    append_recorded(&fixture.script.answer, NULL);
    fixture.server = fake_server_start(&fixture.script);
    fixture.client = diskdelta_client_create(NULL);
    diskdelta_client_set_waiting(fixture.client, false);
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

/* What an event loop does once. */
static void turn(diskdelta_client *client)
{
    unsigned direction = diskdelta_client_direction(client);
    struct pollfd entry = {.fd = diskdelta_client_fd(client)};
    if ((direction & DISKDELTA_DIRECTION_READ) != 0)
        entry.events |= POLLIN;
    if ((direction & DISKDELTA_DIRECTION_WRITE) != 0)
        entry.events |= POLLOUT;
    assert_true((entry.fd >= 0) == (direction != 0));
    int ready = poll(&entry, 1, diskdelta_client_timeout_ms(client));
    assert_true(ready >= 0);
    if (ready == 0)
        diskdelta_client_notify_timeout(client);
    else if ((entry.revents & POLLOUT) != 0)
        diskdelta_client_notify_writable(client);
    else
        diskdelta_client_notify_readable(client);
}

static int finish_connecting(diskdelta_client *client, int result)
{
    while (result == DISKDELTA_WOULD_WAIT) {
        turn(client);
        result = diskdelta_client_finish_connecting(client);
    }
    return result;
}

/* Reads to the end; counts the ranges and how often there was nothing yet. */
static int read_all(diskdelta_client *client, diskdelta_changes *changes, size_t *ranges, size_t *waits)
{
    const diskdelta_batch *batch = NULL;
    for (;;) {
        int more = diskdelta_changes_next(changes, &batch);
        if (more == 1) {
            *ranges += batch->count;
        } else if (more == DISKDELTA_WOULD_WAIT) {
            assert_null(batch);
            assert_int_equal(diskdelta_changes_error(changes)->reason, DISKDELTA_REASON_NONE);
            ++*waits;
            turn(client);
        } else {
            return more;
        }
    }
}

static diskdelta_changes *open_changes(diskdelta_client *client, uint32_t timeout)
{
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.patience_ms = DISKDELTA_OFF;
    options.timeout_ms = timeout;
    return diskdelta_get_virtual_disk_changes(client, &request, &options);
}

static void test_over_a_socket(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.piece = 1;
    int result = diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL);
    assert_int_equal(finish_connecting(fixture->client, result), 0);
    diskdelta_changes *changes = open_changes(fixture->client, 0);
    assert_non_null(changes);
    size_t ranges = 0;
    size_t waits = 0;
    assert_int_equal(read_all(fixture->client, changes, &ranges, &waits), 0);
    assert_int_equal(ranges, RECORDED_RANGES);
    diskdelta_changes_close(changes);
}

/* The call waits for the connection that is being made. */
static void test_opened_before_connected(void **state)
{
    struct fixture *fixture = *state;
    int result = diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL);
    assert_true(result == DISKDELTA_WOULD_WAIT || result == 0);
    diskdelta_changes *changes = open_changes(fixture->client, 0);
    assert_non_null(changes);
    size_t ranges = 0;
    size_t waits = 0;
    assert_int_equal(read_all(fixture->client, changes, &ranges, &waits), 0);
    assert_int_equal(ranges, RECORDED_RANGES);
    diskdelta_changes_close(changes);
}

static void test_nobody_there(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(diskdelta_client_connect(fixture->client, "unix:/nonexistent/socket", NULL), -1);
    int result = diskdelta_client_connect(fixture->client, "127.0.0.1:1", NULL);
    assert_int_equal(finish_connecting(fixture->client, result), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_SERVER_UNAVAILABLE);
    assert_int_equal(diskdelta_client_fd(fixture->client), -1);
    assert_int_equal(diskdelta_client_direction(fixture->client), 0);
    assert_int_equal(diskdelta_client_timeout_ms(fixture->client), -1);
}

/* A pair of sockets, so that what the server sends is in the test's hand, byte by byte. */
static void test_byte_by_byte(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_client *client = fixture->client;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    diskdelta_carrier carrier;
    assert_int_equal(diskdelta_carrier_on_socket(pair[0], NULL, &carrier), 0);
    assert_int_equal(diskdelta_client_connect_carrier(client, carrier, NULL), DISKDELTA_WOULD_WAIT);
    const struct bytes *hello = &fixture->script.hello;
    for (size_t i = 0; i < hello->size; i++) {
        assert_int_equal(diskdelta_client_finish_connecting(client), DISKDELTA_WOULD_WAIT);
        assert_int_equal(send(pair[1], hello->data + i, 1, MSG_NOSIGNAL), 1);
        diskdelta_client_notify_readable(client);
    }
    assert_int_equal(diskdelta_client_finish_connecting(client), 0);
    assert_int_equal(diskdelta_client_direction(client), DISKDELTA_DIRECTION_READ);

    diskdelta_changes *changes = open_changes(client, 0);
    assert_null(diskdelta_changes_header(changes));
    const struct bytes *answer = &fixture->script.answer;
    const diskdelta_batch *batch = NULL;
    size_t ranges = 0;
    size_t batches = 0;
    for (size_t i = 0; i < answer->size; i++) {
        assert_int_equal(diskdelta_changes_next(changes, &batch), DISKDELTA_WOULD_WAIT);
        assert_int_equal(send(pair[1], answer->data + i, 1, MSG_NOSIGNAL), 1);
        diskdelta_client_notify_readable(client);
        if (i + 1 < answer->size && diskdelta_changes_next(changes, &batch) == 1) {
            ranges += batch->count;
            batches++;
        }
    }
    assert_non_null(diskdelta_changes_header(changes));
    assert_int_equal(diskdelta_changes_next(changes, &batch), 0);
    assert_int_equal(ranges, RECORDED_RANGES);
    assert_int_equal(batches, 3);
    diskdelta_changes_close(changes);
    close(pair[1]);
}

/* A peer that takes nothing: what is to be sent waits, and the direction says so. */
static void test_direction_while_output_waits(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_client *client = fixture->client;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    diskdelta_carrier carrier;
    assert_int_equal(diskdelta_carrier_on_socket(pair[0], NULL, &carrier), 0);
    assert_true(fake_send(pair[1], &fixture->script.hello));
    assert_int_equal(finish_connecting(client, diskdelta_client_connect_carrier(client, carrier, NULL)), 0);
    static char path[60000];
    memset(path, 'a', sizeof path - 1);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = path;
    diskdelta_changes *changes[60];
    size_t count = 0;
    while (count < 60 && (diskdelta_client_direction(client) & DISKDELTA_DIRECTION_WRITE) == 0)
        assert_non_null(changes[count++] = diskdelta_get_virtual_disk_changes(client, &request, NULL));
    assert_true(count < 60);
    static uint8_t taken[1 << 20];
    while ((diskdelta_client_direction(client) & DISKDELTA_DIRECTION_WRITE) != 0) {
        assert_true(recv(pair[1], taken, sizeof taken, 0) > 0);
        diskdelta_client_notify_writable(client);
    }
    for (size_t i = 0; i < count; i++)
        diskdelta_changes_close(changes[i]);
    close(pair[1]);
}

static void go_silent(int fd, void *context)
{
    (void)context;
    struct dd_header header;
    while (fake_receive(fd, &header))
        ;
}

/* The loop is told when a call's time will be up. */
static void test_deadline(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.answer.size = end_of_answer(&fixture->script.answer);
    fixture->script.go_on = go_silent;
    int result = diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL);
    assert_int_equal(finish_connecting(fixture->client, result), 0);
    diskdelta_changes *changes = open_changes(fixture->client, 50);
    int timeout = diskdelta_client_timeout_ms(fixture->client);
    assert_true(timeout >= 0 && timeout <= 50);
    size_t ranges = 0;
    size_t waits = 0;
    assert_int_equal(read_all(fixture->client, changes, &ranges, &waits), -1);
    assert_int_equal(diskdelta_changes_error(changes)->reason, DISKDELTA_REASON_DEADLINE);
    diskdelta_changes_close(changes);
}

/* An answer that breaks off is resumed in an event loop no less: the fake server's second answer does not fit. */
static void test_reconnects(void **state)
{
    struct fixture *fixture = *state;
    fixture->script.answer.size = end_of_answer(&fixture->script.answer);
    int result = diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL);
    assert_int_equal(finish_connecting(fixture->client, result), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(fixture->client, &request, NULL);
    size_t ranges = 0;
    size_t waits = 0;
    assert_int_equal(read_all(fixture->client, changes, &ranges, &waits), -1);
    assert_int_equal(ranges, RECORDED_RANGES);
    assert_int_equal(diskdelta_changes_error(changes)->reason, DISKDELTA_REASON_ANSWER_INVALID);
    diskdelta_changes_close(changes);
}

static void test_calls_with_one_answer_would_wait(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_virtual_hard_disk_request request = DISKDELTA_VIRTUAL_HARD_DISK_REQUEST_INIT;
    diskdelta_list_baselines_response *answer = NULL;
    assert_int_equal(diskdelta_image_management_list_baselines(fixture->client, &request, NULL, &answer), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_INVALID_PARAMETER);
}

static void test_without_a_handle(void **state)
{
    (void)state;
    assert_int_equal(diskdelta_client_fd(NULL), -1);
    assert_int_equal(diskdelta_client_direction(NULL), 0);
    assert_int_equal(diskdelta_client_timeout_ms(NULL), -1);
    assert_int_equal(diskdelta_client_finish_connecting(NULL), -1);
    diskdelta_client_notify_readable(NULL);
    diskdelta_client_notify_writable(NULL);
    diskdelta_client_notify_timeout(NULL);
    diskdelta_client_set_waiting(NULL, false);
    diskdelta_client_cancel(NULL);
}

#define loop_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        loop_test(test_over_a_socket),
        loop_test(test_opened_before_connected),
        loop_test(test_nobody_there),
        loop_test(test_byte_by_byte),
        loop_test(test_direction_while_output_waits),
        loop_test(test_deadline),
        loop_test(test_reconnects),
        loop_test(test_calls_with_one_answer_would_wait),
        loop_test(test_without_a_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
