#include "header.h"

#include <string.h>

static const char *keep(char **room, const char *string)
{
    char *kept = *room;
    size_t size = strlen(string) + 1;
    memcpy(kept, string, size);
    *room += size;
    return kept;
}

size_t dd_header_text_size(const diskdelta_answer_header *header)
{
    return strlen(header->disk) + strlen(header->since) + strlen(header->target) + strlen(header->epoch) +
           strlen(header->basis_message) + 5;
}

bool dd_header_keep(struct dd_kept_header *kept, const diskdelta_allocator *allocator,
                    const diskdelta_answer_header *header)
{
    char *room = dd_allocate(allocator, dd_header_text_size(header));
    if (room == NULL)
        return false;
    kept->strings = room;
    kept->header = *header;
    kept->header.disk = keep(&room, header->disk);
    kept->header.since = keep(&room, header->since);
    kept->header.target = keep(&room, header->target);
    kept->header.epoch = keep(&room, header->epoch);
    kept->header.basis_message = keep(&room, header->basis_message);
    return true;
}

void dd_header_free(struct dd_kept_header *kept, const diskdelta_allocator *allocator)
{
    dd_release(allocator, kept->strings);
    kept->strings = NULL;
}
