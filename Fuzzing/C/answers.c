/*
 * The whole C client with a range answer of a server that sends anything, over a carrier that lies in memory. What is
 * handed out is held against section 15 of Docs/Protocol.md, and an answer is complete only where the totals that were
 * sent are those of what was handed out.
 */
#include "server.h"

#include <stdlib.h>
#include <string.h>

static void add_message(struct server *server, uint32_t *number, const struct bytes *message)
{
    append_frame(&server->bytes, 3, 1, (*number)++, 0, message->data, message->size);
}

/* The end as it should be, if the model is right about what the client will count; or one with something wrong. */
static void add_end(struct server *server, const struct claim *claim, const struct counted *counted, uint8_t wrong)
{
    struct bytes details = {0};
    struct bytes payload = {0};
    make_details(&details, claim, counted, wrong);
    append_number(&payload, 0, 2);
    append_number(&payload, 0, 2);
    append(&payload, details.data, details.size);
    append_frame(&server->bytes, 4, 1, wrong == 10 ? 14 : 0, 0, payload.data, payload.size);
    free(details.data);
    free(payload.data);
}

static diskdelta_changes *ask(diskdelta_client *client, const struct claim *asked)
{
    const diskdelta_get_virtual_disk_changes_request *question = &asked->request;
    diskdelta_call_options call = DISKDELTA_CALL_OPTIONS_INIT;
    call.patience_ms = DISKDELTA_OFF;
    if (asked->kind == ASKED_JOB) {
        diskdelta_job_results_request request = DISKDELTA_JOB_RESULTS_REQUEST_INIT;
        request.id = "job";
        request.byte_offset = asked->offset;
        return diskdelta_get_job_results(client, &request, &call);
    }
    if (asked->kind == ASKED_CHANGES)
        return diskdelta_get_virtual_disk_changes(client, question, &call);
    diskdelta_get_virtual_disk_allocation_request request = DISKDELTA_GET_VIRTUAL_DISK_ALLOCATION_REQUEST_INIT;
    request.path = question->path;
    request.byte_offset = question->byte_offset;
    request.has_byte_length = question->has_byte_length;
    request.byte_length = question->byte_length;
    request.granularity = question->granularity;
    request.if_epoch = question->if_epoch;
    request.assume_at_rest = question->assume_at_rest;
    request.image_format = question->image_format;
    request.has_if_size = question->has_if_size;
    request.if_size = question->if_size;
    return diskdelta_get_virtual_disk_allocation(client, &request, &call);
}

/* Reads an answer; gives what the last diskdelta_changes_next() gave. */
static int read_answer(struct server *server, const struct claim *asked, struct scarce *scarce, struct counted *counted,
                       uint64_t *window)
{
    diskdelta_allocator allocator = scarce_allocator(scarce);
    bool is_well = false;
    diskdelta_client *client = connect_to_server(server, &allocator, &is_well);
    int more = -1;
    diskdelta_changes *changes = NULL;
    if (is_well) {
        changes = ask(client, asked);
    }
    const diskdelta_answer_header *told = changes != NULL ? diskdelta_changes_header(changes) : NULL;
    if (told != NULL)
        check_header(asked, told);
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
        /* Of a job the server alone knows the window, and its start where the offset is 0. */
        expect((header->window_offset == asked->offset || (asked->kind == ASKED_JOB && asked->offset == 0)) &&
                   (header->window_length <= asked->length || asked->kind == ASKED_JOB),
               "another window");
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
    struct server server = begin_server(&operations);
    struct claim asked = take_question(&operations);
    struct claim claim = asked;
    uint32_t number = 0;
    uint8_t wrong = UINT8_MAX;
    while (operations.size > 0 && wrong == UINT8_MAX) {
        size_t count;
        const uint8_t *raw;
        struct bytes message = {0};
        switch (take_byte(&operations) % 8) {
        case 0:
            make_header(&message, &claim, &operations);
            add_message(&server, &number, &message);
            break;
        case 1:
        case 2:
            make_runs(&message, &claim, &operations);
            add_message(&server, &number, &message);
            break;
        case 3:
        case 4:
            make_bitmap(&message, &claim, &operations);
            add_message(&server, &number, &message);
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
        free(message.data);
    }
    /* Once to see what is handed out, and again with the totals of that. */
    struct counted counted = {0};
    uint64_t window = 0;
    struct scarce first = {.left = SIZE_MAX};
    int result = read_answer(&server, &asked, &first, &counted, &window);
    expect(first.held == 0, "memory that is not given back");
    if (result == -1 && wrong != UINT8_MAX) {
        add_end(&server, &claim, &counted, wrong);
        rewind_server(&server);
        struct counted again = {0};
        result = read_answer(&server, &asked, scarce, &again, &window);
        if (result == 0)
            expect((wrong == 0 || wrong == 11) && memcmp(&again.ranges, &counted.ranges, 4 * sizeof(uint64_t)) == 0 &&
                       window == claim.length,
                   "an end that contradicts its answer, told as complete");
    }
    free(server.bytes.data);
}
