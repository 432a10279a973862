/* Asks a server many questions at a time, and prints what became of each: the client of Benchmarks/load.
 *
 *     load-client HOST PORT COUNT < QUESTIONS
 *
 * A question is a line "KIND DISK LIMIT_ID OFFSET LENGTH". COUNT of them are open at any time: each that ends is
 * followed by the next line, until there is none. For each a line is printed:
 *
 *     KIND STATUS HEADER_MS BATCH_MS END_MS RANGES BYTES
 *
 * The times count from the OPEN: to the first message, to the second, which is the first batch, and to the END.
 *
 * It shares the processors with the server that it measures, so it does as little as it can: it looks at frames and not
 * into messages, and takes the number of ranges from the totals of END. It speaks what Docs/Protocol.md says, and
 * checks nothing. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    STREAMS = 64,           /* of a connection, as servers allow by default */
    HEADER = 16,            /* of a frame */
    BUFFER = 1 << 18,       /* bytes read at a time */
    HEAD = 16384,           /* of an END, at most */
    STREAM_GRANT = 1 << 19, /* half of the credits that clients announce by default (P-17) */
    CONNECTION_GRANT = 1 << 25,
    SETTINGS = 1,
    OPEN = 2,
    DATA = 3,
    END = 4,
    CANCEL = 5,
    CREDIT = 6
};

static const char path[] = "diskdelta.v1.ImageManagement/GetVirtualDiskChanges";

/* A call that is open. */
struct call {
    uint32_t stream; /* 0: none */
    char kind[16];
    double start, header, batch;
    uint32_t messages;
    uint64_t bytes;
    uint64_t owed; /* credit that was not granted again */
};

struct connection {
    int socket;
    uint32_t next_stream;
    uint64_t owed;
    struct call calls[STREAMS];
    /* The frame that is being read: its header, what is left of its payload, and of an END the payload. */
    uint8_t header[HEADER];
    size_t header_count, left, kept;
    bool has_preface;
    uint8_t head[HEAD];
};

static int open_calls;
static uint8_t buffer[BUFFER];

