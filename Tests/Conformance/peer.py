"""One end of a connection, played by a script: what it sends, and what must come back."""

import collections
import socket
import time

import wire

# How long something that must come may take. Nothing depends on how fast it comes.
PATIENCE = 20.0


class Failure(Exception):
    """The other side did something else than the script says."""


class Peer:
    def __init__(self, connection):
        self.socket = connection
        self.received = b""
        self.has_preface = False
        self.has_ended = False
        # Frames that came and were not expected yet, by stream: within a stream the order is kept (P-14).
        self.waiting = collections.defaultdict(collections.deque)

    # What is sent

    def send(self, data):
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            # It has closed already; what it said before is still to be read.
            pass

    def end_sending(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.socket.close()

    # What comes back

    def _read(self, seconds):
        """Waits for more. False where nothing came."""
        if self.has_ended:
            return False
        self.socket.settimeout(max(seconds, 0.001))
        try:
            data = self.socket.recv(1 << 18)
        except (TimeoutError, BlockingIOError):
            return False
        except ConnectionResetError:
            data = b""
        self.has_ended = data == b""
        self.received += data
        return True

    def _take_frame(self):
        """Moves a frame that has come whole to those that wait."""
        if not self.has_preface or len(self.received) < wire.HEADER_SIZE:
            return False
        length = int.from_bytes(self.received[:4], "big")
        if length > wire.HARD_CAP:
            raise Failure(f"a frame of {length} bytes came (P-9)")
        end = wire.HEADER_SIZE + length
        if len(self.received) < end:
            return False
        frame = wire.Frame(self.received[: wire.HEADER_SIZE], self.received[wire.HEADER_SIZE : end])
        self.received = self.received[end:]
        if frame.reserved:
            raise Failure(f"the reserved field of {frame} is not 0 (P-11)")
        self.waiting[frame.stream].append(frame)
        return True

    def _unexpected(self):
        texts = [str(frame) for queue in self.waiting.values() for frame in queue]
        return texts[:5] + ([f"and {len(texts) - 5} more"] if len(texts) > 5 else [])

    def preface(self):
        """Major, minor, features of the other side."""
        deadline = time.monotonic() + PATIENCE
        while len(self.received) < wire.PREFACE_SIZE:
            if not self._read(deadline - time.monotonic()):
                raise Failure(f"no preface came, but {self.received.hex() or 'nothing'}")
        preface, self.received = self.received[: wire.PREFACE_SIZE], self.received[wire.PREFACE_SIZE :]
        if preface[:8] != wire.MAGIC:
            raise Failure(f"not the magic: {preface[:8].hex()} (P-6)")
        self.has_preface = True
        return [int.from_bytes(preface[start:end], "big") for start, end in ((8, 10), (10, 12), (12, 16))]

    def next(self, stream):
        """The next frame of a stream; 0 is the connection."""
        deadline = time.monotonic() + PATIENCE
        while True:
            while self._take_frame():
                pass
            if self.waiting[stream]:
                return self.waiting[stream].popleft()
            if not self._read(deadline - time.monotonic()):
                end = "the connection ended" if self.has_ended else "nothing more came"
                raise Failure(f"{end} where a frame of stream {stream} was expected; there is {self._unexpected()}")

    def forget_streams(self):
        """What has come of streams, or comes without a pause, needs no longer be expected."""
        while not self.has_ended and self._read(0.3):
            pass
        while self._take_frame():
            pass
        for stream in list(self.waiting):
            if stream:
                del self.waiting[stream]

    def expect_close(self):
        deadline = time.monotonic() + PATIENCE
        while not self.has_ended:
            if not self._read(deadline - time.monotonic()) and not self.has_ended:
                raise Failure("the connection was not closed")
        while self._take_frame():
            pass
        self.expect_nothing_left()

    def expect_quiet(self, seconds):
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._read(left) and self.has_ended:
                raise Failure("the connection was closed")
        while self._take_frame():
            pass
        self.expect_nothing_left()

    def expect_nothing_left(self):
        if self._unexpected() or self.received:
            raise Failure(f"this came too: {self._unexpected()} {self.received.hex()}")
