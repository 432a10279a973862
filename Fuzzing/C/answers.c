/*
 * The whole C client with a range answer of a server that sends anything, over a carrier that lies in memory. What is
 * handed out is held against section 15 of Docs/Protocol.md, and an answer is complete only where the totals that were
 * sent are those of what was handed out.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server {
    struct bytes bytes;
    size_t at;
    /* How much one read gives; then the carrier says once that more must be waited for. */
    size_t piece;
    bool waits;
    int fd;
};

static ptrdiff_t read_some(void *data, void *bytes, size_t capacity)
{
    struct server *server = data;
    server->waits = !server->waits;
    if (server->waits)
        return DISKDELTA_CARRIER_WAIT;
    size_t count = server->bytes.size - server->at;
    count = count < capacity ? count : capacity;
    count = count < server->piece ? count : server->piece;
    if (count > 0)
        memcpy(bytes, server->bytes.data + server->at, count);
    server->at += count;
    return (ptrdiff_t)count;
}

static ptrdiff_t write_all(void *data, const void *bytes, size_t count)
{
    (void)data;
    (void)bytes;
    return (ptrdiff_t)count;
}

static unsigned wants(void *data, bool has_output)
{
    (void)data;
    return has_output ? DISKDELTA_DIRECTION_READ | DISKDELTA_DIRECTION_WRITE : DISKDELTA_DIRECTION_READ;
}

static int fd_of(void *data)
{
    const struct server *server = data;
    return server->fd;
}

static bool is_private(void *data)
{
    (void)data;
    return true;
}

static const char *error_of(void *data)
{
    (void)data;
    return "no error";
}

static void ignore(void *data)
{
    (void)data;
}

static const diskdelta_carrier_functions functions = {
    .struct_size = sizeof(diskdelta_carrier_functions),
    .read = read_some,
    .write = write_all,
    .wants = wants,
    .fd = fd_of,
    .is_private = is_private,
    .error = error_of,
    .finish = ignore,
    .close = ignore,
};

/* What the server claims, as far as the model needs it. */
struct claim {
    uint64_t offset;
    uint64_t length;
    uint64_t position;
    uint64_t unit;
};

static void add_message(struct server *server, uint32_t *number, const struct bytes *message)
{
    append_frame(&server->bytes, 3, 1, (*number)++, 0, message->data, message->size);
}

static void add_header(struct server *server, uint32_t *number, struct claim *claim, struct operations *operations)
{
    struct bytes header = {0};
    struct bytes message = {0};
    claim->unit = take_byte(operations) % 4 == 0 ? take_number(operations) : 512;
    uint64_t size = take_number(operations) * (take_byte(operations) % 4 == 0 ? 1 : 512);
    uint64_t rest = size >= claim->offset ? size - claim->offset : 0;
    if (take_byte(operations) % 4 != 0)
        claim->length = claim->length < rest ? claim->length : rest;
    else
        claim->length = take_number(operations);
    claim->position = claim->offset;
    append_number_field(&header, 3, size);
    append_number_field(&header, 9, claim->unit);
    append_number_field(&header, 10, claim->offset);
    append_number_field(&header, 11, claim->length);
    append_field(&message, 1, &header);
    add_message(server, number, &message);
    free(header.data);
    free(message.data);
}

static uint64_t processed_end(struct claim *claim, struct operations *operations)
{
    uint64_t end = claim->offset + claim->length;
    switch (take_byte(operations) % 4) {
    case 0:
        return take_number(operations);
    case 1:
        return claim->position = end;
    default: {
        uint64_t next = claim->position + take_number(operations) * claim->unit;
        return claim->position = next < end ? next : end;
    }
    }
}

static void add_runs(struct server *server, uint32_t *number, struct claim *claim, struct operations *operations)
{
    struct bytes runs = {0};
    struct bytes gaps = {0};
    struct bytes lengths = {0};
    struct bytes zero = {0};
    struct bytes message = {0};
    append_number_field(&runs, 1, processed_end(claim, operations));
    for (unsigned i = take_byte(operations) % 40; i > 0; i--) {
        append_varint(&gaps, take_number(operations));
        append_varint(&lengths, take_number(operations));
    }
    size_t count = 0;
    const uint8_t *bits = take_byte(operations) % 2 == 0 ? take_bytes(operations, 8, &count) : NULL;
    append(&zero, bits, count);
    append_field(&runs, 2, &gaps);
    append_field(&runs, 3, &lengths);
    append_field(&runs, 4, &zero);
    append_field(&message, 2, &runs);
    add_message(server, number, &message);
    free(runs.data);
    free(gaps.data);
    free(lengths.data);
    free(zero.data);
    free(message.data);
}

