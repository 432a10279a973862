/* The example `list-changes`: its lines, and its exit code for whatever end an answer has. */
#include "fake_server.h"
#include "program.h"
#include "test.h"

#include <string.h>

static struct run run(const char *address, const char *patience)
{
    return run_program("'%s' '%s' disks/a.vhdx '{1}' %s 2>&1", LIST_CHANGES, address, patience);
}

static const char lines[] =
    "1024 512 data\n1536 2048 zero\n8192 512 data\n9216 2560 data\n20480 512 zero\n61440 4096 data\n";

static void test_complete(void **state)
{
    struct fake_script *script = *state;
    append_recorded(&script->answer, NULL);
    struct fake_server *server = fake_server_start(script);
    struct run whole = run(fake_server_address(server), "0");
    assert_string_equal(whole.output, lines);
    assert_int_equal(whole.code, 0);
    fake_server_stop(server);
}

static void test_cut(void **state)
{
    struct fake_script *script = *state;
    append_recorded(&script->answer, NULL);
    script->answer.size--;
    struct fake_server *server = fake_server_start(script);
    struct run cut = run(fake_server_address(server), "0");
    assert_non_null(strstr(cut.output, lines));
    assert_non_null(strstr(cut.output,
                           "list-changes: ANSWER_INCOMPLETE: the answer is not complete: the server closed the "
                           "connection\n"));
    assert_int_equal(cut.code, 6);
    fake_server_stop(server);
}

static void test_refused(void **state)
{
    struct fake_script *script = *state;
    append_refusal(&script->answer, 1, DISKDELTA_REASON_BASELINE_UNKNOWN, "nothing bears the id {1}");
    struct fake_server *server = fake_server_start(script);
    struct run refused = run(fake_server_address(server), "0");
    assert_string_equal(refused.output, "list-changes: BASELINE_UNKNOWN: nothing bears the id {1}\n");
    assert_int_equal(refused.code, 5);
    fake_server_stop(server);
}

static void test_nobody_there(void **state)
{
    (void)state;
    assert_int_equal(run("unix:/nonexistent/socket", "").code, 7);
    assert_int_equal(run("nowhere", "").code, 2);
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
        program_test(test_cut),
        program_test(test_refused),
        program_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
