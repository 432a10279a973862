/* The example `job-changes`: a job is started, watched through the end of a connection, read, and deleted. */
#include "fake_server.h"
#include "program.h"
#include "striped.h"
#include "test.h"

#include "diskdelta/v1/jobs.pb-c.h"

#include <string.h>

struct plan {
    struct fake_script script;
    struct fake_server *server;
    /* How the job ends, and why. */
    Diskdelta__V1__JobState end;
    diskdelta_reason reason;
    unsigned watches;
    unsigned deletes;
};

static void append_job(struct bytes *bytes, uint32_t stream, uint32_t number, Diskdelta__V1__JobState state,
                       uint32_t percent, diskdelta_reason reason)
{
    Diskdelta__V1__Job job = DISKDELTA__V1__JOB__INIT;
    job.id = (char *)"{job}";
    job.job_state = state;
    job.percent_complete = percent;
    job.reason = (Diskdelta__V1__Reason)reason;
    job.error_description = (char *)(reason != DISKDELTA_REASON_NONE ? "it is not there" : "");
    append_message(bytes, stream, number, &job.base);
}

/* False where the connection ends. */
static bool answer(struct plan *plan, const struct fake_call *call, struct bytes *bytes)
{
    const char *method = strchr(call->path, '/');
    uint32_t stream = call->stream;
    if (strcmp(method, "/StartGetVirtualDiskChanges") == 0) {
        append_job(bytes, stream, 0, DISKDELTA__V1__JOB_STATE__JOB_STATE_NEW, 0, DISKDELTA_REASON_NONE);
    } else if (strcmp(method, "/WatchJob") == 0) {
        append_job(bytes, stream, 0, DISKDELTA__V1__JOB_STATE__JOB_STATE_RUNNING, 40, DISKDELTA_REASON_NONE);
        if (plan->watches++ == 0)
            return false;
        append_job(bytes, stream, 1, plan->end, 100, plan->reason);
    } else if (strcmp(method, "/GetJobResults") == 0) {
        append_striped(bytes, stream, 0, "e1");
        return true;
    } else if (strcmp(method, "/DeleteJob") == 0) {
        plan->deletes++;
        append_frame(bytes, DD_FRAME_DATA, stream, 0, NULL, 0);
    }
    append_plain_end(bytes, stream);
    return true;
}

static void serve(int fd, void *context)
{
    struct fake_call call;
    bool goes_on = true;
    while (goes_on && fake_receive_call(fd, &call)) {
        struct bytes bytes = {0};
        goes_on = answer(context, &call, &bytes);
        goes_on = fake_send(fd, &bytes) && goes_on;
        bytes_free(&bytes);
        bytes_free(&call.request);
    }
}

static struct run run(const struct plan *plan)
{
    return run_program("'%s' '%s' disk '{1}' 2>&1", JOB_CHANGES, fake_server_address(plan->server));
}

static void test_complete(void **state)
{
    struct plan *plan = *state;
    struct run whole = run(plan);
    assert_int_equal(whole.code, 0);
    assert_int_equal(plan->watches, 2);
    assert_int_equal(plan->deletes, 1);
    assert_non_null(strstr(whole.output, "job-changes: {job} RUNNING 40 %\n"));
    assert_non_null(strstr(whole.output, "job-changes: {job} COMPLETED 100 %\n"));
    assert_non_null(strstr(whole.output, "512 512 data\n1024 512 zero\n2048 512 zero\n"));
}

static void test_failed(void **state)
{
    struct plan *plan = *state;
    plan->end = DISKDELTA__V1__JOB_STATE__JOB_STATE_EXCEPTION;
    plan->reason = DISKDELTA_REASON_PARENT_NOT_FOUND;
    struct run failed = run(plan);
    assert_int_equal(failed.code, 9);
    assert_int_equal(plan->deletes, 0);
    assert_non_null(strstr(failed.output, "job-changes: PARENT_NOT_FOUND: it is not there\n"));
}

static void test_cancelled(void **state)
{
    struct plan *plan = *state;
    plan->end = DISKDELTA__V1__JOB_STATE__JOB_STATE_TERMINATED;
    assert_int_equal(run(plan).code, 130);
}

/* A stream that ends before the job does. */
static void test_ends_before_its_end(void **state)
{
    struct plan *plan = *state;
    plan->end = DISKDELTA__V1__JOB_STATE__JOB_STATE_RUNNING;
    assert_int_equal(run(plan).code, 9);
}

static int set_up(void **state)
{
    static struct plan plan;
    memset(&plan, 0, sizeof plan);
    append_hello(&plan.script.hello);
    plan.script.takes_opens = true;
    plan.script.go_on = serve;
    plan.script.context = &plan;
    plan.end = DISKDELTA__V1__JOB_STATE__JOB_STATE_COMPLETED;
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

#define program_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        program_test(test_complete),
        program_test(test_failed),
        program_test(test_cancelled),
        program_test(test_ends_before_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
