"""What the tools share: a server that runs, a disk to ask about, and a client made of asyncio and Docs/Protocol.md."""

import asyncio
import json
import os
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "Tests/Conformance"))
import wire  # noqa: E402

BLOCKS = 512
BLOCK_SIZE = 2 << 20
CHANGES = "diskdelta.v1.ImageManagement/GetVirtualDiskChanges"


class Server:
    """diskdeltad on a free port, with a disk whose changed sectors alternate with others: about half a million ranges."""

    def __init__(self, programs, *options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="diskdelta-load-"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        self.disk, self.since = make_disk(programs / "diskdelta", self.folder)
        self.process = subprocess.Popen(
            [programs / "diskdeltad", "--root", f"disks={self.folder}", "--listen", "127.0.0.1:0", "--log-level", "critical",
             *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise SystemExit(f"the server says: {line}")
        host, _, port = line.split()[-1].rpartition(":")
        self.address = host, int(port)

    def memory(self):
        """What it holds of memory, in MiB."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def seconds(self):
        """What it has used of processors."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder)


def make_disk(diskdelta, folder, name="child", blocks=BLOCKS, bitmap=b"\xaa" * 512):
    """A differencing VHD in whose blocks those sectors are its own that the bitmap says; by default in turn. Its name for the
    server, and the id of its parent."""
    parent, child = folder / f"parent-of-{name}.vhd", folder / f"{name}.vhd"
    for arguments in ([parent, "--size", str(blocks * BLOCK_SIZE)], [child, "--parent", parent]):
        subprocess.run([diskdelta, "image", "create", *arguments], check=True, stdout=subprocess.DEVNULL)
    with child.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        end = file.tell()
        file.seek(end - 512)
        footer = file.read(512)
        file.seek(struct.unpack_from(">Q", footer, 16)[0])
        table = struct.unpack_from(">Q", file.read(1024), 16)[0]
        first = (end - 512 + 511) // 512
        sectors = (BLOCK_SIZE + 512) // 512
        file.seek(table)
        file.write(b"".join(struct.pack(">I", first + block * sectors) for block in range(blocks)))
        for block in range(blocks):
            file.seek((first + block * sectors) * 512)
            file.write(bitmap)
        file.seek((first + blocks * sectors) * 512)
        file.write(footer)
    return f"disks/{name}.vhd", parent_id(diskdelta, child)


def parent_id(diskdelta, child):
    """The id of what a disk was made on."""
    info = subprocess.run([diskdelta, "info", "--format", "ndjson", child], check=True, stdout=subprocess.PIPE)
    return json.loads(info.stdout)["baselines"][0]["id"]


class Connection:
    """A connection that is set up; frames are read one by one, or by `dispatch` for many streams."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.next_stream = 1

    @classmethod
    async def open(cls, server, **settings):
        reader, writer = await asyncio.open_connection(*server.address)
        connection = cls(reader, writer)
        connection.write(wire.preface() + wire.settings(settings))
        if (await reader.readexactly(wire.PREFACE_SIZE))[:8] != wire.MAGIC:
            raise SystemExit("not the magic")
        await connection.frame()
        return connection

    def write(self, data):
        self.writer.write(data)

    async def frame(self):
        """The next frame; None at the end of the connection."""
        try:
            header = await self.reader.readexactly(wire.HEADER_SIZE)
            return wire.Frame(header, await self.reader.readexactly(int.from_bytes(header[:4], "big")))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def start(self, path, request=b""):
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        self.write(wire.frame("OPEN", stream, 0, wire.open_payload(path, request)))
        return stream

    def close(self):
        self.writer.close()


def ask(server):
    """The request for all changes of the disk."""
    return wire.field(1, server.disk) + wire.field(2, server.since)


class Watch:
    """Prints what the server holds and uses, once a second, while something goes on."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.most = 0.0

    async def __aenter__(self):
        self.start, self.used = time.monotonic(), self.server.seconds()
        self.before = self.server.memory()
        self.task = asyncio.create_task(self._print())
        return self

    async def _print(self):
        used = self.server.seconds()
        while True:
            await asyncio.sleep(1)
            now, memory = self.server.seconds(), self.server.memory()
            self.most = max(self.most, memory)
            print(f"  {time.monotonic() - self.start:5.0f} s  RSS {memory:7.1f} MiB  CPU {now - used:5.2f} s of the last", flush=True)
            used = now

    async def __aexit__(self, *_):
        self.task.cancel()
        after = self.server.memory()
        self.most = max(self.most, after)
        seconds = time.monotonic() - self.start
        print(
            f"{self.name}: RSS {self.before:.1f} MiB before, {self.most:.1f} at most, {after:.1f} after; "
            f"CPU {self.server.seconds() - self.used:.1f} s in {seconds:.1f} s; {self.server.descriptors()} descriptors",
            flush=True,
        )
