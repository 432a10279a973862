/* Range answers, verified, and resumed where they break off. */
#include "answer.h"
#include "call.h"
#include "client.h"
#include "header.h"
#include "patience.h"
#include "question.h"

/* How many ranges a batch hands out at most, however many a message holds. */
enum { RANGES_AT_ONCE = 4096 };

enum state { RUNNING, COMPLETE, FAILED };

struct diskdelta_changes {
    diskdelta_allocator allocator;
    diskdelta_stream *stream;
    struct dd_question question;
    enum state state;
    struct dd_answer answer;
    /* All below was handed out. */
    uint64_t position;
    /* The first header. */
    struct dd_kept_header header;
    diskdelta_batch batch;
    diskdelta_answer_totals totals;
    struct dd_error error;
    struct dd_patience patience;
    diskdelta_range ranges[RANGES_AT_ONCE];
};

static diskdelta_changes *fail_to_open(diskdelta_client *client, diskdelta_changes *changes, const char *text)
{
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "%s", text);
    if (client != NULL)
        dd_client_fail(client, &failure);
    diskdelta_changes_close(changes);
    return NULL;
}

/* Without its question. */
static diskdelta_changes *create(diskdelta_client *client, const diskdelta_call_options *options)
{
    diskdelta_changes *changes = client != NULL ? dd_allocate(&client->allocator, sizeof *changes) : NULL;
    if (changes == NULL)
        return fail_to_open(client, NULL, "there is not enough memory for the call");
    changes->allocator = client->allocator;
    changes->state = RUNNING;
    dd_error_init(&changes->error);
    dd_patience_init(&changes->patience, options);
    return changes;
}

/*
 * The call was opened, or was not: with the question that was kept, or, where it could not be, with the caller's own
 * request, so that opening says what is wrong with a malformed one.
 */
static diskdelta_changes *begin(diskdelta_client *client, diskdelta_changes *changes, diskdelta_stream *stream,
                                bool is_kept)
{
    changes->stream = stream;
    if (stream != NULL && !is_kept)
        return fail_to_open(client, changes,
                            "the request can't be sent: a structure was not started with its _INIT macro, or there is "
                            "not enough memory");
    if (stream == NULL) {
        diskdelta_changes_close(changes);
        return NULL;
    }
    struct dd_window asked = dd_question_window(&changes->question);
    changes->position = asked.offset;
    dd_answer_init(&changes->answer, asked);
    return changes;
}

diskdelta_changes *diskdelta_get_virtual_disk_changes(diskdelta_client *client,
                                                      const diskdelta_get_virtual_disk_changes_request *request,
                                                      const diskdelta_call_options *options)
{
    diskdelta_changes *changes = create(client, options);
    if (changes == NULL)
        return NULL;
    bool is_kept = dd_question_of_changes(&changes->question, &changes->allocator, request);
    request = is_kept ? &changes->question.request.changes : request;
    return begin(client, changes, diskdelta_image_management_get_virtual_disk_changes(client, request, options),
                 is_kept);
}

diskdelta_changes *diskdelta_get_virtual_disk_allocation(diskdelta_client *client,
                                                         const diskdelta_get_virtual_disk_allocation_request *request,
                                                         const diskdelta_call_options *options)
{
    diskdelta_changes *changes = create(client, options);
    if (changes == NULL)
        return NULL;
    bool is_kept = dd_question_of_allocation(&changes->question, &changes->allocator, request);
    request = is_kept ? &changes->question.request.allocation : request;
    return begin(client, changes, diskdelta_image_management_get_virtual_disk_allocation(client, request, options),
                 is_kept);
}

diskdelta_changes *diskdelta_get_job_results(diskdelta_client *client, const diskdelta_job_results_request *request,
                                             const diskdelta_call_options *options)
{
    diskdelta_changes *changes = create(client, options);
    if (changes == NULL)
        return NULL;
    bool is_kept = dd_question_of_job(&changes->question, &changes->allocator, request);
    request = is_kept ? &changes->question.request.job : request;
    return begin(client, changes, diskdelta_jobs_get_job_results(client, request, options), is_kept);
}

/* ---- Ends ------------------------------------------------------------------------------------------------------ */

/* The client trusts its own position, not the one that a failed END names (P-76). */
static int fail(diskdelta_changes *changes)
{
    changes->state = FAILED;
    changes->error.public.has_resume_offset = true;
    changes->error.public.resume_offset = changes->position;
    return -1;
}

static void take_error(diskdelta_changes *changes)
{
    dd_error_set_public(&changes->error, diskdelta_stream_error(changes->stream));
}

/* Asks for what is missing, where there is patience left. */
static bool resume(diskdelta_changes *changes)
{
    uint64_t until = 0;
    if (dd_call_is_over(changes->stream) || !dd_patience_lasts(&changes->patience, dd_now(), &until))
        return false;
    dd_answer_resume(&changes->answer);
    dd_question_about_rest(&changes->question, &changes->answer.asked, changes->header.header.epoch);
    return dd_call_again(changes->stream, &changes->question.request, until, changes->patience.failures++);
}

/*
 * The stream has failed. Where the answer broke off after its header, it is resumed: then 1; else -1. A server whose
 * patience has ended, or that cancelled the call because it is stopping, broke it off no less (P-86, P-92).
 */
static int fail_as_stream(diskdelta_changes *changes)
{
    take_error(changes);
    bool broke = changes->error.public.status == DISKDELTA_STATUS_UNAVAILABLE && changes->header.strings != NULL;
    if (broke && resume(changes)) {
        dd_error_init(&changes->error);
        return 1;
    }
    /* Resuming may have failed of something else, such as memory. */
    take_error(changes);
    if (broke)
        dd_error_tell_as_part(&changes->error);
    return fail(changes);
}

