/* The checks of a range answer against a model: random ranges, in random batches of either form. */
#include "answer.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 0 for a unit that did not change, 1 for data, 2 for zero. */
enum { UNITS = 300 };

static uint64_t random_state;

static uint32_t random_number(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

struct model {
    uint8_t kinds[UNITS];
    uint64_t units;
    uint64_t unit;
    uint64_t offset;
    uint64_t end;
    uint64_t size;
};

static void make_model(struct model *model)
{
    memset(model, 0, sizeof *model);
    model->unit = 512u << random_number(4);
    model->offset = random_number(3) * model->unit;
    model->units = random_number(UNITS + 1);
    uint32_t density = 1 + random_number(8);
    bool all_data = random_number(2) == 0;
    for (uint64_t i = 0; i < model->units; i++) {
        bool repeats = i > 0 && random_number(density) != 0;
        model->kinds[i] = repeats ? model->kinds[i - 1] : (uint8_t)random_number(all_data ? 2 : 3);
    }
    model->end = model->offset + model->units * model->unit;
    model->size = model->end;
    /* The disk's very end may lie inside the last unit. */
    if (model->units > 0 && model->unit > 512 && random_number(2) == 0) {
        model->end -= 512 * (1 + random_number((uint32_t)(model->unit / 512 - 1)));
        model->size = model->end;
    } else {
        model->size += random_number(3) * 512;
    }
}

static uint64_t end_of_units(const struct model *model, uint64_t units)
{
    uint64_t end = model->offset + units * model->unit;
    return end < model->end ? end : model->end;
}

/* The first unit from `unit` on whose kind differs. */
static uint64_t end_of_run(const struct model *model, uint64_t unit)
{
    uint64_t end = unit;
    while (end < model->units && model->kinds[end] == model->kinds[unit])
        end++;
    return end;
}

/* A batch from `first` to `last`, in the form that is asked for where it fits; takes it and checks its ranges. */
static void take_batch(const struct model *model, struct dd_answer *answer, uint64_t first, uint64_t last)
{
    uint64_t gap[UNITS];
    uint64_t length[UNITS];
    uint8_t zero[UNITS / 8 + 1] = {0};
    uint8_t bits[UNITS / 8 + 1] = {0};
    diskdelta_range expected[UNITS];
    size_t count = 0;
    bool has_zero = false;
    uint64_t cursor = first;
    for (uint64_t unit = first; unit < last; unit = end_of_run(model, unit)) {
        if (model->kinds[unit] == 0)
            continue;
        uint64_t end = end_of_run(model, unit);
        uint64_t start = model->offset + unit * model->unit;
        bool is_zero = model->kinds[unit] == 2;
        gap[count] = unit - cursor;
        length[count] = end - unit;
        cursor = end;
        if (is_zero)
            zero[count / 8] |= (uint8_t)(1u << count % 8);
        else
            for (uint64_t i = unit - first; i < end - first; i++)
                bits[i / 8] |= (uint8_t)(1u << i % 8);
        has_zero = has_zero || is_zero;
        expected[count++] = (diskdelta_range){start, end_of_units(model, end) - start,
                                              is_zero ? DISKDELTA_RANGE_ZERO : DISKDELTA_RANGE_DATA};
    }
    diskdelta_range_runs runs = {.processed_end = end_of_units(model, last),
                                 .gap = gap,
                                 .gap_count = count,
                                 .length = length,
                                 .length_count = count,
                                 .zero = {zero, has_zero ? (count + 7) / 8 : 0}};
    diskdelta_range_bitmap bitmap = {.processed_end = runs.processed_end,
                                     .bits = {bits, (size_t)(last - first + 7) / 8}};
    diskdelta_range_answer message = {.part_case = DISKDELTA_RANGE_ANSWER_PART_RUNS, .part = {.runs = &runs}};
    if (!has_zero && random_number(2) == 0)
        message =
            (diskdelta_range_answer){.part_case = DISKDELTA_RANGE_ANSWER_PART_BITMAP, .part = {.bitmap = &bitmap}};
    assert_null(dd_answer_begin(answer, &message));
    size_t taken = 0;
    while (!dd_answer_is_taken(answer)) {
        diskdelta_range ranges[8];
        size_t some = 0;
        assert_null(dd_answer_take(answer, ranges, 1 + random_number(8), &some));
        for (size_t i = 0; i < some; i++, taken++) {
            assert_true(taken < count);
            assert_int_equal(ranges[i].offset, expected[taken].offset);
            assert_int_equal(ranges[i].length, expected[taken].length);
            assert_int_equal(ranges[i].kind, expected[taken].kind);
        }
    }
    assert_int_equal(taken, count);
    assert_int_equal(dd_answer_position(answer), runs.processed_end);
}

static void run_model(void)
{
    struct model model;
    make_model(&model);
    struct dd_answer answer;
    dd_answer_init(&answer,
                   (struct dd_window){.offset = model.offset, .has_length = true, .length = model.end - model.offset});
    diskdelta_answer_header header = {.disk = "",
                                      .size = model.size,
                                      .since = "",
                                      .target = "",
                                      .epoch = "",
                                      .granularity = model.unit,
                                      .unit = model.unit,
                                      .window_offset = model.offset,
                                      .window_length = model.end - model.offset};
    diskdelta_range_answer message = {.part_case = DISKDELTA_RANGE_ANSWER_PART_HEADER, .part = {.header = &header}};
    assert_null(dd_answer_header(&answer, &message));
    for (uint64_t first = 0; first < model.units;) {
        uint64_t last = first + 1 + random_number((uint32_t)(model.units - first));
        /* A batch ends before a range that goes on, or with it. */
        if (model.kinds[last - 1] != 0)
            last = end_of_run(&model, last - 1);
        take_batch(&model, &answer, first, last);
        first = last;
    }
    diskdelta_answer_totals totals = {.processed = model.end - model.offset};
    for (uint64_t unit = 0; unit < model.units; unit++) {
        uint64_t bytes = end_of_units(&model, unit + 1) - (model.offset + unit * model.unit);
        bool begins = model.kinds[unit] != 0 && (unit == 0 || model.kinds[unit - 1] != model.kinds[unit]);
        totals.offset_sum += begins ? model.offset + unit * model.unit : 0;
        totals.data_bytes += model.kinds[unit] == 1 ? bytes : 0;
        totals.zero_bytes += model.kinds[unit] == 2 ? bytes : 0;
        totals.ranges += model.kinds[unit] != 0 && end_of_run(&model, unit) == unit + 1;
    }
    totals.bytes = totals.data_bytes + totals.zero_bytes;
    diskdelta_status_details details = {.resume_offset = model.end, .totals = &totals};
    assert_null(dd_answer_finish(&answer, &details));
    totals.ranges++;
    assert_non_null(dd_answer_finish(&answer, &details));
    totals.ranges--;
    totals.offset_sum += model.unit;
    assert_non_null(dd_answer_finish(&answer, &details));
}

static void test_random_answers(void **state)
{
    (void)state;
    const char *given = getenv("DISKDELTA_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 4711;
    print_message("seed %llu\n", (unsigned long long)seed);
    random_state = seed;
    for (int round = 0; round < 5000; round++)
        run_model();
}

/* Takes one run in a window from 4096 to 36864, which begins and ends inside granules of 16 KiB. */
static const char *take_run(uint64_t gap, uint64_t length, uint64_t end)
{
    struct dd_answer answer;
    dd_answer_init(&answer, (struct dd_window){.offset = 4096, .has_length = true, .length = 32768});
    diskdelta_answer_header header = {
        .size = 65536, .granularity = 16384, .unit = 512, .window_offset = 4096, .window_length = 32768};
    diskdelta_range_answer first = {.part_case = DISKDELTA_RANGE_ANSWER_PART_HEADER, .part = {.header = &header}};
    assert_null(dd_answer_header(&answer, &first));
    size_t count = length > 0 ? 1 : 0;
    diskdelta_range_runs runs = {
        .processed_end = end, .gap = &gap, .gap_count = count, .length = &length, .length_count = count};
    diskdelta_range_answer message = {.part_case = DISKDELTA_RANGE_ANSWER_PART_RUNS, .part = {.runs = &runs}};
    const char *broken = dd_answer_begin(&answer, &message);
    diskdelta_range range;
    size_t taken = 0;
    return broken != NULL ? broken : dd_answer_take(&answer, &range, 1, &taken);
}

/* P-104, also where the answer goes on in another one. */
static void test_ranges_are_whole_granules(void **state)
{
    (void)state;
    static const struct {
        uint64_t gap;
        uint64_t length;
        uint64_t end;
        bool is_right;
    } runs[] = {
        {0, 24, 36864, true},  {56, 8, 36864, true},  {24, 32, 36864, true}, {0, 64, 36864, true},
        {0, 0, 16384, true},   {1, 23, 36864, false}, {0, 23, 36864, false}, {24, 31, 36864, false},
        {56, 7, 36864, false}, {0, 0, 8192, false},
    };
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        const char *broken = take_run(runs[i].gap, runs[i].length, runs[i].end);
        if ((broken == NULL) != runs[i].is_right || (broken != NULL && strncmp(broken, "P-104", 5) != 0))
            fail_msg("run %zu: %s", i, broken != NULL ? broken : "not found broken");
    }
    static const uint64_t wrong[] = {0, 1, 256, 768, 4097, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct dd_answer answer;
        dd_answer_init(&answer, (struct dd_window){0});
        diskdelta_answer_header header = {.size = 65536, .granularity = wrong[i], .unit = 512, .window_length = 65536};
        diskdelta_range_answer first = {.part_case = DISKDELTA_RANGE_ANSWER_PART_HEADER, .part = {.header = &header}};
        const char *broken = dd_answer_header(&answer, &first);
        assert_true(broken != NULL && strncmp(broken, "P-103", 5) == 0);
    }
}

/* A window without a unit may start at the end of a disk that ends anywhere; any other starts at a unit. */
static void test_an_empty_window_starts_anywhere(void **state)
{
    (void)state;
    struct dd_answer answer;
    diskdelta_answer_header header = {.size = 1000, .granularity = 512, .unit = 512, .window_offset = 1000};
    diskdelta_range_answer message = {.part_case = DISKDELTA_RANGE_ANSWER_PART_HEADER, .part = {.header = &header}};
    dd_answer_init(&answer, (struct dd_window){.offset = 1000});
    assert_null(dd_answer_header(&answer, &message));
    header.size = 1488;
    header.window_length = 488;
    dd_answer_init(&answer, (struct dd_window){.offset = 1000});
    assert_non_null(dd_answer_header(&answer, &message));
}

/* Numbers at the edge of 64 bits. */
static void test_no_arithmetic_wraps(void **state)
{
    (void)state;
    const uint64_t edges[] = {
        0, 1, 511, 512, INT64_MAX - 511, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX};
    const size_t count = sizeof edges / sizeof edges[0];
    for (size_t i = 0; i < count * count * count; i++) {
        struct dd_answer answer;
        dd_answer_init(&answer, (struct dd_window){0});
        diskdelta_answer_header header = {
            .size = INT64_MAX, .granularity = 512, .unit = 512, .window_length = INT64_MAX};
        diskdelta_range_answer first = {.part_case = DISKDELTA_RANGE_ANSWER_PART_HEADER, .part = {.header = &header}};
        assert_null(dd_answer_header(&answer, &first));
        uint64_t gap = edges[i % count];
        uint64_t length = edges[i / count % count];
        diskdelta_range_runs runs = {.processed_end = edges[i / count / count],
                                     .gap = &gap,
                                     .gap_count = 1,
                                     .length = &length,
                                     .length_count = 1};
        diskdelta_range_answer message = {.part_case = DISKDELTA_RANGE_ANSWER_PART_RUNS, .part = {.runs = &runs}};
        diskdelta_range range;
        size_t taken = 0;
        if (dd_answer_begin(&answer, &message) != NULL || dd_answer_take(&answer, &range, 1, &taken) != NULL)
            continue;
        assert_int_equal(taken, 1);
        assert_true(range.length > 0 && range.offset <= runs.processed_end);
        assert_true(range.length <= runs.processed_end - range.offset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_answers),
        cmocka_unit_test(test_ranges_are_whole_granules),
        cmocka_unit_test(test_an_empty_window_starts_anywhere),
        cmocka_unit_test(test_no_arithmetic_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
