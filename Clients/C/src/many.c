/* Range answers about many disks in one call, verified, and resumed where it breaks off. */
#include "call.h"
#include "client.h"
#include "disk.h"
#include "patience.h"

#include <stdio.h>

/* How many ranges a batch hands out at most, however many a message holds. */
enum { RANGES_AT_ONCE = 4096 };

enum state {
    RUNNING,
    /* The call has failed; the disks that had no end are told one by one. */
    ENDING,
    COMPLETE,
    FAILED,
};

struct diskdelta_many_changes {
    diskdelta_allocator allocator;
    diskdelta_stream *stream;
    enum state state;
    struct dd_disk *disks;
    size_t count;
    /* How many have had their end. */
    size_t ended;
    /* What the call under way asks: the requests, and of which disk each is. */
    const diskdelta_get_virtual_disk_changes_request **requests;
    size_t *asked;
    size_t asked_count;
    /* A message of the answer has come. */
    bool has_begun;
    /* The disk whose batch is being handed out; NULL where there is none. */
    struct dd_disk *taking;
    /* While ending: the disks before this one are told. */
    size_t told;
    struct dd_patience patience;
    struct dd_error error;

    diskdelta_disk_event event;
    diskdelta_batch batch;
    diskdelta_answer_totals totals;
    struct dd_error disk_error;
    diskdelta_range ranges[RANGES_AT_ONCE];
};

/* ---- Asking ---------------------------------------------------------------------------------------------------- */

static diskdelta_many_changes *fail_to_open(diskdelta_client *client, diskdelta_many_changes *many, const char *text)
{
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_RESOURCE_LIMIT, "%s", text);
    if (client != NULL)
        dd_client_fail(client, &failure);
    diskdelta_many_changes_close(many);
    return NULL;
}

/* The request about the disks that have had no end. */
static diskdelta_get_virtual_disk_changes_batch_request ask_for_missing(diskdelta_many_changes *many)
{
    many->asked_count = 0;
    for (size_t i = 0; i < many->count; i++) {
        if (many->disks[i].has_ended)
            continue;
        many->requests[many->asked_count] = &many->disks[i].question.request.changes;
        many->asked[many->asked_count++] = i;
    }
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    request.disks = many->requests;
    request.disks_count = many->asked_count;
    return request;
}

/* Copies the request. False where it is malformed, or there is no memory. */
static bool keep_request(diskdelta_many_changes *many, const diskdelta_get_virtual_disk_changes_batch_request *request)
{
    diskdelta_get_virtual_disk_changes_batch_request given;
    if (!dd_copy_sized(&given, sizeof given, request) || given.disks_count > SIZE_MAX / 2 / sizeof *many->disks)
        return false;
    /* One more, so that none is of no size. */
    size_t room = given.disks_count + 1;
    many->disks = dd_allocate(&many->allocator, room * sizeof *many->disks);
    many->requests = dd_allocate(&many->allocator, room * sizeof *many->requests);
    many->asked = dd_allocate(&many->allocator, room * sizeof *many->asked);
    if (many->disks == NULL || many->requests == NULL || many->asked == NULL)
        return false;
    for (; many->count < given.disks_count; many->count++) {
        struct dd_disk *disk = &many->disks[many->count];
        if (!dd_question_of_changes(&disk->question, &many->allocator, given.disks[many->count]))
            return false;
        dd_disk_begin(disk);
    }
    return true;
}

diskdelta_many_changes *
diskdelta_get_virtual_disk_changes_batch(diskdelta_client *client,
                                         const diskdelta_get_virtual_disk_changes_batch_request *request,
                                         const diskdelta_call_options *options)
{
    diskdelta_many_changes *many = client != NULL ? dd_allocate(&client->allocator, sizeof *many) : NULL;
    if (many == NULL)
        return fail_to_open(client, NULL, "there is not enough memory for the call");
    many->allocator = client->allocator;
    many->state = RUNNING;
    dd_error_init(&many->error);
    dd_error_init(&many->disk_error);
    dd_patience_init(&many->patience, options);
    bool is_kept = keep_request(many, request);
    diskdelta_get_virtual_disk_changes_batch_request kept;
    if (is_kept)
        kept = ask_for_missing(many);
    /* Where it could not be kept, opening says what is wrong with a malformed one. */
    many->stream =
        diskdelta_image_management_get_virtual_disk_changes_batch(client, is_kept ? &kept : request, options);
    if (many->stream != NULL && !is_kept)
        return fail_to_open(client, many, "there is not enough memory for the call");
    if (many->stream != NULL)
        return many;
    diskdelta_many_changes_close(many);
    return NULL;
}