static void add_bitmap(struct server *server, uint32_t *number, struct claim *claim, struct operations *operations)
{
    struct bytes bitmap = {0};
    struct bytes bits = {0};
    struct bytes message = {0};
    uint64_t start = claim->position;
    uint64_t end = processed_end(claim, operations);
    append_number_field(&bitmap, 1, end);
    size_t count;
    const uint8_t *given = take_bytes(operations, 64, &count);
    append(&bits, given, count);
    uint64_t units = end > start && claim->unit > 0 ? (end - start) / claim->unit : 0;
    if (take_byte(operations) % 2 == 0 && units < 4096) {
        /* As many as are needed. */
        size_t needed = ((size_t)units + 7) / 8;
        if (bits.size < needed)
            append_zeros(&bits, needed - bits.size);
        bits.size = needed;
    }
    append_field(&bitmap, 2, &bits);
    append_field(&message, 3, &bitmap);
    add_message(server, number, &message);
    free(bitmap.data);
    free(bits.data);
    free(message.data);
}

/* What was handed out, counted by the simplest means. */
struct counted {
    uint64_t ranges;
    uint64_t data_bytes;
    uint64_t zero_bytes;
    uint64_t offset_sum;
    uint64_t end;
    diskdelta_range_kind kind;
};

static void check_batch(struct counted *counted, const diskdelta_batch *batch, const diskdelta_answer_header *header,
                        uint64_t *position)
{
    expect(header != NULL, "a batch without a header");
    uint64_t window_end = header->window_offset + header->window_length;
    expect(header->window_offset <= header->size && header->window_length <= header->size - header->window_offset,
           "a window beyond the disk");
    expect(batch->processed_end <= window_end && batch->processed_end >= *position, "a batch beyond the window");
    for (size_t i = 0; i < batch->count; i++) {
        const diskdelta_range *range = &batch->ranges[i];
        expect(range->length > 0 && range->offset >= header->window_offset, "an empty range, or one before the window");
        expect(range->offset <= window_end && range->length <= window_end - range->offset, "a range beyond the window");
        expect(counted->ranges == 0 || range->offset >= counted->end, "ranges that overlap");
        expect(counted->ranges == 0 || range->offset > counted->end || range->kind != counted->kind,
               "ranges that touch");
        counted->ranges++;
        counted->offset_sum += range->offset;
        *(range->kind == DISKDELTA_RANGE_ZERO ? &counted->zero_bytes : &counted->data_bytes) += range->length;
        counted->end = range->offset + range->length;
        counted->kind = range->kind;
    }
    *position = batch->processed_end;
}

/* The end as it should be, if the model is right about what the client will count; or one with something wrong. */
static void add_end(struct server *server, const struct claim *claim, const struct counted *counted, uint8_t wrong)
{
    struct bytes totals = {0};
    struct bytes details = {0};
    struct bytes payload = {0};
    append_number_field(&totals, 1, claim->length + (wrong == 1));
    append_number_field(&totals, 2, counted->ranges + (wrong == 2));
    append_number_field(&totals, 3, counted->data_bytes + counted->zero_bytes + (wrong == 3));
    append_number_field(&totals, 4, counted->data_bytes + (wrong == 4));
    append_number_field(&totals, 5, counted->zero_bytes + (wrong == 5));
    append_number_field(&totals, 6, counted->offset_sum + (wrong == 6));
    if (wrong == 7)
        append_number_field(&details, 1, 1);
    append_number_field(&details, 4, claim->offset + claim->length + (wrong == 8));
    if (wrong != 9)
        append_field(&details, 5, &totals);
    append_number(&payload, 0, 2);
    append_number(&payload, 0, 2);
    append(&payload, details.data, details.size);
    append_frame(&server->bytes, 4, 1, wrong == 10 ? 14 : 0, 0, payload.data, payload.size);
    free(totals.data);
    free(details.data);
    free(payload.data);
}

