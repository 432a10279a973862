/* The error of a handle. */
#ifndef DD_ERROR_H
#define DD_ERROR_H

#include "failure.h"
#include "wire.h"

#include <diskdelta.h>

/* `public.message` points to `text`, so it is set in place and never copied by assignment. */
struct dd_error {
    diskdelta_error public;
    char text[DD_MAX_TEXT_SIZE + 1];
};

/* What is told where a handle is NULL. */
extern const diskdelta_error dd_error_without_handle;

/* Nothing has failed. */
void dd_error_init(struct dd_error *error);

/* What the library itself found. */
void dd_error_set(struct dd_error *error, const diskdelta_failure *failure);

/* What END said. */
void dd_error_set_end(struct dd_error *error, diskdelta_status status, const diskdelta_status_details *details,
                      const uint8_t *text, size_t text_size);

/* What another handle tells. */
void dd_error_set_public(struct dd_error *error, const diskdelta_error *from);

/* A server that is not there any more, after its answer had begun: what arrived is a part. */
void dd_error_tell_as_part(struct dd_error *error);

void dd_error_copy(struct dd_error *to, const struct dd_error *from);

#endif
