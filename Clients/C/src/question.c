#include "question.h"

#include <string.h>

static size_t size_of(const char *string)
{
    return string != NULL ? strlen(string) + 1 : 0;
}

/* Copies the strings into one piece of memory. */
static bool keep(struct dd_question *question, const diskdelta_allocator *allocator, const char **strings[],
                 size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += size_of(*strings[i]);
    char *room = dd_allocate(allocator, size + 1);
    if (room == NULL)
        return false;
    question->strings = room;
    for (size_t i = 0; i < count; i++) {
        size_t each = size_of(*strings[i]);
        if (each == 0)
            continue;
        memcpy(room, *strings[i], each);
        *strings[i] = room;
        room += each;
    }
    return true;
}

bool dd_question_of_changes(struct dd_question *question, const diskdelta_allocator *allocator,
                            const diskdelta_get_virtual_disk_changes_request *request)
{
    memset(question, 0, sizeof *question);
    question->kind = DD_QUESTION_OF_CHANGES;
    diskdelta_get_virtual_disk_changes_request *kept = &question->request.changes;
    if (!dd_copy_sized(kept, sizeof *kept, request))
        return false;
    kept->struct_size = sizeof *kept;
    const char **strings[] = {&kept->path, &kept->limit_id, &kept->target_snapshot_id, &kept->if_epoch};
    return keep(question, allocator, strings, sizeof strings / sizeof strings[0]);
}

bool dd_question_of_allocation(struct dd_question *question, const diskdelta_allocator *allocator,
                               const diskdelta_get_virtual_disk_allocation_request *request)
{
    memset(question, 0, sizeof *question);
    question->kind = DD_QUESTION_OF_ALLOCATION;
    diskdelta_get_virtual_disk_allocation_request *kept = &question->request.allocation;
    if (!dd_copy_sized(kept, sizeof *kept, request))
        return false;
    kept->struct_size = sizeof *kept;
    const char **strings[] = {&kept->path, &kept->if_epoch};
    return keep(question, allocator, strings, sizeof strings / sizeof strings[0]);
}

bool dd_question_of_job(struct dd_question *question, const diskdelta_allocator *allocator,
                        const diskdelta_job_results_request *request)
{
    memset(question, 0, sizeof *question);
    question->kind = DD_QUESTION_OF_JOB;
    diskdelta_job_results_request *kept = &question->request.job;
    if (!dd_copy_sized(kept, sizeof *kept, request))
        return false;
    kept->struct_size = sizeof *kept;
    const char **strings[] = {&kept->id};
    return keep(question, allocator, strings, sizeof strings / sizeof strings[0]);
}

struct dd_window dd_question_window(const struct dd_question *question)
{
    const diskdelta_get_virtual_disk_changes_request *changes = &question->request.changes;
    const diskdelta_get_virtual_disk_allocation_request *allocation = &question->request.allocation;
    switch (question->kind) {
    case DD_QUESTION_OF_JOB:
        return (struct dd_window){.offset = question->request.job.byte_offset, .is_of_job = true};
    case DD_QUESTION_OF_ALLOCATION:
        return (struct dd_window){.offset = allocation->byte_offset,
                                  .has_length = allocation->has_byte_length,
                                  .length = allocation->byte_length};
    default:
        return (struct dd_window){
            .offset = changes->byte_offset, .has_length = changes->has_byte_length, .length = changes->byte_length};
    }
}

/* ---- The header that answers it -------------------------------------------------------------------------------- */

/* What a question about a disk asks, whichever it is. */
struct asked {
    const char *path;
    const char *target;
    const char *if_epoch;
    uint64_t granularity;
    bool assume_at_rest;
    diskdelta_image_format image_format;
    bool has_if_size;
    uint64_t if_size;
};

static struct asked asked_of(const struct dd_question *question)
{
    const diskdelta_get_virtual_disk_changes_request *changes = &question->request.changes;
    const diskdelta_get_virtual_disk_allocation_request *allocation = &question->request.allocation;
    if (question->kind == DD_QUESTION_OF_ALLOCATION)
        return (struct asked){.path = allocation->path,
                              .if_epoch = allocation->if_epoch,
                              .granularity = allocation->granularity,
                              .assume_at_rest = allocation->assume_at_rest,
                              .image_format = allocation->image_format,
                              .has_if_size = allocation->has_if_size,
                              .if_size = allocation->if_size};
    return (struct asked){.path = changes->path,
                          .target = changes->target_snapshot_id,
                          .if_epoch = changes->if_epoch,
                          .granularity = changes->granularity,
                          .assume_at_rest = changes->assume_at_rest,
                          .image_format = changes->image_format,
                          .has_if_size = changes->has_if_size,
                          .if_size = changes->if_size};
}

