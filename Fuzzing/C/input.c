#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t take_byte(struct operations *operations)
{
    if (operations->size == 0)
        return 0;
    operations->size--;
    return *operations->bytes++;
}

static uint64_t take_fixed(struct operations *operations, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value = value << 8 | take_byte(operations);
    return value;
}

uint64_t take_number(struct operations *operations)
{
    uint8_t first = take_byte(operations);
    if (first < 200)
        return first;
    if (first < 232)
        return UINT64_C(1) << (first - 200);
    if (first < 248)
        return (UINT64_C(1) << (first - 232 + 16)) - 1;
    if (first < 252)
        return take_fixed(operations, 2);
    if (first < 254)
        return take_fixed(operations, 4);
    if (first == 254)
        return take_fixed(operations, 8);
    return UINT64_MAX - take_byte(operations);
}

uint64_t take_up_to(struct operations *operations, uint64_t most)
{
    uint64_t value = take_number(operations);
    return most == UINT64_MAX ? value : value % (most + 1);
}

const uint8_t *take_bytes(struct operations *operations, size_t most, size_t *count)
{
    size_t wanted = (size_t)take_up_to(operations, most);
    *count = wanted < operations->size ? wanted : operations->size;
    const uint8_t *bytes = operations->bytes;
    operations->bytes += *count;
    operations->size -= *count;
    return bytes;
}

void append(struct bytes *bytes, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (size > bytes->capacity - bytes->size) {
        size_t capacity = 2 * (bytes->size + size);
        uint8_t *longer = realloc(bytes->data, capacity);
        if (longer == NULL)
            exit(1);
        bytes->data = longer;
        bytes->capacity = capacity;
    }
    if (data != NULL)
        memcpy(bytes->data + bytes->size, data, size);
    else
        memset(bytes->data + bytes->size, 0, size);
    bytes->size += size;
}

void append_zeros(struct bytes *bytes, size_t size)
{
    append(bytes, NULL, size);
}

void append_number(struct bytes *bytes, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0;) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        append(bytes, &byte, 1);
    }
}

void append_varint(struct bytes *bytes, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        append_number(bytes, (value & 0x7f) | 0x80, 1);
    append_number(bytes, value, 1);
}

void append_field(struct bytes *bytes, unsigned number, const struct bytes *value)
{
    append_varint(bytes, number << 3 | 2);
    append_varint(bytes, value->size);
    append(bytes, value->data, value->size);
}

void append_number_field(struct bytes *bytes, unsigned number, uint64_t value)
{
    append_varint(bytes, number << 3);
    append_varint(bytes, value);
}

void append_frame(struct bytes *bytes, unsigned type, uint32_t stream, uint32_t aux, unsigned flags,
                  const void *payload, size_t size)
{
    append_number(bytes, size, 4);
    append_number(bytes, type, 1);
    append_number(bytes, flags, 1);
    append_number(bytes, 0, 2);
    append_number(bytes, stream, 4);
    append_number(bytes, aux, 4);
    append(bytes, payload, size);
}

void append_greeting(struct bytes *bytes)
{
    static const uint8_t preface[] = {0x89, 'D', 'D', 'P', '\r', '\n', 0x1a, '\n', 0, 1, 0, 0, 0, 0, 0, 0};
    append(bytes, preface, sizeof preface);
    append_frame(bytes, 1, 0, 0, 0, NULL, 0);
}

/* ---- memory */

static void *allocate(void *data, size_t size)
{
    struct scarce *scarce = data;
    scarce->asked++;
    if (scarce->left == 0)
        return NULL;
    size_t *block = malloc(size + 2 * sizeof *block);
    if (block == NULL)
        return NULL;
    if (scarce->left != SIZE_MAX)
        scarce->left--;
    scarce->held++;
    scarce->held_bytes += size;
    if (scarce->held_bytes > scarce->most_bytes)
        scarce->most_bytes = scarce->held_bytes;
    *block = size;
    return block + 2;
}

static void release(void *data, void *pointer)
{
    struct scarce *scarce = data;
    size_t *block = (size_t *)pointer - 2;
    scarce->held--;
    scarce->held_bytes -= *block;
    free(block);
}

diskdelta_allocator scarce_allocator(struct scarce *scarce)
{
    return (diskdelta_allocator){allocate, release, scarce};
}

void found(const char *what)
{
    fprintf(stderr, "Found %s.\n", what);
    abort();
}