/* ---- Ends of the call ------------------------------------------------------------------------------------------ */

/* Asks about the disks that have had no end, where there is patience left. */
static bool resume(diskdelta_many_changes *many)
{
    uint64_t until = 0;
    if (dd_call_is_over(many->stream) || !dd_patience_lasts(&many->patience, dd_now(), &until))
        return false;
    for (size_t i = 0; i < many->count; i++) {
        if (!many->disks[i].has_ended)
            dd_disk_resume(&many->disks[i]);
    }
    diskdelta_get_virtual_disk_changes_batch_request request = ask_for_missing(many);
    return dd_call_again(many->stream, &request, until, many->patience.failures++);
}

/* What is still missing is told from now on. */
static void fail(diskdelta_many_changes *many)
{
    dd_error_set_public(&many->error, diskdelta_stream_error(many->stream));
    many->state = ENDING;
    many->taking = NULL;
}

static void fail_as_invalid(diskdelta_many_changes *many, const char *broken)
{
    dd_call_invalid(many->stream, broken);
    fail(many);
}

/* The same, of a disk. */
static void fail_as_invalid_of(diskdelta_many_changes *many, const struct dd_disk *disk, const char *broken)
{
    char text[256];
    snprintf(text, sizeof text, "of disk %zu: %s", (size_t)(disk - many->disks), broken);
    fail_as_invalid(many, text);
}

/*
 * The stream has failed. Where it broke off after its first message, the disks without an end are asked about again;
 * where there are none, nothing is missing.
 */
static void fail_as_stream(diskdelta_many_changes *many)
{
    bool broke = diskdelta_stream_error(many->stream)->status == DISKDELTA_STATUS_UNAVAILABLE && many->has_begun;
    if (broke && many->ended == many->count)
        many->state = COMPLETE;
    else if (!broke || !resume(many))
        fail(many);
}

static void finish(diskdelta_many_changes *many)
{
    if (many->ended < many->count)
        fail_as_invalid(many, "P-98: it ends before each of its disks has");
    else if (diskdelta_stream_details(many->stream)->totals != NULL)
        fail_as_invalid(many, "P-98: its end has totals");
    else
        many->state = COMPLETE;
}

/* ---- Events ---------------------------------------------------------------------------------------------------- */

/* An event without what it tells. */
static diskdelta_disk_event *begin_event(diskdelta_many_changes *many, const struct dd_disk *disk,
                                         diskdelta_disk_event_type type)
{
    many->event = (diskdelta_disk_event){.type = type, .disk = (size_t)(disk - many->disks)};
    return &many->event;
}

/* The next ranges of the batch that is being handed out. Whether there is an event. */
static bool hand_out(diskdelta_many_changes *many)
{
    struct dd_disk *disk = many->taking;
    size_t count = 0;
    const char *broken = dd_answer_take(&disk->answer, many->ranges, RANGES_AT_ONCE, &count);
    if (broken != NULL) {
        fail_as_invalid_of(many, disk, broken);
        return false;
    }
    if (dd_answer_is_taken(&disk->answer))
        many->taking = NULL;
    disk->position = dd_answer_position(&disk->answer);
    dd_patience_renew(&many->patience);
    many->batch = (diskdelta_batch){many->ranges, count, disk->position};
    begin_event(many, disk, DISKDELTA_DISK_BATCH)->batch = &many->batch;
    return true;
}

static bool take_answer(diskdelta_many_changes *many, struct dd_disk *disk, const diskdelta_range_answer *message)
{
    bool is_first_header = false;
    bool is_header = !disk->answer.has_header;
    const char *broken = dd_disk_take(disk, message, &is_first_header);
    if (broken != NULL) {
        fail_as_invalid_of(many, disk, broken);
        return false;
    }
    if (!is_header) {
        many->taking = disk;
        return hand_out(many);
    }
    /* That of an answer that goes on is not told again. */
    if (!is_first_header)
        return false;
    const char *missing = dd_disk_keep_header(disk, &many->allocator, message->part.header);
    if (missing != NULL) {
        dd_call_exhausted(many->stream, missing);
        fail(many);
        return false;
    }
    begin_event(many, disk, DISKDELTA_DISK_HEADER)->header = &disk->header.header;
    return true;
}

