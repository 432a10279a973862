/* Docs/protocol-vectors.txt, as far as it concerns a client. */
#include "fake_server.h"
#include "test.h"
#include "vectors.h"

#include <diskdelta/core.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vectors vectors;

/* The vector under test, for the message of a failure. */
#define check(vector, condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("%s: %s", (vector)->name, #condition);                                                            \
    } while (0)

/* Whether the vector expects an error; then it must be the one found. */
static bool expects_error(const struct vector *vector, struct dd_breach found)
{
    const char *code = vector_value(vector, "error");
    if (code == NULL) {
        if (found.text != NULL)
            fail_msg("%s: unexpected error: %s", vector->name, found.text);
        return false;
    }
    check(vector, found.text != NULL);
    check(vector, found.code == vector_code(code));
    return true;
}

static void each(const char *kind, void (*run)(const struct vector *vector))
{
    size_t count = 0;
    for (size_t i = 0; i < vectors.count; i++) {
        if (strcmp(vectors.all[i].kind, kind) == 0) {
            run(&vectors.all[i]);
            count++;
        }
    }
    assert_true(count > 0);
}

/* ---- Structures ------------------------------------------------------------------------------------------------ */

static void run_preface(const struct vector *vector)
{
    check(vector, vector->bytes.size == DD_PREFACE_SIZE);
    if (expects_error(vector, dd_preface_check(vector->bytes.data)))
        return;
    if (vector_number(vector, "minor") != 0 || vector_number(vector, "features") != 0)
        return;
    uint8_t encoded[DD_PREFACE_SIZE];
    dd_preface_encode(encoded);
    check(vector, memcmp(encoded, vector->bytes.data, sizeof encoded) == 0);
}

static void run_header(const struct vector *vector)
{
    check(vector, vector->bytes.size == DD_HEADER_SIZE);
    struct dd_header header = dd_header_decode(vector->bytes.data);
    if (expects_error(vector, dd_header_check(&header, 262144)))
        return;
    check(vector, header.length == vector_number(vector, "length"));
    check(vector, header.type == vector_number(vector, "type"));
    check(vector, header.flags == vector_number(vector, "flags"));
    check(vector, header.stream == vector_number(vector, "stream"));
    check(vector, header.aux == vector_number(vector, "aux"));
    uint8_t encoded[DD_HEADER_SIZE];
    dd_header_encode(encoded, &header);
    check(vector, memcmp(encoded, vector->bytes.data, sizeof encoded) == 0);
}

/* A client only encodes its own. */
static void run_settings_client(const struct vector *vector)
{
    if (vector_value(vector, "error") != NULL || vector_value(vector, "decode-only") != NULL)
        return;
    struct dd_settings settings = {
        .max_frame = (uint32_t)vector_number(vector, "max_frame"),
        .stream_credit = (uint32_t)vector_number(vector, "stream_credit"),
        .connection_credit = (uint32_t)vector_number(vector, "connection_credit"),
    };
    check(vector, dd_settings_are_valid(&settings));
    uint8_t encoded[DD_CLIENT_SETTINGS_SIZE];
    dd_settings_encode(encoded, &settings);
    check(vector, vector->bytes.size == sizeof encoded);
    check(vector, memcmp(encoded, vector->bytes.data, sizeof encoded) == 0);
}

static void run_settings_server(const struct vector *vector)
{
    struct dd_settings settings;
    if (expects_error(vector, dd_settings_decode(vector->bytes.data, vector->bytes.size, &settings)))
        return;
    check(vector, settings.max_frame == vector_number(vector, "max_frame"));
    check(vector, settings.max_streams == vector_number(vector, "max_streams"));
    check(vector, settings.min_ping_interval == vector_number(vector, "min_ping_interval"));
}

/* The entries of a call's metadata; their keys and values are freed with free_metadata(). */
static size_t read_metadata(const struct vector *vector, diskdelta_metadata *entries)
{
    size_t count = 0;
    for (size_t i = 0; i < vector->count; i++) {
        if (strcmp(vector->lines[i].word, "metadata") != 0)
            continue;
        char *key = strdup(vector->lines[i].value);
        assert_non_null(key);
        char *digits = strchr(key, ' ');
        if (digits != NULL)
            *digits++ = '\0';
        struct bytes value = vector_bytes(digits);
        entries[count++] = (diskdelta_metadata){key, {value.data, value.size}};
    }
    return count;
}

static void free_metadata(diskdelta_metadata *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)entries[i].key);
        free((uint8_t *)entries[i].value.data);
    }
}

