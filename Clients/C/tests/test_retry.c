/* Servers that are full and say when it is worth trying again (P-99). */
#include "client.h"
#include "fake_server.h"
#include "test.h"

#include <string.h>

struct plan {
    struct fake_script script;
    struct fake_server *server;
    /* How often it is full, and the delay that it names. */
    unsigned full;
    uint32_t delay;
    /* A message comes before the refusal. */
    bool begins;
    unsigned asked;
    /* The least ms between a refusal and the call that came after it. */
    uint64_t least;
    uint64_t refused;
};

static void serve(int fd, void *context)
{
    struct plan *plan = context;
    struct fake_call call;
    while (fake_receive_call(fd, &call)) {
        bytes_free(&call.request);
        uint64_t now = dd_now();
        if (plan->asked > 0 && now - plan->refused < plan->least)
            plan->least = now - plan->refused;
        plan->asked++;
        struct bytes bytes = {0};
        bool is_full = plan->asked <= plan->full;
        if (!is_full || plan->begins)
            append_frame(&bytes, DD_FRAME_DATA, call.stream, 0, NULL, 0);
        if (is_full)
            append_full(&bytes, call.stream, plan->delay);
        else
            append_plain_end(&bytes, call.stream);
        plan->refused = dd_now();
        bool is_well = fake_send(fd, &bytes);
        bytes_free(&bytes);
        if (!is_well)
            return;
    }
}

static int set_up(void **state)
{
    static struct plan plan;
    memset(&plan, 0, sizeof plan);
    append_hello(&plan.script.hello);
    plan.script.takes_opens = true;
    plan.script.go_on = serve;
    plan.script.context = &plan;
    plan.least = UINT64_MAX;
    plan.server = fake_server_start(&plan.script);
    *state = &plan;
    return 0;
}

static int tear_down(void **state)
{
    struct plan *plan = *state;
    fake_server_stop(plan->server);
    bytes_free(&plan->script.hello);
    return 0;
}

/* A millisecond in place of the protocol's times, so that the server's delay is what counts. */
static uint32_t hurry(unsigned failures, uint32_t random)
{
    (void)failures;
    (void)random;
    return 1;
}

static diskdelta_error ask(struct plan *plan, bool waits, uint32_t timeout)
{
    diskdelta_client *client = diskdelta_client_create(NULL);
    client->backoff = hurry;
    assert_int_equal(diskdelta_client_connect(client, fake_server_address(plan->server), NULL), 0);
    diskdelta_health_check_request request = DISKDELTA_HEALTH_CHECK_REQUEST_INIT;
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.wait_for_ready = waits;
    options.timeout_ms = timeout;
    diskdelta_health_check_response *response = NULL;
    int result = diskdelta_health_check(client, &request, &options, &response);
    diskdelta_error error = *diskdelta_client_error(client);
    error.message = NULL;
    assert_int_equal(result == 0, error.reason == DISKDELTA_REASON_NONE);
    diskdelta_health_check_response_free(response);
    diskdelta_client_close(client);
    return error;
}

static void test_is_told(void **state)
{
    struct plan *plan = *state;
    plan->full = 1;
    plan->delay = 2500;
    diskdelta_error error = ask(plan, false, 0);
    assert_int_equal(error.status, DISKDELTA_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(error.reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_int_equal(error.retry_delay_ms, 2500);
    assert_int_equal(plan->asked, 1);
}

static void test_is_kept(void **state)
{
    struct plan *plan = *state;
    plan->full = 3;
    plan->delay = 60;
    assert_int_equal(ask(plan, true, 0).reason, DISKDELTA_REASON_NONE);
    assert_int_equal(plan->asked, 4);
    assert_true(plan->least >= 60);
}

/* A refusal without a delay may have begun something. */
static void test_no_delay(void **state)
{
    struct plan *plan = *state;
    plan->full = 1;
    diskdelta_error error = ask(plan, true, 0);
    assert_int_equal(error.reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_int_equal(error.retry_delay_ms, 0);
    assert_int_equal(plan->asked, 1);
}

/* A server that contradicts itself: a call that has answered was begun. */
static void test_after_a_message(void **state)
{
    struct plan *plan = *state;
    plan->full = 1;
    plan->delay = 1;
    plan->begins = true;
    assert_int_equal(ask(plan, true, 0).reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_int_equal(plan->asked, 1);
}

/* There is no use in waiting for the deadline. */
static void test_beyond_the_deadline(void **state)
{
    struct plan *plan = *state;
    plan->full = 1;
    plan->delay = 3600000;
    diskdelta_error error = ask(plan, true, 1800000);
    assert_int_equal(error.reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_int_equal(error.retry_delay_ms, 3600000);
}

#define retry_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        retry_test(test_is_told),
        retry_test(test_is_kept),
        retry_test(test_no_delay),
        retry_test(test_after_a_message),
        retry_test(test_beyond_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
