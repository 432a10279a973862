/*
 * The disk that the tests of resuming ask about. It has STRIPED_UNITS units of 512 bytes; every unit whose number is no
 * multiple of 3 is a range of its own, of zeroes where the number is even. An answer has a batch for each STRIPED_STEP
 * units.
 */
#ifndef STRIPED_H
#define STRIPED_H

#include "frames.h"

enum {
    STRIPED_UNITS = 64,
    STRIPED_STEP = 8,
    STRIPED_SIZE = STRIPED_UNITS * 512,
    STRIPED_RANGES = STRIPED_UNITS - (STRIPED_UNITS + 2) / 3,
};

/* How many ranges begin at this unit or after it. */
size_t striped_ranges_from(uint64_t unit);

/* Whether it is the next range at or after `*unit`; moves that behind it. */
bool striped_is_next(const diskdelta_range *range, uint64_t *unit);

bool striped_is_zero(uint64_t unit);

/* DATA with the batch of the units from `first` to `end`, whose ranges are added to the totals. */
void append_striped_batch(struct bytes *bytes, uint32_t stream, uint32_t number, uint64_t first, uint64_t end,
                          diskdelta_answer_totals *totals);

/* The whole answer from `offset` on. */
void append_striped(struct bytes *bytes, uint32_t stream, uint64_t offset, const char *epoch);

#endif
