#define _GNU_SOURCE
#include "CFuzzing.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

// From <sanitizer/allocator_interface.h>, which not every toolchain installs.
size_t __sanitizer_get_current_allocated_bytes(void);
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));

static size_t most = SIZE_MAX;

static void allocated(const volatile void *pointer, size_t size)
{
    (void)pointer;
    if (size < 4096 || most == SIZE_MAX || __sanitizer_get_current_allocated_bytes() <= most)
        return;
    most = SIZE_MAX;
    fprintf(stderr, "ERROR: the heap has grown beyond its limit, with an allocation of %zu bytes\n", size);
    abort();
}

static void freed(const volatile void *pointer)
{
    (void)pointer;
}

int cfuzzing_memory_file(void)
{
    return memfd_create("image", MFD_CLOEXEC);
}

size_t cfuzzing_heap_size(void)
{
    return __sanitizer_get_current_allocated_bytes();
}

void cfuzzing_limit_heap(size_t limit)
{
    static int is_installed;
    if (!is_installed) {
        is_installed = 1;
        __sanitizer_install_malloc_and_free_hooks(allocated, freed);
    }
    most = __sanitizer_get_current_allocated_bytes() + limit;
}

void cfuzzing_unlimit_heap(void)
{
    most = SIZE_MAX;
}
