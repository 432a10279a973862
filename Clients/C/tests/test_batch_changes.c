/* The example `batch-changes`: its lines, and its exit code where one of the disks, or the call, fails. */
#include "fake_server.h"
#include "program.h"
#include "striped.h"
#include "test.h"

#include <string.h>

static struct run run(const char *address)
{
    return run_program("'%s' '%s' disks/a '{1}' disks/b '{2}' 2>&1", BATCH_CHANGES, address);
}

/* Disk 0 is a whole one; disk 1 is what `second` says. */
static void append_disks(struct bytes *bytes, const struct bytes *second)
{
    struct bytes first = {0};
    size_t at = 0;
    uint32_t number = 0;
    told_header.disk = (char *)"disks/a";
    append_striped(&first, 1, 0, "e1");
    while (append_of_disk(bytes, 1, number, 0, &first, &at))
        number++;
    at = 0;
    while (append_of_disk(bytes, 1, number, 1, second, &at))
        number++;
    bytes_free(&first);
}

static void test_complete(void **state)
{
    struct fake_script *script = *state;
    struct bytes second = {0};
    told_header.disk = (char *)"disks/b";
    append_recorded(&second, NULL);
    append_disks(&script->answer, &second);
    append_plain_end(&script->answer, 1);
    bytes_free(&second);
    struct fake_server *server = fake_server_start(script);
    struct run whole = run(fake_server_address(server));
    assert_int_equal(whole.code, 0);
    assert_non_null(strstr(whole.output, "disks/a 512 512 data\ndisks/a 1024 512 zero\ndisks/a 2048 512 zero\n"));
    assert_non_null(strstr(whole.output, "disks/b 1024 512 data\ndisks/b 1536 2048 zero\ndisks/b 8192 512 data\n"));
    fake_server_stop(server);
}

static void test_one_refused(void **state)
{
    struct fake_script *script = *state;
    struct bytes second = {0};
    append_refusal(&second, 1, DISKDELTA_REASON_TRACKING_DISABLED, "nobody looked");
    append_disks(&script->answer, &second);
    append_plain_end(&script->answer, 1);
    bytes_free(&second);
    struct fake_server *server = fake_server_start(script);
    struct run refused = run(fake_server_address(server));
    assert_int_equal(refused.code, 5);
    assert_non_null(strstr(refused.output, "disks/a 31744 512 zero\n"));
    assert_non_null(strstr(refused.output, "batch-changes: disks/b: TRACKING_DISABLED: nobody looked\n"));
    fake_server_stop(server);
}

static void test_nobody_there(void **state)
{
    (void)state;
    assert_int_equal(run("unix:/nonexistent/socket").code, 7);
    assert_int_equal(run("nowhere").code, 2);
}

static int set_up(void **state)
{
    static struct fake_script script;
    memset(&script, 0, sizeof script);
    append_hello(&script.hello);
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

#define program_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        program_test(test_complete),
        program_test(test_one_refused),
        program_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
