/*
 * The core of the C client, under what a server sends, what the program does and the passing of time. What it sends is
 * read along: it must be frames, and nothing comes after a GOAWAY that tells of an error.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

enum {
    STREAMS = 16,
    MAX_FRAME = 16384,
    STREAM_CREDIT = 40000,
    CONNECTION_CREDIT = 100000,
    /* What a connection may hold besides unread messages. */
    SLACK = 512 * 1024,
};

struct stream {
    diskdelta_core_stream *stream;
    bool has_ended;
    diskdelta_core_event_type end;
};

struct fixture {
    diskdelta_core *core;
    struct scarce *scarce;
    struct stream streams[STREAMS];
    uint64_t now;
    uint32_t numbers[STREAMS];
    /* What the client has sent and was not read along. */
    struct bytes sent;
    bool has_preface;
    bool is_over;
};

static uint32_t number_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Reads along; gives how many bytes it has read. */
static size_t check_frame(struct fixture *fixture, const uint8_t *bytes, size_t size)
{
    if (size < 16)
        return 0;
    if (!fixture->has_preface) {
        expect(memcmp(bytes,
                      "\x89"
                      "DDP\r\n\x1a\n\0\1",
                      10) == 0,
               "another preface");
        fixture->has_preface = true;
        return 16;
    }
    uint32_t length = number_at(bytes);
    uint8_t type = bytes[4];
    uint32_t stream = number_at(bytes + 8);
    uint32_t aux = number_at(bytes + 12);
    expect(length <= 65536, "a frame that is too long");
    if (size - 16 < length)
        return 0;
    expect(!fixture->is_over, "a frame after the end");
    expect(bytes[6] == 0 && bytes[7] == 0 && stream >> 31 == 0, "a reserved field");
    expect(bytes[5] == 0 || (type == 7 && bytes[5] == 1), "a flag");
    switch (type) {
    case 1:
    case 8:
        expect(stream == 0, "a frame of the connection on a stream");
        if (type == 8) {
            expect(length >= 6 && aux == 0, "a GOAWAY that is malformed");
            fixture->is_over = number_at(bytes + 16) != 0;
        }
        break;
    case 2:
        expect(stream % 2 == 1 && aux >> 31 == 0, "an OPEN that is malformed");
        break;
    case 5:
        expect(stream % 2 == 1 && length == 0 && aux >= 1 && aux <= 16, "a CANCEL that is malformed");
        break;
    case 6:
        expect(length == 0 && aux >= 1024 && (stream == 0 || stream % 2 == 1), "a CREDIT that is malformed");
        break;
    case 7:
        expect(stream == 0 && length == 8 && aux == 0, "a PING that is malformed");
        break;
    default:
        found("a frame that no client sends");
    }
    return 16 + (size_t)length;
}

static void send_some(struct fixture *fixture, size_t most)
{
    const uint8_t *bytes = NULL;
    size_t size = diskdelta_core_output(fixture->core, &bytes);
    if (size > most)
        size = most;
    append(&fixture->sent, bytes, size);
    diskdelta_core_sent(fixture->core, size);
    size_t read = 0;
    for (size_t count; (count = check_frame(fixture, fixture->sent.data + read, fixture->sent.size - read)) > 0;)
        read += count;
    if (read > 0) {
        memmove(fixture->sent.data, fixture->sent.data + read, fixture->sent.size - read);
        fixture->sent.size -= read;
    }
}

static void receive(struct fixture *fixture, const struct bytes *bytes, struct operations *operations)
{
    size_t at = 0;
    size_t piece = take_byte(operations) % 4 == 0 ? 1 + take_byte(operations) : bytes->size;
    for (; at < bytes->size; at += piece) {
        size_t count = bytes->size - at < piece ? bytes->size - at : piece;
        diskdelta_core_feed(fixture->core, bytes->data + at, count);
    }
    diskdelta_core_advance(fixture->core, fixture->now);
}

