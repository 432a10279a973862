// What Swift cannot name by itself of libFuzzer, of AddressSanitizer and of Linux.
#ifndef CFUZZING_H
#define CFUZZING_H

#include <stddef.h>
#include <stdint.h>

/// Runs libFuzzer with the arguments of the command line. `test` is called for every input and returns 0.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*test)(const uint8_t *data, size_t size));

/// A file without a name that lies in memory; -1 where there can be none.
int cfuzzing_memory_file(void);

/// From now on, the process aborts when its heap holds more than `limit` bytes more than it does now.
///
/// It is looked at whenever something of 4 KiB or more is allocated: what grows without bound does so sooner or later.
void cfuzzing_limit_heap(size_t limit);

/// Takes the limit away.
void cfuzzing_unlimit_heap(void);

/// Writes what `cfuzzing_limit_heap` counts.
size_t cfuzzing_heap_size(void);

#endif