/* Reads an answer; gives what the last diskdelta_changes_next() gave. */
static int read_answer(struct server *server, const struct claim *asked, struct scarce *scarce, struct counted *counted,
                       uint64_t *window)
{
    diskdelta_allocator allocator = scarce_allocator(scarce);
    diskdelta_client *client = diskdelta_client_create(&allocator);
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.max_frame = 16384;
    options.stream_credit = 65536;
    options.connection_credit = 65536;
    int more = -1;
    diskdelta_changes *changes = NULL;
    if (client != NULL &&
        diskdelta_client_connect_carrier(client, (diskdelta_carrier){&functions, server}, &options) == 0) {
        diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
        request.path = "disk";
        request.byte_offset = asked->offset;
        request.has_byte_length = asked->length != UINT64_MAX;
        request.byte_length = asked->length;
        diskdelta_call_options call = DISKDELTA_CALL_OPTIONS_INIT;
        call.patience_ms = DISKDELTA_OFF;
        changes = diskdelta_get_virtual_disk_changes(client, &request, &call);
    }
    uint64_t position = asked->offset;
    const diskdelta_batch *batch = NULL;
    for (size_t batches = 0; changes != NULL && (more = diskdelta_changes_next(changes, &batch)) == 1; batches++) {
        expect(batches < 1000000, "an answer without an end");
        check_batch(counted, batch, diskdelta_changes_header(changes), &position);
    }
    expect(more == 0 || more == -1, "something else than an end");
    if (more == 0) {
        const diskdelta_answer_header *header = diskdelta_changes_header(changes);
        expect(position == header->window_offset + header->window_length, "an end before the window's end");
        expect(header->window_offset == asked->offset && header->window_length <= asked->length, "another window");
        *window = header->window_length;
    } else if (changes != NULL) {
        const diskdelta_error *error = diskdelta_changes_error(changes);
        expect(error->status != DISKDELTA_STATUS_OK && error->message != NULL && error->message[0] != '\0',
               "an error that says nothing");
    }
    diskdelta_changes_close(changes);
    diskdelta_client_close(client);
    return more;
}

void run_answers(struct operations operations, struct scarce *scarce)
{
    struct server server = {.piece = take_byte(&operations) % 2 == 0 ? SIZE_MAX : 1 + take_byte(&operations)};
    static int null_device = -1;
    if (null_device < 0)
        null_device = open("/dev/null", O_RDWR | O_CLOEXEC);
    server.fd = null_device;
    struct claim asked = {.offset = take_number(&operations) * 512, .length = UINT64_MAX};
    if (take_byte(&operations) % 2 == 1)
        asked.length = take_number(&operations) * 512;
    struct claim claim = asked;
    uint32_t number = 0;
    append_greeting(&server.bytes);
    uint8_t wrong = UINT8_MAX;
    while (operations.size > 0 && wrong == UINT8_MAX) {
        size_t count;
        const uint8_t *raw;
        switch (take_byte(&operations) % 8) {
        case 0:
            add_header(&server, &number, &claim, &operations);
            break;
        case 1:
        case 2:
            add_runs(&server, &number, &claim, &operations);
            break;
        case 3:
        case 4:
            add_bitmap(&server, &number, &claim, &operations);
            break;
        case 5:
            raw = take_bytes(&operations, 200, &count);
            append_frame(&server.bytes, 3, 1, number++, 0, raw, count);
            break;
        case 6:
            raw = take_bytes(&operations, 200, &count);
            append(&server.bytes, raw, count);
            break;
        default:
            wrong = take_byte(&operations) % 12;
            break;
        }
    }
    /* Once to see what is handed out, and again with the totals of that. */
    struct counted counted = {0};
    uint64_t window = 0;
    struct scarce first = {.left = SIZE_MAX};
    int result = read_answer(&server, &asked, &first, &counted, &window);
    expect(first.held == 0, "memory that is not given back");
    if (result == -1 && wrong != UINT8_MAX) {
        add_end(&server, &claim, &counted, wrong);
        server.at = 0;
        server.waits = false;
        struct counted again = {0};
        result = read_answer(&server, &asked, scarce, &again, &window);
        if (result == 0)
            expect((wrong == 0 || wrong == 11) && memcmp(&again.ranges, &counted.ranges, 4 * sizeof(uint64_t)) == 0 &&
                       window == claim.length,
                   "an end that contradicts its answer, told as complete");
    }
    free(server.bytes.data);
}
