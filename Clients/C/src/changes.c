/* Range answers, verified, and resumed where they break off. */
#include "answer.h"
#include "call.h"
#include "client.h"
#include "question.h"

#include <string.h>

/* How many ranges a batch hands out at most, however many a message holds. */
enum { RANGES_AT_ONCE = 4096 };

/* How long an answer may make no progress, in ms, where the options say nothing. */
enum { DEFAULT_PATIENCE = 30000 };

enum state { RUNNING, COMPLETE, FAILED };

struct diskdelta_changes {
    diskdelta_allocator allocator;
    diskdelta_stream *stream;
    struct dd_question question;
    enum state state;
    struct dd_answer answer;
    /* All below was handed out. */
    uint64_t position;
    /* The first header; its strings are NULL until it is there. */
    diskdelta_answer_header header;
    char *strings;
    diskdelta_batch batch;
    diskdelta_answer_totals totals;
    struct dd_error error;

    /* How long to go on without progress, in ms; 0: an answer that breaks off is not resumed. */
    uint32_t patience;
    /* How often in a row the answer broke off without progress, and since when it makes none. */
    unsigned failures;
    uint64_t stalled_since;

    diskdelta_range ranges[RANGES_AT_ONCE];
};

static diskdelta_changes *fail_to_open(diskdelta_client *client, diskdelta_changes *changes, diskdelta_reason reason,
                                       const char *text)
{
    diskdelta_failure failure;
    dd_fail(&failure, reason, "%s", text);
    if (client != NULL)
        dd_client_fail(client, &failure);
    diskdelta_changes_close(changes);
    return NULL;
}

/* Without its question. */
static diskdelta_changes *create(diskdelta_client *client, const diskdelta_call_options *given)
{
    diskdelta_changes *changes = client != NULL ? dd_allocate(&client->allocator, sizeof *changes) : NULL;
    if (changes == NULL)
        return fail_to_open(client, NULL, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the call");
    changes->allocator = client->allocator;
    changes->state = RUNNING;
    dd_error_init(&changes->error);
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    /* Where they can't be copied, opening says why. */
    if (given != NULL)
        (void)dd_copy_sized(&options, sizeof options, given);
    changes->patience = options.patience_ms == DISKDELTA_OFF ? 0
                        : options.patience_ms != 0           ? options.patience_ms
                                                             : DEFAULT_PATIENCE;
    return changes;
}

static diskdelta_changes *begin(diskdelta_changes *changes, diskdelta_stream *stream, struct dd_window asked)
{
    if (stream == NULL) {
        diskdelta_changes_close(changes);
        return NULL;
    }
    changes->stream = stream;
    changes->position = asked.offset;
    dd_answer_init(&changes->answer, asked);
    return changes;
}

static const char malformed[] = "the request can't be sent: a structure was not started with its _INIT macro, or there "
                                "is not enough memory";

diskdelta_changes *diskdelta_get_virtual_disk_changes(diskdelta_client *client,
                                                      const diskdelta_get_virtual_disk_changes_request *request,
                                                      const diskdelta_call_options *options)
{
    diskdelta_changes *changes = create(client, options);
    if (changes == NULL)
        return NULL;
    /* Opening says what is wrong with a malformed request. */
    bool is_kept = dd_question_of_changes(&changes->question, &changes->allocator, request);
    const diskdelta_get_virtual_disk_changes_request *kept = &changes->question.changes;
    diskdelta_stream *stream =
        diskdelta_image_management_get_virtual_disk_changes(client, is_kept ? kept : request, options);
    if (stream != NULL && !is_kept) {
        diskdelta_stream_close(stream);
        return fail_to_open(client, changes, DISKDELTA_REASON_RESOURCE_LIMIT, malformed);
    }
    return begin(changes, stream, (struct dd_window){kept->byte_offset, kept->has_byte_length, kept->byte_length});
}

diskdelta_changes *diskdelta_get_virtual_disk_allocation(diskdelta_client *client,
                                                         const diskdelta_get_virtual_disk_allocation_request *request,
                                                         const diskdelta_call_options *options)
{
    diskdelta_changes *changes = create(client, options);
    if (changes == NULL)
        return NULL;
    bool is_kept = dd_question_of_allocation(&changes->question, &changes->allocator, request);
    const diskdelta_get_virtual_disk_allocation_request *kept = &changes->question.allocation;
    diskdelta_stream *stream =
        diskdelta_image_management_get_virtual_disk_allocation(client, is_kept ? kept : request, options);
    if (stream != NULL && !is_kept) {
        diskdelta_stream_close(stream);
        return fail_to_open(client, changes, DISKDELTA_REASON_RESOURCE_LIMIT, malformed);
    }
    return begin(changes, stream, (struct dd_window){kept->byte_offset, kept->has_byte_length, kept->byte_length});
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
    if (changes->patience == 0 || dd_call_is_over(changes->stream))
        return false;
    uint64_t now = dd_now();
    if (changes->failures == 0)
        changes->stalled_since = now;
    uint64_t until = dd_later(changes->stalled_since, changes->patience);
    if (now >= until)
        return false;
    dd_answer_resume(&changes->answer);
    const struct dd_window *rest = &changes->answer.asked;
    const void *request = dd_question_about_rest(&changes->question, rest->offset, rest->length, changes->header.epoch);
    return dd_call_again(changes->stream, request, until, changes->failures++);
}

/*
 * The stream has failed. Where the answer broke off after its header, it is resumed: then 1; else -1. A server whose
 * patience has ended, or that cancelled the call because it is stopping, broke it off no less (P-86, P-92).
 */
static int fail_as_stream(diskdelta_changes *changes)
{
    take_error(changes);
    bool broke = changes->error.public.status == DISKDELTA_STATUS_UNAVAILABLE && changes->strings != NULL;
    if (broke && resume(changes)) {
        dd_error_init(&changes->error);
        return 1;
    }
    /* Resuming may have failed of something else, such as memory. */
    take_error(changes);
    if (broke && changes->error.public.reason == DISKDELTA_REASON_SERVER_UNAVAILABLE) {
        diskdelta_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_ANSWER_INCOMPLETE, "the answer is not complete: %.400s",
                diskdelta_stream_error(changes->stream)->message);
        dd_error_set(&changes->error, &failure);
    }
    return fail(changes);
}

