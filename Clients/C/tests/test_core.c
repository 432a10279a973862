/* The connection's state machine by itself: credit, limits, time, races. */
#include "frames.h"
#include "test.h"

#include <diskdelta/core.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The smallest settings: two frames of credit for a stream, two streams. */
static const diskdelta_core_options small = {
    .struct_size = sizeof small, .max_frame = 16384, .stream_credit = 32800, .connection_credit = 65600};

static diskdelta_core *connected(const diskdelta_core_options *options)
{
    diskdelta_core *core = diskdelta_core_create(NULL, options);
    struct bytes hello = {0};
    append_hello(&hello);
    diskdelta_core_feed(core, hello.data, hello.size);
    bytes_free(&hello);
    assert_true(diskdelta_core_is_ready(core));
    const uint8_t *bytes = NULL;
    diskdelta_core_sent(core, diskdelta_core_output(core, &bytes));
    return core;
}

static diskdelta_core_stream *open_with(diskdelta_core *core, uint32_t timeout, size_t size, diskdelta_failure *failure)
{
    static const uint8_t zeroes[65536];
    diskdelta_core_call call = DISKDELTA_CORE_CALL_INIT;
    call.path = "a.B/C";
    call.timeout_ms = timeout;
    call.request = (diskdelta_bytes){zeroes, size};
    diskdelta_core_stream *stream = diskdelta_core_open(core, &call, failure);
    return stream;
}

static diskdelta_core_stream *open_one(diskdelta_core *core)
{
    diskdelta_failure failure;
    diskdelta_core_stream *stream = open_with(core, 0, 0, &failure);
    assert_non_null(stream);
    return stream;
}

static void feed_frame(diskdelta_core *core, enum dd_frame_type type, uint32_t stream, uint32_t aux, size_t size)
{
    static const uint8_t zeroes[65536];
    struct bytes bytes = {0};
    append_frame(&bytes, type, stream, aux, zeroes, size);
    diskdelta_core_feed(core, bytes.data, bytes.size);
    bytes_free(&bytes);
}

/* Takes the next frame that the client sends. */
static bool take_frame(diskdelta_core *core, struct dd_header *header)
{
    const uint8_t *bytes = NULL;
    if (diskdelta_core_output(core, &bytes) < DD_HEADER_SIZE)
        return false;
    *header = dd_header_decode(bytes);
    diskdelta_core_sent(core, DD_HEADER_SIZE + header->length);
    return true;
}

static void assert_frame(diskdelta_core *core, enum dd_frame_type type, uint32_t stream, uint32_t aux)
{
    struct dd_header header;
    assert_true(take_frame(core, &header));
    assert_int_equal(header.type, type);
    assert_int_equal(header.stream, stream);
    assert_int_equal(header.aux, aux);
}

static void assert_no_frame(diskdelta_core *core)
{
    const uint8_t *bytes = NULL;
    assert_int_equal(diskdelta_core_output(core, &bytes), 0);
}

static diskdelta_core_event_type next(diskdelta_core_stream *stream)
{
    diskdelta_core_event event;
    diskdelta_core_stream_next(stream, &event);
    return event.type;
}

static void assert_breach(diskdelta_core *core, enum dd_code code)
{
    assert_non_null(diskdelta_core_failure(core));
    assert_int_equal(diskdelta_core_failure(core)->reason, DISKDELTA_REASON_ANSWER_INVALID);
    const uint8_t *bytes = NULL;
    size_t size = diskdelta_core_output(core, &bytes);
    assert_true(size > DD_HEADER_SIZE);
    for (size_t at = 0; at < size;) {
        struct dd_header header = dd_header_decode(bytes + at);
        if (header.type == DD_FRAME_GOAWAY)
            assert_int_equal(dd_load32(bytes + at + DD_HEADER_SIZE), code);
        at += DD_HEADER_SIZE + header.length;
    }
}

