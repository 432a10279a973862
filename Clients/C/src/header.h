/* The header of a range answer, kept for as long as its handle lives. */
#ifndef DD_HEADER_H
#define DD_HEADER_H

#include "memory.h"

#include <diskdelta.h>

/* All 0 where there is none yet. */
struct dd_kept_header {
    diskdelta_answer_header header;
    /* What its strings are; NULL where there is no header. */
    char *strings;
};

/* The bytes that its strings need. */
size_t dd_header_text_size(const diskdelta_answer_header *header);

/* Copies a header out of its message. False where there is no memory. */
bool dd_header_keep(struct dd_kept_header *kept, const diskdelta_allocator *allocator,
                    const diskdelta_answer_header *header);

void dd_header_free(struct dd_kept_header *kept, const diskdelta_allocator *allocator);

#endif
