/* What the targets share: reading an input as a list of things to do, and an allocator that counts and can give out. */
#ifndef FUZZ_H
#define FUZZ_H

#include <diskdelta.h>
#include <diskdelta/core.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An input. What is missing at its end reads as zero. */
struct operations {
    const uint8_t *bytes;
    size_t size;
};

uint8_t take_byte(struct operations *operations);
/* Small numbers are short, and the numbers at which something changes are within reach. */
uint64_t take_number(struct operations *operations);
uint64_t take_up_to(struct operations *operations, uint64_t most);
/* At most `most` bytes, which lie in the input. */
const uint8_t *take_bytes(struct operations *operations, size_t most, size_t *count);

/* Bytes that grow. */
struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void append(struct bytes *bytes, const void *data, size_t size);
void append_zeros(struct bytes *bytes, size_t size);
void append_number(struct bytes *bytes, uint64_t value, size_t size);
void append_varint(struct bytes *bytes, uint64_t value);
/* A field of a message: its tag, its length and its bytes; a number. */
void append_field(struct bytes *bytes, unsigned number, const struct bytes *value);
void append_number_field(struct bytes *bytes, unsigned number, uint64_t value);
void append_frame(struct bytes *bytes, unsigned type, uint32_t stream, uint32_t aux, unsigned flags,
                  const void *payload, size_t size);
/* A server's preface and SETTINGS. */
void append_greeting(struct bytes *bytes);

/* What may be allocated yet: SIZE_MAX for all. Counts what is held. */
struct scarce {
    size_t left;
    size_t asked;
    size_t held;
    size_t held_bytes;
    size_t most_bytes;
};

diskdelta_allocator scarce_allocator(struct scarce *scarce);

/* Ends the process: that is a finding. */
_Noreturn void found(const char *what);

static inline void expect(bool condition, const char *what)
{
    if (!condition)
        found(what);
}

/* The targets. `scarce` is where memory comes from. */
void run_core(struct operations operations, struct scarce *scarce);
void run_answers(struct operations operations, struct scarce *scarce);
void run_many(struct operations operations, struct scarce *scarce);

#endif
