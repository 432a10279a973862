/*
 * One call with one window and two arrays, for those who come from Hyper-V.
 *
 * Msvm_ImageManagementService.GetVirtualDiskChanges takes Path, LimitId, TargetSnapshotId, ByteOffset and ByteLength,
 * and gives ProcessedByteLength with the parallel arrays ChangedByteOffsets and ChangedByteLengths.
 * QueryChangesVirtualDisk() does the same with an array and a RangeCount. Here the request has the former, and struct
 * diskdelta_query the latter. All of a window, however many ranges it has:
 *
 *     request.byte_offset = 0;
 *     do {
 *         if (diskdelta_query_virtual_disk_changes(client, &request, NULL, &query) != 0)
 *             ... diskdelta_client_error(client) ...
 *         for (size_t i = 0; i < query.count; i++)
 *             ... query.changed_byte_offsets[i], query.changed_byte_lengths[i] ...
 *         request.byte_offset += query.processed_byte_length;
 *         request.if_epoch = query.epoch;
 *     } while (request.byte_offset < query.disk_size);
 *
 * With if_epoch set as above all answers are about the same state of the disk, or the call fails with EPOCH_CHANGED.
 * Each call asks anew; diskdelta_get_virtual_disk_changes() asks once, and tells data from zeroes besides.
 */
#ifndef DISKDELTA_QUERY_H
#define DISKDELTA_QUERY_H

#include <diskdelta/common.h>
#include <diskdelta/image_management.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where an answer goes, and how much it is. */
typedef struct diskdelta_query {
    /* The size of this structure, as DISKDELTA_QUERY_INIT sets it. */
    size_t struct_size;
    /* The caller's arrays, and how many elements each has; at least 1. */
    uint64_t *changed_byte_offsets;
    uint64_t *changed_byte_lengths;
    size_t capacity;
    /* How many elements were filled in: ranges in bytes, which ascend and do not touch. */
    size_t count;
    /*
     * How many bytes of the window, from its start, are answered for: all changes in them are in the arrays, whole.
     * Less than the window's length where the arrays are full, then it ends where the next range starts; never 0, but
     * for an empty window.
     */
    uint64_t processed_byte_length;
    /* The size of the disk in bytes. */
    uint64_t disk_size;
    /* The epoch of the disk, for if_epoch of the next request. It lives until the next query on the client. */
    const char *epoch;
} diskdelta_query;

/* Starts every diskdelta_query: everything else is 0. */
#define DISKDELTA_QUERY_INIT                                                                                           \
    {                                                                                                                  \
        .struct_size = sizeof(struct diskdelta_query)                                                                  \
    }

/*
 * Asks which bytes of a disk changed since a baseline, and waits for the answer. `options` may be NULL. Ranges that
 * read as zeroes count as changed, as they do for Hyper-V: where they touch others, they are one range.
 *
 * 0 with `query` filled in, every range of it verified. -1: nothing is filled in, and diskdelta_client_error() says
 * why: an answer that is not complete, or that can't be trusted, is an error and never a short result.
 * INVALID_PARAMETER where the capacity is 0.
 */
DISKDELTA_API int diskdelta_query_virtual_disk_changes(diskdelta_client *client,
                                                       const diskdelta_get_virtual_disk_changes_request *request,
                                                       const diskdelta_call_options *options, diskdelta_query *query);

/* Asks which bytes of a disk hold data, or zeroes that were written; otherwise as
 * diskdelta_query_virtual_disk_changes(). */
DISKDELTA_API int diskdelta_query_virtual_disk_allocation(diskdelta_client *client,
                                                          const diskdelta_get_virtual_disk_allocation_request *request,
                                                          const diskdelta_call_options *options,
                                                          diskdelta_query *query);

#ifdef __cplusplus
}
#endif

#endif
