#include "error.h"

#include <string.h>

const diskdelta_error dd_error_without_handle = {
    .status = DISKDELTA_STATUS_RESOURCE_EXHAUSTED,
    .reason = DISKDELTA_REASON_RESOURCE_LIMIT,
    .return_value = 32778,
    .message = "there is no handle: it could not be made, and the client's error, where there is a client, says why",
};

void dd_error_init(struct dd_error *error)
{
    memset(error, 0, sizeof *error);
    error->public.message = error->text;
}

void dd_error_set(struct dd_error *error, const diskdelta_failure *failure)
{
    dd_error_init(error);
    error->public.status = failure->status;
    error->public.reason = failure->reason;
    error->public.return_value = diskdelta_reason_return_value(failure->reason);
    error->public.detail_code = diskdelta_reason_detail_code(failure->reason);
    memcpy(error->text, failure->text, strlen(failure->text) + 1);
}

void dd_error_set_end(struct dd_error *error, diskdelta_status status, const diskdelta_status_details *details,
                      const uint8_t *text, size_t text_size)
{
    dd_error_init(error);
    error->public.status = status;
    error->public.reason = details->reason;
    error->public.return_value = details->return_value;
    error->public.detail_code = details->detail_code;
    error->public.retry_delay_ms = details->retry_delay;
    if (details->reason == DISKDELTA_REASON_NONE) {
        /* The one that follows from the status (P-35). */
        error->public.reason = dd_reason_of_status(status);
        error->public.return_value = diskdelta_reason_return_value(error->public.reason);
        error->public.detail_code = diskdelta_reason_detail_code(error->public.reason);
    }
    dd_copy_text(error->text, sizeof error->text, text, text_size);
    if (text_size == 0)
        strncpy(error->text, diskdelta_reason_name(error->public.reason), sizeof error->text - 1);
}

void dd_error_set_public(struct dd_error *error, const diskdelta_error *from)
{
    size_t size = strnlen(from->message, sizeof error->text - 1);
    memmove(error->text, from->message, size);
    error->text[size] = '\0';
    error->public = *from;
    error->public.message = error->text;
}

void dd_error_tell_as_part(struct dd_error *error)
{
    if (error->public.reason != DISKDELTA_REASON_SERVER_UNAVAILABLE)
        return;
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_ANSWER_INCOMPLETE, "the answer is not complete: %.400s", error->text);
    dd_error_set(error, &failure);
}

void dd_error_copy(struct dd_error *to, const struct dd_error *from)
{
    *to = *from;
    to->public.message = to->text;
}
