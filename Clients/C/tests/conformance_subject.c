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

enum { CALLS = 8, WORDS = 16, LINE = 1024, DISKS = 8 };

/* What was handed out, as text: ranges, or what there is of an end. */
struct text {
    char *text;
    size_t size;
};

struct call {
    char name[16];
    diskdelta_changes *changes;
    diskdelta_many_changes *many;
    diskdelta_stream *messages;
    /* What was handed out: ranges, of many disks those of each, or the number of messages. */
    struct text ranges[DISKS];
    struct text ends[DISKS];
    size_t disks;
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

static const char *text_given(char **words, size_t count, const char *key, const char *otherwise)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < count; i++)
        if (strncmp(words[i], key, length) == 0 && words[i][length] == '=')
            return words[i] + length + 1;
    return otherwise;
}

/* The question that the words ask. */
static diskdelta_get_virtual_disk_changes_request changes_asked(char **words, size_t count)
{
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = text_given(words, count, "disk", "disk");
    request.limit_id = "b";
    request.target_snapshot_id = text_given(words, count, "target", NULL);
    request.byte_offset = number_of(words, count, "offset", 0);
    request.byte_length = number_of(words, count, "length", UINT64_MAX);
    request.has_byte_length = request.byte_length != UINT64_MAX;
    request.granularity = number_of(words, count, "granularity", 0);
    request.if_epoch = text_given(words, count, "epoch", NULL);
    request.on_unavailable = (diskdelta_on_unavailable)number_of(words, count, "unavailable", 0);
    request.assume_at_rest = number_of(words, count, "at_rest", 0) == 1;
    request.image_format = (diskdelta_image_format)number_of(words, count, "format", 0);
    request.if_size = number_of(words, count, "size", UINT64_MAX);
    request.has_if_size = request.if_size != UINT64_MAX;
    return request;
}

static diskdelta_get_virtual_disk_allocation_request allocation_asked(char **words, size_t count)
{
    diskdelta_get_virtual_disk_changes_request asked = changes_asked(words, count);
    diskdelta_get_virtual_disk_allocation_request request = DISKDELTA_GET_VIRTUAL_DISK_ALLOCATION_REQUEST_INIT;
    request.path = asked.path;
    request.byte_offset = asked.byte_offset;
    request.has_byte_length = asked.has_byte_length;
    request.byte_length = asked.byte_length;
    request.granularity = asked.granularity;
    request.if_epoch = asked.if_epoch;
    request.assume_at_rest = asked.assume_at_rest;
    request.image_format = asked.image_format;
    request.has_if_size = asked.has_if_size;
    request.if_size = asked.if_size;
    return request;
}

static void print_error(const diskdelta_error *error)
{
    printf("%d %s", (int)error->status, diskdelta_reason_name(error->reason));
}

static void close_call(struct call *call)
{
    diskdelta_changes_close(call->changes);
    diskdelta_many_changes_close(call->many);
    diskdelta_stream_close(call->messages);
    for (size_t i = 0; i < DISKS; i++) {
        free(call->ranges[i].text);
        free(call->ends[i].text);
    }
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

static void add(struct text *to, const char *text)
{
    size_t length = strlen(text);
    char *longer = realloc(to->text, to->size + length + 1);
    if (longer == NULL)
        exit(1);
    memcpy(longer + to->size, text, length + 1);
    to->text = longer;
    to->size += length;
}

static void add_ranges(struct text *to, const diskdelta_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const diskdelta_range *range = &batch->ranges[i];
        char text[64];
        snprintf(text, sizeof text, "%s%llu+%llu+%s", to->size > 0 ? "," : "", (unsigned long long)range->offset,
                 (unsigned long long)range->length, range->kind == DISKDELTA_RANGE_ZERO ? "zero" : "data");
        add(to, text);
    }
}

