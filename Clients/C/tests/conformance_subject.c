/*
 * The C client as a program that Tests/Conformance/run tests: it does what the lines of its standard input say, and
 * answers each with one line. Tests/Conformance/README.md tells the contract.
 *
 *     conformance_subject client [KEY=VALUE ...]
 */
#include <diskdelta.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 8, WORDS = 12, LINE = 1024 };

struct call {
    char name[16];
    diskdelta_changes *changes;
    diskdelta_stream *messages;
    /* What was handed out: the ranges as text, or the number of messages. */
    char *ranges;
    size_t size;
    unsigned count;
};

static diskdelta_client *client;
static diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
static struct call calls[CALLS];

static uint64_t number_of(char **words, size_t count, const char *key, uint64_t otherwise)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < count; i++)
        if (strncmp(words[i], key, length) == 0 && words[i][length] == '=')
            return strtoull(words[i] + length + 1, NULL, 10);
    return otherwise;
}

static void print_error(const diskdelta_error *error)
{
    printf("%d %s", (int)error->status, diskdelta_reason_name(error->reason));
}

static void close_call(struct call *call)
{
    diskdelta_changes_close(call->changes);
    diskdelta_stream_close(call->messages);
    free(call->ranges);
    memset(call, 0, sizeof *call);
}

static void close_calls(void)
{
    for (size_t i = 0; i < CALLS; i++)
        close_call(&calls[i]);
}

/* The call with this name; where there is none, room for it. */
static struct call *find(const char *name)
{
    struct call *room = NULL;
    for (size_t i = CALLS; i-- > 0;) {
        if (strcmp(calls[i].name, name) == 0)
            return &calls[i];
        if (calls[i].name[0] == '\0')
            room = &calls[i];
    }
    return room;
}

static void add_range(struct call *call, const diskdelta_range *range)
{
    char text[64];
    int length =
        snprintf(text, sizeof text, "%s%llu+%llu+%s", call->size > 0 ? "," : "", (unsigned long long)range->offset,
                 (unsigned long long)range->length, range->kind == DISKDELTA_RANGE_ZERO ? "zero" : "data");
    char *longer = length > 0 ? realloc(call->ranges, call->size + (size_t)length + 1) : NULL;
    if (longer == NULL)
        exit(1);
    memcpy(longer + call->size, text, (size_t)length + 1);
    call->ranges = longer;
    call->size += (size_t)length;
}

static void do_connect(const char *address)
{
    close_calls();
    diskdelta_client_close(client);
    client = diskdelta_client_create(NULL);
    printf("connect ");
    if (diskdelta_client_connect(client, address, &options) == 0)
        printf("ok");
    else
        print_error(diskdelta_client_error(client));
}

static void do_open(struct call *call, char **words, size_t count)
{
    close_call(call);
    snprintf(call->name, sizeof call->name, "%s", words[1]);
    diskdelta_call_options call_options = DISKDELTA_CALL_OPTIONS_INIT;
    call_options.timeout_ms = (uint32_t)number_of(words, count, "timeout", 0);
    call_options.wait_for_ready = number_of(words, count, "wait", 0) == 1;
    /* Resuming is another matter than the rules of one connection. */
    call_options.patience_ms = (uint32_t)number_of(words, count, "patience", DISKDELTA_OFF);
    bool is_open;
    if (strcmp(words[2], "watch") == 0) {
        diskdelta_health_check_request request = DISKDELTA_HEALTH_CHECK_REQUEST_INIT;
        call->messages = diskdelta_health_watch(client, &request, &call_options);
        is_open = call->messages != NULL;
    } else {
        diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
        request.path = "disk";
        request.limit_id = "b";
        request.byte_offset = number_of(words, count, "offset", 0);
        request.byte_length = number_of(words, count, "length", UINT64_MAX);
        request.has_byte_length = request.byte_length != UINT64_MAX;
        call->changes = diskdelta_get_virtual_disk_changes(client, &request, &call_options);
        is_open = call->changes != NULL;
    }
    printf("open %s ", call->name);
    if (is_open)
        printf("ok");
    else
        print_error(diskdelta_client_error(client));
}

static void do_read(struct call *call, bool to_the_end)
{
    int more;
    printf("%s %s ", to_the_end ? "all" : "next", call->name);
    if (call->changes != NULL) {
        const diskdelta_batch *batch;
        while ((more = diskdelta_changes_next(call->changes, &batch)) == 1) {
            for (size_t i = 0; i < batch->count; i++)
                add_range(call, &batch->ranges[i]);
            if (!to_the_end) {
                printf("batch");
                return;
            }
        }
        if (more == 0)
            printf("complete");
        else
            print_error(diskdelta_changes_error(call->changes));
        printf(" %s", call->size > 0 ? call->ranges : "-");
    } else {
        const diskdelta_health_check_response *message;
        while ((more = diskdelta_health_watch_next(call->messages, &message)) == 1) {
            call->count++;
            if (!to_the_end) {
                printf("message");
                return;
            }
        }
        if (more == 0)
            printf("complete");
        else
            print_error(diskdelta_stream_error(call->messages));
        printf(" %u", call->count);
    }
}

static void do_check(void)
{
    diskdelta_health_check_request request = DISKDELTA_HEALTH_CHECK_REQUEST_INIT;
    diskdelta_health_check_response *response = NULL;
    printf("check ");
    if (diskdelta_health_check(client, &request, NULL, &response) == 0)
        printf("ok");
    else
        print_error(diskdelta_client_error(client));
    diskdelta_health_check_response_free(response);
}

static void answer(char **words, size_t count)
{
    struct call *call = count > 1 ? find(words[1]) : NULL;
    if (count == 2 && strcmp(words[0], "connect") == 0) {
        do_connect(words[1]);
    } else if (count > 2 && strcmp(words[0], "open") == 0 && call != NULL) {
        do_open(call, words, count);
    } else if (call != NULL && call->name[0] != '\0' && (call->changes != NULL || call->messages != NULL) &&
               (strcmp(words[0], "next") == 0 || strcmp(words[0], "all") == 0)) {
        do_read(call, strcmp(words[0], "all") == 0);
    } else if (count > 0 && strcmp(words[0], "check") == 0) {
        do_check();
    } else if (call != NULL && strcmp(words[0], "cancel") == 0) {
        close_call(call);
        printf("cancel %s ok", words[1]);
    } else if (count > 0 && strcmp(words[0], "disconnect") == 0) {
        close_calls();
        diskdelta_client_close(client);
        client = NULL;
        printf("disconnect ok");
    } else {
        printf("not understood");
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "client") != 0) {
        fprintf(stderr, "conformance_subject client [KEY=VALUE ...]\n");
        return 2;
    }
    size_t set = (size_t)argc - 2;
    options.max_frame = (uint32_t)number_of(argv + 2, set, "max_frame", 0);
    options.stream_credit = (uint32_t)number_of(argv + 2, set, "stream_credit", 0);
    options.connection_credit = (uint32_t)number_of(argv + 2, set, "connection_credit", 0);
    options.keepalive_ms = (uint32_t)number_of(argv + 2, set, "keepalive", 0);
    options.keepalive_timeout_ms = (uint32_t)number_of(argv + 2, set, "keepalive_timeout", 0);
    char line[LINE];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *words[WORDS];
        size_t count = 0;
        for (char *rest = line, *word; count < WORDS && (word = strtok_r(rest, " \n", &rest)) != NULL;)
            words[count++] = word;
        answer(words, count);
    }
    close_calls();
    diskdelta_client_close(client);
    return 0;
}
