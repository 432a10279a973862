#include "conversion.h"

#include <string.h>

bool dd_copy_sized(void *to, size_t size, const void *from)
{
    size_t given = 0;
    if (from == NULL)
        return false;
    memcpy(&given, from, sizeof given);
    if (given < sizeof given)
        return false;
    const uint8_t *bytes = from;
    for (size_t i = size; i < given; i++) {
        if (bytes[i] != 0)
            return false;
    }
    memset(to, 0, size);
    memcpy(to, from, given < size ? given : size);
    return true;
}

char *dd_wire_string(const char *string)
{
    return (char *)(string != NULL ? string : protobuf_c_empty_string);
}

ProtobufCBinaryData dd_wire_bytes(diskdelta_bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)bytes.data};
}