/* A client only encodes it. */
static void run_open(const struct vector *vector)
{
    const char *path = vector_value(vector, "path");
    if (vector_value(vector, "error") != NULL || vector_value(vector, "decode-only") != NULL || path == NULL)
        return;
    diskdelta_metadata entries[VECTOR_LINES];
    size_t count = read_metadata(vector, entries);
    struct dd_open open = {path, entries, count};
    uint8_t prefix[4 + DD_MAX_PATH_SIZE + DD_MAX_METADATA_SIZE];
    size_t size = dd_open_prefix_size(&open);
    check(vector, size != 0);
    dd_open_prefix_encode(prefix, &open);
    free_metadata(entries, count);
    struct bytes request = vector_bytes(vector_value(vector, "request"));
    check(vector, vector->bytes.size == size + request.size);
    check(vector, memcmp(vector->bytes.data, prefix, size) == 0);
    if (request.size > 0)
        check(vector, memcmp(vector->bytes.data + size, request.data, request.size) == 0);
    bytes_free(&request);
}

static void check_text(const struct vector *vector, const uint8_t *text, size_t size)
{
    const char *expected = vector_value(vector, "text");
    check(vector, expected != NULL && strlen(expected) == size && memcmp(expected, text, size) == 0);
}

static void run_end(const struct vector *vector)
{
    struct dd_end end;
    if (expects_error(vector, dd_end_decode(vector->bytes.data, vector->bytes.size, &end)))
        return;
    check_text(vector, end.text, end.text_size);
    struct bytes details = vector_bytes(vector_value(vector, "details"));
    check(vector, details.size == end.details_size);
    if (details.size > 0)
        check(vector, memcmp(details.data, end.details, details.size) == 0);
    bytes_free(&details);
}

static void run_goaway(const struct vector *vector)
{
    struct dd_goaway goaway;
    if (expects_error(vector, dd_goaway_decode(vector->bytes.data, vector->bytes.size, &goaway)))
        return;
    check(vector, goaway.code == vector_number(vector, "code"));
    check_text(vector, goaway.text, goaway.text_size);
    if (vector_value(vector, "decode-only") != NULL)
        return;
    uint8_t encoded[DD_MAX_GOAWAY_SIZE];
    size_t size = dd_goaway_encode(encoded, (enum dd_code)goaway.code, vector_value(vector, "text"));
    check(vector, size == vector->bytes.size && memcmp(encoded, vector->bytes.data, size) == 0);
}

/* ---- Connections ----------------------------------------------------------------------------------------------- */

enum outcome { OUTCOME_COMPLETE, OUTCOME_STATUS, OUTCOME_REFUSED, OUTCOME_BROKEN, OUTCOME_ERROR };

struct observed {
    enum outcome outcome;
    size_t messages;
    diskdelta_status status;
    /* For OUTCOME_ERROR: the code of the GOAWAY that was sent; DD_NOT_DISKDELTA for none. */
    enum dd_code code;
};

static diskdelta_core_stream *open_stream(diskdelta_core *core)
{
    diskdelta_core_call call = DISKDELTA_CORE_CALL_INIT;
    call.path = "diskdelta.v1.ImageManagement/GetVirtualDiskChanges";
    diskdelta_failure failure;
    diskdelta_core_stream *stream = diskdelta_core_open(core, &call, &failure);
    assert_non_null(stream);
    return stream;
}

/* Takes what there is. Gives the last event. */
static diskdelta_core_event drain(diskdelta_core_stream *stream, size_t *messages)
{
    diskdelta_core_event event;
    for (;;) {
        diskdelta_core_stream_next(stream, &event);
        if (event.type != DISKDELTA_CORE_MESSAGE)
            return event;
        ++*messages;
    }
}

/* The code of the GOAWAY in what the client sends. */
static enum dd_code sent_code(const diskdelta_core *core)
{
    const uint8_t *bytes = NULL;
    size_t size = diskdelta_core_output(core, &bytes);
    enum dd_code code = DD_NOT_DISKDELTA;
    for (size_t at = DD_PREFACE_SIZE; at < size;) {
        struct dd_header header = dd_header_decode(bytes + at);
        struct dd_goaway goaway;
        if (header.type == DD_FRAME_GOAWAY) {
            assert_null(dd_goaway_decode(bytes + at + DD_HEADER_SIZE, header.length, &goaway).text);
            code = (enum dd_code)goaway.code;
            /* Nothing comes after it (P-54). */
            assert_int_equal(at + DD_HEADER_SIZE + header.length, size);
        }
        at += DD_HEADER_SIZE + header.length;
    }
    return code;
}

