/* Cancelling from another thread and from a signal handler. */
#include "fake_server.h"
#include "test.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct fixture {
    struct fake_script script;
    struct fake_server *server;
    diskdelta_client *client;
    uint32_t cancelled;
};

static void wait_for_the_client(int fd, void *context)
{
    struct dd_header header;
    uint32_t *cancelled = context;
    while (fake_receive(fd, &header))
        *cancelled += header.type == DD_FRAME_CANCEL && header.aux == DISKDELTA_STATUS_CANCELLED ? 1 : 0;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    append_hello(&fixture.script.hello);
    append_recorded(&fixture.script.answer, NULL);
    fixture.script.answer.size = end_of_answer(&fixture.script.answer);
    fixture.script.go_on = wait_for_the_client;
    fixture.script.context = &fixture.cancelled;
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

static diskdelta_changes *open_changes(struct fixture *fixture)
{
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(fixture->client, &request, NULL);
    assert_non_null(changes);
    return changes;
}

/* Reads until it ends, which it only does where it is cancelled. It has patience, but not for this. */
static void assert_cancelled(struct fixture *fixture, diskdelta_changes *changes)
{
    const diskdelta_batch *batch = NULL;
    int more;
    while ((more = diskdelta_changes_next(changes, &batch)) == 1)
        ;
    assert_int_equal(more, -1);
    assert_int_equal(diskdelta_changes_error(changes)->reason, DISKDELTA_REASON_CANCELLED);
    diskdelta_changes_close(changes);
    /* The server was told, and the client goes on as before. */
    diskdelta_client_close(fixture->client);
    fixture->client = diskdelta_client_create(NULL);
    fake_server_stop(fixture->server);
    assert_int_equal(fixture->cancelled, 1);
    fixture->server = fake_server_start(&fixture->script);
}

static void *cancel_later(void *argument)
{
    usleep(20000);
    diskdelta_client_cancel(argument);
    return NULL;
}

static void test_from_a_thread(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_changes *changes = open_changes(fixture);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, fixture->client), 0);
    const diskdelta_batch *batch = NULL;
    while (diskdelta_changes_next(changes, &batch) == 1)
        ;
    pthread_join(thread, NULL);
    assert_cancelled(fixture, changes);
}

static diskdelta_client *volatile to_cancel;

static void cancel_now(int number)
{
    (void)number;
    diskdelta_client_cancel(to_cancel);
}

/* SA_RESTART or not: the call returns. */
static void cancel_by_signal(struct fixture *fixture, int flags)
{
    struct sigaction action = {.sa_handler = cancel_now, .sa_flags = flags};
    struct sigaction before;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    diskdelta_changes *changes = open_changes(fixture);
    to_cancel = fixture->client;
    struct itimerval timer = {.it_value = {.tv_usec = 20000}};
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
    assert_cancelled(fixture, changes);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

static void test_from_a_signal_handler(void **state)
{
    cancel_by_signal(*state, 0);
}

static void test_from_a_signal_handler_that_restarts(void **state)
{
    cancel_by_signal(*state, SA_RESTART);
}

static void test_before_anything(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_client_cancel(fixture->client);
    diskdelta_client_cancel(fixture->client);
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_CANCELLED);
    diskdelta_changes *changes = open_changes(fixture);
    /* The server has said what it has to say, so that what it hears next is the cancel. */
    assert_non_null(diskdelta_changes_header(changes));
    diskdelta_client_cancel(fixture->client);
    assert_cancelled(fixture, changes);
}

/* Connecting to somebody who says nothing. */
static void test_connecting(void **state)
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
    options.connect_timeout_ms = 60000;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, fixture->client), 0);
    assert_int_equal(diskdelta_client_connect(fixture->client, address, &options), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_CANCELLED);
    pthread_join(thread, NULL);
    close(fd);
}

/* A call that waits for a server which never comes. */
static void test_waiting_for_ready(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(diskdelta_client_connect(fixture->client, "unix:/nonexistent/socket", NULL), -1);
    diskdelta_virtual_hard_disk_request request = DISKDELTA_VIRTUAL_HARD_DISK_REQUEST_INIT;
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.wait_for_ready = true;
    diskdelta_list_baselines_response *answer = NULL;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, fixture->client), 0);
    assert_int_equal(diskdelta_image_management_list_baselines(fixture->client, &request, &options, &answer), -1);
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_CANCELLED);
    pthread_join(thread, NULL);
}

/* ---- In the midst of a message --------------------------------------------------------------------------------- */

/* One message with more ranges than are handed out at once: of every two units the second. */
enum { LONG_RANGES = 10000, LONG_SIZE = LONG_RANGES * 1024 };

