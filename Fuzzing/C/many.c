/*
 * The same with an answer about many disks. Each disk gets exactly one end, whatever the server sends; what is handed
 * out of it is held against section 15 of Docs/Protocol.md by itself, and it is complete only where the totals of its
 * own end are those of what was handed out.
 */
#include "server.h"

#include <stdlib.h>
#include <string.h>

enum { DISKS = 3 };

/* What was handed out of a disk. */
struct heard {
    struct counted counted;
    uint64_t position;
    bool has_header;
    diskdelta_disk_event_type end;
};

static void add_message(struct server *server, uint32_t *number, uint64_t disk, unsigned part,
                        const struct bytes *message)
{
    struct bytes wrapped = {0};
    append_number_field(&wrapped, 1, disk);
    append_field(&wrapped, part, message);
    append_frame(&server->bytes, 3, 1, (*number)++, 0, wrapped.data, wrapped.size);
    free(wrapped.data);
}

/* An end that fails the disk, or says whatever the input does. */
static void make_failure(struct bytes *end, struct operations *operations)
{
    struct bytes text = {0};
    struct bytes details = {0};
    size_t count = 0;
    append_number_field(end, 1, take_byte(operations) % 20);
    const uint8_t *given = take_bytes(operations, 8, &count);
    append(&text, given, count);
    append_field(end, 2, &text);
    append_number_field(&details, 1, take_byte(operations) % 40);
    append_number_field(&details, 6, take_byte(operations));
    append_field(end, 3, &details);
    free(text.data);
    free(details.data);
}

static void add_end(struct server *server, uint32_t *number, unsigned disk, const struct claim *claim,
                    const struct counted *counted, uint8_t wrong)
{
    struct bytes end = {0};
    struct bytes details = {0};
    make_details(&details, claim, counted, wrong);
    append_field(&end, 3, &details);
    add_message(server, number, disk, 3, &end);
    free(end.data);
    free(details.data);
}

static diskdelta_many_changes *ask(diskdelta_client *client, const struct claim *asked)
{
    diskdelta_get_virtual_disk_changes_request requests[DISKS];
    const diskdelta_get_virtual_disk_changes_request *disks[DISKS];
    for (unsigned i = 0; i < DISKS; i++) {
        requests[i] = asked[i].request;
        disks[i] = &requests[i];
    }
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    request.disks = disks;
    request.disks_count = DISKS;
    diskdelta_call_options call = DISKDELTA_CALL_OPTIONS_INIT;
    call.patience_ms = DISKDELTA_OFF;
    return diskdelta_get_virtual_disk_changes_batch(client, &request, &call);
}

static void hear(struct heard *heard, const struct claim *asked, const diskdelta_many_changes *many,
                 const diskdelta_disk_event *event)
{
    const diskdelta_answer_header *header = diskdelta_many_changes_header(many, event->disk);
    expect(heard->end == 0, "an event after the end of its disk");
    switch (event->type) {
    case DISKDELTA_DISK_HEADER:
        expect(!heard->has_header && event->header == header, "a second header, or another one");
        check_header(asked, header);
        heard->has_header = true;
        break;
    case DISKDELTA_DISK_BATCH:
        expect(heard->has_header, "a batch before the header");
        check_batch(&heard->counted, event->batch, header, &heard->position);
        break;
    case DISKDELTA_DISK_COMPLETE:
        expect(heard->has_header && heard->position == header->window_offset + header->window_length,
               "an end before the window's end");
        expect(event->totals->ranges == heard->counted.ranges && event->totals->offset_sum == heard->counted.offset_sum,
               "totals of something else");
        heard->end = event->type;
        break;
    case DISKDELTA_DISK_FAILED:
        expect(event->error->status != DISKDELTA_STATUS_OK && event->error->message[0] != '\0',
               "an error that says nothing");
        expect(event->error->has_resume_offset && event->error->resume_offset == heard->position,
               "another offset than the one that was reached");
        heard->end = event->type;
        break;
    default:
        found("an event of no type");
    }
}

