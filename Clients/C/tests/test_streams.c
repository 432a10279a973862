/* Several streams on one connection: one that is not read does not hold up another. */
#include "fake_server.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

/* A batch covers 4 MiB, in which every second unit changed: about 8 KB on the wire. */
enum { RANGES = 4096, BATCH_SIZE = RANGES * 1024, BATCHES = 40 };

static void append_batch(struct bytes *bytes, uint32_t stream, uint32_t number)
{
    static uint64_t ones[RANGES];
    for (size_t i = 0; i < RANGES; i++)
        ones[i] = 1;
    append_runs(bytes, stream, number, (uint64_t)number * BATCH_SIZE, RANGES, ones, ones, NULL);
}

static void append_totals(struct bytes *bytes, uint32_t stream, uint64_t batches)
{
    uint64_t offset_sum = 0;
    for (uint64_t i = 0; i < batches * RANGES; i++)
        offset_sum += (2 * i + 1) * 512;
    append_end(bytes, stream, batches * BATCH_SIZE,
               &(diskdelta_answer_totals){.processed = batches * BATCH_SIZE,
                                          .ranges = batches * RANGES,
                                          .bytes = batches * RANGES * 512,
                                          .data_bytes = batches * RANGES * 512,
                                          .offset_sum = offset_sum});
}

/* A stream as the server sees it. */
struct sending {
    uint32_t id;
    bool is_open;
    /* What the client has granted and the server has not used. */
    uint64_t credit;
    /* The number of the next message, and the message. */
    uint32_t number;
    struct bytes message;
    bool has_ended;
};

struct server {
    uint64_t credit;
    struct sending streams[2];
};

static bool receive(int fd, struct server *server)
{
    struct dd_header header;
    if (!fake_receive(fd, &header))
        return false;
    if (header.type == DD_FRAME_CREDIT && header.stream == 0)
        server->credit += header.aux;
    for (int i = 0; i < 2; i++) {
        struct sending *stream = &server->streams[i];
        if (header.stream != stream->id)
            continue;
        stream->is_open = stream->is_open || header.type == DD_FRAME_OPEN;
        stream->credit += header.type == DD_FRAME_CREDIT ? header.aux : 0;
        stream->has_ended = stream->has_ended || header.type == DD_FRAME_CANCEL;
    }
    return true;
}

/* Sends the stream's next message where the credit covers it. Whether something was sent. */
static bool send_next(int fd, struct server *server, struct sending *stream)
{
    if (!stream->is_open || stream->has_ended)
        return false;
    struct bytes *message = &stream->message;
    if (stream->number > BATCHES) {
        append_totals(message, stream->id, BATCHES);
        stream->has_ended = true;
    } else if (message->size == 0 && stream->number == 0) {
        append_header(message, stream->id, (uint64_t)BATCHES * BATCH_SIZE);
    } else if (message->size == 0) {
        append_batch(message, stream->id, stream->number);
    }
    /* END costs nothing. */
    uint64_t cost = stream->has_ended ? 0 : message->size;
    if (cost > server->credit || cost > stream->credit)
        return false;
    server->credit -= cost;
    stream->credit -= cost;
    stream->number++;
    bool is_well = fake_send(fd, message);
    bytes_free(message);
    return is_well;
}

/* Both streams as far as their credit goes, in turn: so stream 1 fills its credit before stream 3 is open. */
static void serve_two(int fd, void *context)
{
    (void)context;
    struct server server = {.credit = 65600,
                            .streams = {{.id = 1, .is_open = true, .credit = 32800}, {.id = 3, .credit = 32800}}};
    bool is_well = true;
    while (is_well && !(server.streams[0].has_ended && server.streams[1].has_ended)) {
        bool has_sent = send_next(fd, &server, &server.streams[0]);
        has_sent = send_next(fd, &server, &server.streams[1]) || has_sent;
        is_well = has_sent || receive(fd, &server);
    }
    bytes_free(&server.streams[0].message);
    bytes_free(&server.streams[1].message);
}

static int read_all(diskdelta_changes *changes)
{
    const diskdelta_batch *batch = NULL;
    uint64_t ranges = 0;
    int more;
    while ((more = diskdelta_changes_next(changes, &batch)) == 1)
        ranges += batch->count;
    if (more == 0)
        assert_int_equal(ranges, (uint64_t)BATCHES * RANGES);
    return more;
}

struct fixture {
    struct fake_script script;
    struct fake_server *server;
    diskdelta_client *client;
    diskdelta_changes *first;
    diskdelta_changes *second;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    append_hello(&fixture.script.hello);
    fixture.script.go_on = serve_two;
    fixture.server = fake_server_start(&fixture.script);
    fixture.client = diskdelta_client_create(NULL);
    diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
    options.max_frame = 16384;
    options.stream_credit = 32800;
    options.connection_credit = 65600;
    assert_int_equal(diskdelta_client_connect(fixture.client, fake_server_address(fixture.server), &options), 0);
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    fixture.first = diskdelta_get_virtual_disk_changes(fixture.client, &request, NULL);
    fixture.second = diskdelta_get_virtual_disk_changes(fixture.client, &request, NULL);
    assert_non_null(fixture.first);
    assert_non_null(fixture.second);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_changes_close(fixture->first);
    diskdelta_changes_close(fixture->second);
    diskdelta_client_close(fixture->client);
    fake_server_stop(fixture->server);
    bytes_free(&fixture->script.hello);
    return 0;
}

static void test_a_stalled_stream_stops_no_other(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_all(fixture->second), 0);
    assert_int_equal(read_all(fixture->first), 0);
}

static void test_in_turn(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_changes *both[2] = {fixture->first, fixture->second};
    int more[2] = {1, 1};
    const diskdelta_batch *batch = NULL;
    while (more[0] == 1 || more[1] == 1) {
        for (int i = 0; i < 2; i++)
            more[i] = more[i] == 1 ? diskdelta_changes_next(both[i], &batch) : more[i];
    }
    assert_int_equal(more[0], 0);
    assert_int_equal(more[1], 0);
}

static void test_closing_one_leaves_the_other(void **state)
{
    struct fixture *fixture = *state;
    const diskdelta_batch *batch = NULL;
    assert_int_equal(diskdelta_changes_next(fixture->first, &batch), 1);
    diskdelta_changes_close(fixture->first);
    fixture->first = NULL;
    assert_int_equal(read_all(fixture->second), 0);
}

static void test_no_more_streams_than_the_credit_allows(void **state)
{
    struct fixture *fixture = *state;
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    assert_null(diskdelta_get_virtual_disk_changes(fixture->client, &request, NULL));
    assert_int_equal(diskdelta_client_error(fixture->client)->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_int_equal(read_all(fixture->second), 0);
}

#define stream_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        stream_test(test_a_stalled_stream_stops_no_other),
        stream_test(test_in_turn),
        stream_test(test_closing_one_leaves_the_other),
        stream_test(test_no_more_streams_than_the_credit_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
