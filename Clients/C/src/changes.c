/* Range answers, verified. */
#include "answer.h"
#include "call.h"
#include "client.h"

#include <string.h>

/* How many ranges a batch hands out at most, however many a message holds. */
enum { RANGES_AT_ONCE = 4096 };

typedef int (*next_function)(diskdelta_stream *stream, const diskdelta_range_answer **response);

enum state { RUNNING, COMPLETE, FAILED };

struct diskdelta_changes {
    diskdelta_stream *stream;
    next_function next;
    enum state state;
    struct dd_answer answer;
    /* All below was handed out. */
    uint64_t position;
    diskdelta_answer_header header;
    /* What the header's strings are. */
    char *strings;
    diskdelta_batch batch;
    struct dd_error error;
    diskdelta_range ranges[RANGES_AT_ONCE];
};

static diskdelta_changes *open_changes(diskdelta_client *client, diskdelta_stream *stream, next_function next,
                                       struct dd_window asked)
{
    if (stream == NULL)
        return NULL;
    diskdelta_changes *changes = dd_allocate(dd_call_allocator(stream), sizeof *changes);
    if (changes == NULL) {
        struct dd_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the call");
        dd_client_fail(client, &failure);
        diskdelta_stream_close(stream);
        return NULL;
    }
    changes->stream = stream;
    changes->next = next;
    changes->state = RUNNING;
    changes->position = asked.offset;
    dd_answer_init(&changes->answer, asked);
    dd_error_init(&changes->error);
    return changes;
}

diskdelta_changes *diskdelta_get_virtual_disk_changes(diskdelta_client *client,
                                                      const diskdelta_get_virtual_disk_changes_request *given,
                                                      const diskdelta_call_options *options)
{
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    /* Where it can't be copied, opening says why. */
    (void)dd_copy_sized(&request, sizeof request, given);
    diskdelta_stream *stream = diskdelta_image_management_get_virtual_disk_changes(client, given, options);
    return open_changes(client, stream, diskdelta_image_management_get_virtual_disk_changes_next,
                        (struct dd_window){request.byte_offset, request.has_byte_length, request.byte_length});
}

diskdelta_changes *diskdelta_get_virtual_disk_allocation(diskdelta_client *client,
                                                         const diskdelta_get_virtual_disk_allocation_request *given,
                                                         const diskdelta_call_options *options)
{
    diskdelta_get_virtual_disk_allocation_request request = DISKDELTA_GET_VIRTUAL_DISK_ALLOCATION_REQUEST_INIT;
    (void)dd_copy_sized(&request, sizeof request, given);
    diskdelta_stream *stream = diskdelta_image_management_get_virtual_disk_allocation(client, given, options);
    return open_changes(client, stream, diskdelta_image_management_get_virtual_disk_allocation_next,
                        (struct dd_window){request.byte_offset, request.has_byte_length, request.byte_length});
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

static int fail_as_stream(diskdelta_changes *changes)
{
    const diskdelta_error *error = diskdelta_stream_error(changes->stream);
    changes->error.public = *error;
    size_t length = strlen(error->message);
    memcpy(changes->error.text, error->message, length + 1);
    changes->error.public.message = changes->error.text;
    bool broke = error->reason == DISKDELTA_REASON_SERVER_UNAVAILABLE && !dd_call_has_end(changes->stream);
    if (broke && changes->answer.has_header) {
        struct dd_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_ANSWER_INCOMPLETE, "the answer is not complete: %.400s", error->message);
        dd_error_set(&changes->error, &failure);
    }
    return fail(changes);
}

static int fail_as_invalid(diskdelta_changes *changes, const char *broken)
{
    dd_call_invalid(changes->stream, broken);
    return fail_as_stream(changes);
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
    changes->strings = dd_allocate(dd_call_allocator(changes->stream), size);
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

/* Waits for the header. Whether it is there. */
static bool has_header(diskdelta_changes *changes)
{
    if (changes->answer.has_header)
        return true;
    if (changes->state != RUNNING)
        return false;
    const diskdelta_range_answer *message = NULL;
    int result = changes->next(changes->stream, &message);
    const char *broken = result == 0 ? "P-74: it has no header" : NULL;
    if (result < 0)
        fail_as_stream(changes);
    else if (result == 1)
        broken = dd_answer_header(&changes->answer, message);
    if (broken != NULL)
        fail_as_invalid(changes, broken);
    if (changes->state == RUNNING && !keep_header(changes, message->part.header)) {
        struct dd_failure failure;
        dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the answer");
        dd_error_set(&changes->error, &failure);
        fail(changes);
    }
    return changes->state == RUNNING;
}

const diskdelta_answer_header *diskdelta_changes_header(diskdelta_changes *changes)
{
    if (changes == NULL || !has_header(changes) || changes->strings == NULL)
        return NULL;
    return &changes->header;
}

/* ---- Batches --------------------------------------------------------------------------------------------------- */

/* Waits for the next message of the answer: 1 with a batch begun, 0 at the verified end, -1 where the call failed. */
static int begin_batch(diskdelta_changes *changes)
{
    const diskdelta_range_answer *message = NULL;
    int result = changes->next(changes->stream, &message);
    if (result < 0)
        return fail_as_stream(changes);
    if (result == 0) {
        const char *broken = dd_answer_finish(&changes->answer, diskdelta_stream_details(changes->stream));
        if (broken != NULL)
            return fail_as_invalid(changes, broken);
        changes->state = COMPLETE;
        return 0;
    }
    const char *broken = dd_answer_begin(&changes->answer, message);
    return broken != NULL ? fail_as_invalid(changes, broken) : 1;
}

int diskdelta_changes_next(diskdelta_changes *changes, const diskdelta_batch **batch)
{
    *batch = NULL;
    if (changes == NULL || changes->state == FAILED)
        return -1;
    if (changes->state == COMPLETE)
        return 0;
    if (!has_header(changes))
        return -1;
    if (dd_answer_is_taken(&changes->answer)) {
        int result = begin_batch(changes);
        if (result != 1)
            return result;
    }
    size_t count = 0;
    const char *broken = dd_answer_take(&changes->answer, changes->ranges, RANGES_AT_ONCE, &count);
    if (broken != NULL)
        return fail_as_invalid(changes, broken);
    changes->position = dd_answer_position(&changes->answer);
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
    if (changes == NULL || changes->state != COMPLETE)
        return NULL;
    return diskdelta_stream_details(changes->stream)->totals;
}

const diskdelta_error *diskdelta_changes_error(const diskdelta_changes *changes)
{
    return changes != NULL ? &changes->error.public : &dd_error_without_handle;
}

void diskdelta_changes_close(diskdelta_changes *changes)
{
    if (changes == NULL)
        return;
    diskdelta_allocator allocator = *dd_call_allocator(changes->stream);
    diskdelta_stream_close(changes->stream);
    dd_release(&allocator, changes->strings);
    dd_release(&allocator, changes);
}
