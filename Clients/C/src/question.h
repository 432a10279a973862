/* What a range answer answers: the caller's request, kept for as long as the answer may have to be resumed (P-77). */
#ifndef DD_QUESTION_H
#define DD_QUESTION_H

#include "answer.h"
#include "memory.h"

enum dd_question_kind { DD_QUESTION_OF_CHANGES, DD_QUESTION_OF_ALLOCATION, DD_QUESTION_OF_JOB };

struct dd_question {
    enum dd_question_kind kind;
    union {
        diskdelta_get_virtual_disk_changes_request changes;
        diskdelta_get_virtual_disk_allocation_request allocation;
        diskdelta_job_results_request job;
    } request;
    /* What the strings of the request are. */
    char *strings;
};

/* Copies a request. False where it is malformed, or there is no memory. */
bool dd_question_of_changes(struct dd_question *question, const diskdelta_allocator *allocator,
                            const diskdelta_get_virtual_disk_changes_request *request);
bool dd_question_of_allocation(struct dd_question *question, const diskdelta_allocator *allocator,
                               const diskdelta_get_virtual_disk_allocation_request *request);
bool dd_question_of_job(struct dd_question *question, const diskdelta_allocator *allocator,
                        const diskdelta_job_results_request *request);

/* The window that it asks about. */
struct dd_window dd_question_window(const struct dd_question *question);

/* Whether a header whose window is right answers the question (P-100 to P-103): a text that says why not; NULL where it
 * does. */
const char *dd_question_answered_by(const struct dd_question *question, const diskdelta_answer_header *header);

/* Asks about the rest of the window from now on. The question points to `epoch`, which must live as long as it does. */
void dd_question_about_rest(struct dd_question *question, const struct dd_window *rest, const char *epoch);

void dd_question_free(struct dd_question *question, const diskdelta_allocator *allocator);

#endif
