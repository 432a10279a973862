/* The program `diskdelta_ask`: every method, and every reason, through the library. */
#include "fake_server.h"
#include "program.h"
#include "striped.h"
#include "test.h"

#include "diskdelta/v1/image_management.pb-c.h"
#include "diskdelta/v1/reason.pb-c.h"

#include <stdio.h>
#include <string.h>

/* The arguments of every method, with `%s` where the disk or the id stands, and the method that is called. */
static const struct method {
    const char *arguments;
    const char *path;
    /* One answer, in place of ranges. */
    bool is_unary;
} methods[] = {
    {"changes %s {1}", "ImageManagement/GetVirtualDiskChanges", false},
    {"changes %s {1} offset=4096 length=8192 granularity=512 if-epoch=e1 on-unavailable=whole timeout=60000",
     "ImageManagement/GetVirtualDiskChanges", false},
    {"allocation %s patience=1000", "ImageManagement/GetVirtualDiskAllocation", false},
    {"batch %s {1}", "ImageManagement/GetVirtualDiskChangesBatch", false},
    {"summary %s {1}", "ImageManagement/GetVirtualDiskChangesSummary", true},
    {"allocation-summary %s", "ImageManagement/GetVirtualDiskAllocationSummary", true},
    {"setting-data %s", "ImageManagement/GetVirtualHardDiskSettingData", true},
    {"state %s", "ImageManagement/GetVirtualHardDiskState", true},
    {"baselines %s", "ImageManagement/ListBaselines", true},
    {"validate %s", "ImageManagement/ValidateVirtualHardDisk", true},
    {"vhd-set %s", "ImageManagement/GetVHDSetInformation", true},
    {"vhd-snapshots %s {1} {2}", "ImageManagement/GetVHDSnapshotInformation", true},
    {"job-start %s {1}", "Jobs/StartGetVirtualDiskChanges", true},
    {"job-get %s", "Jobs/GetJob", true},
    {"job-results %s offset=4096", "Jobs/GetJobResults", false},
    {"job-cancel %s", "Jobs/CancelJob", true},
    {"job-delete %s", "Jobs/DeleteJob", true},
    {"check %s wait=1 token=t", "Health/Check", true},
};

enum { METHODS = sizeof methods / sizeof methods[0] };

struct plan {
    struct fake_script script;
    struct fake_server *server;
    const struct method *method;
    /* NONE where the call is answered. */
    diskdelta_reason reason;
    char path[256];
    bool names_the_disk;
};

static void append_ranges(const struct plan *plan, struct bytes *bytes, uint32_t stream)
{
    struct bytes single = {0};
    bool is_batch = strstr(plan->path, "Batch") != NULL;
    uint64_t offset = strstr(plan->method->arguments, "offset=") != NULL ? 4096 : 0;
    if (strstr(plan->method->arguments, "length=") != NULL) {
        /* Whoever asks about a part gets the header of another one. */
        append_striped(&single, stream, 0, "e1");
    } else if (plan->reason != DISKDELTA_REASON_NONE) {
        append_refusal(&single, stream, plan->reason, "as the test says");
    } else {
        append_striped(&single, stream, offset, "e1");
    }
    uint32_t number = 0;
    size_t at = 0;
    while (is_batch && append_of_disk(bytes, stream, number, 0, &single, &at))
        number++;
    if (is_batch)
        append_plain_end(bytes, stream);
    else
        bytes_append(bytes, single.data, single.size);
    bytes_free(&single);
}

static void append_summary(struct bytes *bytes, uint32_t stream)
{
    Diskdelta__V1__ChangesSummary summary = DISKDELTA__V1__CHANGES_SUMMARY__INIT;
    Diskdelta__V1__AnswerHeader header = told_header;
    header.size = header.window_length = 4096;
    header.epoch = (char *)"e1";
    summary.header = &header;
    append_message(bytes, stream, 0, &summary.base);
}

