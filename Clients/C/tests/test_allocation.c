/* Memory that gives out: at whatever allocation, a call fails cleanly and never looks complete. */
#include "client.h"
#include "fake_server.h"
#include "memory.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

/* Gives out after so many allocations; counts what is not given back. */
struct scarce {
    size_t left;
    size_t held;
};

static void *allocate(void *data, size_t size)
{
    struct scarce *scarce = data;
    if (scarce->left == 0)
        return NULL;
    scarce->left--;
    scarce->held++;
    return malloc(size);
}

static void release(void *data, void *pointer)
{
    struct scarce *scarce = data;
    scarce->held--;
    free(pointer);
}

static int ask(diskdelta_client *client, const char *address, size_t *ranges)
{
    if (diskdelta_client_connect(client, address, NULL) != 0)
        return -1;
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_changes *changes = diskdelta_get_virtual_disk_changes(client, &request, NULL);
    const diskdelta_batch *batch = NULL;
    int more = -1;
    while (changes != NULL && (more = diskdelta_changes_next(changes, &batch)) == 1)
        *ranges += batch->count;
    if (changes != NULL && more == -1)
        assert_int_equal(diskdelta_changes_error(changes)->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    diskdelta_changes_close(changes);
    return more;
}

static void test_every_allocation_of_an_answer(void **state)
{
    (void)state;
    struct fake_script script = {0};
    append_hello(&script.hello);
    append_recorded(&script.answer, NULL);
    struct fake_server *server = fake_server_start(&script);
    size_t failures = 0;
    for (size_t count = 0;; count++) {
        struct scarce scarce = {.left = count};
        diskdelta_allocator allocator = {allocate, release, &scarce};
        diskdelta_client *client = diskdelta_client_create(&allocator);
        size_t ranges = 0;
        int result = ask(client, fake_server_address(server), &ranges);
        if (result != 0)
            assert_int_equal(diskdelta_client_error(client)->reason == DISKDELTA_REASON_RESOURCE_LIMIT ||
                                 diskdelta_client_error(client)->reason == DISKDELTA_REASON_NONE,
                             true);
        diskdelta_client_close(client);
        assert_int_equal(scarce.held, 0);
        if (result == 0) {
            assert_int_equal(ranges, RECORDED_RANGES);
            break;
        }
        failures++;
    }
    assert_true(failures > 10);
    fake_server_stop(server);
    bytes_free(&script.hello);
    bytes_free(&script.answer);
}

/* ---- Resuming, metadata, queries ------------------------------------------------------------------------------- */

/* A millisecond in place of the protocol's times. */
static uint32_t hurry(unsigned failures, uint32_t random)
{
    (void)failures;
    (void)random;
    return 1;
}

/* The recorded answer's first batch, then the end of the connection; the rest of it on the next. */
static void serve_in_two_parts(int fd, void *context)
{
    unsigned *connections = context;
    struct bytes bytes = {0};
    struct dd_header header;
    while (fake_receive(fd, &header) && header.type != DD_FRAME_OPEN)
        ;
    if ((*connections)++ % 2 == 0) {
        append_header(&bytes, 1, RECORDED_SIZE);
        append_runs(&bytes, 1, 1, 8192, 2, (const uint64_t[]){2, 0}, (const uint64_t[]){1, 4}, (const uint8_t[]){0x02});
    } else {
        append_part_header(&bytes, 1, RECORDED_SIZE, 8192, "e1");
        append_runs(&bytes, 1, 1, RECORDED_SIZE, 1, (const uint64_t[]){8}, (const uint64_t[]){1}, NULL);
        append_end(
            &bytes, 1, RECORDED_SIZE,
            &(diskdelta_answer_totals){
                .processed = RECORDED_SIZE - 8192, .ranges = 1, .bytes = 512, .data_bytes = 512, .offset_sum = 12288});
    }
    (void)fake_send(fd, &bytes);
    bytes_free(&bytes);
}

static int query(diskdelta_client *client, const char *address)
{
    if (diskdelta_client_connect(client, address, NULL) != 0)
        return -1;
    uint64_t offsets[4];
    uint64_t lengths[4];
    diskdelta_query answer = DISKDELTA_QUERY_INIT;
    answer.changed_byte_offsets = offsets;
    answer.changed_byte_lengths = lengths;
    answer.capacity = 4;
    diskdelta_get_virtual_disk_changes_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    request.path = "disks/a.vhdx";
    diskdelta_metadata entry = {"job", {(const uint8_t *)"7", 1}};
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    options.bearer_token = "s3cret";
    options.metadata = &entry;
    options.metadata_count = 1;
    options.patience_ms = 10000;
    int result = diskdelta_query_virtual_disk_changes(client, &request, &options, &answer);
    assert_int_equal(answer.count, result == 0 ? 2 : 0);
    assert_int_equal(answer.processed_byte_length, result == 0 ? RECORDED_SIZE : 0);
    return result;
}

static void test_every_allocation_of_an_answer_in_two_parts(void **state)
{
    (void)state;
    unsigned connections = 0;
    struct fake_script script = {.takes_opens = true, .go_on = serve_in_two_parts, .context = &connections};
    append_hello(&script.hello);
    size_t failures = 0;
    for (size_t count = 0;; count++) {
        struct fake_server *server = fake_server_start(&script);
        connections = 0;
        struct scarce scarce = {.left = count};
        diskdelta_allocator allocator = {allocate, release, &scarce};
        diskdelta_client *client = diskdelta_client_create(&allocator);
        if (client != NULL)
            client->backoff = hurry;
        int result = client != NULL ? query(client, fake_server_address(server)) : -1;
        if (result != 0)
            assert_int_equal(diskdelta_client_error(client)->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
        diskdelta_client_close(client);
        fake_server_stop(server);
        assert_int_equal(scarce.held, 0);
        if (result == 0)
            break;
        failures++;
    }
    assert_true(failures > 20);
    assert_int_equal(connections, 2);
    bytes_free(&script.hello);
}

/* ---- Many disks ------------------------------------------------------------------------------------------------ */

/* Two disks: the first is complete before the connection ends, the second is cut. */
static void serve_many_in_two_parts(int fd, void *context)
{
    unsigned *connections = context;
    struct bytes bytes = {0};
    struct bytes single = {0};
    struct fake_call call;
    if (!fake_receive_call(fd, &call))
        return;
    bytes_free(&call.request);
    uint32_t stream = call.stream;
    append_recorded(&single, NULL);
    bool is_first = (*connections)++ % 2 == 0;
    uint32_t number = 0;
    size_t at = 0;
    while (is_first && append_of_disk(&bytes, stream, number, 0, &single, &at))
        number++;
    if (!is_first) {
        single.size = 0;
        append_part_header(&single, 1, RECORDED_SIZE, 8192, "e1");
        append_runs(&single, 1, 1, RECORDED_SIZE, 0, NULL, NULL, NULL);
        append_end(&single, 1, RECORDED_SIZE, &(diskdelta_answer_totals){.processed = RECORDED_SIZE - 8192});
    }
    at = 0;
    while (append_of_disk(&bytes, stream, number, is_first ? 1 : 0, &single, &at)) {
        number++;
        /* The header and a batch. */
        if (is_first && number == 7)
            break;
    }
    if (!is_first)
        append_plain_end(&bytes, stream);
    (void)fake_send(fd, &bytes);
    bytes_free(&bytes);
    bytes_free(&single);
}

static int ask_many(diskdelta_client *client, const char *address, unsigned *complete)
{
    if (diskdelta_client_connect(client, address, NULL) != 0)
        return -1;
    diskdelta_get_virtual_disk_changes_request disk = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_REQUEST_INIT;
    disk.path = "disks/a.vhdx";
    const diskdelta_get_virtual_disk_changes_request *disks[] = {&disk, &disk};
    diskdelta_get_virtual_disk_changes_batch_request request = DISKDELTA_GET_VIRTUAL_DISK_CHANGES_BATCH_REQUEST_INIT;
    request.disks = disks;
    request.disks_count = 2;
    diskdelta_many_changes *many = diskdelta_get_virtual_disk_changes_batch(client, &request, NULL);
    if (many == NULL)
        return -1;
    const diskdelta_disk_event *event = NULL;
    int more;
    while ((more = diskdelta_many_changes_next(many, &event)) == 1) {
        *complete += event->type == DISKDELTA_DISK_COMPLETE ? 1 : 0;
        if (event->type == DISKDELTA_DISK_FAILED)
            assert_int_equal(event->error->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    }
    if (more == -1)
        assert_int_equal(diskdelta_many_changes_error(many)->reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    diskdelta_many_changes_close(many);
    return more;
}

static void test_every_allocation_of_many_disks(void **state)
{
    (void)state;
    unsigned connections = 0;
    struct fake_script script = {.takes_opens = true, .go_on = serve_many_in_two_parts, .context = &connections};
    append_hello(&script.hello);
    size_t failures = 0;
    for (size_t count = 0;; count++) {
        struct fake_server *server = fake_server_start(&script);
        connections = 0;
        struct scarce scarce = {.left = count};
        diskdelta_allocator allocator = {allocate, release, &scarce};
        diskdelta_client *client = diskdelta_client_create(&allocator);
        if (client != NULL)
            client->backoff = hurry;
        unsigned complete = 0;
        int result = client != NULL ? ask_many(client, fake_server_address(server), &complete) : -1;
        diskdelta_client_close(client);
        fake_server_stop(server);
        assert_int_equal(scarce.held, 0);
        if (result == 0) {
            assert_int_equal(complete, 2);
            break;
        }
        failures++;
    }
    assert_true(failures > 20);
    assert_int_equal(connections, 2);
    bytes_free(&script.hello);
}

static void test_arena_keeps_its_budget(void **state)
{
    (void)state;
    struct scarce scarce = {.left = 100};
    diskdelta_allocator allocator = {allocate, release, &scarce};
    struct dd_arena arena;
    dd_arena_init(&arena, &allocator);
    assert_null(dd_arena_take(&arena, 1));
    for (int round = 0; round < 3; round++) {
        dd_arena_reset(&arena, 100000);
        size_t taken = 0;
        for (uint8_t *piece; (piece = dd_arena_take(&arena, 1000)) != NULL; taken += 1000) {
            assert_int_equal((uintptr_t)piece % 16, 0);
            memset(piece, 0xff, 1000);
        }
        assert_true(taken <= 100000 && taken >= 50000);
        assert_false(arena.is_out_of_memory);
        assert_null(dd_arena_take(&arena, SIZE_MAX));
        assert_null(dd_arena_array(&arena, SIZE_MAX / 2, 16));
    }
    scarce.left = 0;
    dd_arena_reset(&arena, 1 << 20);
    assert_null(dd_arena_take(&arena, 1 << 19));
    assert_true(arena.is_out_of_memory);
    dd_arena_free(&arena);
    assert_int_equal(scarce.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_of_an_answer),
        cmocka_unit_test(test_every_allocation_of_an_answer_in_two_parts),
        cmocka_unit_test(test_every_allocation_of_many_disks),
        cmocka_unit_test(test_arena_keeps_its_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
