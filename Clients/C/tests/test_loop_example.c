/* The examples with event loops, as programs: test_loop_example PROGRAM WHICH, where WHICH is `poll` or `glib`. */
#include "fake_server.h"
#include "program.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static const char *program;
static bool is_poll;

static struct run run(const char *address)
{
    return run_program("'%s' '%s' %s 2>&1", program, address, is_poll ? "'{1}' disk" : "disk '{1}'");
}

/* What the recorded answer is printed as. */
static void assert_lines(const char *output)
{
    static const char *const ranges[] = {"1024 512", "1536 2048", "8192 512", "9216 2560", "20480 512", "61440 4096"};
    char lines[256] = "";
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        size_t size = strlen(lines);
        snprintf(lines + size, sizeof lines - size, "%s%s\n", is_poll ? "disk " : "", ranges[i]);
    }
    assert_string_equal(output, lines);
}

static void test_complete(void **state)
{
    struct fake_script *script = *state;
    told_header.disk = (char *)"disk";
    append_recorded(&script->answer, NULL);
    script->piece = 3;
    struct fake_server *server = fake_server_start(script);
    struct run whole = run(fake_server_address(server));
    assert_lines(whole.output);
    assert_int_equal(whole.code, 0);
    fake_server_stop(server);
}

static void test_refused(void **state)
{
    struct fake_script *script = *state;
    append_refusal(&script->answer, 1, DISKDELTA_REASON_BASELINE_UNKNOWN, "nothing bears the id {1}");
    struct fake_server *server = fake_server_start(script);
    struct run refused = run(fake_server_address(server));
    assert_non_null(strstr(refused.output, "BASELINE_UNKNOWN: nothing bears the id {1}\n"));
    assert_int_equal(refused.code, 5);
    fake_server_stop(server);
}

static void test_nobody_there(void **state)
{
    (void)state;
    assert_int_equal(run("unix:/nonexistent/socket").code, 7);
    assert_int_equal(run("127.0.0.1:1").code, 7);
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

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    program = argv[1];
    is_poll = strcmp(argv[2], "poll") == 0;
    const struct CMUnitTest tests[] = {
        program_test(test_complete),
        program_test(test_refused),
        program_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
