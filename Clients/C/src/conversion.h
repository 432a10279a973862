/* What the generated conversions between public structures and protobuf-c's share. */
#ifndef DD_CONVERSION_H
#define DD_CONVERSION_H

#include "memory.h"

#include <diskdelta/reason.h>
#include <protobuf-c/protobuf-c.h>

/*
 * Copies a structure that starts with its own size, which may be older (smaller: the rest is 0) or newer (larger) than
 * the library's. False where its size is not set, or where it uses members that this library does not know.
 */
bool dd_copy_sized(void *to, size_t size, const void *from);

/* What protobuf-c expects where a string is left out. */
char *dd_wire_string(const char *string);

ProtobufCBinaryData dd_wire_bytes(diskdelta_bytes bytes);

/* Frees what dd_call_unary() gave. NULL is allowed. */
void dd_answer_free(void *answer);

#endif
