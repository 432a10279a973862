/*
 * Makes one call of any method through the library, so that tests can provoke any end of it:
 *
 *     diskdelta_ask ADDRESS METHOD ARGUMENT... [KEY=VALUE ...]
 *
 * It prints what was answered, in lines for ranges (OFFSET LENGTH KIND, of many disks with the disk before), and in a
 * word for what else a test needs. Where the call fails, or one of many disks does, it prints `REASON: message` to
 * standard error, and it exits with the code that goes with the first reason.
 *
 * KEY=VALUE says more about the question: offset, length, granularity, if-epoch, on-unavailable (fail, allocated,
 * whole), target, assume-at-rest=1, image-format (a name as in the schema), if-size; or about the call: timeout and
 * patience in ms, wait=1, token.
 */
#include <diskdelta.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 64 };

/* The arguments, and what KEY=VALUE said. */
struct question {
    diskdelta_client *client;
    const char *words[MOST_WORDS];
    size_t count;
    diskdelta_get_virtual_disk_changes_request changes;
    diskdelta_call_options options;
};

static int complain(const diskdelta_error *error)
{
    fprintf(stderr, "%s: %s\n", diskdelta_reason_name(error->reason), error->message);
    return diskdelta_reason_exit_code(error->reason);
}

/* The end of a call with one answer, which `said` says in a word. */
static int end(const struct question *question, int result, const char *said)
{
    if (result != 0)
        return complain(diskdelta_client_error(question->client));
    printf("%s\n", said);
    return 0;
}

/* ---- Ranges ---------------------------------------------------------------------------------------------------- */

static void print_ranges(const char *before, const diskdelta_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const diskdelta_range *range = &batch->ranges[i];
        printf("%s%s%" PRIu64 " %" PRIu64 " %s\n", before, before[0] != '\0' ? " " : "", range->offset, range->length,
               range->kind == DISKDELTA_RANGE_ZERO ? "zero" : "data");
    }
}

static int print_changes(const struct question *question, diskdelta_changes *changes)
{
    if (changes == NULL)
        return complain(diskdelta_client_error(question->client));
    const diskdelta_batch *batch = NULL;
    int more;
    while ((more = diskdelta_changes_next(changes, &batch)) == 1)
        print_ranges("", batch);
    int code = more == 0 ? 0 : complain(diskdelta_changes_error(changes));
    diskdelta_changes_close(changes);
    return code;
}

static int ask_changes(struct question *question)
{
    return print_changes(question,
                         diskdelta_get_virtual_disk_changes(question->client, &question->changes, &question->options));
}

static diskdelta_get_virtual_disk_allocation_request allocation_of(const struct question *question)
{
    diskdelta_get_virtual_disk_allocation_request request = DISKDELTA_GET_VIRTUAL_DISK_ALLOCATION_REQUEST_INIT;
    request.path = question->words[0];
    request.byte_offset = question->changes.byte_offset;
    request.has_byte_length = question->changes.has_byte_length;
    request.byte_length = question->changes.byte_length;
    request.granularity = question->changes.granularity;
    request.if_epoch = question->changes.if_epoch;
    request.assume_at_rest = question->changes.assume_at_rest;
    request.image_format = question->changes.image_format;
    request.has_if_size = question->changes.has_if_size;
    request.if_size = question->changes.if_size;
    return request;
}

static int ask_allocation(struct question *question)
{
    diskdelta_get_virtual_disk_allocation_request request = allocation_of(question);
    return print_changes(question,
                         diskdelta_get_virtual_disk_allocation(question->client, &request, &question->options));
}

static int ask_job_results(struct question *question)
{
    diskdelta_job_results_request request = DISKDELTA_JOB_RESULTS_REQUEST_INIT;
    request.id = question->words[0];
    request.byte_offset = question->changes.byte_offset;
    return print_changes(question, diskdelta_get_job_results(question->client, &request, &question->options));
}

/* DISK LIMIT_ID, again and again. */
static int ask_batch(struct question *question)
{
    diskdelta_get_virtual_disk_changes_request requests[MOST_WORDS];
    const diskdelta_get_virtual_disk_changes_request *disks[MOST_WORDS];
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    for (size_t i = 0; i < question->count / 2; i++) {
        requests[i] = question->changes;
        requests[i].path = question->words[2 * i];
        requests[i].limit_id = question->words[2 * i + 1];
        disks[i] = &requests[i];
    }
    request.disks = disks;
    request.disks_count = question->count / 2;
    diskdelta_many_changes *many =
        diskdelta_get_virtual_disk_changes_batch(question->client, &request, &question->options);
    if (many == NULL)
        return complain(diskdelta_client_error(question->client));
    int code = 0;
    const diskdelta_disk_event *event = NULL;
    int more;
    while ((more = diskdelta_many_changes_next(many, &event)) == 1) {
        if (event->type == DISKDELTA_DISK_BATCH)
            print_ranges(disks[event->disk]->path, event->batch);
        int each = event->type == DISKDELTA_DISK_FAILED ? complain(event->error) : 0;
        code = code != 0 ? code : each;
    }
    if (more != 0 && code == 0)
        code = complain(diskdelta_many_changes_error(many));
    diskdelta_many_changes_close(many);
    return code;
}

