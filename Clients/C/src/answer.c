#include "answer.h"

#include <endian.h>
#include <string.h>

void dd_answer_init(struct dd_answer *answer, struct dd_window asked)
{
    memset(answer, 0, sizeof *answer);
    answer->asked = asked;
}

uint64_t dd_answer_position(const struct dd_answer *answer)
{
    if (answer->form == DD_BATCH_NONE)
        return answer->position;
    /* In the midst of a batch: up to the end of its last range. */
    if (answer->has_last && answer->last.offset + answer->last.length > answer->position)
        return answer->last.offset + answer->last.length;
    return answer->position;
}

bool dd_answer_is_taken(const struct dd_answer *answer)
{
    return answer->form == DD_BATCH_NONE;
}

/* ---- The header ------------------------------------------------------------------------------------------------ */

static bool is_asked_for(const struct dd_window *asked, const diskdelta_answer_header *header)
{
    if (asked->is_of_job)
        return asked->offset == 0 || header->window_offset == asked->offset;
    uint64_t rest = header->size - header->window_offset;
    uint64_t length = asked->has_length && asked->length < rest ? asked->length : rest;
    return header->window_offset == asked->offset && header->window_length == length;
}

const char *dd_answer_header(struct dd_answer *answer, const diskdelta_range_answer *message)
{
    const diskdelta_answer_header *header = message->part.header;
    if (message->part_case != DISKDELTA_RANGE_ANSWER_PART_HEADER || header == NULL)
        return "P-60: the first message is not a header";
    if (header->unit < 512 || (header->unit & (header->unit - 1)) != 0 ||
        (header->window_offset % header->unit != 0 && header->window_length != 0))
        return "P-61: the unit is not a power of two of at least 512 that divides the start of the window";
    if (header->size > INT64_MAX || header->window_offset > header->size ||
        header->window_length > header->size - header->window_offset)
        return "P-62: the window does not lie inside the disk";
    if (!is_asked_for(&answer->asked, header))
        return "P-63: the window is not the one that was asked for";
    if (header->granularity < header->unit || (header->granularity & (header->granularity - 1)) != 0)
        return "P-103: the granularity is not a power of two that the unit divides";
    answer->has_header = true;
    answer->unit = header->unit;
    answer->shift = (unsigned)__builtin_ctzll(header->unit);
    answer->size = header->size;
    answer->granularity = header->granularity;
    answer->inside = header->granularity - header->unit;
    answer->window_offset = header->window_offset;
    answer->window_end = header->window_offset + header->window_length;
    answer->position = header->window_offset;
    if (!answer->is_resumed)
        answer->whole_offset = header->window_offset;
    return NULL;
}

/* ---- Batches --------------------------------------------------------------------------------------------------- */

/* Whether the bits from `count` on, in a field of exactly as many bytes as `count` bits need, are 0. */
static bool is_bit_field(const diskdelta_bytes *bytes, uint64_t count)
{
    if (bytes->size != count / 8 + (count % 8 != 0 ? 1 : 0))
        return false;
    return count % 8 == 0 || bytes->data[bytes->size - 1] >> (count % 8) == 0;
}

static const char *begin_runs(struct dd_answer *answer, const diskdelta_range_runs *runs)
{
    if (runs->gap_count != runs->length_count)
        return "P-69: the columns of a batch differ in length";
    if (runs->zero.size != 0 && !is_bit_field(&runs->zero, runs->length_count))
        return "P-70: the kinds of a batch do not fit its ranges";
    answer->form = DD_BATCH_RUNS;
    answer->runs = runs;
    answer->run = 0;
    answer->cursor = answer->position;
    return NULL;
}

static const char *begin_bitmap(struct dd_answer *answer, const diskdelta_range_bitmap *bitmap)
{
    uint64_t bytes = answer->batch_end - answer->position;
    answer->units = bytes / answer->unit + (bytes % answer->unit != 0 ? 1 : 0);
    if (!is_bit_field(&bitmap->bits, answer->units))
        return "P-71: the bits of a batch do not fit its units";
    answer->form = DD_BATCH_BITMAP;
    answer->bits = bitmap->bits.data;
    answer->bit = 0;
    return NULL;
}