static void append_long(struct bytes *bytes)
{
    static uint64_t ones[LONG_RANGES];
    for (size_t i = 0; i < LONG_RANGES; i++)
        ones[i] = 1;
    append_header(bytes, 1, LONG_SIZE);
    append_runs(bytes, 1, 1, LONG_SIZE, LONG_RANGES, ones, ones, NULL);
}

static void give_up(struct fixture *fixture, bool closes)
{
    if (!closes) {
        diskdelta_client_cancel(fixture->client);
        return;
    }
    diskdelta_client_close(fixture->client);
    fixture->client = NULL;
}

/* What has arrived is not handed out, and where to go on is behind what was. */
static void give_up_in_a_message(struct fixture *fixture, bool closes)
{
    fixture->script.answer.size = 0;
    append_long(&fixture->script.answer);
    diskdelta_changes *changes = open_changes(fixture);
    const diskdelta_batch *batch = NULL;
    assert_int_equal(diskdelta_changes_next(changes, &batch), 1);
    assert_true(batch->count > 0 && batch->count < LONG_RANGES);
    uint64_t position = batch->count * 1024;
    assert_int_equal(batch->processed_end, position);
    give_up(fixture, closes);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(diskdelta_changes_next(changes, &batch), -1);
        assert_null(batch);
        assert_int_equal(diskdelta_changes_error(changes)->reason, DISKDELTA_REASON_CANCELLED);
        assert_int_equal(diskdelta_changes_error(changes)->resume_offset, position);
        assert_int_equal(diskdelta_changes_position(changes), position);
        assert_null(diskdelta_changes_totals(changes));
    }
    diskdelta_changes_close(changes);
}

static void test_in_a_message(void **state)
{
    give_up_in_a_message(*state, false);
}

static void test_closing_in_a_message(void **state)
{
    give_up_in_a_message(*state, true);
}

/* The same of one of two disks: each gets its end. */
static void give_up_in_a_message_of_many(struct fixture *fixture, bool closes)
{
    struct bytes single = {0};
    size_t at = 0;
    uint32_t number = 0;
    append_long(&single);
    fixture->script.answer.size = 0;
    while (append_of_disk(&fixture->script.answer, 1, number, 0, &single, &at))
        number++;
    bytes_free(&single);
    assert_int_equal(diskdelta_client_connect(fixture->client, fake_server_address(fixture->server), NULL), 0);
    diskdelta_get_virtual_disk_changes_request disk = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    disk.path = "disks/a.vhdx";
    const diskdelta_get_virtual_disk_changes_request *disks[] = {&disk, &disk};
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    request.disks = disks;
    request.disks_count = 2;
    diskdelta_many_changes *many = diskdelta_get_virtual_disk_changes_batch(fixture->client, &request, NULL);
    assert_non_null(many);
    const diskdelta_disk_event *event = NULL;
    assert_int_equal(diskdelta_many_changes_next(many, &event), 1);
    assert_int_equal(event->type, DISKDELTA_DISK_HEADER);
    assert_int_equal(diskdelta_many_changes_next(many, &event), 1);
    assert_int_equal(event->type, DISKDELTA_DISK_BATCH);
    uint64_t positions[] = {event->batch->processed_end, 0};
    assert_true(positions[0] > 0 && positions[0] < LONG_SIZE);
    give_up(fixture, closes);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(diskdelta_many_changes_next(many, &event), 1);
        assert_int_equal(event->type, DISKDELTA_DISK_FAILED);
        assert_int_equal(event->disk, i);
        assert_int_equal(event->error->reason, DISKDELTA_REASON_CANCELLED);
        assert_int_equal(event->error->resume_offset, positions[i]);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(diskdelta_many_changes_next(many, &event), -1);
        assert_null(event);
        assert_int_equal(diskdelta_many_changes_error(many)->reason, DISKDELTA_REASON_CANCELLED);
    }
    diskdelta_many_changes_close(many);
}

static void test_in_a_message_of_many(void **state)
{
    give_up_in_a_message_of_many(*state, false);
}

static void test_closing_in_a_message_of_many(void **state)
{
    give_up_in_a_message_of_many(*state, true);
}

#define cancel_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cancel_test(test_from_a_thread),
        cancel_test(test_from_a_signal_handler),
        cancel_test(test_from_a_signal_handler_that_restarts),
        cancel_test(test_before_anything),
        cancel_test(test_connecting),
        cancel_test(test_waiting_for_ready),
        cancel_test(test_in_a_message),
        cancel_test(test_closing_in_a_message),
        cancel_test(test_in_a_message_of_many),
        cancel_test(test_closing_in_a_message_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
