#include "vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void give_up(const char *what, const char *where)
{
    fprintf(stderr, "vectors: %s: %s\n", what, where);
    exit(1);
}

static uint8_t digit(char character)
{
    if (character >= '0' && character <= '9')
        return (uint8_t)(character - '0');
    if (character >= 'a' && character <= 'f')
        return (uint8_t)(character - 'a' + 10);
    give_up("not a hexadecimal digit", "");
}

struct bytes vector_bytes(const char *digits)
{
    struct bytes bytes = {0};
    if (digits == NULL || strcmp(digits, "-") == 0)
        return bytes;
    for (; *digits != '\0'; digits += 2) {
        uint8_t byte = (uint8_t)(digit(digits[0]) << 4 | digit(digits[1]));
        bytes_append(&bytes, &byte, 1);
    }
    return bytes;
}

static void add_line(struct vector *vector, char *line)
{
    char *space = strchr(line, ' ');
    char *value = space != NULL ? space + 1 : line + strlen(line);
    if (space != NULL)
        *space = '\0';
    vector->lines[vector->count++] = (struct vector_line){line, value};
    if (strcmp(line, "name") == 0)
        vector->name = value;
    if (strcmp(line, "kind") == 0)
        vector->kind = value;
    if (strcmp(line, "hex") == 0) {
        struct bytes bytes = vector_bytes(value);
        bytes_append(&vector->bytes, bytes.data, bytes.size);
        bytes_free(&bytes);
    }
}

struct vectors vectors_read(const char *path)
{
    struct vectors vectors = {0};
    FILE *file = fopen(path, "r");
    if (file == NULL)
        give_up("cannot be read", path);
    char *line = NULL;
    size_t capacity = 0;
    bool is_inside = false;
    for (ssize_t size; (size = getline(&line, &capacity, file)) >= 0;) {
        if (size > 0 && line[size - 1] == '\n')
            line[size - 1] = '\0';
        if (line[0] == '#')
            continue;
        if (line[0] == '\0') {
            is_inside = false;
            continue;
        }
        if (!is_inside) {
            vectors.all = realloc(vectors.all, (vectors.count + 1) * sizeof *vectors.all);
            if (vectors.all == NULL)
                give_up("no memory", path);
            memset(&vectors.all[vectors.count++], 0, sizeof *vectors.all);
            is_inside = true;
        }
        struct vector *vector = &vectors.all[vectors.count - 1];
        if (vector->count == VECTOR_LINES)
            give_up("a block is too long", vector->name);
        char *kept = strdup(line);
        if (kept == NULL)
            give_up("no memory", path);
        add_line(vector, kept);
    }
    free(line);
    fclose(file);
    return vectors;
}

void vectors_free(struct vectors *vectors)
{
    for (size_t i = 0; i < vectors->count; i++) {
        struct vector *vector = &vectors->all[i];
        for (size_t j = 0; j < vector->count; j++)
            free(vector->lines[j].word);
        bytes_free(&vector->bytes);
    }
    free(vectors->all);
}

const char *vector_value(const struct vector *vector, const char *word)
{
    for (size_t i = 0; i < vector->count; i++) {
        if (strcmp(vector->lines[i].word, word) == 0)
            return vector->lines[i].value;
    }
    return NULL;
}

uint64_t vector_number(const struct vector *vector, const char *word)
{
    const char *value = vector_value(vector, word);
    if (value == NULL)
        give_up("a value is missing", word);
    return strtoull(value, NULL, 10);
}

enum dd_code vector_code(const char *name)
{
    static const char *const names[] = {
        "NO_ERROR",          "PROTOCOL_ERROR", "FRAME_TOO_LARGE",    "UNKNOWN_FRAME",
        "SETTINGS_ERROR",    "STREAM_ERROR",   "FLOW_CONTROL_ERROR", "UNSUPPORTED_VERSION",
        "HANDSHAKE_TIMEOUT", "EXCESSIVE_LOAD", "INTERNAL_ERROR",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return (enum dd_code)i;
    }
    if (strcmp(name, "NONE") == 0)
        return DD_NOT_DISKDELTA;
    give_up("an unknown code", name);
}
