"""The program under test, as README.md tells its contract: a command a line, an answer a line."""

import queue
import subprocess
import threading

from peer import PATIENCE, Failure


class Subject:
    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def tell(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure("the program under test has ended") from None

    def line(self, patience=PATIENCE):
        """The next line it prints; None where none comes in time."""
        try:
            line = self.lines.get(timeout=patience)
        except queue.Empty:
            return None
        if line is None:
            raise Failure(f"the program under test has ended, with {self.process.wait()}")
        return line

    def ask(self, command):
        self.tell(command)
        return self.line()

    def stop(self):
        try:
            self.process.stdin.close()
            self.process.wait(PATIENCE)
        except (subprocess.TimeoutExpired, OSError):
            self.process.kill()
            self.process.wait()
