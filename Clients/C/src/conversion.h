/* What the generated conversions between public structures and protobuf-c's share. */
#ifndef DD_CONVERSION_H
#define DD_CONVERSION_H

#include "memory.h"

#include <diskdelta/reason.h>
#include <protobuf-c/protobuf-c.h>

/* What protobuf-c expects where a string is left out. */
char *dd_wire_string(const char *string);

ProtobufCBinaryData dd_wire_bytes(diskdelta_bytes bytes);

/* Frees what dd_call_unary() gave. NULL is allowed. */
void dd_answer_free(void *answer);

#endif
