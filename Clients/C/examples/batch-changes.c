/*
 * Prints the ranges of many disks that changed, each since its own baseline, one per line: disk, offset, length, kind.
 *
 *     batch-changes ADDRESS DISK LIMIT_ID [DISK LIMIT_ID ...]
 *
 * All disks are asked about in one call, and the lines of different disks come in any order. It exits 0 only when every
 * answer is complete. Otherwise it says why in a line for each disk that failed on standard error, and exits with the
 * code of the first of them: a program would take what it got of the others.
 */
#include <diskdelta.h>

#include <inttypes.h>
#include <stdio.h>

enum { MOST_DISKS = 64 };

static void print_ranges(const char *disk, const diskdelta_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const diskdelta_range *range = &batch->ranges[i];
        printf("%s %" PRIu64 " %" PRIu64 " %s\n", disk, range->offset, range->length,
               range->kind == DISKDELTA_RANGE_ZERO ? "zero" : "data");
    }
}

static int complain(const char *about, const diskdelta_error *error)
{
    fprintf(stderr, "batch-changes: %s: %s: %s\n", about, diskdelta_reason_name(error->reason), error->message);
    return diskdelta_reason_exit_code(error->reason);
}

static int print_changes(diskdelta_client *client, const diskdelta_get_virtual_disk_changes_batch_request *request)
{
    diskdelta_many_changes *many = diskdelta_get_virtual_disk_changes_batch(client, request, NULL);
    if (many == NULL)
        return complain("all", diskdelta_client_error(client));
    int code = 0;
    const diskdelta_disk_event *event = NULL;
    int more;
    while ((more = diskdelta_many_changes_next(many, &event)) == 1) {
        const char *disk = request->disks[event->disk]->path;
        if (event->type == DISKDELTA_DISK_BATCH) {
            print_ranges(disk, event->batch);
        } else if (event->type == DISKDELTA_DISK_FAILED) {
            int each = complain(disk, event->error);
            code = code != 0 ? code : each;
        }
    }
    /* Where the call failed, the disks that it left without an answer were told one by one. */
    if (more != 0 && code == 0)
        code = complain("all", diskdelta_many_changes_error(many));
    diskdelta_many_changes_close(many);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc % 2 != 0 || (argc - 2) / 2 > MOST_DISKS) {
        fprintf(stderr, "usage: batch-changes ADDRESS DISK LIMIT_ID [DISK LIMIT_ID ...]\n");
        return 2;
    }
    diskdelta_get_virtual_disk_changes_request requests[MOST_DISKS];
    const diskdelta_get_virtual_disk_changes_request *disks[MOST_DISKS];
    size_t count = (size_t)(argc - 2) / 2;
    for (size_t i = 0; i < count; i++) {
        requests[i] = (diskdelta_get_virtual_disk_changes_request)DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
        requests[i].path = argv[2 + 2 * i];
        requests[i].limit_id = argv[3 + 2 * i];
        disks[i] = &requests[i];
    }
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    request.disks = disks;
    request.disks_count = count;

    diskdelta_client *client = diskdelta_client_create(NULL);
    int code = diskdelta_client_connect(client, argv[1], NULL) == 0 ? print_changes(client, &request)
                                                                    : complain(argv[1], diskdelta_client_error(client));
    diskdelta_client_close(client);

    /* Lines that could not be written are not an answer either. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("batch-changes: standard output");
        return code != 0 ? code : 1;
    }
    return code;
}
