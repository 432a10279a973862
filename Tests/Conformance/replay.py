"""Plays the vectors of Docs/protocol-vectors.txt that are whole conversations, over sockets. Its head tells what they mean."""

import wire
from peer import Failure
from script import AgainstClient, AgainstServer


def differs(what, found, wanted):
    if found != wanted:
        raise Failure(f"{what}: {found}, where {wanted} is expected")


class ServerVector(AgainstServer):
    """All that a server receives. A `wait` service is behind Health/Check, and says when calls begin and stop."""

    def run(self):
        try:
            self.begin()
            self.replay()
        finally:
            for peer in self.peers:
                peer.close()

    def replay(self):
        block = self.block
        error = block.value("error")
        self.peer.send(block.hex)
        if error == "NONE":
            self.peer.expect_close()
            return
        self.do_expect(["hello"])
        for stream in block.values("refused"):
            self.compare(self.peer.next(int(stream)), ["CANCEL", stream, str(wire.REFUSED)])
        if error:
            self.compare(self.goaway(), ["GOAWAY", "0", "*", f"code={error}"])
            self.peer.expect_close()
        opened, cancelled = len(block.values("opened")), len(block.values("cancelled"))
        # Where the connection failed all calls are stopped; where it did not, what was sent after the calls shows that the
        # server lives.
        lines = [self.subject.line() for _ in range(opened + (opened if error else cancelled))]
        differs("calls", sorted(lines), ["opened"] * opened + ["stopped"] * (opened if error else cancelled))


class ClientSide(AgainstClient):
    def run(self):
        try:
            self.begin()
            self.replay()
        finally:
            if self.connected:
                # Whatever happened: the next conversation begins with a connection of its own.
                self.subject.ask("disconnect")
            for peer in self.peers:
                peer.close()
            if self.listener:
                self.listener.close()

    connected = False

    def connect(self, hello):
        """Connects; gives the client's answer once `hello` was sent."""
        self.subject.tell(f"connect {self.address}")
        self.do_accept([])
        self.peer.send(hello)
        if not hello.startswith(wire.MAGIC) or len(hello) <= wire.PREFACE_SIZE:
            self.peer.end_sending()
        return self.subject.line()


class ClientVector(ClientSide):
    """All that a client receives that has opened streams 1 and 3."""

    def replay(self):
        block = self.block
        data = block.hex
        hello, rest = split(data)
        if hello is None:
            self.refuse(data)
            return
        differs("connect", self.connect(hello), "connect ok")
        self.connected = True
        self.do_expect(["hello"])
        for name in ("a", "b"):
            differs("open", self.subject.ask(f"open {name} watch"), f"open {name} ok")
            self.do_expect(["OPEN", "1" if name == "a" else "3", "0"])
        self.peer.send(rest)
        self.peer.end_sending()
        answer = self.subject.ask("all a")
        self.compare_answer(answer)
        error = block.value("error")
        if error:
            self.compare(self.goaway(), ["GOAWAY", "0", "0", f"code={error}"])
            self.peer.expect_close()

    def compare_answer(self, answer):
        block = self.block
        messages = block.value("messages")
        words = answer.split()[2:]
        result = block.value("result")
        if result == "complete":
            differs("the call", words, ["complete", messages])
            return
        if block.value("error"):
            wanted = "13"
        elif result.startswith("status "):
            wanted = result.removeprefix("status ")
        else:
            wanted = "14"
        differs("the call", [words[0], words[-1]], [wanted, messages])
        if block.value("error"):
            differs("the reason", words[1], "ANSWER_INVALID")

    def refuse(self, data):
        """The connection does not come to be."""
        self.subject.tell(f"connect {self.address}")
        self.do_accept([])
        self.peer.send(data)
        self.peer.end_sending()
        answer = self.subject.line()
        if answer == "connect ok":
            raise Failure("the client takes this for a server")
        error = self.block.value("error")
        self.do_expect(["hello"])
        if error and error != "NONE":
            self.compare(self.goaway(), ["GOAWAY", "0", "0", f"code={error}"])
        self.peer.expect_close()


def split(data):
    """The preface and SETTINGS, and what follows; None where that is not how it begins."""
    if not data.startswith(wire.preface()) or data[20:21] != b"\x01":
        return None, data
    end = 32 + int.from_bytes(data[16:20], "big")
    names = {number: name for name, number in wire.SETTINGS.items()}
    entries = wire.Frame(data[16:32], data[32:end]).settings()
    if any(name not in ("max_frame", "max_streams", "min_ping_interval") for name in entries) or not names:
        return None, data
    limits = {"max_frame": range(16384, 1 << 24), "max_streams": range(1, 65536)}
    if any(value not in limits.get(name, range(1 << 31)) for name, value in entries.items()):
        return None, data
    return data[:end], data[end:]


class RangesVector(ClientSide):
    """An answer about ranges."""

    def replay(self):
        block = self.block
        differs("connect", self.connect(wire.preface() + wire.settings({"max_streams": 64})), "connect ok")
        self.connected = True
        self.do_expect(["hello"])
        offset, length = block.value("asked").split()
        asked = "" if offset == "-" else f" offset={offset}"
        asked += "" if length == "-" else f" length={length}"
        self.subject.ask(f"open a changes disk=disks/a.avhdx{asked}")
        request = [f"request.4={offset}"] + ([f"request.5={length}"] if length != "-" else [])
        self.do_expect(["OPEN", "1", "0", *request])
        for number, message in enumerate(block.values("message")):
            self.peer.send(wire.frame("DATA", 1, number, b"" if message == "-" else bytes.fromhex(message)))
        if end := block.value("end"):
            status, payload = end.split()
            self.peer.send(wire.frame("END", 1, int(status), bytes.fromhex(payload)))
        self.peer.end_sending()
        words = self.subject.ask("all a").split()[2:]
        result = block.value("result")
        reasons = {"invalid": "ANSWER_INVALID", "incomplete": "ANSWER_INCOMPLETE"}
        if result == "complete":
            differs("the call", words[0], "complete")
        elif words[0] == "complete":
            raise Failure(f"told as complete: {words}")
        elif result in reasons and words[1] not in (reasons[result], "SERVER_UNAVAILABLE"):
            raise Failure(f"the reason is {words[1]}")
        if result != "invalid":
            wanted = ["+".join(line.split()) for line in block.values("range")]
            differs("the ranges", words[-1], ",".join(wanted) or "-")
        if result == "invalid" and words[1] != "ANSWER_INVALID":
            raise Failure(f"the reason is {words[1]}")
