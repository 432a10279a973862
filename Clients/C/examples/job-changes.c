/*
 * Prints the ranges of a disk that changed since a baseline, as list-changes does, by a job of the server's.
 *
 *     job-changes ADDRESS DISK LIMIT_ID
 *
 * A job goes on where a connection ends, also where the server does: its answer is found once, and can be read as often
 * as it is wanted. How far it is stands on standard error. The job is deleted when its answer has been read; where
 * anything fails before, it stays, under the id that was printed.
 */
#include <diskdelta.h>

#include <inttypes.h>
#include <stdio.h>

static int complain(const diskdelta_error *error)
{
    fprintf(stderr, "job-changes: %s: %s\n", diskdelta_reason_name(error->reason), error->message);
    return diskdelta_reason_exit_code(error->reason);
}

/* What was told last of a job that is watched. */
struct watched {
    bool is_told;
    diskdelta_job_state state;
    diskdelta_reason reason;
};

/* Watches a job as long as the connection lasts: the end of the stream, as its _next function gives it. */
static int watch(diskdelta_stream *stream, struct watched *watched)
{
    const diskdelta_job *job = NULL;
    int more;
    while ((more = diskdelta_jobs_watch_job_next(stream, &job)) == 1) {
        *watched = (struct watched){true, job->job_state, job->reason};
        fprintf(stderr, "job-changes: %s %s %" PRIu32 " %%\n", job->id, diskdelta_job_state_name(job->job_state),
                job->percent_complete);
        if (job->job_state == DISKDELTA_JOB_STATE_EXCEPTION)
            fprintf(stderr, "job-changes: %s: %s\n", diskdelta_reason_name(job->reason), job->error_description);
    }
    return more;
}

/* The exit code for the state in which the job ended. */
static int code_of(const struct watched *watched)
{
    if (watched->state == DISKDELTA_JOB_STATE_COMPLETED)
        return 0;
    if (watched->state == DISKDELTA_JOB_STATE_TERMINATED)
        return diskdelta_reason_exit_code(DISKDELTA_REASON_CANCELLED);
    bool is_told = watched->state == DISKDELTA_JOB_STATE_EXCEPTION && watched->reason != DISKDELTA_REASON_NONE;
    return diskdelta_reason_exit_code(is_told ? watched->reason : DISKDELTA_REASON_ANSWER_INVALID);
}

/* Waits until the job has ended: 0 where it is completed, else an exit code. */
static int wait_for(diskdelta_client *client, const char *id)
{
    diskdelta_job_request request = DISKDELTA_JOB_REQUEST_INIT;
    request.id = id;
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.wait_for_ready = true;
    for (;;) {
        struct watched watched = {0};
        diskdelta_stream *stream = diskdelta_jobs_watch_job(client, &request, &options);
        if (stream == NULL)
            return complain(diskdelta_client_error(client));
        int end = watch(stream, &watched);
        /* A server that is gone comes back with its jobs: watch on, where there is somebody to watch. */
        bool is_gone = end != 0 && diskdelta_stream_error(stream)->status == DISKDELTA_STATUS_UNAVAILABLE;
        int code = end != 0 && !(is_gone && watched.is_told) ? complain(diskdelta_stream_error(stream)) : 0;
        diskdelta_stream_close(stream);
        if (code != 0)
            return code;
        if (end == 0)
            return code_of(&watched);
    }
}

static int print_results(diskdelta_client *client, const char *id)
{
    diskdelta_job_results_request request = DISKDELTA_JOB_RESULTS_REQUEST_INIT;
    request.id = id;
    diskdelta_changes *changes = diskdelta_get_job_results(client, &request, NULL);
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

static int delete_job(diskdelta_client *client, const char *id)
{
    diskdelta_job_request request = DISKDELTA_JOB_REQUEST_INIT;
    request.id = id;
    diskdelta_delete_job_response *response = NULL;
    int result = diskdelta_jobs_delete_job(client, &request, NULL, &response);
    diskdelta_delete_job_response_free(response);
    return result == 0 ? 0 : complain(diskdelta_client_error(client));
}

static int run(diskdelta_client *client, const char *disk, const char *limit_id)
{
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = disk;
    request.limit_id = limit_id;
    diskdelta_job *job = NULL;
    if (diskdelta_jobs_start_get_virtual_disk_changes(client, &request, NULL, &job) != 0)
        return complain(diskdelta_client_error(client));
    int code = wait_for(client, job->id);
    if (code == 0)
        code = print_results(client, job->id);
    /* An answer that was not written is not read. */
    if (code == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        perror("job-changes: standard output");
        code = 1;
    }
    if (code == 0)
        code = delete_job(client, job->id);
    diskdelta_job_free(job);
    return code;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: job-changes ADDRESS DISK LIMIT_ID\n");
        return 2;
    }
    diskdelta_client *client = diskdelta_client_create(NULL);
    int code = diskdelta_client_connect(client, argv[1], NULL) == 0 ? run(client, argv[2], argv[3])
                                                                    : complain(diskdelta_client_error(client));
    diskdelta_client_close(client);
    return code;
}
