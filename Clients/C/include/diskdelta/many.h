/*
 * One question about many disks, answered on one stream: the disks of a virtual machine, or of a host.
 *
 *     const diskdelta_get_virtual_disk_changes_request *disks[] = {&system, &data};
 *     diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
 *     request.disks = disks;
 *     request.disks_count = 2;
 *     diskdelta_many_changes *many = diskdelta_get_virtual_disk_changes_batch(client, &request, NULL);
 *
 *     const diskdelta_disk_event *event;
 *     int more;
 *     while ((more = diskdelta_many_changes_next(many, &event)) == 1) {
 *         if (event->type == DISKDELTA_DISK_BATCH)
 *             ... event->batch has ranges of disks[event->disk] ...
 *         else if (event->type == DISKDELTA_DISK_COMPLETE)
 *             ... disks[event->disk] has been answered for, and every total agrees ...
 *         else if (event->type == DISKDELTA_DISK_FAILED)
 *             ... disks[event->disk] has not: event->error says why ...
 *     }
 *     diskdelta_many_changes_close(many);
 *
 * A program that keeps to the events needs to know nothing else: every disk gets exactly one end, COMPLETE or FAILED,
 * whatever becomes of the call, and the failure of one disk is none of the others.
 */
#ifndef DISKDELTA_MANY_H
#define DISKDELTA_MANY_H

#include <diskdelta/answer.h>
#include <diskdelta/common.h>
#include <diskdelta/image_management.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What there is to tell about one disk. */
typedef enum diskdelta_disk_event_type {
    /* The first of each disk that can be answered for: `header` is set. */
    DISKDELTA_DISK_HEADER = 1,
    /* `batch` is set, with ranges, or progress. */
    DISKDELTA_DISK_BATCH = 2,
    /* The last of a disk: the server said that its answer is complete, and every total agrees. `totals` is set. */
    DISKDELTA_DISK_COMPLETE = 3,
    /* The last of a disk: its answer is not complete. `error` is set; also where there was no header. */
    DISKDELTA_DISK_FAILED = 4,
} diskdelta_disk_event_type;

/* Something about one disk. It lives, with what it points to, until the next call on the handle. */
typedef struct diskdelta_disk_event {
    diskdelta_disk_event_type type;
    /* The position of the disk in the request, from 0. */
    size_t disk;
    /* The one of the following that fits the type; the others are NULL. The header lives as long as the handle. */
    const diskdelta_answer_header *header;
    const diskdelta_batch *batch;
    const diskdelta_answer_totals *totals;
    /* As diskdelta_changes_error() gives it for a disk asked about alone: below its resume_offset what was handed out
     * of this disk is true and whole. */
    const diskdelta_error *error;
} diskdelta_disk_event;

/*
 * Range answers about many disks under way. Every range is verified before it is handed out.
 *
 * Where the call breaks off, the disks that had no end yet, and only those, are asked about again by itself, each from
 * where it was and on the condition that it is still in the same epoch. See diskdelta_call_options.patience_ms: there
 * is progress where any of the disks makes some.
 *
 * It takes less than a KiB of memory for each disk, besides the text of its question, and that of its header, which may
 * have 16 KiB.
 */
typedef struct diskdelta_many_changes diskdelta_many_changes;

/*
 * Asks which ranges of many disks changed, each since its own baseline. Does not wait for the answers. The same disk
 * may be there more than once. `options` may be NULL. NULL where the call could not be started: see
 * diskdelta_client_error(). How many disks a server answers for at a time is in the limits that
 * diskdelta_server_info_get_server_info() gives.
 */
DISKDELTA_API diskdelta_many_changes *
diskdelta_get_virtual_disk_changes_batch(diskdelta_client *client,
                                         const diskdelta_get_virtual_disk_changes_batch_request *request,
                                         const diskdelta_call_options *options);

/*
 * Waits for the next event, of whatever disk. Those of one disk come in order: a header, batches that ascend, an end;
 * or an end alone.
 *
 *  1  `*event` is the next one. It lives until the next call on this handle.
 *  0  There are no more: every disk has had its end from the server.
 *  2  DISKDELTA_WOULD_WAIT: nothing yet, on a client that never waits.
 * -1  There are no more: the call failed, see diskdelta_many_changes_error(), and each disk that had no end by then has
 * been told as DISKDELTA_DISK_FAILED. What was complete before is complete.
 *
 * After 0 or -1 every further call returns the same: there are no events then, and no disk whose end is still to come.
 * With `many` NULL it returns -1.
 */
DISKDELTA_API int diskdelta_many_changes_next(diskdelta_many_changes *many, const diskdelta_disk_event **event);

/* The header of a disk, once its event was handed out; else NULL. Does not wait. It lives as long as the handle. */
DISKDELTA_API const diskdelta_answer_header *diskdelta_many_changes_header(const diskdelta_many_changes *many,
                                                                           size_t disk);

/* Why the call failed. What a single disk failed of is in its event. Never NULL. */
DISKDELTA_API const diskdelta_error *diskdelta_many_changes_error(const diskdelta_many_changes *many);

/* Cancels the call where it has not ended, and frees the handle. */
DISKDELTA_API void diskdelta_many_changes_close(diskdelta_many_changes *many);

#ifdef __cplusplus
}
#endif

#endif