static bool is_empty(const char *string)
{
    return string == NULL || string[0] == '\0';
}

static const char *repeats(const struct asked *asked, const diskdelta_answer_header *header)
{
    if (strcmp(header->disk, asked->path != NULL ? asked->path : "") != 0)
        return "P-100: it is about another disk";
    if (is_empty(header->target) != is_empty(asked->target))
        return "P-100: it has another target";
    if (!is_empty(asked->if_epoch) && strcmp(header->epoch, asked->if_epoch) != 0)
        return "P-100: the disk is in another epoch than the one it was to be in";
    if (asked->has_if_size && header->size != asked->if_size)
        return "P-100: the disk has another size than the one it was to have";
    if (header->assumed_at_rest && !asked->assume_at_rest)
        return "P-100: the server assumed what it was not asked to, that the files are at rest";
    return NULL;
}

/* Whether a question allows a basis (P-101). */
static bool allows(const struct dd_question *question, diskdelta_answer_basis basis)
{
    diskdelta_on_unavailable fallback = question->request.changes.on_unavailable;
    switch (question->kind) {
    case DD_QUESTION_OF_ALLOCATION:
        return basis == DISKDELTA_ANSWER_BASIS_ALLOCATED;
    case DD_QUESTION_OF_JOB:
        return basis == DISKDELTA_ANSWER_BASIS_CHANGES || basis == DISKDELTA_ANSWER_BASIS_ALLOCATED ||
               basis == DISKDELTA_ANSWER_BASIS_WHOLE;
    default:
        return basis == DISKDELTA_ANSWER_BASIS_CHANGES ||
               (basis == DISKDELTA_ANSWER_BASIS_ALLOCATED && fallback == DISKDELTA_ON_UNAVAILABLE_ALLOCATED) ||
               (basis == DISKDELTA_ANSWER_BASIS_WHOLE && fallback == DISKDELTA_ON_UNAVAILABLE_WHOLE);
    }
}

static const char *has_basis(const struct dd_question *question, const diskdelta_answer_header *header)
{
    bool is_of_changes = header->basis == DISKDELTA_ANSWER_BASIS_CHANGES;
    bool is_fallback = !is_of_changes && question->kind != DD_QUESTION_OF_ALLOCATION;
    if (!allows(question, header->basis))
        return "P-101: its ranges tell something that was not asked for";
    if (is_empty(header->since) == is_of_changes)
        return "P-101: its baseline does not fit its basis";
    if ((header->basis_reason != DISKDELTA_REASON_NONE) != is_fallback ||
        (!is_fallback && !is_empty(header->basis_message)))
        return "P-101: its reason for another basis does not fit its basis";
    return NULL;
}

const char *dd_question_answered_by(const struct dd_question *question, const diskdelta_answer_header *header)
{
    if (is_empty(header->epoch))
        return "P-100: it names no epoch";
    struct asked asked = {0};
    const char *broken = NULL;
    if (question->kind != DD_QUESTION_OF_JOB) {
        asked = asked_of(question);
        broken = repeats(&asked, header);
    }
    if (broken == NULL)
        broken = has_basis(question, header);
    if (broken != NULL)
        return broken;
    if (header->format == DISKDELTA_IMAGE_FORMAT_UNKNOWN)
        return "P-102: it names no format";
    if (asked.image_format != DISKDELTA_IMAGE_FORMAT_UNKNOWN && is_empty(asked.target) &&
        header->format != asked.image_format)
        return "P-102: its format is not the one that was asked for";
    if (header->granularity < asked.granularity)
        return "P-103: its granularity is below the one that was asked for";
    return NULL;
}

/* ---- Its rest -------------------------------------------------------------------------------------------------- */

void dd_question_about_rest(struct dd_question *question, const struct dd_window *rest, const char *epoch)
{
    diskdelta_get_virtual_disk_changes_request *changes = &question->request.changes;
    diskdelta_get_virtual_disk_allocation_request *allocation = &question->request.allocation;
    switch (question->kind) {
    case DD_QUESTION_OF_JOB:
        /* Its answer does not change, so it takes no condition. */
        question->request.job.byte_offset = rest->offset;
        break;
    case DD_QUESTION_OF_ALLOCATION:
        allocation->byte_offset = rest->offset;
        allocation->has_byte_length = true;
        allocation->byte_length = rest->length;
        allocation->if_epoch = epoch;
        break;
    default:
        changes->byte_offset = rest->offset;
        changes->has_byte_length = true;
        changes->byte_length = rest->length;
        changes->if_epoch = epoch;
        break;
    }
}

void dd_question_free(struct dd_question *question, const diskdelta_allocator *allocator)
{
    dd_release(allocator, question->strings);
    question->strings = NULL;
}
