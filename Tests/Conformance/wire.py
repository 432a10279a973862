"""The bytes of the protocol, written from Docs/Protocol.md alone: a third implementation, for tests and tools.

It builds whatever it is told to, also what breaks a rule; who uses it decides what is right.
"""

import struct

MAGIC = b"\x89DDP\r\n\x1a\n"
PREFACE_SIZE = HEADER_SIZE = 16
HARD_CAP = (1 << 24) - 1
UNDECIDED = (1 << 31) - 1
REFUSED = 256
ACK = 1

TYPES = {"SETTINGS": 1, "OPEN": 2, "DATA": 3, "END": 4, "CANCEL": 5, "CREDIT": 6, "PING": 7, "GOAWAY": 8}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
SETTINGS = {"max_frame": 1, "max_streams": 2, "stream_credit": 3, "connection_credit": 4, "min_ping_interval": 5}
CODES = [
    "NO_ERROR", "PROTOCOL_ERROR", "FRAME_TOO_LARGE", "UNKNOWN_FRAME", "SETTINGS_ERROR", "STREAM_ERROR",
    "FLOW_CONTROL_ERROR", "UNSUPPORTED_VERSION", "HANDSHAKE_TIMEOUT", "EXCESSIVE_LOAD", "INTERNAL_ERROR",
]  # fmt: skip
STATUSES = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
]  # fmt: skip


def preface(major=1, minor=0, features=0, magic=MAGIC):
    return magic + struct.pack(">HHI", major, minor, features)


def frame(type, stream=0, aux=0, payload=b"", flags=0, reserved=0, length=None):
    """A frame; `type` is a name or a number, `length` what the header says where that is not the truth."""
    number = TYPES[type] if isinstance(type, str) else type
    return struct.pack(">IBBHII", len(payload) if length is None else length, number, flags, reserved, stream, aux) + payload


def settings(values):
    """SETTINGS with these entries: names or numbers to values."""
    entries = [(SETTINGS.get(key, key), value) for key, value in values.items()]
    return frame("SETTINGS", 0, len(entries), b"".join(struct.pack(">HHI", key, 0, value) for key, value in entries))


def metadata(entries):
    return b"".join(
        bytes([len(key)]) + key.encode() + struct.pack(">H", len(value)) + value for key, value in entries
    )


def open_payload(path, request=b"", entries=()):
    packed = metadata(entries)
    return struct.pack(">HH", len(path), len(packed)) + path.encode() + packed + request


def end_payload(text="", details=b"", trailers=()):
    packed = metadata(trailers)
    text = text.encode()
    return struct.pack(">H", len(text)) + text + struct.pack(">H", len(packed)) + packed + details


def goaway_payload(code=0, text=""):
    number = CODES.index(code) if isinstance(code, str) else code
    text = text.encode()
    return struct.pack(">IH", number, len(text)) + text


class Frame:
    """A frame that was received, taken apart."""

    def __init__(self, header, payload):
        length, number, self.flags, self.reserved, self.stream, self.aux = struct.unpack(">IBBHII", header)
        self.number = number
        self.type = TYPE_NAMES.get(number, f"0x{number:02x}")
        self.payload = payload

    def settings(self):
        entries = {}
        for offset in range(0, len(self.payload), 8):
            key, _, value = struct.unpack_from(">HHI", self.payload, offset)
            entries[key] = value
        return {name: entries[key] for name, key in SETTINGS.items() if key in entries}

    def open(self):
        """Path, metadata, request."""
        path, packed = struct.unpack_from(">HH", self.payload)
        rest = self.payload[4:]
        return rest[:path].decode(), entries_of(rest[path : path + packed]), rest[path + packed :]

    def end(self):
        """Text, trailers, details."""
        (count,) = struct.unpack_from(">H", self.payload)
        (trailers,) = struct.unpack_from(">H", self.payload, 2 + count)
        rest = self.payload[4 + count :]
        return self.payload[2 : 2 + count].decode(), entries_of(rest[:trailers]), rest[trailers:]

    def goaway(self):
        """Code by name, text."""
        code, count = struct.unpack_from(">IH", self.payload)
        return CODES[code] if code < len(CODES) else str(code), self.payload[6 : 6 + count].decode()

    def __str__(self):
        text = f"{self.type} {self.stream} {self.aux}"
        if self.flags:
            text += f" flags={self.flags}"
        if self.type == "OPEN":
            text += f" {self.open()[0]}"
        elif self.type == "END":
            text += f" ({self.end()[0]})"
        elif self.type == "GOAWAY":
            code, reason = self.goaway()
            text += f" {code} ({reason})"
        elif self.payload:
            text += f" {self.payload[:24].hex()}{'…' if len(self.payload) > 24 else ''}"
        return text