const char *dd_answer_begin(struct dd_answer *answer, const diskdelta_range_answer *message)
{
    bool is_runs = message->part_case == DISKDELTA_RANGE_ANSWER_PART_RUNS && message->part.runs != NULL;
    bool is_bitmap = message->part_case == DISKDELTA_RANGE_ANSWER_PART_BITMAP && message->part.bitmap != NULL;
    if (!is_runs && !is_bitmap)
        return "P-60: a message is no batch";
    uint64_t end = is_runs ? message->part.runs->processed_end : message->part.bitmap->processed_end;
    if (end <= answer->position || end > answer->window_end)
        return "P-64: a batch ends outside what is left of the window";
    if (end % answer->unit != 0 && end != answer->window_end)
        return "P-64: a batch does not end at a multiple of the unit";
    if (end % answer->granularity != 0 && end != answer->window_end)
        return "P-104: a batch does not end at a multiple of the granularity";
    answer->batch_end = end;
    return is_runs ? begin_runs(answer, message->part.runs) : begin_bitmap(answer, message->part.bitmap);
}

/* ---- Ranges ---------------------------------------------------------------------------------------------------- */

/*
 * Where a range of `units` ends that starts at `offset`, inside the batch (P-65): 0 where it does not end inside. A
 * range that reaches the disk's very end may end inside a unit (P-68).
 */
static uint64_t end_of_range(const struct dd_answer *answer, uint64_t offset, uint64_t units)
{
    uint64_t left = answer->batch_end - offset;
    uint64_t whole = left >> answer->shift;
    if (units <= whole)
        return offset + (units << answer->shift);
    bool is_at_the_end = answer->batch_end == answer->size && left != whole << answer->shift;
    return is_at_the_end && units == whole + 1 ? answer->size : 0;
}

/* Whether a range begins and ends at multiples of the granularity, or else with the window. */
static bool is_at_edges(const struct dd_answer *answer, uint64_t start, uint64_t end)
{
    return ((start & answer->inside) == 0 || start == answer->whole_offset) &&
           ((end & answer->inside) == 0 || end == answer->window_end);
}

static const char *add(struct dd_answer *answer, diskdelta_range *range)
{
    uint64_t end = range->offset + range->length;
    if (((range->offset | end) & answer->inside) != 0 && !is_at_edges(answer, range->offset, end))
        return "P-104: a range begins or ends inside a granule";
    if (answer->has_last && answer->last.kind == range->kind &&
        answer->last.offset + answer->last.length == range->offset)
        return "P-66: a range continues the one before it";
    answer->has_last = true;
    answer->last = *range;
    answer->cursor = end;
    answer->counted.ranges++;
    answer->counted.bytes += range->length;
    answer->counted.offset_sum += range->offset;
    if (range->kind == DISKDELTA_RANGE_ZERO)
        answer->counted.zero_bytes += range->length;
    else
        answer->counted.data_bytes += range->length;
    return NULL;
}

static const char *take_runs(struct dd_answer *answer, diskdelta_range *ranges, size_t capacity, size_t *count)
{
    const diskdelta_range_runs *runs = answer->runs;
    for (; answer->run < runs->length_count && *count < capacity; answer->run++) {
        uint64_t gap = runs->gap[answer->run];
        uint64_t length = runs->length[answer->run];
        if (length == 0 || gap > (answer->batch_end - answer->cursor) >> answer->shift)
            return "P-65: a range is empty, or starts outside its batch";
        uint64_t start = answer->cursor + (gap << answer->shift);
        uint64_t end = end_of_range(answer, start, length);
        if (end == 0)
            return "P-65: a range ends outside its batch";
        bool is_zero = runs->zero.size != 0 && (runs->zero.data[answer->run / 8] >> (answer->run % 8) & 1) != 0;
        diskdelta_range *range = &ranges[*count];
        *range = (diskdelta_range){start, end - start, is_zero ? DISKDELTA_RANGE_ZERO : DISKDELTA_RANGE_DATA};
        const char *broken = add(answer, range);
        if (broken != NULL)
            return broken;
        ++*count;
    }
    if (answer->run == runs->length_count)
        answer->form = DD_BATCH_NONE;
    return NULL;
}

/* The 64 bits from byte `at` on, the first in the lowest place; bits beyond the field are 0. */
static uint64_t load_bits(const uint8_t *bits, uint64_t at, uint64_t size)
{
    uint8_t bytes[8] = {0};
    if (size - at >= 8)
        memcpy(bytes, bits + at, 8);
    else
        memcpy(bytes, bits + at, (size_t)(size - at));
    uint64_t word;
    memcpy(&word, bytes, 8);
    return le64toh(word);
}

