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
