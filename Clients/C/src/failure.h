/* Why a call or a connection failed, as the layers below the public interface tell it. */
#ifndef DD_FAILURE_H
#define DD_FAILURE_H

#include <diskdelta/core.h>

/* A failure with the status of its reason. */
void dd_fail(diskdelta_failure *failure, diskdelta_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The reason that stands for a status which came without one. */
diskdelta_reason dd_reason_of_status(diskdelta_status status);

/* Copies text of a peer, cut to fit between two characters; control characters become `?`. */
void dd_copy_text(char *to, size_t capacity, const uint8_t *text, size_t size);

#endif
