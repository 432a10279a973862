/* One window, two arrays: the shape of GetVirtualDiskChanges. */
#include "client.h"

#include <string.h>

static int fail(diskdelta_client *client, diskdelta_reason reason, const char *text)
{
    diskdelta_failure failure;
    dd_fail(&failure, reason, "%s", text);
    return dd_client_fail(client, &failure);
}

/* Adds a range, to the one before where they touch. False where there is no room: then it is left out. */
static bool add(diskdelta_query *query, const diskdelta_range *range)
{
    size_t last = query->count - 1;
    if (query->count > 0 && query->changed_byte_offsets[last] + query->changed_byte_lengths[last] == range->offset) {
        query->changed_byte_lengths[last] += range->length;
        return true;
    }
    if (query->count == query->capacity)
        return false;
    query->changed_byte_offsets[query->count] = range->offset;
    query->changed_byte_lengths[query->count] = range->length;
    query->count++;
    return true;
}

/* Reads the answer, as far as there is room: 0 with the end of what was answered for, or -1. */
static int read_ranges(diskdelta_changes *changes, diskdelta_query *query, uint64_t *end)
{
    const diskdelta_batch *batch = NULL;
    int more;
    while ((more = diskdelta_changes_next(changes, &batch)) == 1) {
        for (size_t i = 0; i < batch->count; i++) {
            if (!add(query, &batch->ranges[i])) {
                *end = batch->ranges[i].offset;
                return 0;
            }
        }
    }
    *end = diskdelta_changes_position(changes);
    return more;
}

/* The epoch outlives the answer. */
static bool keep_epoch(diskdelta_client *client, const char *epoch)
{
    size_t size = strlen(epoch) + 1;
    char *kept = dd_allocate(&client->allocator, size);
    if (kept == NULL)
        return false;
    memcpy(kept, epoch, size);
    dd_release(&client->allocator, client->query_epoch);
    client->query_epoch = kept;
    return true;
}

static int read_answer(diskdelta_client *client, diskdelta_changes *changes, diskdelta_query *query)
{
    uint64_t end = 0;
    if (read_ranges(changes, query, &end) != 0) {
        dd_error_set_public(&client->error, diskdelta_changes_error(changes));
        return -1;
    }
    const diskdelta_answer_header *header = diskdelta_changes_header(changes);
    if (!keep_epoch(client, header->epoch))
        return fail(client, DISKDELTA_REASON_RESOURCE_LIMIT, "there is not enough memory for the answer");
    query->processed_byte_length = end - header->window_offset;
    query->disk_size = header->size;
    query->epoch = client->query_epoch;
    return 0;
}

/* Takes an answer that was asked for. What the caller has is touched only where all is well. */
static int finish(diskdelta_client *client, diskdelta_changes *changes, diskdelta_query *query)
{
    diskdelta_query filled = *query;
    int result = changes != NULL ? read_answer(client, changes, &filled) : -1;
    diskdelta_changes_close(changes);
    if (result != 0)
        return result;
    query->count = filled.count;
    query->processed_byte_length = filled.processed_byte_length;
    query->disk_size = filled.disk_size;
    query->epoch = filled.epoch;
    return 0;
}

/* Whether a query can be answered into `query`; nothing is in it yet. */
static bool begin(diskdelta_client *client, diskdelta_query *query)
{
    diskdelta_query known;
    bool is_whole = dd_copy_sized(&known, sizeof known, query) && query->struct_size >= sizeof known &&
                    query->capacity > 0 && query->changed_byte_offsets != NULL && query->changed_byte_lengths != NULL;
    if (!is_whole) {
        fail(client, DISKDELTA_REASON_INVALID_PARAMETER, "a query needs two arrays with room for at least one range");
        return false;
    }
    query->count = 0;
    query->processed_byte_length = 0;
    query->disk_size = 0;
    query->epoch = NULL;
    if (client->never_waits)
        fail(client, DISKDELTA_REASON_INVALID_PARAMETER, "the client never waits, and this function would");
    return !client->never_waits;
}

int diskdelta_query_virtual_disk_changes(diskdelta_client *client,
                                         const diskdelta_get_virtual_disk_changes_request *request,
                                         const diskdelta_call_options *options, diskdelta_query *query)
{
    if (client == NULL || !begin(client, query))
        return -1;
    return finish(client, diskdelta_get_virtual_disk_changes(client, request, options), query);
}

int diskdelta_query_virtual_disk_allocation(diskdelta_client *client,
                                            const diskdelta_get_virtual_disk_allocation_request *request,
                                            const diskdelta_call_options *options, diskdelta_query *query)
{
    if (client == NULL || !begin(client, query))
        return -1;
    return finish(client, diskdelta_get_virtual_disk_allocation(client, request, options), query);
}
