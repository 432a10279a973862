/*
 * How much of a disk changed, or holds data: the sums of a range answer without its ranges, verified.
 *
 *     diskdelta_changes_summary *summary = NULL;
 *     if (diskdelta_get_virtual_disk_changes_summary(client, &request, NULL, &summary) != 0)
 *         ... diskdelta_client_error(client) says why ...
 *     else
 *         ... summary->bytes ...
 *     diskdelta_changes_summary_free(summary);
 */
#ifndef DISKDELTA_SUMMARY_H
#define DISKDELTA_SUMMARY_H

#include <diskdelta/common.h>
#include <diskdelta/image_management.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Asks how much of a disk changed since a baseline, and waits for the answer. `options` may be NULL.
 *
 * 0 with a summary whose header answers the request, to free with diskdelta_changes_summary_free(), or -1: then
 * diskdelta_client_error() says why. ANSWER_INVALID where the sums contradict each other or the request.
 */
DISKDELTA_API int diskdelta_get_virtual_disk_changes_summary(diskdelta_client *client,
                                                             const diskdelta_get_virtual_disk_changes_request *request,
                                                             const diskdelta_call_options *options,
                                                             diskdelta_changes_summary **summary);

/* Asks how much of a disk holds data; otherwise as diskdelta_get_virtual_disk_changes_summary(). */
DISKDELTA_API int diskdelta_get_virtual_disk_allocation_summary(
    diskdelta_client *client, const diskdelta_get_virtual_disk_allocation_request *request,
    const diskdelta_call_options *options, diskdelta_changes_summary **summary);

#ifdef __cplusplus
}
#endif

#endif
