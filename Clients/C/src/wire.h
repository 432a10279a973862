/*
 * The bytes of the protocol: the preface, frame headers and the payloads that are not messages, to and from memory.
 * Docs/Protocol.md numbers the rules (P-9). Nothing here allocates or remembers anything.
 */
#ifndef DD_WIRE_H
#define DD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <diskdelta/common.h>

enum {
    DD_PREFACE_SIZE = 16,
    DD_HEADER_SIZE = 16,
    DD_MAX_SETTINGS_SIZE = 32 * 8,
    DD_MAX_TEXT_SIZE = 4096,
    DD_MAX_METADATA_SIZE = 8192,
    DD_MAX_END_SIZE = 16384,
    DD_MAX_GOAWAY_SIZE = 6 + DD_MAX_TEXT_SIZE,
    DD_MAX_PATH_SIZE = 255,
};

#define DD_MAX_FRAME_CAP 16777215u
#define DD_MIN_MAX_FRAME 16384u
#define DD_MAX_31_BITS 2147483647u

enum dd_frame_type {
    DD_FRAME_SETTINGS = 1,
    DD_FRAME_OPEN = 2,
    DD_FRAME_DATA = 3,
    DD_FRAME_END = 4,
    DD_FRAME_CANCEL = 5,
    DD_FRAME_CREDIT = 6,
    DD_FRAME_PING = 7,
    DD_FRAME_GOAWAY = 8,
};

enum { DD_FLAG_ACK = 1, DD_CANCEL_REFUSED = 256 };

/* The codes of GOAWAY. */
enum dd_code {
    DD_NO_ERROR = 0,
    DD_PROTOCOL_ERROR = 1,
    DD_FRAME_TOO_LARGE = 2,
    DD_UNKNOWN_FRAME = 3,
    DD_SETTINGS_ERROR = 4,
    DD_STREAM_ERROR = 5,
    DD_FLOW_CONTROL_ERROR = 6,
    DD_UNSUPPORTED_VERSION = 7,
    DD_HANDSHAKE_TIMEOUT = 8,
    DD_EXCESSIVE_LOAD = 9,
    DD_INTERNAL_ERROR = 10,
    /* Not on the wire: close without a GOAWAY (P-6). */
    DD_NOT_DISKDELTA = 256,
};

/* What is wrong with something received: `text` is NULL where nothing is. */
struct dd_breach {
    enum dd_code code;
    const char *text;
};

struct dd_header {
    uint32_t length;
    uint8_t type;
    uint8_t flags;
    uint16_t reserved;
    uint32_t stream;
    uint32_t aux;
};

struct dd_settings {
    uint32_t max_frame;
    uint32_t max_streams;
    uint32_t stream_credit;
    uint32_t connection_credit;
    uint32_t min_ping_interval;
};

/* The parts of END's payload, inside it. */
struct dd_end {
    const uint8_t *text;
    size_t text_size;
    const uint8_t *details;
    size_t details_size;
};

/* The parts of GOAWAY's payload, inside it. An unknown code is told as PROTOCOL_ERROR (P-50). */
struct dd_goaway {
    uint32_t code;
    const uint8_t *text;
    size_t text_size;
};

uint16_t dd_load16(const uint8_t *bytes);
uint32_t dd_load32(const uint8_t *bytes);
void dd_store16(uint8_t *bytes, uint16_t value);
void dd_store32(uint8_t *bytes, uint32_t value);

void dd_preface_encode(uint8_t bytes[DD_PREFACE_SIZE]);
struct dd_breach dd_preface_check(const uint8_t bytes[DD_PREFACE_SIZE]);

void dd_header_encode(uint8_t bytes[DD_HEADER_SIZE], const struct dd_header *header);
struct dd_header dd_header_decode(const uint8_t bytes[DD_HEADER_SIZE]);

/* All that a header alone can be judged by. `max_frame` is what its receiver announced. */
struct dd_breach dd_header_check(const struct dd_header *header, uint32_t max_frame);

/* Whether a frame of an unknown type may be skipped (P-10). */
bool dd_header_is_ignorable(const struct dd_header *header);

/* What a client announces; the three entries take 24 bytes. */
enum { DD_CLIENT_SETTINGS_SIZE = 24 };
void dd_settings_encode(uint8_t bytes[DD_CLIENT_SETTINGS_SIZE], const struct dd_settings *settings);

/* Whether a client may announce these (P-16). */
bool dd_settings_are_valid(const struct dd_settings *settings);

/* What a server announced. */
struct dd_breach dd_settings_decode(const uint8_t *bytes, size_t size, struct dd_settings *settings);

/* A call's path and metadata (P-24). */
struct dd_open {
    const char *path;
    const diskdelta_metadata *metadata;
    size_t metadata_count;
};

/* The bytes before the request in OPEN's payload; 0 where path or metadata are malformed. */
size_t dd_open_prefix_size(const struct dd_open *open);

/* Writes them, as many as dd_open_prefix_size() says. */
void dd_open_prefix_encode(uint8_t *bytes, const struct dd_open *open);

struct dd_breach dd_end_decode(const uint8_t *bytes, size_t size, struct dd_end *end);

struct dd_breach dd_goaway_decode(const uint8_t *bytes, size_t size, struct dd_goaway *goaway);

/* The payload of GOAWAY into `bytes`, which has room for DD_MAX_GOAWAY_SIZE; gives its size. Longer text is cut. */
size_t dd_goaway_encode(uint8_t *bytes, enum dd_code code, const char *text);

/* Whether the bytes are UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. */
bool dd_is_utf8(const uint8_t *bytes, size_t size);

#endif