static void make_frame(struct fixture *fixture, struct bytes *bytes, struct operations *operations)
{
    unsigned slot = take_byte(operations) % STREAMS;
    uint32_t stream = 2 * slot + 1;
    struct bytes payload = {0};
    size_t count;
    const uint8_t *raw;
    switch (take_byte(operations) % 12) {
    case 0:
        append_greeting(bytes);
        break;
    case 1:
        for (unsigned i = take_byte(operations) % 6; i > 0; i--) {
            append_number(&payload, take_byte(operations) % 8, 2);
            append_number(&payload, 0, 2);
            append_number(&payload, take_number(operations), 4);
        }
        append_frame(bytes, 1, 0, (uint32_t)payload.size / 8, 0, payload.data, payload.size);
        break;
    case 2:
    case 3:
        append_zeros(&payload, (size_t)take_up_to(operations, 17000));
        append_frame(bytes, 3, stream, take_byte(operations) == 255 ? 7 : fixture->numbers[slot]++, 0, payload.data,
                     payload.size);
        break;
    case 4:
        append_number(&payload, 4, 2);
        append(&payload, "text", 4);
        append_number(&payload, 0, 2);
        raw = take_bytes(operations, 40, &count);
        append(&payload, raw, count);
        append_frame(bytes, 4, stream, take_byte(operations) % 18, 0, payload.data, payload.size);
        break;
    case 5:
        raw = take_bytes(operations, 200, &count);
        append_frame(bytes, 4, stream, take_byte(operations) % 18, 0, raw, count);
        break;
    case 6:
        append_frame(bytes, 5, stream, take_byte(operations) % 2 == 0 ? 256 : take_byte(operations) % 18, 0, NULL, 0);
        break;
    case 7:
        append_number(&payload, take_byte(operations), 8);
        append_frame(bytes, 7, 0, 0, take_byte(operations) % 2, payload.data, payload.size);
        break;
    case 8:
        append_number(&payload, take_byte(operations) % 12, 4);
        raw = take_bytes(operations, 20, &count);
        append_number(&payload, count, 2);
        append(&payload, raw, count);
        append_frame(bytes, 8, 0, take_byte(operations) % 2 == 0 ? 0x7fffffff : stream, 0, payload.data, payload.size);
        break;
    case 9:
        raw = take_bytes(operations, 60, &count);
        append_frame(bytes, 0x80 | take_byte(operations), stream, 0, 0, raw, count);
        break;
    case 10:
        raw = take_bytes(operations, 300, &count);
        append_frame(bytes, take_byte(operations), (uint32_t)take_number(operations), (uint32_t)take_number(operations),
                     take_byte(operations), raw, count);
        break;
    default:
        raw = take_bytes(operations, 255, &count);
        append(bytes, raw, count);
        break;
    }
    free(payload.data);
}

static void open_stream(struct fixture *fixture, struct operations *operations)
{
    for (size_t i = 0; i < STREAMS; i++) {
        if (fixture->streams[i].stream != NULL)
            continue;
        diskdelta_core_call call = DISKDELTA_CORE_CALL_INIT;
        diskdelta_failure failure;
        call.path = "a.B/C";
        size_t size;
        const uint8_t *request = take_bytes(operations, 300, &size);
        call.request.data = request;
        call.request.size = size;
        call.timeout_ms = take_byte(operations) % 4 == 0 ? (uint32_t)take_up_to(operations, INT32_MAX) : 0;
        fixture->streams[i] = (struct stream){.stream = diskdelta_core_open(fixture->core, &call, &failure)};
        if (fixture->streams[i].stream == NULL)
            expect(failure.text[0] != '\0' && failure.reason != DISKDELTA_REASON_NONE, "a refusal without a reason");
        return;
    }
}

static void read_stream(struct stream *stream)
{
    if (stream->stream == NULL)
        return;
    diskdelta_core_event event;
    diskdelta_core_stream_next(stream->stream, &event);
    if (stream->has_ended)
        expect(event.type == stream->end, "an end that changes");
    switch (event.type) {
    case DISKDELTA_CORE_MESSAGE:
        expect(event.message.size <= MAX_FRAME, "a message that is too long");
        for (size_t i = 0; i < event.message.size; i++)
            expect(event.message.data[i] == 0 || i < 4096, "another message");
        break;
    case DISKDELTA_CORE_END:
        expect((unsigned)event.status <= 16, "a status that is none");
        stream->has_ended = true;
        break;
    case DISKDELTA_CORE_FAILED:
        expect(event.failure != NULL && event.failure->text[0] != '\0', "a failure without a text");
        expect(event.failure->status != DISKDELTA_STATUS_OK, "a failure that is none");
        stream->has_ended = true;
        break;
    case DISKDELTA_CORE_NONE:
        break;
    }
    stream->end = event.type;
}