static const char *text_of(const struct text *text, const char *otherwise)
{
    return text->size > 0 ? text->text : otherwise;
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

static diskdelta_many_changes *open_many(struct call *call, char **words, size_t word_count,
                                         const diskdelta_call_options *call_options)
{
    size_t count = (size_t)strtoul(words[3], NULL, 10);
    char paths[DISKS][16];
    diskdelta_get_virtual_disk_changes_request requests[DISKS];
    const diskdelta_get_virtual_disk_changes_request *disks[DISKS];
    call->disks = count < DISKS ? count : DISKS;
    for (size_t i = 0; i < call->disks; i++) {
        snprintf(paths[i], sizeof paths[i], "disk%u", (unsigned)i);
        requests[i] = changes_asked(words, word_count);
        requests[i].path = paths[i];
        disks[i] = &requests[i];
    }
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    request.disks = disks;
    request.disks_count = call->disks;
    return diskdelta_get_virtual_disk_changes_batch(client, &request, call_options);
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
    if (strcmp(words[2], "batch") == 0 && count > 3) {
        call->many = open_many(call, words, count, &call_options);
        is_open = call->many != NULL;
    } else if (strcmp(words[2], "watch") == 0) {
        diskdelta_health_check_request request = DISKDELTA_HEALTH_CHECK_REQUEST_INIT;
        call->messages = diskdelta_health_watch(client, &request, &call_options);
        is_open = call->messages != NULL;
    } else if (strcmp(words[2], "job") == 0) {
        diskdelta_job_results_request request = DISKDELTA_JOB_RESULTS_REQUEST_INIT;
        request.id = "j";
        request.byte_offset = number_of(words, count, "offset", 0);
        call->changes = diskdelta_get_job_results(client, &request, &call_options);
        is_open = call->changes != NULL;
    } else if (strcmp(words[2], "allocation") == 0) {
        diskdelta_get_virtual_disk_allocation_request request = allocation_asked(words, count);
        call->changes = diskdelta_get_virtual_disk_allocation(client, &request, &call_options);
        is_open = call->changes != NULL;
    } else {
        diskdelta_get_virtual_disk_changes_request request = changes_asked(words, count);
        call->changes = diskdelta_get_virtual_disk_changes(client, &request, &call_options);
        is_open = call->changes != NULL;
    }
    printf("open %s ", call->name);
    if (is_open)
        printf("ok");
    else
        print_error(diskdelta_client_error(client));
}

/* Each reads a call, to its end or to the next of what it hands out, and prints what `next` and `all` do. */

static void read_changes(struct call *call, bool to_the_end)
{
    const diskdelta_batch *batch;
    int more;
    while ((more = diskdelta_changes_next(call->changes, &batch)) == 1) {
        add_ranges(&call->ranges[0], batch);
        if (!to_the_end) {
            printf("batch");
            return;
        }
    }
    if (more == 0)
        printf("complete");
    else
        print_error(diskdelta_changes_error(call->changes));
    printf(" %s", text_of(&call->ranges[0], "-"));
}

static void take_end(struct call *call, const diskdelta_disk_event *event)
{
    char text[64] = "complete";
    if (event->type == DISKDELTA_DISK_FAILED)
        snprintf(text, sizeof text, "%d:%s", (int)event->error->status, diskdelta_reason_name(event->error->reason));
    add(&call->ends[event->disk], text);
}

static void read_many(struct call *call, bool to_the_end)
{
    const diskdelta_disk_event *event;
    int more;
    while ((more = diskdelta_many_changes_next(call->many, &event)) == 1) {
        if (event->type == DISKDELTA_DISK_BATCH)
            add_ranges(&call->ranges[event->disk], event->batch);
        else if (event->type != DISKDELTA_DISK_HEADER)
            take_end(call, event);
        if (!to_the_end && event->type == DISKDELTA_DISK_BATCH) {
            printf("batch");
            return;
        }
    }
    if (more == 0)
        printf("complete");
    else
        print_error(diskdelta_many_changes_error(call->many));
    for (size_t i = 0; i < call->disks; i++)
        printf("%s%s:%s", i == 0 ? " " : ";", text_of(&call->ends[i], "open"), text_of(&call->ranges[i], "-"));
}

static void read_messages(struct call *call, bool to_the_end)
{
    const diskdelta_health_check_response *message;
    int more;
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

static void do_read(struct call *call, bool to_the_end)
{
    printf("%s %s ", to_the_end ? "all" : "next", call->name);
    if (call->changes != NULL)
        read_changes(call, to_the_end);
    else if (call->many != NULL)
        read_many(call, to_the_end);
    else
        read_messages(call, to_the_end);
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

static void do_summary(char **words, size_t count)
{
    diskdelta_changes_summary *summary = NULL;
    int result = -1;
    if (strcmp(words[1], "allocation") == 0) {
        diskdelta_get_virtual_disk_allocation_request request = allocation_asked(words, count);
        result = diskdelta_get_virtual_disk_allocation_summary(client, &request, NULL, &summary);
    } else {
        diskdelta_get_virtual_disk_changes_request request = changes_asked(words, count);
        result = diskdelta_get_virtual_disk_changes_summary(client, &request, NULL, &summary);
    }
    printf("summary ");
    if (result == 0)
        printf("ok");
    else
        print_error(diskdelta_client_error(client));
    diskdelta_changes_summary_free(summary);
}

static void answer(char **words, size_t count)
{
    struct call *call = count > 1 ? find(words[1]) : NULL;
    if (count == 2 && strcmp(words[0], "connect") == 0) {
        do_connect(words[1]);
    } else if (count > 2 && strcmp(words[0], "open") == 0 && call != NULL) {
        do_open(call, words, count);
    } else if (call != NULL && call->name[0] != '\0' &&
               (call->changes != NULL || call->many != NULL || call->messages != NULL) &&
               (strcmp(words[0], "next") == 0 || strcmp(words[0], "all") == 0)) {
        do_read(call, strcmp(words[0], "all") == 0);
    } else if (count > 0 && strcmp(words[0], "check") == 0) {
        do_check();
    } else if (count > 1 && strcmp(words[0], "summary") == 0) {
        do_summary(words, count);
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
