/* The metadata of a call, kept for as often as the call is made (P-27). */
#ifndef DD_METADATA_H
#define DD_METADATA_H

#include "failure.h"
#include "memory.h"

#include <diskdelta.h>

struct dd_metadata {
    struct dd_arena arena;
    /* The caller's, then the token, where there is one, then the number of earlier attempts. */
    diskdelta_metadata *entries;
    size_t count;
    bool has_token;
    char attempts[11];
};

void dd_metadata_init(struct dd_metadata *metadata, const diskdelta_allocator *allocator);

/* Copies what the options say. False with `failure` filled in where it is malformed, or there is no memory. */
bool dd_metadata_set(struct dd_metadata *metadata, const diskdelta_call_options *options, diskdelta_failure *failure);

/* How many entries the next attempt sends, after so many before. */
size_t dd_metadata_count(struct dd_metadata *metadata, unsigned attempts);

void dd_metadata_free(struct dd_metadata *metadata);

#endif
