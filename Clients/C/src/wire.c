#include "wire.h"

#include <string.h>

static const uint8_t magic[8] = {0x89, 'D', 'D', 'P', 0x0d, 0x0a, 0x1a, 0x0a};

static const struct dd_breach fine = {DD_NO_ERROR, NULL};

static struct dd_breach breach(enum dd_code code, const char *text)
{
    return (struct dd_breach){code, text};
}

uint16_t dd_load16(const uint8_t *bytes)
{
    return (uint16_t)((unsigned)bytes[0] << 8 | bytes[1]);
}

uint32_t dd_load32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void dd_store16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

void dd_store32(uint8_t *bytes, uint32_t value)
{
    dd_store16(bytes, (uint16_t)(value >> 16));
    dd_store16(bytes + 2, (uint16_t)value);
}

/* ---- Preface --------------------------------------------------------------------------------------------------- */

void dd_preface_encode(uint8_t bytes[DD_PREFACE_SIZE])
{
    memcpy(bytes, magic, sizeof magic);
    dd_store16(bytes + 8, 1);
    dd_store16(bytes + 10, 0);
    dd_store32(bytes + 12, 0);
}

struct dd_breach dd_preface_check(const uint8_t bytes[DD_PREFACE_SIZE])
{
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return breach(DD_NOT_DISKDELTA, "the peer does not speak the DiskDelta protocol");
    if (dd_load16(bytes + 8) != 1)
        return breach(DD_UNSUPPORTED_VERSION, "the peer speaks another major version of the protocol than 1");
    return fine;
}

/* ---- Frame header ---------------------------------------------------------------------------------------------- */

void dd_header_encode(uint8_t bytes[DD_HEADER_SIZE], const struct dd_header *header)
{
    dd_store32(bytes, header->length);
    bytes[4] = header->type;
    bytes[5] = header->flags;
    dd_store16(bytes + 6, header->reserved);
    dd_store32(bytes + 8, header->stream);
    dd_store32(bytes + 12, header->aux);
}

struct dd_header dd_header_decode(const uint8_t bytes[DD_HEADER_SIZE])
{
    return (struct dd_header){
        .length = dd_load32(bytes),
        .type = bytes[4],
        .flags = bytes[5],
        .reserved = dd_load16(bytes + 6),
        .stream = dd_load32(bytes + 8),
        .aux = dd_load32(bytes + 12),
    };
}

bool dd_header_is_ignorable(const struct dd_header *header)
{
    return (header->type & 0x80) != 0;
}

/* What the type alone asks of length and aux. */
static struct dd_breach check_by_type(const struct dd_header *header)
{
    switch (header->type) {
    case DD_FRAME_SETTINGS:
        if (header->aux > DD_MAX_SETTINGS_SIZE / 8 || header->length != header->aux * 8)
            return breach(DD_SETTINGS_ERROR, "P-16: SETTINGS has a wrong number of entries");
        break;
    case DD_FRAME_OPEN:
        if (header->aux > DD_MAX_31_BITS)
            return breach(DD_PROTOCOL_ERROR, "P-25: the time of OPEN is too long");
        break;
    case DD_FRAME_END:
        if (header->aux > 16)
            return breach(DD_PROTOCOL_ERROR, "P-32: the status of END is unknown");
        if (header->length < 4 || header->length > DD_MAX_END_SIZE)
            return breach(DD_PROTOCOL_ERROR, "P-32: the length of END is out of bounds");
        break;
    case DD_FRAME_CANCEL:
        if (header->length != 0 || header->aux == 0 || (header->aux > 16 && header->aux != DD_CANCEL_REFUSED))
            return breach(DD_PROTOCOL_ERROR, "P-38: CANCEL is malformed");
        break;
    case DD_FRAME_CREDIT:
        if (header->length != 0)
            return breach(DD_PROTOCOL_ERROR, "P-11: CREDIT has a payload");
        if (header->aux < 1024 || header->aux > DD_MAX_31_BITS)
            return breach(DD_FLOW_CONTROL_ERROR, "P-42: the bytes that CREDIT grants are out of bounds");
        break;
    case DD_FRAME_PING:
        if (header->length != 8 || header->aux != 0)
            return breach(DD_PROTOCOL_ERROR, "P-48: PING is malformed");
        break;
    case DD_FRAME_GOAWAY:
        if (header->length < 6 || header->length > DD_MAX_GOAWAY_SIZE)
            return breach(DD_PROTOCOL_ERROR, "P-50: the length of GOAWAY is out of bounds");
        break;
    default:
        break;
    }
    return fine;
}