/* ---- Calls with one answer ------------------------------------------------------------------------------------- */

/* A question about a disk, which is answered by one structure. */
#define ASK_ABOUT_DISK(name, method, response)                                                                         \
    static int name(struct question *question)                                                                         \
    {                                                                                                                  \
        diskdelta_virtual_hard_disk_request request = DISKDELTA_VIRTUAL_HARD_DISK_REQUEST_INIT;                        \
        request.path = question->words[0];                                                                             \
        response *answer = NULL;                                                                                       \
        int result = diskdelta_image_management_##method(question->client, &request, &question->options, &answer);     \
        response##_free(answer);                                                                                       \
        return end(question, result, "ok");                                                                            \
    }

ASK_ABOUT_DISK(ask_setting_data, get_virtual_hard_disk_setting_data, diskdelta_virtual_hard_disk_setting_data)
ASK_ABOUT_DISK(ask_state, get_virtual_hard_disk_state, diskdelta_virtual_hard_disk_state)
ASK_ABOUT_DISK(ask_baselines, list_baselines, diskdelta_list_baselines_response)
ASK_ABOUT_DISK(ask_validate, validate_virtual_hard_disk, diskdelta_validation_report)
ASK_ABOUT_DISK(ask_vhd_set, get_vhd_set_information, diskdelta_vhd_set_information)

static int ask_vhd_snapshots(struct question *question)
{
    diskdelta_vhd_snapshot_request request = DISKDELTA_VHD_SNAPSHOT_REQUEST_INIT;
    request.path = question->words[0];
    request.snapshot_ids = &question->words[1];
    request.snapshot_ids_count = question->count - 1;
    diskdelta_vhd_snapshot_information_list *answer = NULL;
    int result = diskdelta_image_management_get_vhd_snapshot_information(question->client, &request, &question->options,
                                                                         &answer);
    diskdelta_vhd_snapshot_information_list_free(answer);
    return end(question, result, "ok");
}

static int ask_summary(struct question *question)
{
    diskdelta_changes_summary *answer = NULL;
    int result =
        diskdelta_get_virtual_disk_changes_summary(question->client, &question->changes, &question->options, &answer);
    diskdelta_changes_summary_free(answer);
    return end(question, result, "ok");
}

static int ask_allocation_summary(struct question *question)
{
    diskdelta_get_virtual_disk_allocation_request request = allocation_of(question);
    diskdelta_changes_summary *answer = NULL;
    int result = diskdelta_get_virtual_disk_allocation_summary(question->client, &request, &question->options, &answer);
    diskdelta_changes_summary_free(answer);
    return end(question, result, "ok");
}

static int start_job(struct question *question)
{
    diskdelta_job *answer = NULL;
    int result = diskdelta_jobs_start_get_virtual_disk_changes(question->client, &question->changes, &question->options,
                                                               &answer);
    int code = end(question, result, answer != NULL ? answer->id : "");
    diskdelta_job_free(answer);
    return code;
}

/* A question about a job, which is answered by its state. */
#define ASK_ABOUT_JOB(name, method)                                                                                    \
    static int name(struct question *question)                                                                         \
    {                                                                                                                  \
        diskdelta_job_request request = DISKDELTA_JOB_REQUEST_INIT;                                                    \
        request.id = question->words[0];                                                                               \
        diskdelta_job *answer = NULL;                                                                                  \
        int result = diskdelta_jobs_##method(question->client, &request, &question->options, &answer);                 \
        int code = end(question, result, answer != NULL ? diskdelta_job_state_name(answer->job_state) : "");           \
        diskdelta_job_free(answer);                                                                                    \
        return code;                                                                                                   \
    }

ASK_ABOUT_JOB(ask_job, get_job)
ASK_ABOUT_JOB(cancel_job, cancel_job)

static int delete_job(struct question *question)
{
    diskdelta_job_request request = DISKDELTA_JOB_REQUEST_INIT;
    request.id = question->words[0];
    diskdelta_delete_job_response *answer = NULL;
    int result = diskdelta_jobs_delete_job(question->client, &request, &question->options, &answer);
    diskdelta_delete_job_response_free(answer);
    return end(question, result, "ok");
}

static int check(struct question *question)
{
    diskdelta_health_check_request request = DISKDELTA_HEALTH_CHECK_REQUEST_INIT;
    request.service = question->count > 0 ? question->words[0] : NULL;
    diskdelta_health_check_response *answer = NULL;
    int result = diskdelta_health_check(question->client, &request, &question->options, &answer);
    int code = end(question, result, answer != NULL ? diskdelta_serving_status_name(answer->status) : "");
    diskdelta_health_check_response_free(answer);
    return code;
}

/* ---- The command line ------------------------------------------------------------------------------------------ */

