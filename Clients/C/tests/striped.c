#include "striped.h"

static bool is_range(uint64_t unit)
{
    return unit % 3 != 0;
}

bool striped_is_zero(uint64_t unit)
{
    return unit % 2 == 0;
}

size_t striped_ranges_from(uint64_t unit)
{
    size_t count = 0;
    for (; unit < STRIPED_UNITS; unit++)
        count += is_range(unit) ? 1 : 0;
    return count;
}

bool striped_is_next(const diskdelta_range *range, uint64_t *unit)
{
    while (!is_range(*unit))
        ++*unit;
    bool is_next = range->offset == *unit * 512 && range->length == 512 &&
                   (range->kind == DISKDELTA_RANGE_ZERO) == striped_is_zero(*unit);
    ++*unit;
    return is_next;
}

void append_striped_batch(struct bytes *bytes, uint32_t stream, uint32_t number, uint64_t first, uint64_t end,
                          diskdelta_answer_totals *totals)
{
    uint64_t gap[STRIPED_STEP];
    uint64_t length[STRIPED_STEP];
    uint8_t zero[1] = {0};
    size_t count = 0;
    uint64_t at = first;
    for (uint64_t unit = first; unit < end; unit++) {
        if (!is_range(unit))
            continue;
        gap[count] = unit - at;
        length[count] = 1;
        zero[0] = (uint8_t)(zero[0] | (striped_is_zero(unit) ? 1u << count : 0));
        at = unit + 1;
        count++;
        totals->ranges++;
        totals->bytes += 512;
        totals->offset_sum += unit * 512;
        *(striped_is_zero(unit) ? &totals->zero_bytes : &totals->data_bytes) += 512;
    }
    append_runs(bytes, stream, number, end * 512, count, gap, length, count > 0 ? zero : NULL);
}

void append_striped(struct bytes *bytes, uint32_t stream, uint64_t offset, const char *epoch)
{
    append_part_header(bytes, stream, STRIPED_SIZE, offset, epoch);
    diskdelta_answer_totals totals = {.processed = STRIPED_SIZE - offset};
    uint32_t number = 1;
    for (uint64_t unit = offset / 512; unit < STRIPED_UNITS; unit += STRIPED_STEP)
        append_striped_batch(bytes, stream, number++, unit, unit + STRIPED_STEP, &totals);
    append_end(bytes, stream, STRIPED_SIZE, &totals);
}
