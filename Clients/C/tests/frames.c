#include "frames.h"

#include "diskdelta/v1/image_management.pb-c.h"
#include "diskdelta/v1/outcome.pb-c.h"

#include <stdlib.h>
#include <string.h>

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

void bytes_append(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->capacity - bytes->size < size) {
        bytes->capacity = (bytes->size + size) * 2;
        bytes->data = realloc(bytes->data, bytes->capacity);
        if (bytes->data == NULL)
            abort();
    }
    if (size > 0)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void append_frame(struct bytes *bytes, enum dd_frame_type type, uint32_t stream, uint32_t aux, const void *payload,
                  size_t size)
{
    uint8_t header[DD_HEADER_SIZE];
    dd_header_encode(
        header, &(struct dd_header){.length = (uint32_t)size, .type = (uint8_t)type, .stream = stream, .aux = aux});
    bytes_append(bytes, header, sizeof header);
    bytes_append(bytes, payload, size);
}

void append_hello(struct bytes *bytes)
{
    uint8_t preface[DD_PREFACE_SIZE];
    dd_preface_encode(preface);
    bytes_append(bytes, preface, sizeof preface);
    append_frame(bytes, DD_FRAME_SETTINGS, 0, 0, NULL, 0);
}

void append_message(struct bytes *bytes, uint32_t stream, uint32_t number, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *payload = malloc(size + 1);
    if (payload == NULL)
        abort();
    protobuf_c_message_pack(message, payload);
    append_frame(bytes, DD_FRAME_DATA, stream, number, payload, size);
    free(payload);
}

#define USUAL_HEADER                                                                                                   \
    {                                                                                                                  \
        PROTOBUF_C_MESSAGE_INIT(&diskdelta__v1__answer_header__descriptor),                                            \
            .disk = (char *)"disks/a.vhdx", .format = DISKDELTA__V1__IMAGE_FORMAT__IMAGE_FORMAT_VHDX,                  \
            .since = (char *)"{00000000-0000-0000-0000-000000000001}", .target = (char *)"", .epoch = (char *)"",      \
            .basis_message = (char *)"", .granularity = 512,                                                           \
            .basis = DISKDELTA__V1__ANSWER_BASIS__ANSWER_BASIS_CHANGES, .unit = 512                                    \
    }

Diskdelta__V1__AnswerHeader told_header = USUAL_HEADER;
const Diskdelta__V1__AnswerHeader usual_header = USUAL_HEADER;

void append_header(struct bytes *bytes, uint32_t stream, uint64_t size)
{
    append_part_header(bytes, stream, size, 0, "e1");
}

void append_part_header(struct bytes *bytes, uint32_t stream, uint64_t size, uint64_t offset, const char *epoch)
{
    Diskdelta__V1__AnswerHeader header = told_header;
    header.size = size;
    header.epoch = (char *)epoch;
    header.window_offset = offset;
    header.window_length = size - offset;
    Diskdelta__V1__RangeAnswer answer = DISKDELTA__V1__RANGE_ANSWER__INIT;
    answer.part_case = DISKDELTA__V1__RANGE_ANSWER__PART_HEADER;
    answer.header = &header;
    append_message(bytes, stream, 0, &answer.base);
}

void append_runs(struct bytes *bytes, uint32_t stream, uint32_t number, uint64_t processed_end, size_t count,
                 const uint64_t *gap, const uint64_t *length, const uint8_t *zero)
{
    Diskdelta__V1__RangeRuns runs = DISKDELTA__V1__RANGE_RUNS__INIT;
    runs.processed_end = processed_end;
    runs.n_gap = runs.n_length = count;
    runs.gap = (uint64_t *)gap;
    runs.length = (uint64_t *)length;
    runs.zero.data = (uint8_t *)zero;
    runs.zero.len = zero != NULL ? (count + 7) / 8 : 0;
    Diskdelta__V1__RangeAnswer answer = DISKDELTA__V1__RANGE_ANSWER__INIT;
    answer.part_case = DISKDELTA__V1__RANGE_ANSWER__PART_RUNS;
    answer.runs = &runs;
    append_message(bytes, stream, number, &answer.base);
}

void append_bitmap(struct bytes *bytes, uint32_t stream, uint32_t number, uint64_t processed_end, size_t size,
                   const uint8_t *bits)
{
    Diskdelta__V1__RangeBitmap bitmap = DISKDELTA__V1__RANGE_BITMAP__INIT;
    bitmap.processed_end = processed_end;
    bitmap.bits.data = (uint8_t *)bits;
    bitmap.bits.len = size;
    Diskdelta__V1__RangeAnswer answer = DISKDELTA__V1__RANGE_ANSWER__INIT;
    answer.part_case = DISKDELTA__V1__RANGE_ANSWER__PART_BITMAP;
    answer.bitmap = &bitmap;
    append_message(bytes, stream, number, &answer.base);
}

static void append_end_frame(struct bytes *bytes, uint32_t stream, uint32_t status, const char *text,
                             const Diskdelta__V1__StatusDetails *details)
{
    uint8_t payload[512] = {0};
    size_t length = strlen(text);
    dd_store16(payload, (uint16_t)length);
    memcpy(payload + 2, text, length);
    size_t size = 4 + length;
    size += diskdelta__v1__status_details__pack(details, payload + size);
    append_frame(bytes, DD_FRAME_END, stream, status, payload, size);
}

