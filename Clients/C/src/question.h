/* What a range answer answers: the caller's request, kept for as long as the answer may have to be resumed (P-77). */
#ifndef DD_QUESTION_H
#define DD_QUESTION_H

#include "memory.h"

#include <diskdelta.h>

struct dd_question {
    bool is_about_allocation;
    diskdelta_get_virtual_disk_changes_request changes;
    diskdelta_get_virtual_disk_allocation_request allocation;
    /* What the strings of the request are. */
    char *strings;
};

/* Copies a request. False where it is malformed, or there is no memory. */
bool dd_question_of_changes(struct dd_question *question, const diskdelta_allocator *allocator,
                            const diskdelta_get_virtual_disk_changes_request *request);
bool dd_question_of_allocation(struct dd_question *question, const diskdelta_allocator *allocator,
                               const diskdelta_get_virtual_disk_allocation_request *request);

/* The same question about the rest of the window, which lives until `epoch` or the question does not. */
const void *dd_question_about_rest(struct dd_question *question, uint64_t offset, uint64_t length, const char *epoch);

void dd_question_free(struct dd_question *question, const diskdelta_allocator *allocator);

#endif