/* Reads an answer; gives what the last diskdelta_many_changes_next() gave. */
static int read_answer(struct server *server, const struct claim *asked, struct scarce *scarce, struct heard *heard)
{
    diskdelta_allocator allocator = scarce_allocator(scarce);
    bool is_well = false;
    diskdelta_client *client = connect_to_server(server, &allocator, &is_well);
    diskdelta_many_changes *many = is_well ? ask(client, asked) : NULL;
    for (unsigned i = 0; i < DISKS; i++)
        heard[i] = (struct heard){.position = asked[i].offset};
    int more = -1;
    const diskdelta_disk_event *event = NULL;
    for (size_t events = 0; many != NULL && (more = diskdelta_many_changes_next(many, &event)) == 1; events++) {
        expect(events < 1000000 && event->disk < DISKS, "an answer without an end, or about another disk");
        hear(&heard[event->disk], &asked[event->disk], many, event);
    }
    expect(more == 0 || more == -1, "something else than an end");
    for (unsigned i = 0; many != NULL && i < DISKS; i++)
        expect(heard[i].end != 0, "a disk without an end");
    if (many != NULL && more == -1)
        expect(diskdelta_many_changes_error(many)->status != DISKDELTA_STATUS_OK, "a failure without an error");
    diskdelta_many_changes_close(many);
    diskdelta_client_close(client);
    return more;
}

/* One operation of the server's; false where the input wants the ends. */
static bool operate(struct server *server, uint32_t *number, struct claim *claims, struct operations *operations)
{
    size_t count = 0;
    const uint8_t *raw = NULL;
    struct bytes message = {0};
    unsigned disk = take_byte(operations) % 16;
    /* Now and then one that is not there. */
    struct claim other = {0};
    struct claim *claim = disk < 15 ? &claims[disk % DISKS] : &other;
    disk = disk < 15 ? disk % DISKS : DISKS;
    unsigned part = 2;
    switch (take_byte(operations) % 10) {
    case 0:
    case 1:
        make_header(&message, claim, operations);
        break;
    case 2:
    case 3:
        make_runs(&message, claim, operations);
        break;
    case 4:
    case 5:
        make_bitmap(&message, claim, operations);
        break;
    case 6:
        part = 3;
        make_failure(&message, operations);
        break;
    case 7:
        raw = take_bytes(operations, 200, &count);
        append_frame(&server->bytes, 3, 1, (*number)++, 0, raw, count);
        return true;
    case 8:
        raw = take_bytes(operations, 200, &count);
        append(&server->bytes, raw, count);
        return true;
    default:
        return false;
    }
    add_message(server, number, disk, part, &message);
    free(message.data);
    return true;
}

void run_many(struct operations operations, struct scarce *scarce)
{
    struct server server = begin_server(&operations);
    struct claim asked[DISKS];
    struct claim claims[DISKS];
    for (unsigned i = 0; i < DISKS; i++) {
        asked[i] = take_question(&operations);
        /* Only changes are asked about many. */
        asked[i].kind = ASKED_CHANGES;
        claims[i] = asked[i];
    }
    uint32_t number = 0;
    bool has_ends = false;
    while (operations.size > 0 && !has_ends)
        has_ends = !operate(&server, &number, claims, &operations);
    /* Once to see what is handed out, and again with ends that fit it, but for what the input makes wrong. */
    struct heard heard[DISKS];
    struct scarce first = {.left = SIZE_MAX};
    int result = read_answer(&server, asked, &first, heard);
    expect(first.held == 0, "memory that is not given back");
    if (result == -1 && has_ends) {
        uint8_t wrong[DISKS];
        for (unsigned i = 0; i < DISKS; i++) {
            wrong[i] = take_byte(&operations) % 4 == 0 ? take_byte(&operations) % 10 : 0;
            add_end(&server, &number, i, &claims[i], &heard[i].counted, wrong[i]);
        }
        append_frame(&server.bytes, 4, 1, 0, 0, (const uint8_t[4]){0}, 4);
        rewind_server(&server);
        struct heard again[DISKS];
        read_answer(&server, asked, scarce, again);
        for (unsigned i = 0; i < DISKS; i++)
            expect(again[i].end != DISKDELTA_DISK_COMPLETE ||
                       (wrong[i] == 0 && memcmp(&again[i].counted, &heard[i].counted, 4 * sizeof(uint64_t)) == 0),
                   "an end that contradicts its answer, told as complete");
    }
    free(server.bytes.data);
}