static void close_stream(struct stream *stream)
{
    diskdelta_core_stream_close(stream->stream);
    *stream = (struct stream){0};
}

static void step(struct fixture *fixture, struct operations *operations)
{
    struct stream *stream = &fixture->streams[take_byte(operations) % STREAMS];
    struct bytes bytes = {0};
    switch (take_byte(operations) % 12) {
    case 0:
        open_stream(fixture, operations);
        break;
    case 1:
    case 2:
        read_stream(stream);
        break;
    case 3:
        close_stream(stream);
        break;
    case 4:
        if (stream->stream != NULL) {
            diskdelta_failure failure = {DISKDELTA_STATUS_CANCELLED, DISKDELTA_REASON_CANCELLED, "given up"};
            diskdelta_core_stream_cancel(stream->stream, &failure);
        }
        break;
    case 5:
        fixture->now += take_up_to(operations, UINT32_MAX);
        diskdelta_core_advance(fixture->core, fixture->now);
        expect(diskdelta_core_next_timeout(fixture->core) > fixture->now, "a time that is over and does nothing");
        break;
    case 6:
        send_some(fixture, (size_t)take_number(operations));
        break;
    case 7:
        if (take_byte(operations) == 255)
            diskdelta_core_feed_end(fixture->core, NULL);
        break;
    default:
        make_frame(fixture, &bytes, operations);
        receive(fixture, &bytes, operations);
        break;
    }
    free(bytes.data);
    size_t count = 0;
    for (size_t i = 0; i < STREAMS; i++)
        count += fixture->streams[i].stream != NULL;
    expect(diskdelta_core_open_count(fixture->core) <= count, "more calls than there are");
    if (diskdelta_core_failure(fixture->core) != NULL)
        expect(diskdelta_core_open_count(fixture->core) == 0, "a call that outlives its connection");
    expect(fixture->scarce->held_bytes <= CONNECTION_CREDIT + SLACK, "more memory than was announced");
}

void run_core(struct operations operations, struct scarce *scarce)
{
    diskdelta_allocator allocator = scarce_allocator(scarce);
    diskdelta_core_options options = DISKDELTA_CORE_OPTIONS_INIT;
    options.max_frame = MAX_FRAME;
    options.stream_credit = STREAM_CREDIT;
    options.connection_credit = CONNECTION_CREDIT;
    if (take_byte(&operations) % 2 == 1)
        options.keepalive_ms = DISKDELTA_OFF;
    struct fixture fixture = {.core = diskdelta_core_create(&allocator, &options), .scarce = scarce, .now = 1000};
    if (fixture.core == NULL) {
        expect(scarce->left != SIZE_MAX, "no core though there is memory");
        return;
    }
    diskdelta_core_advance(fixture.core, fixture.now);
    if (take_byte(&operations) % 2 == 1) {
        struct bytes greeting = {0};
        append_greeting(&greeting);
        diskdelta_core_feed(fixture.core, greeting.data, greeting.size);
        free(greeting.data);
    }
    while (operations.size > 0)
        step(&fixture, &operations);
    diskdelta_core_feed_end(fixture.core, NULL);
    send_some(&fixture, SIZE_MAX);
    for (size_t i = 0; i < STREAMS; i++) {
        /* Everything that was not taken, and the end at last. */
        for (size_t events = 0; fixture.streams[i].stream != NULL && !fixture.streams[i].has_ended; events++) {
            expect(events < 10000, "a call without an end");
            read_stream(&fixture.streams[i]);
            expect(fixture.streams[i].end != DISKDELTA_CORE_NONE, "a call without an end");
        }
        close_stream(&fixture.streams[i]);
    }
    diskdelta_core_free(fixture.core);
    free(fixture.sent.data);
}
