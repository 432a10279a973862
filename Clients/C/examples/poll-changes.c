/*
 * Prints the ranges of some disks that changed since a baseline, all at the same time, in a loop around poll(2): how a
 * program that waits for other things as well has the library take part.
 *
 *     poll-changes ADDRESS LIMIT_ID DISK ...
 *
 * ADDRESS is numeric: looking up a name would wait.
 */
#include <diskdelta.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

enum { MOST_DISKS = 16 };

struct question {
    const char *disk;
    diskdelta_changes *changes;
    /* What diskdelta_changes_next() gave last: 0 and -1 are ends. */
    int state;
};

static int complain(const char *about, const diskdelta_error *error)
{
    fprintf(stderr, "poll-changes: %s: %s: %s\n", about, diskdelta_reason_name(error->reason), error->message);
    return diskdelta_reason_exit_code(error->reason);
}

/* Waits once, and lets the client do what can be done. A program adds its own file descriptors here. */
static void turn(diskdelta_client *client)
{
    unsigned direction = diskdelta_client_direction(client);
    struct pollfd entry = {.fd = diskdelta_client_fd(client)};
    if ((direction & DISKDELTA_DIRECTION_READ) != 0)
        entry.events |= POLLIN;
    if ((direction & DISKDELTA_DIRECTION_WRITE) != 0)
        entry.events |= POLLOUT;
    int ready = poll(&entry, 1, diskdelta_client_timeout_ms(client));
    if (ready > 0 && (entry.revents & POLLOUT) != 0)
        diskdelta_client_notify_writable(client);
    if (ready > 0 && (entry.revents & ~POLLOUT) != 0)
        diskdelta_client_notify_readable(client);
    if (ready == 0)
        diskdelta_client_notify_timeout(client);
}

/* Prints all that is there of one answer. */
static void print_ranges(struct question *question)
{
    const diskdelta_batch *batch = NULL;
    while ((question->state = diskdelta_changes_next(question->changes, &batch)) == 1) {
        for (size_t i = 0; i < batch->count; i++)
            printf("%s %" PRIu64 " %" PRIu64 "\n", question->disk, batch->ranges[i].offset, batch->ranges[i].length);
    }
}

static int run(diskdelta_client *client, struct question *questions, int count)
{
    for (;;) {
        int running = 0;
        for (int i = 0; i < count; i++) {
            if (questions[i].state == DISKDELTA_WOULD_WAIT)
                print_ranges(&questions[i]);
            running += questions[i].state == DISKDELTA_WOULD_WAIT ? 1 : 0;
        }
        if (running == 0)
            break;
        turn(client);
    }
    int code = 0;
    for (int i = 0; i < count; i++) {
        if (questions[i].state == 0)
            continue;
        int each =
            complain(questions[i].disk, questions[i].changes != NULL ? diskdelta_changes_error(questions[i].changes)
                                                                     : diskdelta_client_error(client));
        code = code != 0 ? code : each;
    }
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc - 3 > MOST_DISKS) {
        fprintf(stderr, "usage: poll-changes ADDRESS LIMIT_ID DISK ...\n");
        return 2;
    }
    diskdelta_client *client = diskdelta_client_create(NULL);
    diskdelta_client_set_waiting(client, false);
    int connected = diskdelta_client_connect(client, argv[1], NULL);
    while (connected == DISKDELTA_WOULD_WAIT) {
        turn(client);
        connected = diskdelta_client_finish_connecting(client);
    }
    int code = 0;
    if (connected == 0) {
        struct question questions[MOST_DISKS];
        int count = argc - 3;
        for (int i = 0; i < count; i++) {
            diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
            request.path = argv[3 + i];
            request.limit_id = argv[2];
            questions[i].disk = argv[3 + i];
            questions[i].changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
            questions[i].state = questions[i].changes != NULL ? DISKDELTA_WOULD_WAIT : -1;
        }
        code = run(client, questions, count);
        for (int i = 0; i < count; i++)
            diskdelta_changes_close(questions[i].changes);
    } else {
        code = complain(argv[1], diskdelta_client_error(client));
    }
    diskdelta_client_close(client);
    return code;
}
