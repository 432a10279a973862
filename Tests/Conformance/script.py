"""Plays the conversations of Docs/protocol-conversations.txt, whose head tells the words."""

import shlex
import socket
import struct
import tempfile
import time

import wire
from peer import PATIENCE, Failure, Peer

UNITS = 512


def number(text):
    return int(text, 0)


class Script:
    """A conversation with one program under test. Steps are the methods whose names start with `do_`."""

    def __init__(self, block, subject):
        self.block = block
        self.subject = subject
        self.peer = None
        self.peers = []
        self.listener = None
        # What was sent of range answers, by stream, and where it is about many disks also by disk: position, unit, ranges.
        # Totals are made of it.
        self.answers = {}
        self.address = None
        self.next_odd = 1
        # What the last PING said that came.
        self.ping = b""
        # When the last frame was sent.
        self.sent = 0.0

    def run(self):
        try:
            self.begin()
            for word, value in self.block.lines:
                step = getattr(self, "do_" + word, None)
                if step:
                    try:
                        step(shlex.split(value))
                    except (Failure, ValueError, IndexError, struct.error) as failure:
                        raise Failure(f"{word} {value}: {failure}") from None
            if self.peer and not self.peer.has_ended:
                self.peer.expect_nothing_left()
        finally:
            for peer in self.peers:
                peer.close()
            if self.listener:
                self.listener.close()

    # Making bytes

    def frame(self, words):
        """A frame from TYPE STREAM AUX [KEY=VALUE …]."""
        kind, stream, aux, *rest = words
        stream, aux = number(stream), number(aux)
        options = dict(word.split("=", 1) for word in rest)
        header = {key: number(options.pop(key)) for key in ("flags", "reserved", "length") if key in options}
        payload = self.payload(kind, stream, options)
        if options:
            raise Failure(f"not understood: {options}")
        return wire.frame(kind if kind in wire.TYPES else number(kind), stream, aux, payload, **header)

    def payload(self, kind, stream, options):
        if "hex" in options:
            return bytes.fromhex(options.pop("hex").replace("-", ""))
        if "zeros" in options:
            return bytes(number(options.pop("zeros")))
        if kind == "OPEN":
            entries = []
            if "meta" in options:
                for entry in options.pop("meta").split(","):
                    key, value = entry.split(":", 1)
                    entries.append((key, value.encode()))
            if "call" in options:
                path = "test.Scripted/Answer"
                request = wire.changes_request(options.pop("call"))
            else:
                path, request = options.pop("path", "diskdelta.v1.Health/Check"), b""
            return wire.open_payload(options.pop("path", path), request, entries)
        if kind == "DATA":
            return self.of_disk(stream, options) if "disk" in options else self.message(stream, options)
        if kind == "END":
            details = self.details(stream, options)
            return wire.end_payload(options.pop("text", ""), details)
        if kind == "GOAWAY":
            return wire.goaway_payload(options.pop("code", "NO_ERROR"), options.pop("text", ""))
        if kind == "SETTINGS":
            raise Failure("SETTINGS are sent by: send settings")
        return b""

    def details(self, answer, options):
        """What tells the end of a call, or of one of many disks."""
        details = wire.field(1, number(options.pop("reason", "0")))
        details += wire.field(2, number(options.pop("return_value", "0")))
        if "totals" in options:
            details += self.totals(answer, options.pop("totals"))
        return details + wire.field(6, number(options.pop("retry_delay", "0")))

    def of_disk(self, stream, options):
        """A message about one of many disks: disk=N, and status=N for its end, else as of an answer about it alone."""
        disk = number(options.pop("disk"))
        if "status" in options:
            status = number(options.pop("status"))
            details = self.details((stream, disk), options)
            return wire.disk_end(disk, status, options.pop("text", ""), details)
        if "header" in options:
            options.setdefault("name", f"disk{disk}")
        return wire.disk_answer(disk, self.message((stream, disk), options))

    def message(self, stream, options):
        """A message of a range answer: header=SIZE, or runs=END:GAP+LENGTH,… in units of 512 bytes."""
        if "header" in options:
            size = number(options.pop("header"))
            offset = number(options.pop("offset", "0"))
            length = number(options.pop("window", str(size - offset)))
            self.answers[stream] = {"position": offset, "end": offset + length, "start": offset, "ranges": []}
            values = {key: options.pop(key) for key in list(options) if key in wire.HEADER}
            values = {key: number(text) if isinstance(wire.HEADER[key], int) else text for key, text in values.items()}
            # Only changes are since something.
            values.setdefault("since", "b" if values.get("basis", 1) == 1 else "")
            header = wire.header(size=size, offset=offset, window=length, **values)
            if "sums" in options:
                return wire.summary(header, *map(number, options.pop("sums").split(",")))
            return wire.field(1, header)
        if "runs" in options:
            end, _, pairs = options.pop("runs").partition(":")
            pairs = [tuple(map(int, pair.split("+"))) for pair in pairs.split(",") if pair]
            answer = self.answers.setdefault(stream, {"position": 0, "start": 0, "ranges": []})
            at = answer["position"]
            for gap, length in pairs:
                at += gap * UNITS
                answer["ranges"].append((at, length * UNITS))
                at += length * UNITS
            answer["position"] = number(end)
            return wire.answer_runs(number(end), pairs)
        if "unknown" in options:
            # One field that nobody knows, so that the message has this length.
            count = number(options.pop("unknown"))
            length = next(size for size in range(count, 0, -1) if len(wire.field(15, bytes(size))) == count)
            return wire.field(15, bytes(length))
        if "serving" in options:
            return wire.field(1, number(options.pop("serving")))
        return b""

    def totals(self, stream, change):
        """The totals of what was sent; `totals=FIELD+1` makes one field wrong."""
        if change == "empty":
            return wire.EMPTY_TOTALS
        answer = self.answers[stream]
        ranges = answer["ranges"]
        data = sum(length for _, length in ranges)
        values = {
            "processed": answer["position"] - answer["start"],
            "ranges": len(ranges),
            "data_bytes": data,
            "zero_bytes": 0,
            "offset_sum": sum(offset for offset, _ in ranges) % (1 << 64),
        }
        resume = answer["position"]
        if change.endswith("+1"):
            if change == "resume_offset+1":
                resume += 1
            else:
                values[change.removesuffix("+1")] += 1
        return wire.field(4, resume) + wire.field(5, wire.totals(**values) or b"") if change != "none" else b""

    # Steps of both sides

    def do_send(self, words):
        if words[0] == "preface":
            options = {key: number(value) for key, value in (word.split("=") for word in words[1:])}
            self.peer.send(wire.preface(**options))
        elif words[0] == "settings":
            self.peer.send(wire.settings({name: number(value) for name, value in (word.split("=") for word in words[1:])}))
        elif words[0] == "hello":
            self.do_send(["preface"])
            self.do_send(["settings", *words[1:]])
        elif words[0] == "hex":
            self.peer.send(bytes.fromhex("".join(words[1:])))
        elif words[0] == "part":
            # The first bytes of a frame only.
            self.peer.send(self.frame(words[2:])[: number(words[1])])
        elif words[0] == "answer":
            self.peer.send(wire.frame("PING", 0, 0, self.ping, flags=1))
        else:
            self.sent = time.monotonic()
            self.peer.send(self.frame(words))

    def do_times(self, words):
        """times N send …: the step again and again; {odd} stands for 1, 3, 5 and so on, over all such steps."""
        data = b""
        for _ in range(number(words[0])):
            data += self.frame([word.format(odd=self.next_odd) for word in words[2:]])
            self.next_odd += 2
        self.peer.send(data)

    def do_forget(self, words):
        """What has come of streams needs no longer be expected."""
        self.peer.forget_streams()

    def do_expect(self, words):
        if words[0] == "preface":
            found = self.peer.preface()
            if found[0] != 1:
                raise Failure(f"the major is {found[0]}")
            wanted = dict(word.split("=") for word in words[1:])
            for key, value in zip(("major", "minor", "features"), found):
                if key in wanted and number(wanted[key]) != value:
                    raise Failure(f"{key} is {value}")
        elif words[0] == "hello":
            self.do_expect(["preface"])
            self.do_expect(["SETTINGS", "0", "*", *words[1:]])
        elif words[0] == "close":
            self.peer.expect_close()
        elif words[0] == "last":
            # Whatever was under way, and then the connection is given up.
            self.compare(self.goaway(), ["GOAWAY", "0", "*", f"code={words[1]}"])
            self.peer.forget_streams()
            self.peer.expect_close()
        else:
            least = [word for word in words if word.startswith("after=")]
            self.compare(self.peer.next(number(words[1])), [word for word in words if word not in least])
            waited = (time.monotonic() - self.sent) * 1000
            if least and waited < number(least[0].removeprefix("after=")):
                raise Failure(f"it came after {waited:.0f} ms")

    def compare(self, frame, words):
        kind, stream, aux, *rest = words
        options = dict(word.split("=", 1) for word in rest)
        found = {"aux": frame.aux, "flags": frame.flags}
        if frame.type != kind:
            raise Failure(f"this came: {frame}")
        wanted = {"flags": number(options.pop("flags", "0"))}
        if aux == "+":
            wanted["aux"] = max(frame.aux, 1)
        elif aux != "*":
            wanted["aux"] = number(aux)
        for key, value in options.items():
            wanted[key] = value
            if key in wire.SETTINGS:
                found[key] = str(frame.settings().get(key))
            elif key == "hex":
                found[key] = frame.payload.hex()
            elif key == "length":
                found[key] = str(len(frame.payload))
            elif key == "path":
                found[key] = frame.open()[0]
            elif key == "meta":
                name = value.split(":")[0]
                found[key] = ",".join(f"{entry}:{text.decode()}" for entry, text in frame.open()[1] if entry == name)
            elif key.startswith("request."):
                values = dict(wire.fields(frame.open()[2]))
                value = values.get(number(key.removeprefix("request.")), 0)
                found[key] = value.decode() if isinstance(value, bytes) else str(value)
            elif key == "code":
                found[key] = frame.goaway()[0]
            elif key.startswith("details."):
                values = dict(wire.fields(frame.end()[2]))
                value = values.get(number(key.removeprefix("details.")), 0)
                found[key] = "+" if wanted[key] == "+" and value else str(value)
            elif key == "disks":
                found[key] = ",".join(wire.disk_of_request(disk) for _, disk in wire.fields(frame.open()[2]))
            elif key == "totals":
                values = dict(wire.fields(frame.end()[2]))
                found[key] = "yes" if 5 in values else "no"
            else:
                raise Failure(f"not understood: {key}")
        for key in wanted:
            if found[key] != wanted[key]:
                raise Failure(f"{key} is {found[key]}: {frame}")
        if kind == "PING":
            self.ping = frame.payload
        if kind in ("GOAWAY", "END"):
            # The payload is well formed, and its text within its cap (P-32, P-57).
            text = frame.goaway()[1] if kind == "GOAWAY" else frame.end()[0]
            if len(text.encode()) > 4096:
                raise Failure(f"the text has {len(text.encode())} bytes")

    def goaway(self):
        """The next GOAWAY; what the connection sends before it is not looked at."""
        while True:
            frame = self.peer.next(0)
            if frame.type == "GOAWAY":
                return frame

    def do_quiet(self, words):
        self.peer.expect_quiet(number(words[0]) / 1000)

    def do_wait(self, words):
        time.sleep(number(words[0]) / 1000)

    def do_finish(self, words):
        """Ends the sending direction."""
        self.peer.end_sending()

    def do_close(self, words):
        self.peer.close()

    # Steps that speak to the program under test

    def do_tell(self, words):
        self.subject.tell(" ".join(words).format(address=self.address))

    def do_reply(self, words):
        line = self.subject.line()
        wanted = " ".join(words)
        if line != wanted:
            raise Failure(f"it says: {line}")


class AgainstServer(Script):
    def begin(self):
        line = self.subject.line()
        if not line or not line.startswith("listening on "):
            raise Failure(f"the server says: {line}")
        self.address = line.removeprefix("listening on ")
        self.do_connect([])

    def do_connect(self, words):
        if self.address.startswith("unix:"):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(self.address.removeprefix("unix:"))
        else:
            host, _, port = self.address.rpartition(":")
            connection = socket.create_connection((host.strip("[]"), int(port)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = Peer(connection)
        self.peers.append(self.peer)


class AgainstClient(Script):
    def begin(self):
        if self.block.value("carrier") == "unix":
            path = tempfile.mkdtemp() + "/socket"
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = "unix:" + path
        else:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.listener.listen()

    def do_accept(self, words):
        """Takes the client's next connection, which may not come sooner than so many ms after the step before."""
        since = time.monotonic()
        self.listener.settimeout(PATIENCE)
        try:
            connection, _ = self.listener.accept()
        except TimeoutError:
            raise Failure("the client did not connect") from None
        waited = (time.monotonic() - since) * 1000
        if words and waited < number(words[0]):
            raise Failure(f"the client connected after {waited:.0f} ms")
        self.peer = Peer(connection)
        self.peers.append(self.peer)
