#include "server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

const diskdelta_carrier_functions server_functions = {
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

struct server begin_server(struct operations *operations)
{
    static int null_device = -1;
    if (null_device < 0)
        null_device = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct server server = {.piece = take_byte(operations) % 2 == 0 ? SIZE_MAX : 1 + take_byte(operations),
                            .fd = null_device};
    append_greeting(&server.bytes);
    return server;
}

void rewind_server(struct server *server)
{
    server->at = 0;
    server->waits = false;
}

diskdelta_client *connect_to_server(struct server *server, const diskdelta_allocator *allocator, bool *is_well)
{
    diskdelta_client *client = diskdelta_client_create(allocator);
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.max_frame = 16384;
    options.stream_credit = 65536;
    options.connection_credit = 65536;
    *is_well = client != NULL &&
               diskdelta_client_connect_carrier(client, (diskdelta_carrier){&server_functions, server}, &options) == 0;
    return client;
}

void make_header(struct bytes *message, struct claim *claim, struct operations *operations)
{
    struct bytes header = {0};
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
    append_field(message, 1, &header);
    free(header.data);
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

void make_runs(struct bytes *message, struct claim *claim, struct operations *operations)
{
    struct bytes runs = {0};
    struct bytes gaps = {0};
    struct bytes lengths = {0};
    struct bytes zero = {0};
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
    append_field(message, 2, &runs);
    free(runs.data);
    free(gaps.data);
    free(lengths.data);
    free(zero.data);
}

void make_bitmap(struct bytes *message, struct claim *claim, struct operations *operations)
{
    struct bytes bitmap = {0};
    struct bytes bits = {0};
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
    append_field(message, 3, &bitmap);
    free(bitmap.data);
    free(bits.data);
}

void check_batch(struct counted *counted, const diskdelta_batch *batch, const diskdelta_answer_header *header,
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

void make_details(struct bytes *details, const struct claim *claim, const struct counted *counted, uint8_t wrong)
{
    struct bytes totals = {0};
    append_number_field(&totals, 1, claim->length + (wrong == 1));
    append_number_field(&totals, 2, counted->ranges + (wrong == 2));
    append_number_field(&totals, 3, counted->data_bytes + counted->zero_bytes + (wrong == 3));
    append_number_field(&totals, 4, counted->data_bytes + (wrong == 4));
    append_number_field(&totals, 5, counted->zero_bytes + (wrong == 5));
    append_number_field(&totals, 6, counted->offset_sum + (wrong == 6));
    if (wrong == 7)
        append_number_field(details, 1, 1);
    append_number_field(details, 4, claim->offset + claim->length + (wrong == 8));
    if (wrong != 9)
        append_field(details, 5, &totals);
    free(totals.data);
}
