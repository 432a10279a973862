/*
 * Prints the baselines of a disk that a question about changes may start from, the nearest first.
 *
 *     list-baselines ADDRESS DISK
 *
 * It shows a call with one answer, and its deadline.
 */
#include <diskdelta.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: list-baselines ADDRESS DISK\n");
        return 2;
    }
    diskdelta_client *client = diskdelta_client_create(NULL);
    diskdelta_virtual_hard_disk_request request = DISKDELTA_VIRTUAL_HARD_DISK_REQUEST_INIT;
    request.path = argv[2];
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.timeout_ms = 30000;

    diskdelta_list_baselines_response *answer = NULL;
    int code = 0;
    if (diskdelta_client_connect(client, argv[1], NULL) == 0 &&
        diskdelta_image_management_list_baselines(client, &request, &options, &answer) == 0) {
        for (size_t i = 0; i < answer->baselines_count; i++) {
            const diskdelta_baseline *baseline = answer->baselines[i];
            printf("%s %s %s\n", baseline->id, diskdelta_baseline_kind_name(baseline->kind),
                   baseline->usable ? "usable" : baseline->reason);
        }
    } else {
        const diskdelta_error *error = diskdelta_client_error(client);
        fprintf(stderr, "list-baselines: %s: %s\n", diskdelta_reason_name(error->reason), error->message);
        code = diskdelta_reason_exit_code(error->reason);
    }
    diskdelta_list_baselines_response_free(answer);
    diskdelta_client_close(client);
    return code;
}
