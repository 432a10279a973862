/* The sums of a range answer without its ranges, verified (P-105). */
#include "client.h"
#include "question.h"

static const char *check(const struct dd_question *question, const diskdelta_changes_summary *summary)
{
    const diskdelta_answer_header *header = summary->header;
    if (header == NULL)
        return "P-105: it has no header";
    struct dd_answer answer;
    dd_answer_init(&answer, dd_question_window(question));
    diskdelta_range_answer message = {.part_case = DISKDELTA_RANGE_ANSWER_PART_HEADER, .part = {.header = header}};
    const char *broken = dd_answer_header(&answer, &message);
    if (broken == NULL)
        broken = dd_question_answered_by(question, header);
    if (broken != NULL)
        return broken;
    bool is_empty = summary->bytes == 0;
    if (summary->data_bytes > summary->bytes || summary->zero_bytes != summary->bytes - summary->data_bytes ||
        summary->bytes > header->window_length || summary->ranges > summary->bytes ||
        summary->largest > summary->bytes || (summary->ranges == 0) != is_empty ||
        (summary->largest == 0) != is_empty || (summary->ranges == 1 && summary->largest != summary->bytes))
        return "P-105: its sums contradict each other";
    return NULL;
}

/* Holds a summary that arrived against its question. */
static int finish(diskdelta_client *client, const struct dd_question *question, diskdelta_changes_summary **summary)
{
    const char *broken = check(question, *summary);
    if (broken == NULL)
        return 0;
    diskdelta_changes_summary_free(*summary);
    *summary = NULL;
    diskdelta_failure failure;
    dd_fail(&failure, DISKDELTA_REASON_ANSWER_INVALID, "the answer can't be trusted: %s", broken);
    return dd_client_fail(client, &failure);
}

/* In both, the strings of the question are the caller's, who waits. A request that was answered could be copied. */

int diskdelta_get_virtual_disk_changes_summary(diskdelta_client *client,
                                               const diskdelta_get_virtual_disk_changes_request *request,
                                               const diskdelta_call_options *options,
                                               diskdelta_changes_summary **summary)
{
    struct dd_question question = {.kind = DD_QUESTION_OF_CHANGES};
    int result = diskdelta_image_management_get_virtual_disk_changes_summary(client, request, options, summary);
    if (result != 0 || !dd_copy_sized(&question.request.changes, sizeof question.request.changes, request))
        return result;
    return finish(client, &question, summary);
}

int diskdelta_get_virtual_disk_allocation_summary(diskdelta_client *client,
                                                  const diskdelta_get_virtual_disk_allocation_request *request,
                                                  const diskdelta_call_options *options,
                                                  diskdelta_changes_summary **summary)
{
    struct dd_question question = {.kind = DD_QUESTION_OF_ALLOCATION};
    int result = diskdelta_image_management_get_virtual_disk_allocation_summary(client, request, options, summary);
    if (result != 0 || !dd_copy_sized(&question.request.allocation, sizeof question.request.allocation, request))
        return result;
    return finish(client, &question, summary);
}