struct dd_breach dd_header_check(const struct dd_header *header, uint32_t max_frame)
{
    if (header->length > max_frame)
        return breach(DD_FRAME_TOO_LARGE, "P-9: a frame is longer than was announced");
    bool is_known = header->type >= DD_FRAME_SETTINGS && header->type <= DD_FRAME_GOAWAY;
    if (!is_known) {
        if (dd_header_is_ignorable(header))
            return fine;
        return breach(DD_UNKNOWN_FRAME, "P-10: the type of a frame is unknown");
    }
    uint8_t known_flags = header->type == DD_FRAME_PING ? DD_FLAG_ACK : 0;
    if ((header->flags & ~known_flags) != 0 || header->reserved != 0 || header->stream > DD_MAX_31_BITS)
        return breach(DD_PROTOCOL_ERROR, "P-11: flags, reserved or the top bit of stream are not 0");
    bool is_about_a_stream = header->type >= DD_FRAME_OPEN && header->type <= DD_FRAME_CANCEL;
    bool is_about_either = header->type == DD_FRAME_CREDIT;
    if (!is_about_either && is_about_a_stream != (header->stream != 0))
        return breach(DD_PROTOCOL_ERROR, "P-11: a frame names a stream, or none, against its type");
    return check_by_type(header);
}

/* ---- SETTINGS -------------------------------------------------------------------------------------------------- */

enum { MAX_FRAME = 1, MAX_STREAMS = 2, STREAM_CREDIT = 3, CONNECTION_CREDIT = 4, MIN_PING_INTERVAL = 5 };

static void encode_entry(uint8_t *bytes, uint16_t id, uint32_t value)
{
    dd_store16(bytes, id);
    dd_store16(bytes + 2, 0);
    dd_store32(bytes + 4, value);
}

void dd_settings_encode(uint8_t bytes[DD_CLIENT_SETTINGS_SIZE], const struct dd_settings *settings)
{
    encode_entry(bytes, MAX_FRAME, settings->max_frame);
    encode_entry(bytes + 8, STREAM_CREDIT, settings->stream_credit);
    encode_entry(bytes + 16, CONNECTION_CREDIT, settings->connection_credit);
}

bool dd_settings_are_valid(const struct dd_settings *settings)
{
    if (settings->max_frame < DD_MIN_MAX_FRAME || settings->max_frame > DD_MAX_FRAME_CAP)
        return false;
    if (settings->stream_credit < 2 * (settings->max_frame + DD_HEADER_SIZE) ||
        settings->stream_credit > DD_MAX_31_BITS)
        return false;
    return settings->connection_credit >= settings->stream_credit && settings->connection_credit <= DD_MAX_31_BITS;
}

struct dd_breach dd_settings_decode(const uint8_t *bytes, size_t size, struct dd_settings *settings)
{
    *settings = (struct dd_settings){.max_frame = 65536, .max_streams = 64, .min_ping_interval = 10000};
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint16_t id = dd_load16(bytes + i);
        uint32_t value = dd_load32(bytes + i + 4);
        if (dd_load16(bytes + i + 2) != 0)
            return breach(DD_SETTINGS_ERROR, "P-16: the second field of a setting is not 0");
        for (size_t j = 0; j < i; j += 8) {
            if (dd_load16(bytes + j) == id)
                return breach(DD_SETTINGS_ERROR, "P-16: a setting occurs twice");
        }
        switch (id) {
        case MAX_FRAME:
            if (value < DD_MIN_MAX_FRAME || value > DD_MAX_FRAME_CAP)
                return breach(DD_SETTINGS_ERROR, "P-16: max_frame is out of bounds");
            settings->max_frame = value;
            break;
        case MAX_STREAMS:
            if (value < 1 || value > 65535)
                return breach(DD_SETTINGS_ERROR, "P-16: max_streams is out of bounds");
            settings->max_streams = value;
            break;
        case MIN_PING_INTERVAL:
            if (value > DD_MAX_31_BITS)
                return breach(DD_SETTINGS_ERROR, "P-16: min_ping_interval is out of bounds");
            settings->min_ping_interval = value;
            break;
        case STREAM_CREDIT:
        case CONNECTION_CREDIT:
            return breach(DD_SETTINGS_ERROR, "P-16: a server announces a setting of clients");
        default:
            break;
        }
    }
    return fine;
}

/* ---- OPEN ------------------------------------------------------------------------------------------------------ */

static bool is_key_character(uint8_t character)
{
    return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') || character == '_' ||
           character == '.' || character == '-';
}