static void serve(int fd, void *context)
{
    struct plan *plan = context;
    struct fake_call call;
    while (fake_receive_call(fd, &call)) {
        struct bytes bytes = {0};
        memcpy(plan->path, call.path, sizeof plan->path);
        plan->names_the_disk = memmem(call.request.data, call.request.size, "the-disk", 8) != NULL;
        told_header = usual_header;
        told_header.disk = (char *)"the-disk";
        if (strstr(plan->path, "Allocation") != NULL) {
            told_header.since = (char *)"";
            told_header.basis = DISKDELTA__V1__ANSWER_BASIS__ANSWER_BASIS_ALLOCATED;
        }
        if (!plan->method->is_unary) {
            append_ranges(plan, &bytes, call.stream);
        } else if (plan->reason != DISKDELTA_REASON_NONE) {
            append_refusal(&bytes, call.stream, plan->reason, "as the test says");
        } else if (strstr(plan->path, "Summary") != NULL) {
            append_summary(&bytes, call.stream);
            append_plain_end(&bytes, call.stream);
        } else {
            append_frame(&bytes, DD_FRAME_DATA, call.stream, 0, NULL, 0);
            append_plain_end(&bytes, call.stream);
        }
        bool is_well = fake_send(fd, &bytes);
        bytes_free(&bytes);
        bytes_free(&call.request);
        if (!is_well)
            return;
    }
}

static struct run run(struct plan *plan, const struct method *method, diskdelta_reason reason)
{
    plan->method = method;
    plan->reason = reason;
    char arguments[256];
    const char *disk = strstr(method->arguments, "%s");
    snprintf(arguments, sizeof arguments, "%.*sthe-disk%s", (int)(disk - method->arguments), method->arguments,
             disk + 2);
    return run_program("'%s' '%s' %s 2>&1", ASK, fake_server_address(plan->server), arguments);
}

static void test_every_method(void **state)
{
    struct plan *plan = *state;
    for (size_t i = 0; i < METHODS; i++) {
        struct run answered = run(plan, &methods[i], DISKDELTA_REASON_NONE);
        bool is_part = strstr(methods[i].arguments, "length=") != NULL;
        if (answered.code != (is_part ? 9 : 0) || strstr(plan->path, methods[i].path) == NULL || !plan->names_the_disk)
            fail_msg("%s: %d %s %s", methods[i].arguments, answered.code, plan->path, answered.output);
        if (!methods[i].is_unary && !is_part)
            assert_non_null(strstr(answered.output, "31744 512 zero\n"));
        struct run refused = run(plan, &methods[i], DISKDELTA_REASON_DISK_IN_USE);
        if (!is_part && (refused.code != 7 || strcmp(refused.output, "DISK_IN_USE: as the test says\n") != 0))
            fail_msg("%s: %d %s", methods[i].arguments, refused.code, refused.output);
    }
}

static void test_every_reason(void **state)
{
    struct plan *plan = *state;
    for (unsigned i = 0; i < diskdelta__v1__reason__descriptor.n_values; i++) {
        diskdelta_reason reason = (diskdelta_reason)diskdelta__v1__reason__descriptor.values[i].value;
        if (reason == DISKDELTA_REASON_NONE)
            continue;
        struct run refused = run(plan, &methods[3], reason);
        char wanted[128];
        snprintf(wanted, sizeof wanted, "%s: as the test says\n", diskdelta_reason_name(reason));
        assert_string_equal(refused.output, wanted);
        assert_int_equal(refused.code, diskdelta_reason_exit_code(reason));
    }
}

static void test_usage(void **state)
{
    (void)state;
    assert_int_equal(run_program("'%s' 2>&1", ASK).code, 2);
    assert_int_equal(run_program("'%s' unix:/nonexistent/socket changes disk 2>&1", ASK).code, 2);
    struct run nobody = run_program("'%s' unix:/nonexistent/socket changes disk id 2>&1", ASK);
    assert_int_equal(nobody.code, 7);
    assert_ptr_equal(strstr(nobody.output, "SERVER_UNAVAILABLE: "), nobody.output);
}

static int set_up(void **state)
{
    static struct plan plan;
    memset(&plan, 0, sizeof plan);
    append_hello(&plan.script.hello);
    plan.script.takes_opens = true;
    plan.script.go_on = serve;
    plan.script.context = &plan;
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

#define ask_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ask_test(test_every_method),
        ask_test(test_every_reason),
        ask_test(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
