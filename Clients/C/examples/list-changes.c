/*
 * Prints the ranges of a disk that changed since a baseline, one per line: offset, length, kind.
 *
 *     list-changes ADDRESS DISK LIMIT_ID [PATIENCE [DEADLINE]]
 *
 * An answer that breaks off is resumed as long as there is progress at least every PATIENCE ms: 5000 where it is not
 * given; 0: it is not resumed. All of it takes at most DEADLINE ms; 0: as long as it needs. Ctrl-C cancels it.
 *
 * It exits 0 only when the answer is complete. Otherwise it says why in one line on standard error, and exits with the
 * code that goes with the reason. ADDRESS is HOST:PORT, [IPv6]:PORT or unix:/path.
 */
#include <diskdelta.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* What Ctrl-C cancels: a client may be cancelled from a signal handler. */
static diskdelta_client *volatile asking;

static void interrupt(int signal)
{
    (void)signal;
    if (asking != NULL)
        diskdelta_client_cancel(asking);
}

static int complain(const diskdelta_error *error)
{
    fprintf(stderr, "list-changes: %s: %s\n", diskdelta_reason_name(error->reason), error->message);
    return diskdelta_reason_exit_code(error->reason);
}

static int print_changes(diskdelta_client *client, const char *disk, const char *limit_id, uint32_t patience,
                         uint32_t deadline)
{
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = disk;
    request.limit_id = limit_id;
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.timeout_ms = deadline;
    options.patience_ms = patience != 0 ? patience : DISKDELTA_OFF;
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, &options);
    if (changes == NULL)
        return complain(diskdelta_client_error(client));

    const diskdelta_batch *batch = NULL;
    int more;
    while ((more = diskdelta_changes_next(changes, &batch)) == 1) {
        for (size_t i = 0; i < batch->count; i++) {
            const diskdelta_range *range = &batch->ranges[i];
            printf("%" PRIu64 " %" PRIu64 " %s\n", range->offset, range->length,
                   range->kind == DISKDELTA_RANGE_ZERO ? "zero" : "data");
        }
    }
    int code = more == 0 ? 0 : complain(diskdelta_changes_error(changes));
    diskdelta_changes_close(changes);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 6) {
        fprintf(stderr, "usage: list-changes ADDRESS DISK LIMIT_ID [PATIENCE [DEADLINE]]\n");
        return 2;
    }
    uint32_t patience = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 5000;
    uint32_t deadline = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : 0;
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.connect_timeout_ms = deadline;
    diskdelta_client *client = diskdelta_client_create(NULL);
    asking = client;
    (void)sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupt, .sa_flags = SA_RESTART}, NULL);
    int code = diskdelta_client_connect(client, argv[1], &options) == 0
                   ? print_changes(client, argv[2], argv[3], patience, deadline)
                   : complain(diskdelta_client_error(client));
    asking = NULL;
    diskdelta_client_close(client);

    /* Lines that could not be written are not an answer either. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("list-changes: standard output");
        return code != 0 ? code : 1;
    }
    return code;
}
