"""Reads files of blocks, as the head of Docs/protocol-vectors.txt tells: words, each with a value to the end of its line."""

import pathlib

DOCS = pathlib.Path(__file__).resolve().parents[2] / "Docs"


class Block:
    def __init__(self, path, line, lines):
        self.where = f"{path.name}:{line}"
        self.lines = lines
        self.name = self.value("name") or "?"
        self.kind = self.value("kind")

    def values(self, word):
        return [value for key, value in self.lines if key == word]

    def value(self, word):
        return next(iter(self.values(word)), None)

    @property
    def hex(self):
        return bytes.fromhex("".join(self.values("hex")))

    def rules(self):
        """The numbers of the rules it shows."""
        return [int(rule.removeprefix("P-")) for value in self.values("rule") for rule in value.split()]


def read(path):
    """The blocks of a file, in order."""
    blocks, lines, start = [], [], 0
    for number, line in enumerate(path.read_text().splitlines() + [""], 1):
        if line.startswith("#"):
            continue
        if line:
            start = start if lines else number
            word, _, value = line.partition(" ")
            lines.append((word, value))
        elif lines:
            blocks.append(Block(path, start, lines))
            lines = []
    return blocks