def entries_of(packed):
    entries = []
    while packed:
        key = packed[1 : 1 + packed[0]].decode()
        (count,) = struct.unpack_from(">H", packed, 1 + packed[0])
        value = 3 + packed[0]
        entries.append((key, packed[value : value + count]))
        packed = packed[value + count :]
    return entries


# ---- the messages that tests and tools need, in protobuf's encoding


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A field: a number, or bytes or text with their length. Zero and nothing are left out, as proto3 has it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value if value else b""


def fields(message):
    """The fields of a message: a list of number and value, in their order."""
    found, at = [], 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            found.append((key >> 3, number()))
        else:
            count = number() if key & 7 == 2 else {1: 8, 5: 4}[key & 7]
            found.append((key >> 3, message[at : at + count]))
            at += count
    return found


def changes_request(path, byte_offset=None, byte_length=None, if_epoch=""):
    request = field(1, path)
    request += field(4, byte_offset or 0)
    if byte_length is not None:
        request += varint(5 << 3) + varint(byte_length)
    return request + field(7, if_epoch)


# What a header says where a test does not say something else: the changes of `disk` since `b`.
HEADER = {
    "name": "disk", "format": 1, "size": 0, "since": "b", "target": "", "epoch": "e", "granularity": 512, "basis": 1,
    "unit": 512, "offset": 0, "window": 0, "reason": 0, "message": "", "at_rest": 0,
}  # fmt: skip


def header(**values):
    """An AnswerHeader: its fields have the numbers from 1 on in the order of HEADER."""
    return b"".join(field(number, value) for number, value in enumerate((HEADER | values).values(), 1))


def answer_header(size, window=None, **values):
    offset, length = window or (0, size)
    return field(1, header(size=size, offset=offset, window=length, **values))


def summary(header, ranges, bytes, data_bytes, zero_bytes, largest):
    sums = (ranges, bytes, data_bytes, zero_bytes, largest)
    return field(1, header) + b"".join(field(number, value) for number, value in enumerate(sums, 2))


def answer_runs(processed_end, pairs, zero=b""):
    """A batch as runs: pairs of gap and length in units."""
    return field(
        2,
        field(1, processed_end)
        + field(2, b"".join(varint(gap) for gap, _ in pairs))
        + field(3, b"".join(varint(length) for _, length in pairs))
        + field(4, zero),
    )


def answer_bitmap(processed_end, bits):
    return field(3, field(1, processed_end) + field(2, bits))


# Totals that are there, all of them 0.
EMPTY_TOTALS = varint(5 << 3 | 2) + varint(0)


def disk_answer(disk, answer):
    """A message about one of many disks; neither answer nor end where there are no bytes."""
    return field(1, disk) + field(2, answer)


def disk_end(disk, status, text, details):
    end = field(1, status) + field(2, text) + field(3, details)
    return field(1, disk) + varint(3 << 3 | 2) + varint(len(end)) + end


def disk_of_request(request):
    """One disk of a question about many, as PATH, and where it is about a rest, @OFFSET+LENGTH@EPOCH."""
    values = dict(fields(request))
    text = values[1].decode()
    return f"{text}@{values.get(4, 0)}+{values[5]}@{values.get(7, b'').decode()}" if 5 in values else text


def totals(processed, ranges, data_bytes, zero_bytes, offset_sum):
    return (
        field(1, processed) + field(2, ranges) + field(3, data_bytes + zero_bytes) + field(4, data_bytes)
        + field(5, zero_bytes) + field(6, offset_sum)
    )  # fmt: skip
