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
    diskdelta_get_virtual_disk_changes_request *kept = &question->changes;
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
    question->is_about_allocation = true;
    diskdelta_get_virtual_disk_allocation_request *kept = &question->allocation;
    if (!dd_copy_sized(kept, sizeof *kept, request))
        return false;
    kept->struct_size = sizeof *kept;
    const char **strings[] = {&kept->path, &kept->if_epoch};
    return keep(question, allocator, strings, sizeof strings / sizeof strings[0]);
}

const void *dd_question_about_rest(struct dd_question *question, uint64_t offset, uint64_t length, const char *epoch)
{
    if (question->is_about_allocation) {
        question->allocation.byte_offset = offset;
        question->allocation.has_byte_length = true;
        question->allocation.byte_length = length;
        question->allocation.if_epoch = epoch;
        return &question->allocation;
    }
    question->changes.byte_offset = offset;
    question->changes.has_byte_length = true;
    question->changes.byte_length = length;
    question->changes.if_epoch = epoch;
    return &question->changes;
}

void dd_question_free(struct dd_question *question, const diskdelta_allocator *allocator)
{
    dd_release(allocator, question->strings);
    question->strings = NULL;
}
