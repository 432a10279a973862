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

struct claim take_question(struct operations *operations)
{
    struct claim asked = {.offset = take_number(operations) * 512,
                          .length = UINT64_MAX,
                          .request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT};
    diskdelta_get_virtual_disk_changes_request *request = &asked.request;
    uint8_t form = take_byte(operations);
    if (form % 2 == 1)
        asked.length = take_number(operations) * 512;
    request->path = "disk";
    request->byte_offset = asked.offset;
    request->has_byte_length = asked.length != UINT64_MAX;
    request->byte_length = asked.length;
    if (form < 128)
        return asked;
    static const enum asked_kind kinds[] = {ASKED_CHANGES, ASKED_ALLOCATION, ASKED_JOB, ASKED_CHANGES};
    uint8_t wishes = take_byte(operations);
    asked.kind = kinds[form / 2 % 4];
    request->granularity = (wishes & 1) != 0 ? 4096 : 0;
    request->target_snapshot_id = asked.kind == ASKED_CHANGES && (wishes & 2) != 0 ? "t" : NULL;
    request->assume_at_rest = (wishes & 4) != 0;
    request->image_format = (wishes & 8) != 0 ? DISKDELTA_IMAGE_FORMAT_RAW : DISKDELTA_IMAGE_FORMAT_UNKNOWN;
    request->on_unavailable = (diskdelta_on_unavailable)(wishes / 16 % 4);
    request->has_if_size = (wishes & 64) != 0;
    request->if_size = 1 << 20;
    request->if_epoch = (wishes & 128) != 0 ? "e" : NULL;
    return asked;
}

/* What a header says beside sizes and windows. */
struct words {
    const char *disk;
    uint64_t format;
    const char *since;
    const char *target;
    const char *epoch;
    uint64_t granularity;
    uint64_t basis;
    uint64_t reason;
    const char *message;
    uint64_t at_rest;
};

/* What answers the question; with `oddity` from 0 to 15 it says one thing otherwise. */
static struct words words_for(const struct claim *claim, unsigned oddity, struct operations *operations)
{
    const diskdelta_get_virtual_disk_changes_request *request = &claim->request;
    uint64_t asked = request->granularity;
    bool is_allocation = claim->kind == ASKED_ALLOCATION;
    struct words words = {.disk = "disk",
                          .format = request->image_format == DISKDELTA_IMAGE_FORMAT_UNKNOWN ? 1 : 5,
                          .since = is_allocation ? "" : "b",
                          .target = request->target_snapshot_id != NULL ? "t" : "",
                          .epoch = "e",
                          .granularity = asked > claim->unit ? asked : claim->unit,
                          .basis = is_allocation ? 2 : 1,
                          .message = "",
                          .at_rest = claim->kind != ASKED_JOB && request->assume_at_rest};
    switch (oddity) {
    case 0:
        words.disk = "other";
        break;
    case 1:
        words.format = take_number(operations);
        break;
    case 2:
        words.since = is_allocation ? "b" : "";
        break;
    case 3:
        words.target = request->target_snapshot_id != NULL ? "" : "t";
        break;
    case 4:
        words.epoch = "";
        break;
    case 5:
        words.epoch = "f";
        break;
    case 6:
        words.granularity = take_number(operations);
        break;
    case 7:
        words.granularity = 512;
        break;
    case 8:
        words.granularity = 65536;
        break;
    case 9:
        words.basis = take_number(operations);
        break;
    case 10:
    case 11:
    case 12:
        words.basis = oddity - 9;
        words.reason = 8;
        words.since = "";
        break;
    case 13:
        words.reason = 8;
        break;
    case 14:
        words.message = "why";
        break;
    case 15:
        words.at_rest = 1;
        break;
    default:
        break;
    }
    return words;
}

static void append_text_field(struct bytes *bytes, unsigned number, const char *text)
{
    struct bytes value = {0};
    append(&value, text, strlen(text));
    append_field(bytes, number, &value);
    free(value.data);
}

