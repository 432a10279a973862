/*
 * Memory: the caller's allocator, and arenas on top of it. What one message needs comes from one arena and goes with
 * it; an arena never takes more than its budget, whatever a peer sends.
 */
#ifndef DD_MEMORY_H
#define DD_MEMORY_H

#include <diskdelta/common.h>

/* The caller's allocator, or malloc for NULL. */
diskdelta_allocator dd_allocator(const diskdelta_allocator *given);

/* Memory of `size` bytes, all 0; NULL where there is none. */
void *dd_allocate(const diskdelta_allocator *allocator, size_t size);

/* Gives memory back. NULL is allowed. */
void dd_release(const diskdelta_allocator *allocator, void *pointer);

/*
 * Copies a structure that starts with its own size, which may be older (smaller: the rest is 0) or newer (larger) than
 * the library's. False where its size is not set, or where it uses members that this library does not know.
 */
bool dd_copy_sized(void *to, size_t size, const void *from);

struct dd_arena_chunk;

struct dd_arena {
    diskdelta_allocator allocator;
    struct dd_arena_chunk *chunks;
    size_t left;
    size_t budget;
    /* Set where the allocator, and not the budget, gave out. */
    bool is_out_of_memory;
};

/* An arena without memory and without budget. */
void dd_arena_init(struct dd_arena *arena, const diskdelta_allocator *allocator);

/* Forgets everything in the arena and lets it hold `budget` bytes from now on. The largest piece of memory is kept. */
void dd_arena_reset(struct dd_arena *arena, size_t budget);

/* Gives all memory back. */
void dd_arena_free(struct dd_arena *arena);

/* Memory for anything; not cleared. NULL where the budget or the memory is exhausted. */
void *dd_arena_take(struct dd_arena *arena, size_t size);

/* Memory of `size` bytes, all 0. */
void *dd_arena_new(struct dd_arena *arena, size_t size);

/* Memory for `count` elements, all 0; not NULL for none. */
void *dd_arena_array(struct dd_arena *arena, size_t count, size_t size);

#endif