/* The first unit from `bit` on whose bit is `value`; `units` where there is none. */
static uint64_t find_bit(const uint8_t *bits, uint64_t bit, uint64_t units, bool value)
{
    const uint64_t size = units / 8 + (units % 8 != 0 ? 1 : 0);
    while (bit < units) {
        uint64_t word = load_bits(bits, bit / 8, size);
        word = (value ? word : ~word) >> (bit % 8);
        if (word != 0) {
            bit += (uint64_t)__builtin_ctzll(word);
            return bit < units ? bit : units;
        }
        bit += 64 - bit % 8;
    }
    return units;
}

static const char *take_bitmap(struct dd_answer *answer, diskdelta_range *ranges, size_t capacity, size_t *count)
{
    while (*count < capacity) {
        uint64_t first = find_bit(answer->bits, answer->bit, answer->units, true);
        if (first == answer->units) {
            answer->form = DD_BATCH_NONE;
            return NULL;
        }
        uint64_t last = find_bit(answer->bits, first, answer->units, false);
        uint64_t start = answer->position + (first << answer->shift);
        uint64_t end = end_of_range(answer, start, last - first);
        if (end == 0)
            return "P-65: a range ends outside its batch";
        diskdelta_range *range = &ranges[*count];
        *range = (diskdelta_range){start, end - start, DISKDELTA_RANGE_DATA};
        const char *broken = add(answer, range);
        if (broken != NULL)
            return broken;
        answer->bit = last;
        ++*count;
    }
    return NULL;
}

const char *dd_answer_take(struct dd_answer *answer, diskdelta_range *ranges, size_t capacity, size_t *count)
{
    *count = 0;
    const char *broken = NULL;
    if (answer->form == DD_BATCH_RUNS)
        broken = take_runs(answer, ranges, capacity, count);
    else if (answer->form == DD_BATCH_BITMAP)
        broken = take_bitmap(answer, ranges, capacity, count);
    if (broken == NULL && answer->form == DD_BATCH_NONE)
        answer->position = answer->batch_end;
    return broken;
}

/* ---- Resuming -------------------------------------------------------------------------------------------------- */

static diskdelta_answer_totals sum(const diskdelta_answer_totals *one, const diskdelta_answer_totals *other)
{
    return (diskdelta_answer_totals){
        .processed = one->processed + other->processed,
        .ranges = one->ranges + other->ranges,
        .bytes = one->bytes + other->bytes,
        .data_bytes = one->data_bytes + other->data_bytes,
        .zero_bytes = one->zero_bytes + other->zero_bytes,
        .offset_sum = one->offset_sum + other->offset_sum,
    };
}

diskdelta_answer_totals dd_answer_totals(const struct dd_answer *answer)
{
    diskdelta_answer_totals counted = answer->counted;
    counted.processed = answer->has_header ? answer->position - answer->window_offset : 0;
    return sum(&answer->counted_before, &counted);
}

void dd_answer_resume(struct dd_answer *answer)
{
    /* Where the header of the last part has not come, nothing was counted of it. */
    answer->counted_before = dd_answer_totals(answer);
    memset(&answer->counted, 0, sizeof answer->counted);
    answer->asked = (struct dd_window){
        .offset = answer->position, .has_length = true, .length = answer->window_end - answer->position};
    answer->has_header = false;
    answer->is_resumed = true;
    answer->form = DD_BATCH_NONE;
}

const char *dd_answer_repeats(const diskdelta_answer_header *first, const diskdelta_answer_header *again)
{
    bool is_same = strcmp(first->disk, again->disk) == 0 && first->format == again->format &&
                   first->size == again->size && strcmp(first->since, again->since) == 0 &&
                   strcmp(first->target, again->target) == 0 && strcmp(first->epoch, again->epoch) == 0 &&
                   first->granularity == again->granularity && first->basis == again->basis &&
                   first->basis_reason == again->basis_reason && first->assumed_at_rest == again->assumed_at_rest;
    return is_same ? NULL : "P-92: the header of an answer that goes on is another one";
}

/* ---- The end --------------------------------------------------------------------------------------------------- */

const char *dd_answer_finish(const struct dd_answer *answer, const diskdelta_status_details *details)
{
    if (!answer->has_header || answer->form != DD_BATCH_NONE || answer->position != answer->window_end)
        return "P-74: it ends before the end of its window";
    const diskdelta_answer_totals *told = details->totals;
    const diskdelta_answer_totals *counted = &answer->counted;
    if (told == NULL || told->processed != answer->window_end - answer->window_offset ||
        told->ranges != counted->ranges || told->bytes != counted->bytes || told->data_bytes != counted->data_bytes ||
        told->zero_bytes != counted->zero_bytes || told->offset_sum != counted->offset_sum ||
        details->resume_offset != answer->window_end)
        return "P-75: the totals at its end are not those of what arrived";
    return NULL;
}
