/* Carriers: the plain one, and one that a program brings, which reads and writes a byte at a time and in the midst
 * waits. */
#include "fake_server.h"
#include "test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A carrier on top of the plain one. */
struct slow {
    diskdelta_carrier below;
    unsigned calls;
    bool is_closed;
    /* What read gives after so many bytes; 0: it goes on. */
    ptrdiff_t end;
    size_t left;
    char host[64];
};

static ptrdiff_t slow_read(void *data, void *bytes, size_t capacity)
{
    struct slow *slow = data;
    assert_true(capacity > 0);
    if (slow->end != 0 && slow->left == 0)
        return slow->end;
    if (slow->calls++ % 3 == 0)
        return DISKDELTA_CARRIER_WAIT;
    ptrdiff_t count = slow->below.functions->read(slow->below.data, bytes, 1);
    slow->left -= count > 0 ? 1 : 0;
    return count;
}

static ptrdiff_t slow_write(void *data, const void *bytes, size_t count)
{
    struct slow *slow = data;
    assert_true(count > 0);
    if (slow->calls++ % 3 == 0)
        return DISKDELTA_CARRIER_WAIT;
    return slow->below.functions->write(slow->below.data, bytes, 1);
}

static unsigned slow_wants(void *data, bool has_output)
{
    struct slow *slow = data;
    return slow->below.functions->wants(slow->below.data, has_output);
}

static int slow_fd(void *data)
{
    struct slow *slow = data;
    return slow->below.functions->fd(slow->below.data);
}

static bool slow_is_private(void *data)
{
    (void)data;
    return true;
}

static const char *slow_error(void *data)
{
    (void)data;
    return "no such certificate";
}

static void slow_finish(void *data)
{
    struct slow *slow = data;
    slow->below.functions->finish(slow->below.data);
}

static void slow_close(void *data)
{
    struct slow *slow = data;
    slow->below.functions->close(slow->below.data);
    slow->is_closed = true;
}

static const diskdelta_carrier_functions functions = {
    .struct_size = sizeof functions,
    .read = slow_read,
    .write = slow_write,
    .wants = slow_wants,
    .fd = slow_fd,
    .is_private = slow_is_private,
    .error = slow_error,
    .finish = slow_finish,
    .close = slow_close,
};

static int wrap(void *data, int fd, const char *host, diskdelta_carrier *carrier, char *text, size_t capacity)
{
    struct slow *slow = data;
    (void)text;
    (void)capacity;
    strncpy(slow->host, host, sizeof slow->host - 1);
    *carrier = (diskdelta_carrier){&functions, slow};
    return diskdelta_carrier_on_socket(fd, NULL, &slow->below);
}

static int wrap_nothing(void *data, int fd, const char *host, diskdelta_carrier *carrier, char *text, size_t capacity)
{
    (void)data;
    (void)fd;
    (void)host;
    (void)carrier;
    strncpy(text, "there is no key", capacity - 1);
    return -1;
}

static int set_up(void **state)
{
    static struct fake_script script;
    memset(&script, 0, sizeof script);
    append_hello(&script.hello);
    append_recorded(&script.answer, NULL);
    *state = &script;
    return 0;
}

static int tear_down(void **state)
{
    struct fake_script *script = *state;
    bytes_free(&script->hello);
    bytes_free(&script->answer);
    return 0;
}

static size_t read_all(diskdelta_client *client)
{
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
    const diskdelta_batch *batch = NULL;
    size_t ranges = 0;
    int more;
    while ((more = diskdelta_changes_next(changes, &batch)) == 1)
        ranges += batch->count;
    assert_int_equal(more, 0);
    diskdelta_changes_close(changes);
    return ranges;
}

static void test_security(void **state)
{
    struct fake_server *server = fake_server_start(*state);
    struct slow slow = {0};
    diskdelta_security security = DISKDELTA_SECURITY_INIT;
    security.wrap = wrap;
    security.data = &slow;
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.security = &security;
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(server), &options), 0);
    assert_string_equal(slow.host, "");
    assert_int_equal(read_all(client), RECORDED_RANGES);
    diskdelta_client_close(client);
    assert_true(slow.is_closed);
    fake_server_stop(server);
}

static void test_security_that_fails(void **state)
{
    struct fake_server *server = fake_server_start(*state);
    diskdelta_security security = DISKDELTA_SECURITY_INIT;
    security.wrap = wrap_nothing;
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.security = &security;
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(server), &options), -1);
    assert_int_equal(diskdelta_client_error(client)->reason, DISKDELTA_REASON_INVALID_PARAMETER);
    assert_non_null(strstr(diskdelta_client_error(client)->message, "there is no key"));
    diskdelta_client_close(client);
    fake_server_stop(server);
}

/* A peer that is not who it should be. */
static void test_refused(void **state)
{
    struct fake_server *server = fake_server_start(*state);
    struct slow slow = {.end = DISKDELTA_CARRIER_REFUSED, .left = 5};
    diskdelta_security security = DISKDELTA_SECURITY_INIT;
    security.wrap = wrap;
    security.data = &slow;
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.security = &security;
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(server), &options), -1);
    assert_int_equal(diskdelta_client_error(client)->reason, DISKDELTA_REASON_UNAUTHENTICATED);
    assert_non_null(strstr(diskdelta_client_error(client)->message, "no such certificate"));
    assert_true(slow.is_closed);
    diskdelta_client_close(client);
    fake_server_stop(server);
}

/* A pair of sockets, on one end of which the server's bytes are there already. */
static void test_carrier_of_the_program(void **state)
{
    struct fake_script *script = *state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    diskdelta_carrier carrier;
    assert_int_equal(diskdelta_carrier_on_socket(pair[0], NULL, &carrier), 0);
    assert_true(carrier.functions->is_private(carrier.data));
    assert_true(fake_send(pair[1], &script->hello));
    diskdelta_client *client = diskdelta_client_create(NULL);
    assert_int_equal(diskdelta_client_connect_carrier(client, carrier, NULL), 0);
    diskdelta_client_close(client);
    uint8_t preface[DD_PREFACE_SIZE];
    assert_int_equal(recv(pair[1], preface, sizeof preface, MSG_WAITALL), sizeof preface);
    assert_null(dd_preface_check(preface).text);
    close(pair[1]);
}

static void test_what_is_no_socket(void **state)
{
    (void)state;
    int pipes[2];
    diskdelta_carrier carrier;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(diskdelta_carrier_on_socket(pipes[0], NULL, &carrier), -1);
    assert_int_equal(diskdelta_carrier_on_socket(-1, NULL, &carrier), -1);
    close(pipes[0]);
    close(pipes[1]);
}

#define carrier_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        carrier_test(test_security),          carrier_test(test_security_that_fails),
        carrier_test(test_refused),           carrier_test(test_carrier_of_the_program),
        carrier_test(test_what_is_no_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