static bool take_end(diskdelta_many_changes *many, struct dd_disk *disk, const diskdelta_batch_disk_end *end)
{
    bool is_complete = false;
    const char *broken = dd_disk_end(disk, end, &is_complete, &many->disk_error);
    if (broken != NULL) {
        fail_as_invalid_of(many, disk, broken);
        return false;
    }
    many->ended++;
    dd_patience_renew(&many->patience);
    if (is_complete) {
        many->totals = dd_answer_totals(&disk->answer);
        begin_event(many, disk, DISKDELTA_DISK_COMPLETE)->totals = &many->totals;
    } else {
        begin_event(many, disk, DISKDELTA_DISK_FAILED)->error = &many->disk_error.public;
    }
    return true;
}

/* A message of the stream. Whether there is an event. */
static bool take_message(diskdelta_many_changes *many, const diskdelta_batch_range_answer *message)
{
    many->has_begun = true;
    if (message->disk >= many->asked_count) {
        fail_as_invalid(many, "P-95: a message is about no disk of the request");
        return false;
    }
    struct dd_disk *disk = &many->disks[many->asked[message->disk]];
    if (disk->has_ended) {
        fail_as_invalid_of(many, disk, "P-96: a message comes after its end");
        return false;
    }
    if (message->part_case == DISKDELTA_BATCH_RANGE_ANSWER_PART_ANSWER && message->part.answer != NULL)
        return take_answer(many, disk, message->part.answer);
    if (message->part_case == DISKDELTA_BATCH_RANGE_ANSWER_PART_END && message->part.end != NULL)
        return take_end(many, disk, message->part.end);
    fail_as_invalid_of(many, disk, "P-95: a message is neither answer nor end");
    return false;
}

/* The next disk that the call has failed before the end of. Whether there is one. */
static bool tell_missing(diskdelta_many_changes *many)
{
    for (; many->told < many->count; many->told++) {
        struct dd_disk *disk = &many->disks[many->told];
        if (disk->has_ended)
            continue;
        dd_disk_abandon(disk, &many->error.public, &many->disk_error);
        begin_event(many, disk, DISKDELTA_DISK_FAILED)->error = &many->disk_error.public;
        return true;
    }
    if (many->has_begun)
        dd_error_tell_as_part(&many->error);
    many->state = FAILED;
    return false;
}

/* One step: 1 with an event, 0 without one, or DISKDELTA_WOULD_WAIT. */
static int step(diskdelta_many_changes *many)
{
    if (many->state == ENDING)
        return tell_missing(many);
    if (many->taking != NULL) {
        if (!dd_call_is_cancelled(many->stream))
            return hand_out(many);
        fail(many);
        return 0;
    }
    const diskdelta_batch_range_answer *message = NULL;
    int result = diskdelta_image_management_get_virtual_disk_changes_batch_next(many->stream, &message);
    if (result == 1)
        return take_message(many, message);
    if (result == 0)
        finish(many);
    else if (result == -1)
        fail_as_stream(many);
    return result == DISKDELTA_WOULD_WAIT ? result : 0;
}

int diskdelta_many_changes_next(diskdelta_many_changes *many, const diskdelta_disk_event **event)
{
    *event = NULL;
    if (many == NULL)
        return -1;
    while (many->state == RUNNING || many->state == ENDING) {
        int result = step(many);
        if (result == 1)
            *event = &many->event;
        if (result != 0)
            return result;
    }
    return many->state == COMPLETE ? 0 : -1;
}

const diskdelta_answer_header *diskdelta_many_changes_header(const diskdelta_many_changes *many, size_t disk)
{
    bool is_there = many != NULL && disk < many->count && many->disks[disk].header.strings != NULL;
    return is_there ? &many->disks[disk].header.header : NULL;
}

const diskdelta_error *diskdelta_many_changes_error(const diskdelta_many_changes *many)
{
    return many != NULL ? &many->error.public : &dd_error_without_handle;
}

void diskdelta_many_changes_close(diskdelta_many_changes *many)
{
    if (many == NULL)
        return;
    diskdelta_allocator allocator = many->allocator;
    diskdelta_stream_close(many->stream);
    for (size_t i = 0; many->disks != NULL && i < many->count; i++)
        dd_disk_free(&many->disks[i], &allocator);
    dd_release(&allocator, many->disks);
    dd_release(&allocator, many->requests);
    dd_release(&allocator, many->asked);
    dd_release(&allocator, many);
}