static struct observed observe(const uint8_t *bytes, size_t size, size_t piece)
{
    diskdelta_core *core = diskdelta_core_create(NULL, NULL);
    diskdelta_core_stream *first = open_stream(core);
    diskdelta_core_stream *second = open_stream(core);
    struct observed observed = {.outcome = OUTCOME_BROKEN};
    size_t others = 0;
    diskdelta_core_event event = {.type = DISKDELTA_CORE_NONE};
    for (size_t at = 0; at < size; at += piece) {
        diskdelta_core_feed(core, bytes + at, size - at < piece ? size - at : piece);
        event = drain(first, &observed.messages);
        (void)drain(second, &others);
    }
    bool has_failed = diskdelta_core_failure(core) != NULL;
    if (has_failed && diskdelta_core_failure(core)->reason == DISKDELTA_REASON_ANSWER_INVALID) {
        observed.outcome = OUTCOME_ERROR;
        observed.code = sent_code(core);
    } else if (event.type == DISKDELTA_CORE_END) {
        observed.outcome = event.status == DISKDELTA_STATUS_OK ? OUTCOME_COMPLETE : OUTCOME_STATUS;
        observed.status = event.status;
    } else if (event.type == DISKDELTA_CORE_FAILED && !has_failed) {
        bool is_farewell = diskdelta_core_farewell(core) != NULL;
        observed.outcome = is_farewell ? OUTCOME_REFUSED : OUTCOME_STATUS;
        observed.status = event.failure->status;
    } else {
        diskdelta_core_feed_end(core, NULL);
        event = drain(first, &observed.messages);
        assert_int_equal(event.type, DISKDELTA_CORE_FAILED);
        assert_int_equal(event.failure->status, DISKDELTA_STATUS_UNAVAILABLE);
    }
    diskdelta_core_stream_close(first);
    diskdelta_core_stream_close(second);
    diskdelta_core_free(core);
    return observed;
}

static void check_observed(const struct vector *vector, struct observed observed)
{
    const char *error = vector_value(vector, "error");
    const char *result = vector_value(vector, "result");
    check(vector, observed.messages == vector_number(vector, "messages"));
    if (error != NULL) {
        check(vector, observed.outcome == OUTCOME_ERROR);
        check(vector, observed.code == vector_code(error));
    } else if (strncmp(result, "status ", 7) == 0) {
        check(vector, observed.outcome == OUTCOME_STATUS);
        check(vector, observed.status == (diskdelta_status)atoi(result + 7));
    } else {
        enum outcome expected = strcmp(result, "complete") == 0  ? OUTCOME_COMPLETE
                                : strcmp(result, "refused") == 0 ? OUTCOME_REFUSED
                                                                 : OUTCOME_BROKEN;
        check(vector, observed.outcome == expected);
    }
}

/* Where END of stream 1 has arrived whole; SIZE_MAX where it never does. */
static size_t end_of_stream_1(const struct bytes *bytes)
{
    for (size_t at = DD_PREFACE_SIZE; bytes->size - at >= DD_HEADER_SIZE && at < bytes->size;) {
        struct dd_header header = dd_header_decode(bytes->data + at);
        if (header.length > bytes->size - at - DD_HEADER_SIZE)
            break;
        at += DD_HEADER_SIZE + header.length;
        if (header.type == DD_FRAME_END && header.stream == 1)
            return at;
    }
    return SIZE_MAX;
}

static void run_client(const struct vector *vector)
{
    const struct bytes *bytes = &vector->bytes;
    check_observed(vector, observe(bytes->data, bytes->size, bytes->size + 1));
    check_observed(vector, observe(bytes->data, bytes->size, 1));
    size_t end = end_of_stream_1(bytes);
    for (size_t size = 0; size < bytes->size && size < end; size++)
        check(vector, observe(bytes->data, size, size + 1).outcome != OUTCOME_COMPLETE);
}

/* ---- Range answers --------------------------------------------------------------------------------------------- */

static void build_answer(const struct vector *vector, struct bytes *answer)
{
    uint32_t number = 0;
    for (size_t i = 0; i < vector->count; i++) {
        const struct vector_line *line = &vector->lines[i];
        if (strcmp(line->word, "message") == 0) {
            struct bytes payload = vector_bytes(line->value);
            append_frame(answer, DD_FRAME_DATA, 1, number++, payload.data, payload.size);
            bytes_free(&payload);
        } else if (strcmp(line->word, "end") == 0) {
            char *digits = NULL;
            uint32_t status = (uint32_t)strtoul(line->value, &digits, 10);
            struct bytes payload = vector_bytes(*digits == ' ' ? digits + 1 : NULL);
            append_frame(answer, DD_FRAME_END, 1, status, payload.data, payload.size);
            bytes_free(&payload);
        }
    }
}

