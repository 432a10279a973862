#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void dd_fail(diskdelta_failure *failure, diskdelta_reason reason, const char *format, ...)
{
    failure->status = diskdelta_reason_status(reason);
    failure->reason = reason;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
}

diskdelta_reason dd_reason_of_status(diskdelta_status status)
{
    switch (status) {
    case DISKDELTA_STATUS_OK:
        return DISKDELTA_REASON_NONE;
    case DISKDELTA_STATUS_CANCELLED:
        return DISKDELTA_REASON_CANCELLED;
    case DISKDELTA_STATUS_INVALID_ARGUMENT:
        return DISKDELTA_REASON_INVALID_PARAMETER;
    case DISKDELTA_STATUS_DEADLINE_EXCEEDED:
        return DISKDELTA_REASON_DEADLINE;
    case DISKDELTA_STATUS_NOT_FOUND:
        return DISKDELTA_REASON_FILE_NOT_FOUND;
    case DISKDELTA_STATUS_ALREADY_EXISTS:
        return DISKDELTA_REASON_ALREADY_EXISTS;
    case DISKDELTA_STATUS_PERMISSION_DENIED:
        return DISKDELTA_REASON_ACCESS_DENIED;
    case DISKDELTA_STATUS_RESOURCE_EXHAUSTED:
        return DISKDELTA_REASON_RESOURCE_LIMIT;
    case DISKDELTA_STATUS_OUT_OF_RANGE:
        return DISKDELTA_REASON_OFFSET_OUT_OF_RANGE;
    case DISKDELTA_STATUS_UNIMPLEMENTED:
        return DISKDELTA_REASON_UNSUPPORTED;
    case DISKDELTA_STATUS_UNAVAILABLE:
        return DISKDELTA_REASON_SERVER_UNAVAILABLE;
    case DISKDELTA_STATUS_UNAUTHENTICATED:
        return DISKDELTA_REASON_UNAUTHENTICATED;
    default:
        return DISKDELTA_REASON_INTERNAL;
    }
}

void dd_copy_text(char *to, size_t capacity, const uint8_t *text, size_t size)
{
    if (size > capacity - 1) {
        size = capacity - 1;
        while (size > 0 && (text[size] & 0xc0) == 0x80)
            size--;
    }
    for (size_t i = 0; i < size; i++)
        to[i] = text[i] < 0x20 || text[i] == 0x7f ? '?' : (char)text[i];
    to[size] = '\0';
}