void append_end(struct bytes *bytes, uint32_t stream, uint64_t resume_offset, const diskdelta_answer_totals *totals)
{
    Diskdelta__V1__AnswerTotals sent = DISKDELTA__V1__ANSWER_TOTALS__INIT;
    sent.processed = totals->processed;
    sent.ranges = totals->ranges;
    sent.bytes = totals->bytes;
    sent.data_bytes = totals->data_bytes;
    sent.zero_bytes = totals->zero_bytes;
    sent.offset_sum = totals->offset_sum;
    Diskdelta__V1__StatusDetails details = DISKDELTA__V1__STATUS_DETAILS__INIT;
    details.resume_offset = resume_offset;
    details.totals = &sent;
    append_end_frame(bytes, stream, 0, "", &details);
}

void append_refusal(struct bytes *bytes, uint32_t stream, diskdelta_reason reason, const char *text)
{
    Diskdelta__V1__StatusDetails details = DISKDELTA__V1__STATUS_DETAILS__INIT;
    details.reason = (Diskdelta__V1__Reason)reason;
    details.return_value = diskdelta_reason_return_value(reason);
    details.detail_code = diskdelta_reason_detail_code(reason);
    append_end_frame(bytes, stream, (uint32_t)diskdelta_reason_status(reason), text, &details);
}

void append_full(struct bytes *bytes, uint32_t stream, uint32_t retry_delay)
{
    Diskdelta__V1__StatusDetails details = DISKDELTA__V1__STATUS_DETAILS__INIT;
    details.reason = (Diskdelta__V1__Reason)DISKDELTA_REASON_RESOURCE_LIMIT;
    details.return_value = diskdelta_reason_return_value(DISKDELTA_REASON_RESOURCE_LIMIT);
    details.retry_delay = retry_delay;
    append_end_frame(bytes, stream, DISKDELTA_STATUS_RESOURCE_EXHAUSTED, "there are too many calls", &details);
}

void append_plain_end(struct bytes *bytes, uint32_t stream)
{
    const Diskdelta__V1__StatusDetails details = DISKDELTA__V1__STATUS_DETAILS__INIT;
    append_end_frame(bytes, stream, 0, "", &details);
}

bool append_of_disk(struct bytes *bytes, uint32_t stream, uint32_t number, uint32_t disk, const struct bytes *single,
                    size_t *at)
{
    if (*at >= single->size)
        return false;
    struct dd_header header = dd_header_decode(single->data + *at);
    const uint8_t *payload = single->data + *at + DD_HEADER_SIZE;
    *at += DD_HEADER_SIZE + header.length;
    Diskdelta__V1__BatchRangeAnswer message = DISKDELTA__V1__BATCH_RANGE_ANSWER__INIT;
    message.disk = disk;
    if (header.type == DD_FRAME_DATA) {
        message.part_case = DISKDELTA__V1__BATCH_RANGE_ANSWER__PART_ANSWER;
        message.answer = diskdelta__v1__range_answer__unpack(NULL, header.length, payload);
        append_message(bytes, stream, number, &message.base);
        diskdelta__v1__range_answer__free_unpacked(message.answer, NULL);
        return true;
    }
    char text[256] = "";
    size_t length = dd_load16(payload);
    memcpy(text, payload + 2, length);
    Diskdelta__V1__BatchDiskEnd end = DISKDELTA__V1__BATCH_DISK_END__INIT;
    end.status = (Diskdelta__V1__Status)header.aux;
    end.message = text;
    end.details = diskdelta__v1__status_details__unpack(NULL, header.length - 4 - length, payload + 4 + length);
    message.part_case = DISKDELTA__V1__BATCH_RANGE_ANSWER__PART_END;
    message.end = &end;
    append_message(bytes, stream, number, &message.base);
    diskdelta__v1__status_details__free_unpacked(end.details, NULL);
    return true;
}

void append_recorded(struct bytes *bytes, diskdelta_range *ranges)
{
    static const diskdelta_range expected[RECORDED_RANGES] = {
        {1024, 512, DISKDELTA_RANGE_DATA},  {1536, 2048, DISKDELTA_RANGE_ZERO}, {8192, 512, DISKDELTA_RANGE_DATA},
        {9216, 2560, DISKDELTA_RANGE_DATA}, {20480, 512, DISKDELTA_RANGE_ZERO}, {61440, 4096, DISKDELTA_RANGE_DATA},
    };
    append_header(bytes, 1, RECORDED_SIZE);
    append_runs(bytes, 1, 1, 8192, 2, (const uint64_t[]){2, 0}, (const uint64_t[]){1, 4}, (const uint8_t[]){0x02});
    append_bitmap(bytes, 1, 2, 16384, 2, (const uint8_t[]){0x7d, 0x00});
    append_runs(bytes, 1, 3, 65536, 2, (const uint64_t[]){8, 79}, (const uint64_t[]){1, 8}, (const uint8_t[]){0x01});
    diskdelta_answer_totals totals = {.processed = RECORDED_SIZE,
                                      .ranges = 6,
                                      .bytes = 10240,
                                      .data_bytes = 7680,
                                      .zero_bytes = 2560,
                                      .offset_sum = 101888};
    append_end(bytes, 1, RECORDED_SIZE, &totals);
    if (ranges != NULL)
        memcpy(ranges, expected, sizeof expected);
}

size_t end_of_answer(const struct bytes *answer)
{
    size_t at = 0;
    while (answer->data[at + 4] != DD_FRAME_END)
        at += DD_HEADER_SIZE + dd_load32(answer->data + at);
    return at;
}