void make_header(struct bytes *message, struct claim *claim, struct operations *operations)
{
    struct bytes header = {0};
    uint8_t form = take_byte(operations);
    claim->unit = form % 4 == 0 ? take_number(operations) : 512;
    struct words words = words_for(claim, form < 192 ? UINT8_MAX : form / 4 % 16, operations);
    uint64_t size = take_number(operations) * (take_byte(operations) % 4 == 0 ? 1 : 512);
    uint64_t rest = size >= claim->offset ? size - claim->offset : 0;
    if (take_byte(operations) % 4 != 0)
        claim->length = claim->length < rest ? claim->length : rest;
    else
        claim->length = take_number(operations);
    claim->position = claim->offset;
    append_text_field(&header, 1, words.disk);
    append_number_field(&header, 2, words.format);
    append_number_field(&header, 3, size);
    append_text_field(&header, 4, words.since);
    append_text_field(&header, 5, words.target);
    append_text_field(&header, 6, words.epoch);
    append_number_field(&header, 7, words.granularity);
    append_number_field(&header, 8, words.basis);
    append_number_field(&header, 9, claim->unit);
    append_number_field(&header, 10, claim->offset);
    append_number_field(&header, 11, claim->length);
    append_number_field(&header, 12, words.reason);
    append_text_field(&header, 13, words.message);
    append_number_field(&header, 14, words.at_rest);
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

void check_header(const struct claim *asked, const diskdelta_answer_header *header)
{
    const diskdelta_get_virtual_disk_changes_request *request = &asked->request;
    bool is_of_job = asked->kind == ASKED_JOB;
    bool is_allocation = asked->kind == ASKED_ALLOCATION;
    expect(header->epoch[0] != '\0', "a header without an epoch");
    expect(header->format != DISKDELTA_IMAGE_FORMAT_UNKNOWN, "a header without a format");
    expect(__builtin_popcountll(header->granularity) == 1 && header->granularity % header->unit == 0,
           "a granularity that the unit does not divide");
    bool is_whole = header->basis == DISKDELTA_ANSWER_BASIS_WHOLE;
    bool is_allocated = header->basis == DISKDELTA_ANSWER_BASIS_ALLOCATED;
    bool is_changes = header->basis == DISKDELTA_ANSWER_BASIS_CHANGES;
    expect(is_whole || is_allocated || is_changes, "a basis that is none");
    expect((header->since[0] != '\0') == is_changes, "a baseline that does not fit the basis");
    expect((header->basis_reason != DISKDELTA_REASON_NONE) == (!is_changes && !is_allocation),
           "a reason that does not fit the basis");
    expect(header->basis_reason != DISKDELTA_REASON_NONE || header->basis_message[0] == '\0',
           "a message without a reason");
    expect(!is_allocation || is_allocated, "an allocation that is something else");
    if (is_of_job)
        return;
    expect(is_changes || is_allocation ||
               request->on_unavailable ==
                   (is_whole ? DISKDELTA_ON_UNAVAILABLE_WHOLE : DISKDELTA_ON_UNAVAILABLE_ALLOCATED),
           "a fallback that was not asked for");
    expect(strcmp(header->disk, "disk") == 0, "another disk");
    expect((header->target[0] != '\0') == (request->target_snapshot_id != NULL), "another target");
    expect(request->if_epoch == NULL || strcmp(header->epoch, request->if_epoch) == 0, "another epoch");
    expect(!request->has_if_size || header->size == request->if_size, "another size");
    expect(request->assume_at_rest || !header->assumed_at_rest, "an assumption that was not asked for");
    expect(header->granularity >= request->granularity, "a finer granularity than was asked for");
    expect(request->image_format == DISKDELTA_IMAGE_FORMAT_UNKNOWN || request->target_snapshot_id != NULL ||
               header->format == request->image_format,
           "another format than was asked for");
}

/* Whether a byte of the disk is a boundary of granules, or an edge of the window. */
static bool is_boundary(const diskdelta_answer_header *header, uint64_t byte)
{
    return byte % header->granularity == 0 || byte == header->window_offset ||
           byte == header->window_offset + header->window_length;
}

void check_batch(struct counted *counted, const diskdelta_batch *batch, const diskdelta_answer_header *header,
                 uint64_t *position)
{
    expect(header != NULL, "a batch without a header");
    uint64_t window_end = header->window_offset + header->window_length;
    expect(header->window_offset <= header->size && header->window_length <= header->size - header->window_offset,
           "a window beyond the disk");
    expect(batch->processed_end <= window_end && batch->processed_end >= *position, "a batch beyond the window");
    expect(is_boundary(header, batch->processed_end), "a batch that ends inside a granule");
    for (size_t i = 0; i < batch->count; i++) {
        const diskdelta_range *range = &batch->ranges[i];
        expect(is_boundary(header, range->offset) && is_boundary(header, range->offset + range->length),
               "a range that begins or ends inside a granule");
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
