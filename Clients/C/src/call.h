/* Calls: what the generated functions are made of. */
#ifndef DD_CALL_H
#define DD_CALL_H

#include "conversion.h"
#include "error.h"

struct dd_method {
    /* `diskdelta.v1.ImageManagement/ListBaselines`. */
    const char *path;
    const ProtobufCMessageDescriptor *response;
    /* The size of the public structure of the response. */
    size_t response_size;
    diskdelta_reason (*pack)(struct dd_arena *arena, const void *from, ProtobufCMessage **to);
    const void *(*unpack)(struct dd_arena *arena, const ProtobufCMessage *from);
};

/* Starts a call. NULL with the client's error set. */
diskdelta_stream *dd_call_open(diskdelta_client *client, const struct dd_method *method, const void *request,
                               const diskdelta_call_options *options);

/*
 * The next message: 1 with it, 0 at the end with status OK, -1 at any other end. Waits for it, or gives
 * DISKDELTA_WOULD_WAIT where the client never waits.
 */
int dd_call_next(diskdelta_stream *stream, const struct dd_method *method, const void **response);

/* A call with exactly one answer, which dd_answer_free() frees. 0, or -1 with the client's error set. */
int dd_call_unary(diskdelta_client *client, const struct dd_method *method, const void *request,
                  const diskdelta_call_options *options, void **response);

/* The call's answer breaks a rule of its content: tells the server, and fails with ANSWER_INVALID. Gives -1. */
int dd_call_invalid(diskdelta_stream *stream, const char *text);

/* There is no room for what the answer needs: tells the server, and fails with RESOURCE_LIMIT. Gives -1. */
int dd_call_exhausted(diskdelta_stream *stream, const char *text);

/*
 * Makes a call that has failed again, with another request for the same method; its options and deadline stay. It waits
 * for a connection until `until`, and first as long as after so many `failures` (P-94). False with the stream's error
 * set.
 */
bool dd_call_again(diskdelta_stream *stream, const void *request, uint64_t until, unsigned failures);

/*
 * Whether the call was cancelled from elsewhere, or its client closed, before it ended: then it has failed. To be asked
 * before more is handed out of a message that was taken.
 */
bool dd_call_is_cancelled(diskdelta_stream *stream);

/* Whether the call failed of a cancel from elsewhere or of its client's end, after which it is not made again. */
bool dd_call_is_over(const diskdelta_stream *stream);

/* The allocator of the stream's client. */
const diskdelta_allocator *dd_call_allocator(const diskdelta_stream *stream);

#endif