static int fail_as_invalid(diskdelta_changes *changes, const char *broken)
{
    dd_call_invalid(changes->stream, broken);
    take_error(changes);
    return fail(changes);
}

static int fail_without_memory(diskdelta_changes *changes)
{
    dd_call_exhausted(changes->stream, "there is not enough memory for the answer");
    take_error(changes);
    return fail(changes);
}

/* ---- The header ------------------------------------------------------------------------------------------------ */

/* The next message of the stream: 1, 0 at its end, -1, or DISKDELTA_WOULD_WAIT. */
static int take_message(diskdelta_changes *changes, const diskdelta_range_answer **message)
{
    switch (changes->question.kind) {
    case DD_QUESTION_OF_JOB:
        return diskdelta_jobs_get_job_results_next(changes->stream, message);
    case DD_QUESTION_OF_ALLOCATION:
        return diskdelta_image_management_get_virtual_disk_allocation_next(changes->stream, message);
    default:
        return diskdelta_image_management_get_virtual_disk_changes_next(changes->stream, message);
    }
}

/* The header of the answer that is being read: 1 once it is there, -1, or DISKDELTA_WOULD_WAIT. */
static int take_header(diskdelta_changes *changes)
{
    while (!changes->answer.has_header) {
        const diskdelta_range_answer *message = NULL;
        int result = take_message(changes, &message);
        if (result == DISKDELTA_WOULD_WAIT)
            return result;
        if (result == 0)
            return fail_as_invalid(changes, "P-74: it has no header");
        if (result < 0) {
            if (fail_as_stream(changes) < 0)
                return -1;
            continue;
        }
        const char *broken = dd_answer_header(&changes->answer, message);
        bool is_first = changes->header.strings == NULL;
        if (broken == NULL && !is_first)
            broken = dd_answer_repeats(&changes->header.header, message->part.header);
        if (broken == NULL)
            broken = dd_question_answered_by(&changes->question, message->part.header);
        if (broken != NULL)
            return fail_as_invalid(changes, broken);
        if (is_first && !dd_header_keep(&changes->header, &changes->allocator, message->part.header))
            return fail_without_memory(changes);
        /* The window of a job starts where its header says. */
        changes->position = changes->answer.position;
    }
    return 1;
}

const diskdelta_answer_header *diskdelta_changes_header(diskdelta_changes *changes)
{
    if (changes == NULL)
        return NULL;
    if (changes->header.strings == NULL && changes->state == RUNNING)
        (void)take_header(changes);
    return changes->header.strings != NULL ? &changes->header.header : NULL;
}

/* ---- Batches --------------------------------------------------------------------------------------------------- */

/* The next batch of the answer: 1 once it is begun, 0 at the verified end, -1, or DISKDELTA_WOULD_WAIT. */
static int begin_batch(diskdelta_changes *changes)
{
    for (;;) {
        int result = take_header(changes);
        if (result != 1)
            return result;
        const diskdelta_range_answer *message = NULL;
        result = take_message(changes, &message);
        if (result == DISKDELTA_WOULD_WAIT)
            return result;
        if (result < 0) {
            if (fail_as_stream(changes) < 0)
                return -1;
            continue;
        }
        const char *broken = result == 0 ? dd_answer_finish(&changes->answer, diskdelta_stream_details(changes->stream))
                                         : dd_answer_begin(&changes->answer, message);
        if (broken != NULL)
            return fail_as_invalid(changes, broken);
        if (result == 1)
            return 1;
        changes->totals = dd_answer_totals(&changes->answer);
        changes->state = COMPLETE;
        return 0;
    }
}

int diskdelta_changes_next(diskdelta_changes *changes, const diskdelta_batch **batch)
{
    *batch = NULL;
    if (changes == NULL || changes->state == FAILED)
        return -1;
    if (changes->state == COMPLETE)
        return 0;
    if (!changes->answer.has_header || dd_answer_is_taken(&changes->answer)) {
        int result = begin_batch(changes);
        if (result != 1)
            return result;
    } else if (dd_call_is_cancelled(changes->stream)) {
        return fail_as_stream(changes);
    }
    size_t count = 0;
    const char *broken = dd_answer_take(&changes->answer, changes->ranges, RANGES_AT_ONCE, &count);
    if (broken != NULL)
        return fail_as_invalid(changes, broken);
    changes->position = dd_answer_position(&changes->answer);
    dd_patience_renew(&changes->patience);
    changes->batch = (diskdelta_batch){changes->ranges, count, changes->position};
    *batch = &changes->batch;
    return 1;
}

uint64_t diskdelta_changes_position(const diskdelta_changes *changes)
{
    return changes != NULL ? changes->position : 0;
}

const diskdelta_answer_totals *diskdelta_changes_totals(const diskdelta_changes *changes)
{
    return changes != NULL && changes->state == COMPLETE ? &changes->totals : NULL;
}

const diskdelta_error *diskdelta_changes_error(const diskdelta_changes *changes)
{
    return changes != NULL ? &changes->error.public : &dd_error_without_handle;
}

void diskdelta_changes_close(diskdelta_changes *changes)
{
    if (changes == NULL)
        return;
    diskdelta_allocator allocator = changes->allocator;
    diskdelta_stream_close(changes->stream);
    dd_question_free(&changes->question, &allocator);
    dd_header_free(&changes->header, &allocator);
    dd_release(&allocator, changes);
}