static void die(const char *what)
{
    fprintf(stderr, "load-client: %s: %s\n", what, errno ? strerror(errno) : "it should not happen");
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static uint8_t *put(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        *to++ = (uint8_t)(value >> (8 * i));
    return to;
}

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* What is sent is little, and a server reads it at once: the socket takes it whole. */
static void send_all(struct connection *connection, const uint8_t *bytes, size_t count)
{
    if (send(connection->socket, bytes, count, MSG_NOSIGNAL) != (ssize_t)count)
        die("send");
}

static uint8_t *put_header(uint8_t *to, uint32_t length, uint8_t type, uint32_t stream, uint32_t aux)
{
    to = put(to, length, 4);
    to = put(to, type, 1);
    to = put(to, 0, 3);
    to = put(to, stream, 4);
    return put(to, aux, 4);
}

static void grant(struct connection *connection, uint32_t stream, uint64_t *owed)
{
    uint8_t frame[HEADER];
    put_header(frame, 0, CREDIT, stream, (uint32_t)*owed);
    send_all(connection, frame, sizeof frame);
    *owed = 0;
}

/* Varints and fields of protobuf. */
static uint8_t *put_varint(uint8_t *to, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        *to++ = (uint8_t)(value | 128);
    *to++ = (uint8_t)value;
    return to;
}

static uint8_t *put_text(uint8_t *to, int field, const char *text)
{
    size_t length = strlen(text);
    to = put_varint(to, (uint64_t)field << 3 | 2);
    to = put_varint(to, length);
    memcpy(to, text, length);
    return to + length;
}

static uint8_t *put_number(uint8_t *to, int field, uint64_t value)
{
    return put_varint(put_varint(to, (uint64_t)field << 3), value);
}

static uint64_t take_varint(const uint8_t **from, const uint8_t *end)
{
    uint64_t value = 0;
    for (int shift = 0; *from < end && shift < 64; shift += 7) {
        uint8_t byte = *(*from)++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            break;
    }
    return value;
}

/* The number in a field of a message, where a path of two fields leads to it: totals (5), ranges (2). */
static uint64_t ranges_of(const uint8_t *from, const uint8_t *end, int wanted)
{
    while (from < end) {
        uint64_t key = take_varint(&from, end);
        uint64_t value = take_varint(&from, end);
        if ((key & 7) == 0) {
            if (wanted == 2 && key >> 3 == 2)
                return value;
            continue;
        }
        if ((key & 7) != 2 || value > (uint64_t)(end - from))
            return 0;
        if (wanted == 5 && key >> 3 == 5)
            return ranges_of(from, from + value, 2);
        from += value;
    }
    return 0;
}

/* Opens the next question on this connection. False where there is none. */
static bool ask(struct connection *connection)
{
    char line[1024], kind[16], disk[512], limit[128];
    unsigned long long offset, length;
    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    if (sscanf(line, "%15s %511s %127s %llu %llu", kind, disk, limit, &offset, &length) != 5)
        die("a question that is none");
    struct call *call = connection->calls;
    while (call->stream != 0)
        call++;
    memset(call, 0, sizeof *call);
    strcpy(call->kind, kind);
    call->stream = connection->next_stream;
    connection->next_stream += 2;

    uint8_t request[1024];
    uint8_t *end = put_text(request, 1, disk);
    end = put_text(end, 2, limit);
    if (offset != 0)
        end = put_number(end, 4, offset);
    if (length != 0)
        end = put_number(end, 5, length);
    size_t count = (size_t)(end - request);

    uint8_t frame[2048];
    uint32_t payload = (uint32_t)(4 + strlen(path) + count);
    uint8_t *to = put_header(frame, payload, OPEN, call->stream, 0);
    to = put(to, strlen(path), 2);
    to = put(to, 0, 2);
    memcpy(to, path, strlen(path));
    to += strlen(path);
    memcpy(to, request, count);
    call->start = now();
    send_all(connection, frame, HEADER + payload);
    open_calls++;
    return true;
}

static struct call *find(struct connection *connection, uint32_t stream)
{
    for (int i = 0; i < STREAMS; i++)
        if (connection->calls[i].stream == stream)
            return &connection->calls[i];
    die("a stream that is not open");
    return NULL;
}

static void ended(struct connection *connection, struct call *call, uint32_t status, uint64_t ranges)
{
    double time = now();
    printf("%s %u %.3f %.3f %.3f %llu %llu\n", call->kind, status, call->messages > 0 ? call->header - call->start : 0,
           call->messages > 1 ? call->batch - call->start : 0, time - call->start, (unsigned long long)ranges,
           (unsigned long long)call->bytes);
    call->stream = 0;
    open_calls--;
    ask(connection);
}

/* A frame has arrived whole. */
static void arrived(struct connection *connection)
{
    uint32_t length = get32(connection->header), stream = get32(connection->header + 8);
    uint32_t aux = get32(connection->header + 12);
    uint8_t type = connection->header[4];
    if (type == DATA) {
        struct call *call = find(connection, stream);
        if (call->messages == 0)
            call->header = now();
        if (call->messages == 1)
            call->batch = now();
        call->messages++;
        call->bytes += length;
        call->owed += HEADER + length;
        connection->owed += HEADER + length;
        if (call->owed >= STREAM_GRANT)
            grant(connection, stream, &call->owed);
        if (connection->owed >= CONNECTION_GRANT)
            grant(connection, 0, &connection->owed);
    } else if (type == END) {
        const uint8_t *from = connection->head, *end = connection->head + connection->kept;
        uint64_t ranges = 0;
        /* Text, trailers, details. */
        for (int i = 0; i < 2 && end - from >= 2; i++) {
            size_t skipped = (size_t)from[0] << 8 | from[1];
            from += skipped <= (size_t)(end - from) - 2 ? 2 + skipped : (size_t)(end - from);
        }
        ranges = ranges_of(from, end, 5);
        if (aux != 0)
            fprintf(stderr, "load-client: status %u: %.*s\n", aux, (int)connection->kept - 2, connection->head + 2);
        ended(connection, find(connection, stream), aux, ranges);
    } else if (type == CANCEL) {
        ended(connection, find(connection, stream), aux, 0);
    } else if (type != SETTINGS) {
        errno = 0;
        die("a frame that is not expected");
    }
}

/* Takes what was read apart. */
static void take(struct connection *connection, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        if (connection->header_count < HEADER) {
            size_t part = HEADER - connection->header_count;
            part = part < count ? part : count;
            memcpy(connection->header + connection->header_count, bytes, part);
            connection->header_count += part;
            bytes += part;
            count -= part;
            if (connection->header_count < HEADER)
                return;
            connection->left = connection->has_preface ? get32(connection->header) : 0;
            connection->kept = 0;
        }
        size_t part = connection->left < count ? connection->left : count;
        if (connection->header[4] == END && connection->has_preface && connection->kept + part <= HEAD) {
            memcpy(connection->head + connection->kept, bytes, part);
            connection->kept += part;
        }
        bytes += part;
        count -= part;
        connection->left -= part;
        if (connection->left > 0)
            return;
        if (connection->has_preface)
            arrived(connection);
        connection->has_preface = true;
        connection->header_count = 0;
    }
}

static void start(struct connection *connection, const char *host, int port, int poll)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    connection->socket = socket(AF_INET, SOCK_STREAM, 0);
    connection->next_stream = 1;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        connect(connection->socket, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* The preface, and SETTINGS without an entry: everything as it is by default. */
    uint8_t greeting[2 * HEADER];
    memcpy(greeting,
           "\x89"
           "DDP\r\n\x1a\n",
           8);
    put_header(put(put(put(greeting + 8, 1, 2), 0, 2), 0, 4), 0, SETTINGS, 0, 0);
    send_all(connection, greeting, sizeof greeting);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, connection->socket, &event) != 0)
        die("epoll_ctl");
}

int main(int count, char **arguments)
{
    if (count != 4) {
        fprintf(stderr, "usage: load-client HOST PORT COUNT < QUESTIONS\n");
        return 2;
    }
    int calls = atoi(arguments[3]);
    int connections = (calls + STREAMS - 1) / STREAMS;
    int poll = epoll_create1(0);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    if (all == NULL || poll < 0)
        die("start");
    for (int i = 0; i < connections; i++)
        start(&all[i], arguments[1], atoi(arguments[2]), poll);
    for (int i = 0; i < calls; i++)
        ask(&all[i % connections]);
    while (open_calls > 0) {
        struct epoll_event events[64];
        int ready = epoll_wait(poll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            ssize_t length = recv(connection->socket, buffer, sizeof buffer, 0);
            if (length <= 0)
                die("the connection has ended");
            take(connection, buffer, (size_t)length);
        }
    }
    return 0;
}