static int fail_as_invalid(diskdelta_changes *changes, const char *broken)
{
    dd_call_invalid(changes->stream, broken);
    take_error(changes);
    return fail(changes);
}

/* ---- The header ------------------------------------------------------------------------------------------------ */

static size_t size_of(const char *string)
{
    return strlen(string) + 1;
}

static const char *keep(char **room, const char *string)
{
    char *kept = *room;
    size_t size = size_of(string);
    memcpy(kept, string, size);
    *room += size;
    return kept;
}

/* The header outlives its message, so its strings are copied. */
static bool keep_header(diskdelta_changes *changes, const diskdelta_answer_header *header)
{
    size_t size = size_of(header->disk) + size_of(header->since) + size_of(header->target) + size_of(header->epoch);
    changes->strings = dd_allocate(&changes->allocator, size);
    if (changes->strings == NULL)
        return false;
    char *room = changes->strings;
    changes->header = *header;
    changes->header.disk = keep(&room, header->disk);
    changes->header.since = keep(&room, header->since);
    changes->header.target = keep(&room, header->target);
    changes->header.epoch = keep(&room, header->epoch);
    return true;
}

static int fail_without_memory(diskdelta_changes *changes)
{
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the answer");
    dd_error_set(&changes->error, &failure);
    return fail(changes);
}

/* The next message of the stream: 1, 0 at its end, -1, or DISKDELTA_WOULD_WAIT. */
static int take_message(diskdelta_changes *changes, const diskdelta_range_answer **message)
{
    if (changes->question.is_about_allocation)
        return diskdelta_image_management_get_virtual_disk_allocation_next(changes->stream, message);
    return diskdelta_image_management_get_virtual_disk_changes_next(changes->stream, message);
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
        if (broken == NULL && changes->strings != NULL)
            broken = dd_answer_repeats(&changes->header, message->part.header);
        if (broken != NULL)
            return fail_as_invalid(changes, broken);
        if (changes->strings == NULL && !keep_header(changes, message->part.header))
            return fail_without_memory(changes);
    }
    return 1;
}

const diskdelta_answer_header *diskdelta_changes_header(diskdelta_changes *changes)
{
    if (changes == NULL)
        return NULL;
    if (changes->strings == NULL && changes->state == RUNNING)
        (void)take_header(changes);
    return changes->strings != NULL ? &changes->header : NULL;
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
    }
    size_t count = 0;
    const char *broken = dd_answer_take(&changes->answer, changes->ranges, RANGES_AT_ONCE, &count);
    if (broken != NULL)
        return fail_as_invalid(changes, broken);
    changes->position = dd_answer_position(&changes->answer);
    changes->failures = 0;
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
    dd_release(&allocator, changes->strings);
    dd_release(&allocator, changes);
}
