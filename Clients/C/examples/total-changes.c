/*
 * Prints how many bytes of some disks changed, each since its own baseline.
 *
 *     total-changes ADDRESS DISK LIMIT_ID [DISK LIMIT_ID ...]
 *
 * All questions run at the same time on one connection. They are read in turn here; reading one to its end before the
 * next works as well, because a stream that is not read does not hold up the others.
 */
#include <diskdelta.h>

#include <inttypes.h>
#include <stdio.h>

enum { MOST_DISKS = 16 };

struct question {
    const char *disk;
    diskdelta_changes *changes;
    int state;
    uint64_t bytes;
};

static void ask(diskdelta_client *client, struct question *question, const char *disk, const char *limit_id)
{
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = disk;
    request.limit_id = limit_id;
    question->disk = disk;
    question->changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
    question->state = 1;
    question->bytes = 0;
}

static void read_a_batch(struct question *question)
{
    const diskdelta_batch *batch = NULL;
    question->state = diskdelta_changes_next(question->changes, &batch);
    for (size_t i = 0; question->state == 1 && i < batch->count; i++)
        question->bytes += batch->ranges[i].length;
}

static int report(diskdelta_client *client, const struct question *question)
{
    if (question->state == 0) {
        printf("%s %" PRIu64 "\n", question->disk, question->bytes);
        return 0;
    }
    const diskdelta_error *error =
        question->changes != NULL ? diskdelta_changes_error(question->changes) : diskdelta_client_error(client);
    fprintf(stderr, "total-changes: %s: %s: %s\n", question->disk, diskdelta_reason_name(error->reason),
            error->message);
    return diskdelta_reason_exit_code(error->reason);
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc % 2 != 0 || (argc - 2) / 2 > MOST_DISKS) {
        fprintf(stderr, "usage: total-changes ADDRESS DISK LIMIT_ID [DISK LIMIT_ID ...]\n");
        return 2;
    }
    diskdelta_client *client = diskdelta_client_create(NULL);
    if (diskdelta_client_connect(client, argv[1], NULL) != 0) {
        const diskdelta_error *error = diskdelta_client_error(client);
        int code = diskdelta_reason_exit_code(error->reason);
        fprintf(stderr, "total-changes: %s: %s\n", diskdelta_reason_name(error->reason), error->message);
        diskdelta_client_close(client);
        return code;
    }
    struct question questions[MOST_DISKS];
    int count = (argc - 2) / 2;
    for (int i = 0; i < count; i++)
        ask(client, &questions[i], argv[2 + 2 * i], argv[3 + 2 * i]);

    int running = count;
    while (running > 0) {
        running = 0;
        for (int i = 0; i < count; i++) {
            if (questions[i].state == 1)
                read_a_batch(&questions[i]);
            running += questions[i].state == 1 ? 1 : 0;
        }
    }
    int code = 0;
    for (int i = 0; i < count; i++) {
        int each = report(client, &questions[i]);
        code = code != 0 ? code : each;
        diskdelta_changes_close(questions[i].changes);
    }
    diskdelta_client_close(client);
    return code;
}