static bool is_path(const char *path)
{
    size_t size = path != NULL ? strnlen(path, DD_MAX_PATH_SIZE + 1) : 0;
    const char *slash = size > 0 ? strchr(path, '/') : NULL;
    if (size > DD_MAX_PATH_SIZE || slash == NULL || slash == path || slash[1] == '\0')
        return false;
    for (size_t i = 0; i < size; i++) {
        char character = path[i];
        bool is_letter = (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
        bool is_digit = character >= '0' && character <= '9';
        if (!is_letter && !is_digit && character != '_' && character != '.' && path + i != slash)
            return false;
    }
    return true;
}

/* The bytes of an entry; 0 where it is malformed. */
static size_t entry_size(const diskdelta_metadata *entry)
{
    size_t size = entry->key != NULL ? strnlen(entry->key, 256) : 0;
    if (size == 0 || size > 255 || entry->value.size > DD_MAX_METADATA_SIZE)
        return 0;
    for (size_t i = 0; i < size; i++) {
        if (!is_key_character((uint8_t)entry->key[i]))
            return 0;
    }
    return 3 + size + entry->value.size;
}

size_t dd_open_prefix_size(const struct dd_open *open)
{
    size_t metadata = 0;
    if (!is_path(open->path))
        return 0;
    for (size_t i = 0; i < open->metadata_count; i++) {
        size_t size = entry_size(&open->metadata[i]);
        if (size == 0 || size > DD_MAX_METADATA_SIZE - metadata)
            return 0;
        metadata += size;
    }
    return 4 + strlen(open->path) + metadata;
}

static uint8_t *encode_metadata(uint8_t *bytes, const diskdelta_metadata *entry)
{
    size_t size = strlen(entry->key);
    *bytes++ = (uint8_t)size;
    memcpy(bytes, entry->key, size);
    bytes += size;
    dd_store16(bytes, (uint16_t)entry->value.size);
    if (entry->value.size > 0)
        memcpy(bytes + 2, entry->value.data, entry->value.size);
    return bytes + 2 + entry->value.size;
}

void dd_open_prefix_encode(uint8_t *bytes, const struct dd_open *open)
{
    size_t path = strlen(open->path);
    uint8_t *metadata = bytes + 4 + path;
    uint8_t *end = metadata;
    memcpy(bytes + 4, open->path, path);
    for (size_t i = 0; i < open->metadata_count; i++)
        end = encode_metadata(end, &open->metadata[i]);
    dd_store16(bytes, (uint16_t)path);
    dd_store16(bytes + 2, (uint16_t)(end - metadata));
}

/* ---- END and GOAWAY -------------------------------------------------------------------------------------------- */

/* Whether the bytes are entries of u8 key length, key, u16 value length, value (P-24). */
static bool is_metadata(const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t key = bytes[0];
        if (key == 0 || size - 1 < key + 2)
            return false;
        for (size_t i = 0; i < key; i++) {
            if (!is_key_character(bytes[1 + i]))
                return false;
        }
        size_t value = dd_load16(bytes + 1 + key);
        size_t entry = 1 + key + 2;
        if (size - entry < value)
            return false;
        bytes += entry + value;
        size -= entry + value;
    }
    return true;
}

struct dd_breach dd_end_decode(const uint8_t *bytes, size_t size, struct dd_end *end)
{
    const struct dd_breach malformed = breach(DD_PROTOCOL_ERROR, "P-32: END is malformed");
    if (size < 4 || size > DD_MAX_END_SIZE)
        return malformed;
    size_t text = dd_load16(bytes);
    if (text > DD_MAX_TEXT_SIZE || text > size - 4)
        return malformed;
    size_t trailers = dd_load16(bytes + 2 + text);
    size_t rest = size - 4 - text;
    if (trailers > DD_MAX_METADATA_SIZE || trailers > rest)
        return malformed;
    if (!dd_is_utf8(bytes + 2, text) || !is_metadata(bytes + 4 + text, trailers))
        return malformed;
    *end = (struct dd_end){
        .text = bytes + 2,
        .text_size = text,
        .details = bytes + 4 + text + trailers,
        .details_size = rest - trailers,
    };
    return fine;
}

struct dd_breach dd_goaway_decode(const uint8_t *bytes, size_t size, struct dd_goaway *goaway)
{
    if (size < 6 || size > DD_MAX_GOAWAY_SIZE || dd_load16(bytes + 4) != size - 6 || !dd_is_utf8(bytes + 6, size - 6))
        return breach(DD_PROTOCOL_ERROR, "P-50: GOAWAY is malformed");
    uint32_t code = dd_load32(bytes);
    *goaway = (struct dd_goaway){
        .code = code <= DD_INTERNAL_ERROR ? code : DD_PROTOCOL_ERROR, .text = bytes + 6, .text_size = size - 6};
    return fine;
}

size_t dd_goaway_encode(uint8_t *bytes, enum dd_code code, const char *text)
{
    size_t size = strlen(text);
    if (size > DD_MAX_TEXT_SIZE)
        size = DD_MAX_TEXT_SIZE;
    dd_store32(bytes, (uint32_t)code);
    dd_store16(bytes + 4, (uint16_t)size);
    memcpy(bytes + 6, text, size);
    return 6 + size;
}

bool dd_is_utf8(const uint8_t *bytes, size_t size)
{
    size_t i = 0;
    while (i < size) {
        uint8_t first = bytes[i];
        if (first < 0x80) {
            i++;
            continue;
        }
        size_t more = first >= 0xc2 && first <= 0xdf   ? 1
                      : first >= 0xe0 && first <= 0xef ? 2
                      : first >= 0xf0 && first <= 0xf4 ? 3
                                                       : 0;
        if (more == 0 || size - i - 1 < more)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if ((bytes[i + k] & 0xc0) != 0x80)
                return false;
        }
        uint8_t second = bytes[i + 1];
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
            (first == 0xf4 && second > 0x8f))
            return false;
        i += more + 1;
    }
    return true;
}
