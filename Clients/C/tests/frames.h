/* Bytes that a server sends, built frame by frame. */
#ifndef FRAMES_H
#define FRAMES_H

#include "diskdelta/v1/answer.pb-c.h"
#include "wire.h"

#include <diskdelta.h>
#include <protobuf-c/protobuf-c.h>

struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void bytes_free(struct bytes *bytes);
void bytes_append(struct bytes *bytes, const void *data, size_t size);

/* A frame with a payload. */
void append_frame(struct bytes *bytes, enum dd_frame_type type, uint32_t stream, uint32_t aux, const void *payload,
                  size_t size);

/* The server's preface and SETTINGS, with the defaults. */
void append_hello(struct bytes *bytes);

/* DATA with a message. */
void append_message(struct bytes *bytes, uint32_t stream, uint32_t number, const ProtobufCMessage *message);

/*
 * What headers say beside size, window and epoch: of the changes of `disks/a.vhdx`, unless a test says something else.
 * It then puts it back: told_header = usual_header.
 */
extern Diskdelta__V1__AnswerHeader told_header;
extern const Diskdelta__V1__AnswerHeader usual_header;

/* DATA with the header of an answer about a disk of `size` bytes, all of which is asked for, in units of 512. */
void append_header(struct bytes *bytes, uint32_t stream, uint64_t size);

/* The same for what follows `offset`, with an epoch. */
void append_part_header(struct bytes *bytes, uint32_t stream, uint64_t size, uint64_t offset, const char *epoch);

/* DATA with runs; `zero` may be NULL. */
void append_runs(struct bytes *bytes, uint32_t stream, uint32_t number, uint64_t processed_end, size_t count,
                 const uint64_t *gap, const uint64_t *length, const uint8_t *zero);

/* DATA with a bitmap. */
void append_bitmap(struct bytes *bytes, uint32_t stream, uint32_t number, uint64_t processed_end, size_t size,
                   const uint8_t *bits);

/* END with status OK and totals. */
void append_end(struct bytes *bytes, uint32_t stream, uint64_t resume_offset, const diskdelta_answer_totals *totals);

/* END with the status of a reason, and a text. */
void append_refusal(struct bytes *bytes, uint32_t stream, diskdelta_reason reason, const char *text);

/* The same as RESOURCE_LIMIT, with the ms after which it is worth trying again. */
void append_full(struct bytes *bytes, uint32_t stream, uint32_t retry_delay);

/* END with status OK, of a call that is no range answer. */
void append_plain_end(struct bytes *bytes, uint32_t stream);

/*
 * The frame at `*at` of an answer about one disk, DATA or END, as DATA of an answer about many, in which `disk` is its
 * position. Moves `*at` behind it; false where there is none left.
 */
bool append_of_disk(struct bytes *bytes, uint32_t stream, uint32_t number, uint32_t disk, const struct bytes *single,
                    size_t *at);

/*
 * The answer of stream 1 that many tests use: a header, runs, a bitmap, runs, and END. The disk has 64 KiB; `ranges`
 * has room for RECORDED_RANGES.
 */
enum { RECORDED_SIZE = 65536, RECORDED_RANGES = 6 };
void append_recorded(struct bytes *bytes, diskdelta_range *ranges);

/* Where END begins in an answer about ranges. */
size_t end_of_answer(const struct bytes *answer);

#endif
