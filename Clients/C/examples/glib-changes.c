/*
 * Prints the ranges of a disk that changed since a baseline, in GLib's main loop.
 *
 *     glib-changes ADDRESS DISK LIMIT_ID
 *
 * ADDRESS is numeric: looking up a name would wait.
 */
#include "diskdelta-glib.h"

#include <inttypes.h>
#include <stdio.h>

struct program {
    GMainLoop *loop;
    diskdelta_client *client;
    const char *disk;
    const char *limit_id;
    diskdelta_changes *changes;
    int code;
};

static gboolean end(struct program *program, const diskdelta_error *error)
{
    if (error != NULL) {
        fprintf(stderr, "glib-changes: %s: %s\n", diskdelta_reason_name(error->reason), error->message);
        program->code = diskdelta_reason_exit_code(error->reason);
    }
    g_main_loop_quit(program->loop);
    return G_SOURCE_REMOVE;
}

/* The client has done what could be done: what has become of the question? */
static gboolean look(gpointer data)
{
    struct program *program = data;
    const diskdelta_batch *batch = NULL;
    int more;
    while ((more = diskdelta_changes_next(program->changes, &batch)) == 1) {
        for (size_t i = 0; i < batch->count; i++)
            printf("%" PRIu64 " %" PRIu64 "\n", batch->ranges[i].offset, batch->ranges[i].length);
    }
    if (more == DISKDELTA_WOULD_WAIT)
        return G_SOURCE_CONTINUE;
    return end(program, more == 0 ? NULL : diskdelta_changes_error(program->changes));
}

/* A call may be started while the client still connects. */
static gboolean ask(gpointer data)
{
    struct program *program = data;
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = program->disk;
    request.limit_id = program->limit_id;
    program->changes = diskdelta_get_virtual_disk_changes(program->client, &request, NULL);
    if (program->changes == NULL)
        return end(program, diskdelta_client_error(program->client));
    GSource *source = diskdelta_glib_source_new(program->client);
    g_source_set_callback(source, look, program, NULL);
    g_source_attach(source, NULL);
    g_source_unref(source);
    (void)look(program);
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: glib-changes ADDRESS DISK LIMIT_ID\n");
        return 2;
    }
    struct program program = {.loop = g_main_loop_new(NULL, FALSE),
                              .client = diskdelta_client_create(NULL),
                              .disk = argv[2],
                              .limit_id = argv[3]};
    diskdelta_client_set_waiting(program.client, false);
    if (diskdelta_client_connect(program.client, argv[1], NULL) != -1) {
        g_idle_add(ask, &program);
        g_main_loop_run(program.loop);
    } else {
        end(&program, diskdelta_client_error(program.client));
    }
    diskdelta_changes_close(program.changes);
    diskdelta_client_close(program.client);
    g_main_loop_unref(program.loop);
    return program.code;
}