static const struct method {
    const char *name;
    const char *arguments;
    size_t least;
    int (*ask)(struct question *question);
} methods[] = {
    {"changes", "DISK LIMIT_ID", 2, ask_changes},
    {"allocation", "DISK", 1, ask_allocation},
    {"batch", "DISK LIMIT_ID [DISK LIMIT_ID ...]", 2, ask_batch},
    {"summary", "DISK LIMIT_ID", 2, ask_summary},
    {"allocation-summary", "DISK", 1, ask_allocation_summary},
    {"setting-data", "DISK", 1, ask_setting_data},
    {"state", "DISK", 1, ask_state},
    {"baselines", "DISK", 1, ask_baselines},
    {"validate", "DISK", 1, ask_validate},
    {"vhd-set", "DISK", 1, ask_vhd_set},
    {"vhd-snapshots", "DISK [ID ...]", 1, ask_vhd_snapshots},
    {"job-start", "DISK LIMIT_ID", 2, start_job},
    {"job-get", "ID", 1, ask_job},
    {"job-results", "ID", 1, ask_job_results},
    {"job-cancel", "ID", 1, cancel_job},
    {"job-delete", "ID", 1, delete_job},
    {"check", "[SERVICE]", 0, check},
};

enum { METHODS = sizeof methods / sizeof methods[0] };

static int explain(void)
{
    for (size_t i = 0; i < METHODS; i++)
        fprintf(stderr, "%s diskdelta_ask ADDRESS %s %s [KEY=VALUE ...]\n", i == 0 ? "usage:" : "      ",
                methods[i].name, methods[i].arguments);
    return 2;
}

static diskdelta_on_unavailable on_unavailable_of(const char *value)
{
    if (strcmp(value, "allocated") == 0)
        return DISKDELTA_ON_UNAVAILABLE_ALLOCATED;
    return strcmp(value, "whole") == 0 ? DISKDELTA_ON_UNAVAILABLE_WHOLE : DISKDELTA_ON_UNAVAILABLE_FAIL;
}

static diskdelta_image_format image_format_of(const char *value)
{
    int format = DISKDELTA_IMAGE_FORMAT_UNKNOWN;
    while (format < DISKDELTA_IMAGE_FORMAT_RAW &&
           strcmp(diskdelta_image_format_name((diskdelta_image_format)format), value) != 0)
        format++;
    return (diskdelta_image_format)format;
}

/* Takes KEY=VALUE. False where the word is none, but an argument. */
static bool take_value(struct question *question, const char *word)
{
    static const char *const keys[] = {"offset",         "length",       "granularity", "if-epoch", "on-unavailable",
                                       "target",         "timeout",      "patience",    "wait",     "token",
                                       "assume-at-rest", "image-format", "if-size"};
    const char *value = strchr(word, '=');
    size_t key = 0;
    while (value != NULL && key < sizeof keys / sizeof keys[0] &&
           (strlen(keys[key]) != (size_t)(value - word) || strncmp(keys[key], word, strlen(keys[key])) != 0))
        key++;
    if (value == NULL)
        return false;
    uint64_t number = strtoull(++value, NULL, 10);
    switch (key) {
    case 0:
        question->changes.byte_offset = number;
        return true;
    case 1:
        question->changes.has_byte_length = true;
        question->changes.byte_length = number;
        return true;
    case 2:
        question->changes.granularity = number;
        return true;
    case 3:
        question->changes.if_epoch = value;
        return true;
    case 4:
        question->changes.on_unavailable = on_unavailable_of(value);
        return true;
    case 5:
        question->changes.target_snapshot_id = value;
        return true;
    case 6:
        question->options.timeout_ms = (uint32_t)number;
        return true;
    case 7:
        question->options.patience_ms = number != 0 ? (uint32_t)number : DISKDELTA_OFF;
        return true;
    case 8:
        question->options.wait_for_ready = number == 1;
        return true;
    case 9:
        question->options.bearer_token = value;
        return true;
    case 10:
        question->changes.assume_at_rest = number == 1;
        return true;
    case 11:
        question->changes.image_format = image_format_of(value);
        return true;
    case 12:
        question->changes.has_if_size = true;
        question->changes.if_size = number;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    struct question question = {.changes = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT,
                                .options = DISKDELTA_CALL_OPTIONS_INIT};
    for (int i = 3; i < argc && question.count < MOST_WORDS; i++) {
        if (!take_value(&question, argv[i]))
            question.words[question.count++] = argv[i];
    }
    const struct method *method = NULL;
    for (size_t i = 0; argc > 2 && i < METHODS; i++) {
        if (strcmp(argv[2], methods[i].name) == 0 && question.count >= methods[i].least)
            method = &methods[i];
    }
    if (method == NULL)
        return explain();
    question.changes.path = question.words[0];
    question.changes.limit_id = question.words[1];
    question.client = diskdelta_client_create(NULL);
    int code = diskdelta_client_connect(question.client, argv[1], NULL) == 0
                   ? method->ask(&question)
                   : complain(diskdelta_client_error(question.client));
    diskdelta_client_close(question.client);
    return code;
}
