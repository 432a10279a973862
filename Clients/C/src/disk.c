#include "disk.h"

#include <string.h>

/* The text of a header that is kept for each of many disks. Two names of files, two ids, an epoch and a sentence take
 * less; a server that sends more wants the client's memory. */
enum { MOST_HEADER_TEXT = 16384 };

void dd_disk_begin(struct dd_disk *disk)
{
    struct dd_window asked = dd_question_window(&disk->question);
    dd_answer_init(&disk->answer, asked);
    disk->position = asked.offset;
}

void dd_disk_resume(struct dd_disk *disk)
{
    /* Without a header nothing is known of it, and it is asked about as before. */
    if (disk->header.strings == NULL)
        return;
    dd_answer_resume(&disk->answer);
    dd_question_about_rest(&disk->question, &disk->answer.asked, disk->header.header.epoch);
}

const char *dd_disk_take(struct dd_disk *disk, const diskdelta_range_answer *message, bool *is_first_header)
{
    *is_first_header = false;
    if (disk->answer.has_header)
        return dd_answer_begin(&disk->answer, message);
    const char *broken = dd_answer_header(&disk->answer, message);
    if (broken != NULL)
        return broken;
    *is_first_header = disk->header.strings == NULL;
    if (!*is_first_header)
        broken = dd_answer_repeats(&disk->header.header, message->part.header);
    return broken != NULL ? broken : dd_question_answered_by(&disk->question, message->part.header);
}

const char *dd_disk_keep_header(struct dd_disk *disk, const diskdelta_allocator *allocator,
                                const diskdelta_answer_header *header)
{
    if (dd_header_text_size(header) > MOST_HEADER_TEXT)
        return "the header of a disk has more text than the client keeps";
    return dd_header_keep(&disk->header, allocator, header) ? NULL : "there is not enough memory for the answer";
}

/* What is told of a disk that failed. */
static void tell_what_is_left(const struct dd_disk *disk, struct dd_error *error)
{
    if (disk->header.strings != NULL)
        dd_error_tell_as_part(error);
    /* The client trusts its own position, not the one that a failed end names (P-76). */
    error->public.has_resume_offset = true;
    error->public.resume_offset = disk->position;
}

const char *dd_disk_end(struct dd_disk *disk, const diskdelta_batch_disk_end *end, bool *is_complete,
                        struct dd_error *error)
{
    static const diskdelta_status_details none = {0};
    const diskdelta_status_details *details = end->details != NULL ? end->details : &none;
    const uint8_t *text = (const uint8_t *)end->message;
    size_t size = strlen(end->message);
    if ((unsigned)end->status > DISKDELTA_STATUS_UNAUTHENTICATED || size > DD_MAX_TEXT_SIZE || !dd_is_utf8(text, size))
        return "P-97: no END could say what its end says";
    *is_complete = end->status == DISKDELTA_STATUS_OK;
    if (*is_complete) {
        if (details->reason != DISKDELTA_REASON_NONE || details->return_value != 0 || details->detail_code != 0)
            return "P-35: its end is OK and has a reason to fail";
        const char *broken = dd_answer_finish(&disk->answer, details);
        if (broken != NULL)
            return broken;
    } else {
        dd_error_set_end(error, end->status, details, text, size);
        tell_what_is_left(disk, error);
    }
    disk->has_ended = true;
    return NULL;
}

void dd_disk_abandon(struct dd_disk *disk, const diskdelta_error *why, struct dd_error *error)
{
    dd_error_set_public(error, why);
    tell_what_is_left(disk, error);
    disk->has_ended = true;
}

void dd_disk_free(struct dd_disk *disk, const diskdelta_allocator *allocator)
{
    dd_question_free(&disk->question, allocator);
    dd_header_free(&disk->header, allocator);
}