/* The next range that the vector names, from line `*at` on. */
static bool next_expected(const struct vector *vector, size_t *at, diskdelta_range *range)
{
    for (; *at < vector->count; ++*at) {
        const struct vector_line *line = &vector->lines[*at];
        char kind[8] = "";
        unsigned long long offset = 0;
        unsigned long long length = 0;
        if (strcmp(line->word, "range") != 0)
            continue;
        check(vector, sscanf(line->value, "%llu %llu %7s", &offset, &length, kind) == 3);
        *range =
            (diskdelta_range){offset, length, strcmp(kind, "zero") == 0 ? DISKDELTA_RANGE_ZERO : DISKDELTA_RANGE_DATA};
        ++*at;
        return true;
    }
    return false;
}

static void check_ranges(const struct vector *vector, diskdelta_changes *changes)
{
    const char *result = vector_value(vector, "result");
    bool is_invalid = strcmp(result, "invalid") == 0;
    const diskdelta_batch *batch = NULL;
    diskdelta_range expected;
    size_t at = 0;
    int more;
    while ((more = diskdelta_changes_next(changes, &batch)) == 1) {
        for (size_t i = 0; i < batch->count && !is_invalid; i++) {
            check(vector, next_expected(vector, &at, &expected));
            check(vector, memcmp(&expected.offset, &batch->ranges[i].offset, 16) == 0);
            check(vector, expected.kind == batch->ranges[i].kind);
        }
    }
    const diskdelta_error *error = diskdelta_changes_error(changes);
    if (!is_invalid)
        check(vector, !next_expected(vector, &at, &expected));
    check(vector, (more == 0) == (strcmp(result, "complete") == 0));
    if (is_invalid)
        check(vector, error->reason == DISKDELTA_REASON_ANSWER_INVALID);
    if (strcmp(result, "refused") == 0)
        check(vector, error->status == (diskdelta_status)atoi(vector_value(vector, "end")));
    if (strcmp(result, "incomplete") == 0)
        check(vector, error->status == DISKDELTA_STATUS_UNAVAILABLE);
}

static void run_ranges(const struct vector *vector)
{
    struct fake_script script = {0};
    append_hello(&script.hello);
    build_answer(vector, &script.answer);
    struct fake_server *server = fake_server_start(&script);
    diskdelta_client *client = diskdelta_client_create(NULL);
    check(vector, diskdelta_client_connect(client, fake_server_address(server), NULL) == 0);

    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.avhdx";
    unsigned long long offset = 0;
    unsigned long long length = 0;
    int given = sscanf(vector_value(vector, "asked"), "%llu %llu", &offset, &length);
    request.byte_offset = offset;
    request.has_byte_length = given == 2;
    request.byte_length = length;
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.patience_ms = DISKDELTA_OFF;
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, &options);
    check(vector, changes != NULL);
    check_ranges(vector, changes);

    diskdelta_changes_close(changes);
    diskdelta_client_close(client);
    fake_server_stop(server);
    bytes_free(&script.hello);
    bytes_free(&script.answer);
}

/* ---- All ------------------------------------------------------------------------------------------------------- */

static void test_prefaces(void **state)
{
    (void)state;
    each("preface", run_preface);
}

static void test_headers(void **state)
{
    (void)state;
    each("header", run_header);
}

static void test_settings(void **state)
{
    (void)state;
    each("settings-client", run_settings_client);
    each("settings-server", run_settings_server);
}

static void test_opens(void **state)
{
    (void)state;
    each("open", run_open);
}

static void test_ends(void **state)
{
    (void)state;
    each("end", run_end);
}

static void test_goaways(void **state)
{
    (void)state;
    each("goaway", run_goaway);
}

static void test_clients(void **state)
{
    (void)state;
    each("client", run_client);
}

static void test_ranges(void **state)
{
    (void)state;
    each("ranges", run_ranges);
}

int main(void)
{
    vectors = vectors_read(DISKDELTA_VECTORS);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefaces), cmocka_unit_test(test_headers), cmocka_unit_test(test_settings),
        cmocka_unit_test(test_opens),    cmocka_unit_test(test_ends),    cmocka_unit_test(test_goaways),
        cmocka_unit_test(test_clients),  cmocka_unit_test(test_ranges),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vectors_free(&vectors);
    return failed;
}
