/*
 * TLS that breaks: cut or spoilt at any byte, and without memory at any allocation. Whatever happens, an answer that
 * looks complete is complete.
 *
 * Places are chosen at random; DISKDELTA_SEED chooses the same again.
 */
#include "fake_server.h"
#include "test.h"
#include "tls_front.h"

#include <diskdelta-tls.h>

#include <openssl/crypto.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Memory ---------------------------------------------------------------------------------------------------- */

/* How many allocations the thread of the client still gets; the server's thread gets all. */
static _Thread_local size_t left = SIZE_MAX;

static bool is_exhausted(void)
{
    if (left == SIZE_MAX)
        return false;
    if (left == 0)
        return true;
    left--;
    return false;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_exhausted() ? NULL : malloc(size);
}

static void *allocate_again(void *pointer, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_exhausted() ? NULL : realloc(pointer, size);
}

static void release(void *pointer, const char *file, int line)
{
    (void)file;
    (void)line;
    free(pointer);
}

/* ---- Asking ---------------------------------------------------------------------------------------------------- */

struct fixture {
    struct fake_script script;
    struct fake_server *server;
    diskdelta_range expected[RECORDED_RANGES];
    struct tls_front_script front_script;
    struct tls_front *front;
    uint32_t connect_timeout_ms;
    uint64_t random;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    append_hello(&fixture.script.hello);
    append_recorded(&fixture.script.answer, fixture.expected);
    fixture.server = fake_server_start(&fixture.script);
    fixture.front_script = tls_front_script(fake_server_address(fixture.server));
    fixture.front = tls_front_start(&fixture.front_script);
    fixture.connect_timeout_ms = 30000;
    const char *seed = getenv("DISKDELTA_SEED");
    fixture.random = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    print_message("DISKDELTA_SEED=%llu\n", (unsigned long long)fixture.random);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tls_front_stop(fixture->front);
    fake_server_stop(fixture->server);
    bytes_free(&fixture->script.hello);
    bytes_free(&fixture->script.answer);
    return 0;
}

/* A number below `bound`, by a linear congruential generator. */
static size_t below(struct fixture *fixture, size_t bound)
{
    fixture->random = fixture->random * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((fixture->random >> 33) % bound);
}

/* Reads what comes of the recorded answer; every range must be the one that is expected. */
static int read_all(const struct fixture *fixture, diskdelta_changes *changes)
{
    const diskdelta_batch *batch = NULL;
    size_t count = 0;
    int more;
    while ((more = diskdelta_changes_next(changes, &batch)) == 1) {
        for (size_t i = 0; i < batch->count; i++, count++) {
            assert_in_range(count, 0, RECORDED_RANGES - 1);
            assert_int_equal(batch->ranges[i].offset, fixture->expected[count].offset);
            assert_int_equal(batch->ranges[i].length, fixture->expected[count].length);
        }
    }
    if (more == 0)
        assert_int_equal(count, RECORDED_RANGES);
    else
        assert_true(diskdelta_changes_error(changes)->message[0] != '\0');
    return more;
}

/* Asks over TLS, with everything made anew: 0 where the answer is complete. */
static int ask(const struct fixture *fixture)
{
    diskdelta_tls *tls = diskdelta_tls_create();
    diskdelta_tls_options secured = DISKDELTA_TLS_OPTIONS_INIT;
    secured.ca_file = CERTIFICATE("ca.pem");
    secured.certificate_file = CERTIFICATE("client.pem");
    secured.key_file = CERTIFICATE("client.key");
    if (diskdelta_tls_configure(tls, &secured) != 0)
        assert_true(diskdelta_tls_error(tls)->message[0] != '\0');
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.connect_timeout_ms = fixture->connect_timeout_ms;
    options.security = diskdelta_tls_security(tls);
    diskdelta_client *client = diskdelta_client_create(NULL);
    int result = diskdelta_client_connect(client, tls_front_address(fixture->front), &options);
    if (result == 0) {
        diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
        request.path = "disks/a.vhdx";
        diskdelta_call_options once = DISKDELTA_CALL_OPTIONS_INIT;
        once.patience_ms = DISKDELTA_OFF;
        diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, &once);
        result = changes != NULL ? read_all(fixture, changes) : -1;
        diskdelta_changes_close(changes);
    } else {
        assert_true(diskdelta_client_error(client)->message[0] != '\0');
    }
    diskdelta_client_close(client);
    diskdelta_tls_close(tls);
    return result;
}

/* ---- Tests ----------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 250 };

static void test_cut_anywhere(void **state)
{
    struct fixture *fixture = *state;
    /* So that the last byte that is sent is the last of the answer. */
    fixture->front_script.without_close = true;
    assert_int_equal(ask(fixture), 0);
    tls_front_settle(fixture->front);
    assert_false(fixture->front_script.was_cut);
    size_t whole = fixture->front_script.sent;
    size_t cuts = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        /* Half of them near the end, where the answer is. */
        size_t span = round % 2 == 0 ? whole : 700;
        fixture->front_script.was_cut = false;
        fixture->front_script.cut = whole - below(fixture, span);
        int result = ask(fixture);
        tls_front_settle(fixture->front);
        assert_int_equal(result, fixture->front_script.was_cut ? -1 : 0);
        cuts += fixture->front_script.was_cut ? 1 : 0;
    }
    assert_true(cuts > ROUNDS / 2);
}

static void test_spoilt_anywhere(void **state)
{
    struct fixture *fixture = *state;
    fixture->front_script.without_close = true;
    assert_int_equal(ask(fixture), 0);
    tls_front_settle(fixture->front);
    size_t whole = fixture->front_script.sent;
    /* A spoilt length makes either side wait for the other. */
    fixture->connect_timeout_ms = 300;
    size_t failures = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        fixture->front_script.spoilt = 1 + below(fixture, whole - 1);
        /* Complete only where the byte means nothing; read_all() compares what is. */
        failures += ask(fixture) != 0 ? 1 : 0;
        tls_front_settle(fixture->front);
    }
    assert_true(failures > ROUNDS * 9 / 10);
}

static void test_without_memory_anywhere(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask(fixture), 0);
    size_t failures = 0;
    for (size_t count = 0;; count += 1 + below(fixture, 48)) {
        left = count;
        int result = ask(fixture);
        bool was_enough = left > 0;
        left = SIZE_MAX;
        if (result != 0)
            failures++;
        if (was_enough) {
            assert_int_equal(result, 0);
            break;
        }
    }
    print_message("%zu failures\n", failures);
    assert_true(failures > 50);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(allocate, allocate_again, release) != 1)
        return 1;
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(cut_anywhere),
        TEST(spoilt_anywhere),
        TEST(without_memory_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
