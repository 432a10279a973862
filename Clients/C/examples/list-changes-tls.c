/*
 * Prints the ranges of a disk that changed since a baseline, as list-changes does, from a server that speaks TLS.
 *
 *     list-changes-tls [--ca FILE] [--certificate FILE] [--key FILE] [--server-name NAME] [--token-file FILE]
 *                      [--deadline MS] ADDRESS DISK LIMIT_ID
 *
 * --ca holds the authorities that are trusted, in place of the system's. --certificate and --key prove who asks, or the
 * token in the first line of --token-file does. --deadline bounds the whole of it, and Ctrl-C cancels it. It exits 0
 * only when the answer is complete; otherwise it says why in one line on standard error, and exits with the code that
 * goes with the reason.
 */
#include <diskdelta-tls.h>

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    diskdelta_tls_options tls;
    const char *token_file;
    uint32_t deadline_ms;
    const char *address;
    const char *disk;
    const char *limit_id;
};

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
    fprintf(stderr, "list-changes-tls: %s: %s\n", diskdelta_reason_name(error->reason), error->message);
    return diskdelta_reason_exit_code(error->reason);
}

static bool read_deadline(const char *text, uint32_t *deadline_ms)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    *deadline_ms = (uint32_t)value;
    return *end == '\0' && value > 0 && value <= INT32_MAX;
}

static bool read_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"ca", required_argument, NULL, 'a'},
        {"certificate", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {"server-name", required_argument, NULL, 'n'},
        {"token-file", required_argument, NULL, 't'},
        {"deadline", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    *arguments = (struct arguments){.tls = DISKDELTA_TLS_OPTIONS_INIT};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'a':
            arguments->tls.ca_file = optarg;
            break;
        case 'c':
            arguments->tls.certificate_file = optarg;
            break;
        case 'k':
            arguments->tls.key_file = optarg;
            break;
        case 'n':
            arguments->tls.server_name = optarg;
            break;
        case 't':
            arguments->token_file = optarg;
            break;
        case 'd':
            if (!read_deadline(optarg, &arguments->deadline_ms))
                return false;
            break;
        default:
            return false;
        }
    }
    if (argc - optind != 3)
        return false;
    arguments->address = argv[optind];
    arguments->disk = argv[optind + 1];
    arguments->limit_id = argv[optind + 2];
    return true;
}

/* The first line of a file, which is where a token belongs: arguments of a program can be seen by all users. */
static bool read_token(const char *path, char *token, int capacity)
{
    FILE *file = fopen(path, "r");
    bool is_read = file != NULL && fgets(token, capacity, file) != NULL;
    if (!is_read)
        fprintf(stderr, "list-changes-tls: there is no token in %s, or it cannot be read\n", path);
    else
        token[strcspn(token, "\r\n")] = '\0';
    if (file != NULL)
        (void)fclose(file);
    return is_read;
}

static int print_changes(diskdelta_client *client, const struct arguments *arguments, const char *token)
{
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = arguments->disk;
    request.limit_id = arguments->limit_id;
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.bearer_token = token;
    options.timeout_ms = arguments->deadline_ms;
    options.patience_ms = 5000;
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

static int ask(diskdelta_tls *tls, const struct arguments *arguments, const char *token)
{
    if (diskdelta_tls_configure(tls, &arguments->tls) != 0)
        return complain(diskdelta_tls_error(tls));
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.security = diskdelta_tls_security(tls);
    options.connect_timeout_ms = arguments->deadline_ms;
    diskdelta_client *client = diskdelta_client_create(NULL);
    asking = client;
    int code = diskdelta_client_connect(client, arguments->address, &options) == 0
                   ? print_changes(client, arguments, token)
                   : complain(diskdelta_client_error(client));
    asking = NULL;
    diskdelta_client_close(client);
    return code;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    char token[4096];
    if (!read_arguments(argc, argv, &arguments)) {
        fprintf(stderr, "usage: list-changes-tls [--ca FILE] [--certificate FILE] [--key FILE] [--server-name NAME]\n"
                        "                        [--token-file FILE] [--deadline MS] ADDRESS DISK LIMIT_ID\n");
        return 2;
    }
    if (arguments.token_file != NULL && !read_token(arguments.token_file, token, sizeof token))
        return 2;
    (void)sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupt, .sa_flags = SA_RESTART}, NULL);
    diskdelta_tls *tls = diskdelta_tls_create();
    int code = ask(tls, &arguments, arguments.token_file != NULL ? token : NULL);
    diskdelta_tls_close(tls);

    /* Lines that could not be written are not an answer either. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("list-changes-tls: standard output");
        return code != 0 ? code : 1;
    }
    return code;
}
