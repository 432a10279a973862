#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16u
#define FIRST_CHUNK 4096u

static void *allocate_with_malloc(void *data, size_t size)
{
    (void)data;
    return malloc(size);
}

static void release_with_free(void *data, void *pointer)
{
    (void)data;
    free(pointer);
}

diskdelta_allocator dd_allocator(const diskdelta_allocator *given)
{
    if (given != NULL)
        return *given;
    return (diskdelta_allocator){.allocate = allocate_with_malloc, .release = release_with_free, .data = NULL};
}

void *dd_allocate(const diskdelta_allocator *allocator, size_t size)
{
    void *pointer = allocator->allocate(allocator->data, size);
    if (pointer != NULL)
        memset(pointer, 0, size);
    return pointer;
}

void dd_release(const diskdelta_allocator *allocator, void *pointer)
{
    if (pointer != NULL)
        allocator->release(allocator->data, pointer);
}

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

struct dd_arena_chunk {
    struct dd_arena_chunk *next;
    size_t size;
    _Alignas(ALIGNMENT) uint8_t bytes[];
};

void dd_arena_init(struct dd_arena *arena, const diskdelta_allocator *allocator)
{
    *arena = (struct dd_arena){.allocator = *allocator};
}

static void release_chunks(struct dd_arena *arena, struct dd_arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct dd_arena_chunk *next = chunk->next;
        dd_release(&arena->allocator, chunk);
        chunk = next;
    }
}

void dd_arena_reset(struct dd_arena *arena, size_t budget)
{
    arena->is_out_of_memory = false;
    /* The newest chunk is as a rule the largest: it alone serves the next message of the same kind. */
    if (arena->chunks != NULL) {
        release_chunks(arena, arena->chunks->next);
        arena->chunks->next = NULL;
        arena->left = arena->chunks->size;
        budget = budget > arena->left ? budget - arena->left : 0;
    }
    arena->budget = budget;
}

void dd_arena_free(struct dd_arena *arena)
{
    release_chunks(arena, arena->chunks);
    arena->chunks = NULL;
    arena->left = 0;
    arena->budget = 0;
}

static bool add_chunk(struct dd_arena *arena, size_t needed)
{
    if (needed > arena->budget)
        return false;
    size_t size = arena->chunks != NULL ? arena->chunks->size * 2 : FIRST_CHUNK;
    if (size > arena->budget)
        size = arena->budget;
    if (size < needed)
        size = needed;
    size &= ~(size_t)(ALIGNMENT - 1);
    struct dd_arena_chunk *chunk =
        arena->allocator.allocate(arena->allocator.data, sizeof(struct dd_arena_chunk) + size);
    if (chunk == NULL) {
        arena->is_out_of_memory = true;
        return false;
    }
    chunk->next = arena->chunks;
    chunk->size = size;
    arena->chunks = chunk;
    arena->left = size;
    arena->budget -= size;
    return true;
}

void *dd_arena_take(struct dd_arena *arena, size_t size)
{
    /* A budget is far below SIZE_MAX, so what fits into it can be rounded up. */
    if (size > arena->budget && size > arena->left)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size == 0)
        size = ALIGNMENT;
    if (size > arena->left && !add_chunk(arena, size))
        return NULL;
    arena->left -= size;
    /* Taken from the end, so that what is left is also where it starts. */
    return arena->chunks->bytes + arena->left;
}

void *dd_arena_new(struct dd_arena *arena, size_t size)
{
    void *pointer = dd_arena_take(arena, size);
    if (pointer != NULL)
        memset(pointer, 0, size);
    return pointer;
}

void *dd_arena_array(struct dd_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / 2 / size)
        return NULL;
    return dd_arena_new(arena, count * size);
}