static void test_introduction(void **state)
{
    (void)state;
    diskdelta_core *core = diskdelta_core_create(NULL, &small);
    const uint8_t *bytes = NULL;
    assert_int_equal(diskdelta_core_output(core, &bytes), DD_PREFACE_SIZE + DD_HEADER_SIZE + DD_CLIENT_SETTINGS_SIZE);
    assert_null(dd_preface_check(bytes).text);
    assert_false(diskdelta_core_is_ready(core));
    diskdelta_core_free(core);
}

static void test_credit_is_granted_when_read(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_core_stream *stream = open_one(core);
    assert_frame(core, DD_FRAME_OPEN, 1, 0);
    feed_frame(core, DD_FRAME_DATA, 1, 0, 8192 - DD_HEADER_SIZE);
    feed_frame(core, DD_FRAME_DATA, 1, 1, 8192 - DD_HEADER_SIZE);
    feed_frame(core, DD_FRAME_DATA, 1, 2, 8192 - DD_HEADER_SIZE);
    /* Nothing was read yet, so nothing is granted. */
    assert_no_frame(core);
    assert_int_equal(next(stream), DISKDELTA_CORE_MESSAGE);
    assert_int_equal(next(stream), DISKDELTA_CORE_MESSAGE);
    assert_no_frame(core);
    /* Half of the stream's credit: now both are granted. */
    assert_int_equal(next(stream), DISKDELTA_CORE_MESSAGE);
    assert_frame(core, DD_FRAME_CREDIT, 0, 24576);
    assert_frame(core, DD_FRAME_CREDIT, 1, 24576);
    assert_int_equal(next(stream), DISKDELTA_CORE_NONE);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

static void test_data_beyond_the_stream_credit(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_core_stream *stream = open_one(core);
    feed_frame(core, DD_FRAME_DATA, 1, 0, 16384);
    feed_frame(core, DD_FRAME_DATA, 1, 1, 16384);
    assert_null(diskdelta_core_failure(core));
    feed_frame(core, DD_FRAME_DATA, 1, 2, 0);
    assert_breach(core, DD_FLOW_CONTROL_ERROR);
    /* What had arrived can still be read; then the failure. */
    assert_int_equal(next(stream), DISKDELTA_CORE_MESSAGE);
    assert_int_equal(next(stream), DISKDELTA_CORE_MESSAGE);
    assert_int_equal(next(stream), DISKDELTA_CORE_FAILED);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

static void test_unread_messages_of_a_closed_stream_are_granted(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_core_stream *stream = open_one(core);
    assert_frame(core, DD_FRAME_OPEN, 1, 0);
    feed_frame(core, DD_FRAME_DATA, 1, 0, 16384);
    feed_frame(core, DD_FRAME_END, 1, 0, 4);
    assert_frame(core, DD_FRAME_CREDIT, 0, 16400);
    /* Reading it afterwards grants nothing a second time. */
    assert_int_equal(next(stream), DISKDELTA_CORE_MESSAGE);
    assert_int_equal(next(stream), DISKDELTA_CORE_END);
    assert_int_equal(next(stream), DISKDELTA_CORE_END);
    assert_no_frame(core);
    diskdelta_core_stream_close(stream);
    assert_no_frame(core);
    diskdelta_core_free(core);
}

static void test_frames_that_cross_a_cancel(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_core_stream *stream = open_one(core);
    assert_frame(core, DD_FRAME_OPEN, 1, 0);
    diskdelta_core_stream_close(stream);
    assert_frame(core, DD_FRAME_CANCEL, 1, DISKDELTA_STATUS_CANCELLED);
    feed_frame(core, DD_FRAME_DATA, 1, 0, 16384);
    assert_frame(core, DD_FRAME_CREDIT, 0, 16400);
    feed_frame(core, DD_FRAME_DATA, 1, 1, 10);
    feed_frame(core, DD_FRAME_END, 1, 1, 4);
    assert_null(diskdelta_core_failure(core));
    /* The server has ended it: more is an error. */
    feed_frame(core, DD_FRAME_DATA, 1, 2, 10);
    assert_breach(core, DD_STREAM_ERROR);
    diskdelta_core_free(core);
}

static void test_cancel_in_the_midst_of_a_frame(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_core_stream *stream = open_one(core);
    struct bytes bytes = {0};
    uint8_t payload[1000] = {0};
    append_frame(&bytes, DD_FRAME_DATA, 1, 0, payload, sizeof payload);
    diskdelta_core_feed(core, bytes.data, 500);
    diskdelta_core_stream_close(stream);
    diskdelta_core_feed(core, bytes.data + 500, bytes.size - 500);
    assert_null(diskdelta_core_failure(core));
    diskdelta_core_stream *other = open_one(core);
    feed_frame(core, DD_FRAME_DATA, 3, 0, 10);
    assert_int_equal(next(other), DISKDELTA_CORE_MESSAGE);
    diskdelta_core_stream_close(other);
    bytes_free(&bytes);
    diskdelta_core_free(core);
}

static void test_limit_of_streams(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_core_stream *first = open_one(core);
    diskdelta_core_stream *second = open_one(core);
    diskdelta_failure failure;
    assert_null(open_with(core, 0, 0, &failure));
    assert_int_equal(failure.reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    /* One that has ended no longer counts, even if it was not closed. */
    feed_frame(core, DD_FRAME_END, 1, 0, 4);
    diskdelta_core_stream *third = open_one(core);
    diskdelta_core_stream_close(first);
    diskdelta_core_stream_close(second);
    diskdelta_core_stream_close(third);
    diskdelta_core_free(core);
}

static void test_request_larger_than_the_server_accepts(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_failure failure;
    const size_t most = 65536 - 4 - strlen("a.B/C");
    assert_null(open_with(core, 0, most + 1, &failure));
    assert_int_equal(failure.reason, DISKDELTA_REASON_RESOURCE_LIMIT);
    assert_null(open_with(core, 0, SIZE_MAX / 4, &failure));
    diskdelta_core_stream *stream = open_with(core, 0, most, &failure);
    assert_non_null(stream);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

static void test_deadline(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_core_advance(core, 1000);
    diskdelta_failure failure;
    diskdelta_core_stream *stream = open_with(core, 50, 0, &failure);
    assert_frame(core, DD_FRAME_OPEN, 1, 50);
    assert_int_equal(diskdelta_core_next_timeout(core), 1050);
    feed_frame(core, DD_FRAME_DATA, 1, 0, 10);
    diskdelta_core_advance(core, 1049);
    assert_no_frame(core);
    diskdelta_core_advance(core, 1050);
    assert_frame(core, DD_FRAME_CANCEL, 1, DISKDELTA_STATUS_DEADLINE_EXCEEDED);
    diskdelta_core_event event;
    diskdelta_core_stream_next(stream, &event);
    assert_int_equal(event.type, DISKDELTA_CORE_FAILED);
    assert_int_equal(event.failure->reason, DISKDELTA_REASON_DEADLINE);
    diskdelta_core_stream_close(stream);
    assert_no_frame(core);
    diskdelta_core_free(core);
}

static void test_deadline_wins_over_a_broken_connection(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_failure failure;
    diskdelta_core_advance(core, 1000);
    diskdelta_core_stream *late = open_with(core, 50, 0, &failure);
    diskdelta_core_stream *other = open_with(core, 5000, 0, &failure);
    diskdelta_core_advance(core, 1060);
    diskdelta_core_feed_end(core, NULL);
    diskdelta_core_event event;
    diskdelta_core_stream_next(late, &event);
    assert_int_equal(event.failure->reason, DISKDELTA_REASON_DEADLINE);
    diskdelta_core_stream_next(other, &event);
    assert_int_equal(event.failure->reason, DISKDELTA_REASON_SERVER_UNAVAILABLE);
    diskdelta_core_stream_close(late);
    diskdelta_core_stream_close(other);
    diskdelta_core_free(core);
}

static void test_end_before_the_deadline_stays(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_failure failure;
    diskdelta_core_stream *stream = open_with(core, 50, 0, &failure);
    feed_frame(core, DD_FRAME_END, 1, 0, 4);
    diskdelta_core_advance(core, 1000000);
    assert_int_equal(next(stream), DISKDELTA_CORE_END);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

static void test_ping(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    feed_frame(core, DD_FRAME_PING, 0, 0, 8);
    struct dd_header header;
    assert_true(take_frame(core, &header));
    assert_int_equal(header.type, DD_FRAME_PING);
    assert_int_equal(header.flags, DD_FLAG_ACK);
    feed_frame(core, DD_FRAME_PING, 0, 0, 8);
    assert_null(diskdelta_core_failure(core));
    /* The answer was not sent yet. */
    feed_frame(core, DD_FRAME_PING, 0, 0, 8);
    assert_breach(core, DD_EXCESSIVE_LOAD);
    diskdelta_core_free(core);
}

static void test_goaway(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&(diskdelta_core_options){
        .struct_size = sizeof small, .max_frame = 16384, .stream_credit = 32800, .connection_credit = 32800 * 8});
    diskdelta_core_stream *first = open_one(core);
    diskdelta_core_stream *second = open_one(core);
    feed_frame(core, DD_FRAME_GOAWAY, 0, 1, 6);
    assert_int_equal(next(first), DISKDELTA_CORE_NONE);
    assert_int_equal(next(second), DISKDELTA_CORE_FAILED);
    diskdelta_failure failure;
    assert_null(open_with(core, 0, 0, &failure));
    assert_int_equal(failure.reason, DISKDELTA_REASON_SERVER_UNAVAILABLE);
    feed_frame(core, DD_FRAME_END, 1, 0, 4);
    assert_int_equal(next(first), DISKDELTA_CORE_END);
    diskdelta_core_stream_close(first);
    diskdelta_core_stream_close(second);
    diskdelta_core_free(core);
}

/* ---- Keepalive ------------------------------------------------------------------------------------------------- */

/* Asks after 1000 ms of silence, gives up 500 ms later. */
static const diskdelta_core_options lively = {.struct_size = sizeof lively,
                                              .max_frame = 16384,
                                              .stream_credit = 32800,
                                              .connection_credit = 65600,
                                              .keepalive_ms = 1000,
                                              .keepalive_timeout_ms = 500};

/* The server's introduction, with the least time between two PINGs. */
static diskdelta_core *connected_with_interval(uint32_t interval)
{
    diskdelta_core *core = diskdelta_core_create(NULL, &lively);
    struct bytes hello = {0};
    uint8_t preface[DD_PREFACE_SIZE];
    uint8_t entry[8] = {0, 5};
    dd_preface_encode(preface);
    dd_store32(entry + 4, interval);
    bytes_append(&hello, preface, sizeof preface);
    append_frame(&hello, DD_FRAME_SETTINGS, 0, 1, entry, sizeof entry);
    diskdelta_core_feed(core, hello.data, hello.size);
    bytes_free(&hello);
    assert_true(diskdelta_core_is_ready(core));
    const uint8_t *bytes = NULL;
    diskdelta_core_sent(core, diskdelta_core_output(core, &bytes));
    diskdelta_core_advance(core, 10000);
    return core;
}

/* Takes the PING that is to be sent, and its bytes. */
static void take_ping(diskdelta_core *core, uint8_t payload[8])
{
    const uint8_t *bytes = NULL;
    assert_int_equal(diskdelta_core_output(core, &bytes), DD_HEADER_SIZE + 8);
    struct dd_header header = dd_header_decode(bytes);
    assert_int_equal(header.type, DD_FRAME_PING);
    assert_int_equal(header.flags, 0);
    memcpy(payload, bytes + DD_HEADER_SIZE, 8);
    diskdelta_core_sent(core, DD_HEADER_SIZE + 8);
}

static void feed_ack(diskdelta_core *core, const uint8_t payload[8])
{
    struct bytes bytes = {0};
    append_frame(&bytes, DD_FRAME_PING, 0, 0, payload, 8);
    bytes.data[5] = DD_FLAG_ACK;
    diskdelta_core_feed(core, bytes.data, bytes.size);
    bytes_free(&bytes);
}

static void test_silent_server_is_asked_and_given_up(void **state)
{
    (void)state;
    diskdelta_core *core = connected_with_interval(0);
    /* Without a call nobody is asked. */
    assert_int_equal(diskdelta_core_next_timeout(core), UINT64_MAX);
    diskdelta_core_stream *stream = open_one(core);
    assert_frame(core, DD_FRAME_OPEN, 1, 0);
    assert_int_equal(diskdelta_core_next_timeout(core), 11000);
    diskdelta_core_advance(core, 10999);
    assert_no_frame(core);
    diskdelta_core_advance(core, 11000);
    uint8_t payload[8];
    take_ping(core, payload);
    assert_int_equal(diskdelta_core_next_timeout(core), 11500);
    diskdelta_core_advance(core, 11499);
    assert_null(diskdelta_core_failure(core));
    diskdelta_core_advance(core, 11500);
    assert_int_equal(diskdelta_core_failure(core)->reason, DISKDELTA_REASON_SERVER_UNAVAILABLE);
    assert_int_equal(next(stream), DISKDELTA_CORE_FAILED);
    assert_no_frame(core);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

static void test_an_answer_is_a_sign_of_life(void **state)
{
    (void)state;
    diskdelta_core *core = connected_with_interval(0);
    diskdelta_core_stream *stream = open_one(core);
    assert_frame(core, DD_FRAME_OPEN, 1, 0);
    uint8_t payload[8];
    for (uint64_t now = 11000; now < 50000; now += 1400) {
        diskdelta_core_advance(core, now);
        take_ping(core, payload);
        diskdelta_core_advance(core, now + 400);
        feed_ack(core, payload);
        diskdelta_core_advance(core, now + 400);
        assert_int_equal(diskdelta_core_next_timeout(core), now + 1400);
    }
    /* The answer to what nobody asked. */
    feed_ack(core, payload);
    assert_breach(core, DD_PROTOCOL_ERROR);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

/* Anything is, even half a frame; but no second PING goes out before the first is answered. */
static void test_anything_is_a_sign_of_life(void **state)
{
    (void)state;
    diskdelta_core *core = connected_with_interval(0);
    diskdelta_core_stream *stream = open_one(core);
    assert_frame(core, DD_FRAME_OPEN, 1, 0);
    diskdelta_core_advance(core, 11000);
    uint8_t payload[8];
    take_ping(core, payload);
    diskdelta_core_feed(core, (const uint8_t[]){0}, 1);
    diskdelta_core_advance(core, 11300);
    assert_int_equal(diskdelta_core_next_timeout(core), 12300);
    diskdelta_core_advance(core, 12300);
    assert_no_frame(core);
    assert_int_equal(diskdelta_core_next_timeout(core), 12800);
    diskdelta_core_advance(core, 12800);
    assert_non_null(diskdelta_core_failure(core));
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

/* A program that was away for long has not read what arrived meanwhile: it feeds, then lets time pass. */
static void test_time_away_is_no_silence(void **state)
{
    (void)state;
    diskdelta_core *core = connected_with_interval(0);
    diskdelta_core_stream *stream = open_one(core);
    assert_frame(core, DD_FRAME_OPEN, 1, 0);
    diskdelta_core_advance(core, 11000);
    uint8_t payload[8];
    take_ping(core, payload);
    feed_ack(core, payload);
    diskdelta_core_advance(core, 900000);
    assert_null(diskdelta_core_failure(core));
    assert_no_frame(core);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

/* P-83: the server's own interval, where it is longer. */
static void test_interval_of_the_server(void **state)
{
    (void)state;
    diskdelta_core *core = connected_with_interval(5000);
    diskdelta_core_stream *stream = open_one(core);
    assert_frame(core, DD_FRAME_OPEN, 1, 0);
    diskdelta_core_advance(core, 11000);
    uint8_t payload[8];
    take_ping(core, payload);
    feed_ack(core, payload);
    diskdelta_core_advance(core, 11001);
    assert_int_equal(diskdelta_core_next_timeout(core), 16000);
    diskdelta_core_advance(core, 15999);
    assert_no_frame(core);
    diskdelta_core_advance(core, 16000);
    take_ping(core, payload);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

static void test_keepalive_off(void **state)
{
    (void)state;
    diskdelta_core_options options = small;
    options.keepalive_ms = DISKDELTA_OFF;
    diskdelta_core *core = connected(&options);
    diskdelta_core_stream *stream = open_one(core);
    assert_int_equal(diskdelta_core_next_timeout(core), UINT64_MAX);
    assert_frame(core, DD_FRAME_OPEN, 1, 0);
    diskdelta_core_advance(core, 1u << 30);
    assert_no_frame(core);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

/* ---- What was not begun (P-93) --------------------------------------------------------------------------------- */

static bool was_not_begun(diskdelta_core_stream *stream)
{
    diskdelta_core_event event;
    diskdelta_core_stream_next(stream, &event);
    assert_int_equal(event.type, DISKDELTA_CORE_FAILED);
    return event.was_not_begun;
}

static void feed_goaway(diskdelta_core *core, uint32_t last, enum dd_code code)
{
    uint8_t payload[64];
    struct bytes bytes = {0};
    append_frame(&bytes, DD_FRAME_GOAWAY, 0, last, payload, dd_goaway_encode(payload, code, "bye"));
    diskdelta_core_feed(core, bytes.data, bytes.size);
    bytes_free(&bytes);
}

/* P-85: first nothing is decided, then what was taken up goes on and what was not fails. */
static void test_goaway_in_two_steps(void **state)
{
    (void)state;
    diskdelta_core_options options = small;
    options.connection_credit = 32800 * 8;
    diskdelta_core *core = connected(&options);
    diskdelta_core_stream *first = open_one(core);
    diskdelta_core_stream *second = open_one(core);
    const uint8_t *bytes = NULL;
    diskdelta_core_sent(core, diskdelta_core_output(core, &bytes));
    feed_goaway(core, DD_MAX_31_BITS, DD_NO_ERROR);
    assert_null(diskdelta_core_failure(core));
    assert_non_null(diskdelta_core_farewell(core));
    assert_int_equal(next(first), DISKDELTA_CORE_NONE);
    assert_int_equal(next(second), DISKDELTA_CORE_NONE);
    diskdelta_failure failure;
    assert_null(open_with(core, 0, 0, &failure));
    /* Its PING is answered. */
    feed_frame(core, DD_FRAME_PING, 0, 0, 8);
    struct dd_header header;
    assert_true(take_frame(core, &header));
    assert_int_equal(header.flags, DD_FLAG_ACK);
    feed_goaway(core, 1, DD_NO_ERROR);
    assert_true(was_not_begun(second));
    assert_int_equal(next(first), DISKDELTA_CORE_NONE);
    assert_int_equal(diskdelta_core_open_count(core), 1);
    feed_frame(core, DD_FRAME_END, 1, 0, 4);
    assert_int_equal(next(first), DISKDELTA_CORE_END);
    diskdelta_core_stream_close(first);
    diskdelta_core_stream_close(second);
    diskdelta_core_free(core);
}

static void test_goaway_that_rises(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    feed_goaway(core, 1, DD_NO_ERROR);
    feed_goaway(core, 3, DD_NO_ERROR);
    assert_breach(core, DD_PROTOCOL_ERROR);
    diskdelta_core_free(core);
}

/* With an error all have failed, but only those above were not begun. */
static void test_goaway_with_an_error(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_core_stream *first = open_one(core);
    diskdelta_core_stream *second = open_one(core);
    const uint8_t *bytes = NULL;
    diskdelta_core_sent(core, diskdelta_core_output(core, &bytes));
    feed_goaway(core, 1, DD_EXCESSIVE_LOAD);
    assert_false(was_not_begun(first));
    assert_true(was_not_begun(second));
    diskdelta_core_stream_close(first);
    diskdelta_core_stream_close(second);
    diskdelta_core_free(core);
}

static void test_refused(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    diskdelta_core_stream *first = open_one(core);
    diskdelta_core_stream *second = open_one(core);
    const uint8_t *bytes = NULL;
    diskdelta_core_sent(core, diskdelta_core_output(core, &bytes));
    feed_frame(core, DD_FRAME_CANCEL, 1, DD_CANCEL_REFUSED, 0);
    feed_frame(core, DD_FRAME_CANCEL, 3, DISKDELTA_STATUS_UNAVAILABLE, 0);
    assert_true(was_not_begun(first));
    assert_false(was_not_begun(second));
    diskdelta_core_stream_close(first);
    diskdelta_core_stream_close(second);
    diskdelta_core_free(core);
}

/* However much of the request was sent: unless it was all, the call was not begun, and never will be. */
static void test_open_that_was_not_sent_whole(void **state)
{
    (void)state;
    for (size_t sent = 0;; sent++) {
        diskdelta_core *core = connected(&small);
        diskdelta_core_stream *stream = open_one(core);
        const uint8_t *bytes = NULL;
        size_t size = diskdelta_core_output(core, &bytes);
        diskdelta_core_sent(core, sent);
        diskdelta_core_feed_end(core, NULL);
        assert_int_equal(was_not_begun(stream), sent < size);
        assert_no_frame(core);
        diskdelta_core_stream_close(stream);
        diskdelta_core_free(core);
        if (sent == size)
            break;
    }
}

/* ---- By itself ------------------------------------------------------------------------------------------------- */

static void test_next_stream(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    int marks[2];
    diskdelta_core_stream *streams[2];
    for (int i = 0; i < 2; i++) {
        diskdelta_core_call call = DISKDELTA_CORE_CALL_INIT;
        call.path = "a.B/C";
        call.data = &marks[i];
        diskdelta_failure failure;
        streams[i] = diskdelta_core_open(core, &call, &failure);
        assert_ptr_equal(diskdelta_core_stream_data(streams[i]), &marks[i]);
    }
    assert_null(diskdelta_core_next_stream(core));
    feed_frame(core, DD_FRAME_DATA, 3, 0, 10);
    assert_ptr_equal(diskdelta_core_next_stream(core), streams[1]);
    assert_int_equal(next(streams[1]), DISKDELTA_CORE_MESSAGE);
    assert_null(diskdelta_core_next_stream(core));
    feed_frame(core, DD_FRAME_END, 1, 0, 4);
    assert_ptr_equal(diskdelta_core_next_stream(core), streams[0]);
    assert_int_equal(next(streams[0]), DISKDELTA_CORE_END);
    assert_null(diskdelta_core_next_stream(core));
    /* Streams outlive the connection. */
    diskdelta_core_free(core);
    assert_int_equal(next(streams[1]), DISKDELTA_CORE_FAILED);
    diskdelta_core_stream_close(streams[0]);
    diskdelta_core_stream_close(streams[1]);
}

static void test_calls_that_are_malformed(void **state)
{
    (void)state;
    diskdelta_core *core = connected(&small);
    static const char *const paths[] = {"", "a", "/a", "a/", "a/b/c", "a/b c", "a/\xc3\xa4"};
    diskdelta_failure failure;
    diskdelta_core_call call = DISKDELTA_CORE_CALL_INIT;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        call.path = paths[i];
        assert_null(diskdelta_core_open(core, &call, &failure));
        assert_int_equal(failure.reason, DISKDELTA_REASON_INVALID_PARAMETER);
    }
    assert_null(diskdelta_core_open(core, NULL, &failure));
    call.path = "a/b";
    call.timeout_ms = 1u << 31;
    assert_null(diskdelta_core_open(core, &call, &failure));
    call.timeout_ms = 0;
    static const uint8_t value[8192];
    static const char *const keys[] = {"", "A", "a b", NULL};
    diskdelta_metadata entry = {"k", {value, 8192}};
    call.metadata = &entry;
    call.metadata_count = 1;
    assert_null(diskdelta_core_open(core, &call, &failure));
    entry.value.size = 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        entry.key = keys[i];
        assert_null(diskdelta_core_open(core, &call, &failure));
    }
    assert_no_frame(core);
    entry = (diskdelta_metadata){"k", {value, 8192 - 4}};
    diskdelta_core_stream *stream = diskdelta_core_open(core, &call, &failure);
    assert_non_null(stream);
    diskdelta_core_stream_close(stream);
    diskdelta_core_free(core);
}

/* ---- Garbage --------------------------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t random_number(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % below;
}

/* Frames that are often nearly right, in any order: nothing but the sanitizer judges. */
static void test_garbage(void **state)
{
    (void)state;
    const char *given = getenv("DISKDELTA_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 20240;
    print_message("seed %llu\n", (unsigned long long)seed);
    random_state = seed;
    for (int round = 0; round < 3000; round++) {
        diskdelta_core *core = connected(&small);
        diskdelta_core_stream *streams[2] = {open_one(core), open_one(core)};
        for (int frame = 0; frame < 20 && diskdelta_core_failure(core) == NULL; frame++) {
            struct bytes bytes = {0};
            uint8_t payload[64];
            for (size_t i = 0; i < sizeof payload; i++)
                payload[i] = random_number(3) == 0 ? (uint8_t)random_number(256) : 0;
            append_frame(&bytes,
                         (enum dd_frame_type)(random_number(40) == 0 ? random_number(256) : 3 + random_number(6)),
                         random_number(8) == 0 ? random_number(8) : 1 + 2 * random_number(2),
                         random_number(4) == 0 ? random_number(20) : (uint32_t)frame / 2, payload, random_number(40));
            if (random_number(30) == 0)
                bytes.data[random_number((uint32_t)bytes.size)] ^= (uint8_t)(1u << random_number(8));
            for (size_t at = 0; at < bytes.size;) {
                size_t piece = 1 + random_number(20);
                piece = piece < bytes.size - at ? piece : bytes.size - at;
                diskdelta_core_feed(core, bytes.data + at, piece);
                at += piece;
                if (random_number(4) == 0)
                    (void)next(streams[random_number(2)]);
            }
            bytes_free(&bytes);
            if (random_number(20) == 0) {
                diskdelta_core_stream_close(streams[0]);
                diskdelta_failure failure;
                streams[0] = open_with(core, 0, 0, &failure);
                if (streams[0] == NULL)
                    break;
            }
        }
        diskdelta_core_stream_close(streams[0]);
        diskdelta_core_stream_close(streams[1]);
        diskdelta_core_free(core);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_introduction),
        cmocka_unit_test(test_credit_is_granted_when_read),
        cmocka_unit_test(test_data_beyond_the_stream_credit),
        cmocka_unit_test(test_unread_messages_of_a_closed_stream_are_granted),
        cmocka_unit_test(test_frames_that_cross_a_cancel),
        cmocka_unit_test(test_cancel_in_the_midst_of_a_frame),
        cmocka_unit_test(test_limit_of_streams),
        cmocka_unit_test(test_request_larger_than_the_server_accepts),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_deadline_wins_over_a_broken_connection),
        cmocka_unit_test(test_end_before_the_deadline_stays),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_silent_server_is_asked_and_given_up),
        cmocka_unit_test(test_an_answer_is_a_sign_of_life),
        cmocka_unit_test(test_anything_is_a_sign_of_life),
        cmocka_unit_test(test_time_away_is_no_silence),
        cmocka_unit_test(test_interval_of_the_server),
        cmocka_unit_test(test_keepalive_off),
        cmocka_unit_test(test_goaway_in_two_steps),
        cmocka_unit_test(test_goaway_that_rises),
        cmocka_unit_test(test_goaway_with_an_error),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_open_that_was_not_sent_whole),
        cmocka_unit_test(test_next_stream),
        cmocka_unit_test(test_calls_that_are_malformed),
        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
