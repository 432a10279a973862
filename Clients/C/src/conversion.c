#include "conversion.h"

char *dd_wire_string(const char *string)
{
    return (char *)(string != NULL ? string : protobuf_c_empty_string);
}

ProtobufCBinaryData dd_wire_bytes(diskdelta_bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)bytes.data};
}
