/* Docs/protocol-vectors.txt, block by block. Its head tells what the blocks mean. */
#ifndef VECTORS_H
#define VECTORS_H

#include "frames.h"

enum { VECTOR_LINES = 256 };

struct vector_line {
    char *word;
    char *value;
};

struct vector {
    const char *name;
    const char *kind;
    /* All `hex` lines together. */
    struct bytes bytes;
    struct vector_line lines[VECTOR_LINES];
    size_t count;
};

struct vectors {
    struct vector *all;
    size_t count;
};

/* Ends the program where the file can't be read or is malformed. */
struct vectors vectors_read(const char *path);
void vectors_free(struct vectors *vectors);

/* The value of the first line with this word; NULL where there is none. */
const char *vector_value(const struct vector *vector, const char *word);

/* The number on the first line with this word. */
uint64_t vector_number(const struct vector *vector, const char *word);

/* The bytes of hexadecimal digits; `-` and NULL stand for none. */
struct bytes vector_bytes(const char *digits);

/* The code of GOAWAY with this name. */
enum dd_code vector_code(const char *name);

#endif
