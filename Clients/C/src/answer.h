/*
 * The checks of a range answer (section 15 of Docs/Protocol.md), and its ranges in one form whatever form they were
 * sent in. Pure: messages go in, ranges come out.
 *
 * Every function that can find a rule broken gives a text that says which; NULL where all is well.
 */
#ifndef DD_ANSWER_H
#define DD_ANSWER_H

#include <diskdelta.h>

/* The window that was asked for. */
struct dd_window {
    uint64_t offset;
    bool has_length;
    uint64_t length;
    /* It is a job's, of which the header alone tells the end; and where `offset` is 0, the start. */
    bool is_of_job;
};

enum dd_batch_form { DD_BATCH_NONE, DD_BATCH_RUNS, DD_BATCH_BITMAP };

struct dd_answer {
    struct dd_window asked;

    /* From the header. */
    bool has_header;
    uint64_t unit;
    /* The unit is 2 to this power. */
    unsigned shift;
    uint64_t size;
    uint64_t granularity;
    /* The bits that no boundary inside the window has (P-104): none where the unit is the granularity. */
    uint64_t inside;
    uint64_t window_offset;
    uint64_t window_end;
    /* It goes on from another one, whose window started here. */
    bool is_resumed;
    uint64_t whole_offset;

    /* All below is answered for by batches that were taken whole. */
    uint64_t position;

    /* The batch that is being taken. Its columns belong to the message. */
    enum dd_batch_form form;
    uint64_t batch_end;
    const diskdelta_range_runs *runs;
    /* The next run; where it may start. */
    size_t run;
    uint64_t cursor;
    const uint8_t *bits;
    /* The next unit, and their number. */
    uint64_t bit;
    uint64_t units;

    /* The last range, of whatever batch (P-66). */
    bool has_last;
    diskdelta_range last;

    /* What was counted, of this answer and of those that it goes on from. */
    diskdelta_answer_totals counted;
    diskdelta_answer_totals counted_before;
};

void dd_answer_init(struct dd_answer *answer, struct dd_window asked);

/* The first message, as far as it is right in itself and about the window; dd_question_answered_by() has the rest. */
const char *dd_answer_header(struct dd_answer *answer, const diskdelta_range_answer *message);

/* Every other message. Its ranges are then taken. */
const char *dd_answer_begin(struct dd_answer *answer, const diskdelta_range_answer *message);

/* Whether the batch that was begun has been taken whole. */
bool dd_answer_is_taken(const struct dd_answer *answer);

/* The next ranges of the batch, at most `capacity`. */
const char *dd_answer_take(struct dd_answer *answer, diskdelta_range *ranges, size_t capacity, size_t *count);

/* All below is answered for by the ranges that were taken. */
uint64_t dd_answer_position(const struct dd_answer *answer);

/*
 * The answer broke off, and goes on in another one (section 16): that starts with a header, about the window from here
 * on, and its ranges still don't touch the ones before (P-92). No batch may be half taken.
 */
void dd_answer_resume(struct dd_answer *answer);

/* Whether the header of an answer that goes on repeats that of the first (P-92). */
const char *dd_answer_repeats(const diskdelta_answer_header *first, const diskdelta_answer_header *again);

/* What was counted since the first answer. */
diskdelta_answer_totals dd_answer_totals(const struct dd_answer *answer);

/* END with status OK (P-74, P-75). */
const char *dd_answer_finish(const struct dd_answer *answer, const diskdelta_status_details *details);

#endif
