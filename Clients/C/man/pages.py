"""Puts the pages together: what belongs on each, and in which order."""

import re

from headers import member_name
from mdoc import Writer, argument, code_block, lines_of, sentences

# An enumeration with more values than this is described on the pages of its own functions alone.
LONGEST_REPEATED = 16
# A paragraph, or the rest of one from this sentence on, tells what a function returns.
RETURNS = re.compile(
    r"^(-?\d+(,| with| where| when| and|:)|NULL (where|until|when|if|on|with)|Never NULL|True |False |Gives )"
)


def short(comment):
    """The first sentence of a comment, as what stands after a name: no capital, no period."""
    first = re.sub(r"[`\"]|(?<=\w)\(\)", "", sentences(comment.split("\n\n")[0])[0])
    first = re.split(r"[;:]\s", first)[0].rstrip(".:;")
    word = first.split(" ")[0]
    return first if word.upper() == word or "_" in word else first[0].lower() + first[1:]


class Pages:
    def __init__(self, own, known, library, main):
        self.library, self.main = library, main
        # What the main header declares comes first.
        own = sorted(own, key=lambda header: (header.path != main, header.path))
        self.own = {f.name: f for header in own for f in header.functions}
        self.functions = dict(self.own)
        self.functions.update({f.name: f for header in known for f in header.functions})
        self.types = {t.name: t for header in own + known for t in header.types}
        self.about = next((header.about for header in own if header.path == main), "")
        # What other headers say about themselves, where they were written by hand.
        self.topics = [h.about for h in own if h.path != main and ": " in h.about.split("\n", 1)[0]]
        self.values = {v for t in self.types.values() if t.kind == "enum" for m in t.members for v in m.names}
        # Comments call reasons and statuses by the part of the name that tells them apart.
        for name in ("diskdelta_reason", "diskdelta_status"):
            self.values |= {v[len(name) + 1 :] for v in self.values if v.startswith(name.upper() + "_")}
        self.values = {value for value in self.values if value not in ("OK", "NONE")}

    def problems(self):
        """What a page could not be made of."""
        missing = [
            f"{f.header}: {f.name} has no comment, so its page would be empty"
            for f in self.own.values()
            if not f.comment
        ]
        if not self.about:
            missing.append(f"{self.main} does not start with a comment about the library")
        return missing

    def writer(self):
        return Writer(self.functions, self.types, self.values)

    def all(self, date, version):
        heads = [f".Dd {date}", f".Os {self.library} {version}"]
        yield self.library, self.page(heads, self.library, self.overview())
        for name, function in sorted(self.own.items()):
            yield name, self.page(heads, name, self.function_page(function))

    @staticmethod
    def page(heads, name, body):
        first = '.\\" Generated from the comments of the headers. Do not edit.'
        lines = [first, heads[0], f".Dt {name.upper()} 3", heads[1]]
        return "\n".join(lines + body) + "\n"

    # ---- A function ----

    def function_page(self, function):
        writer = self.writer()
        writer.own = function.name
        writer.parameters = {member_name(p) for p in function.parameters}
        lines = [".Sh NAME", f".Nm {function.name}", f".Nd {short(function.comment)}"]
        lines += self.section_library()
        lines += [".Sh SYNOPSIS", f".In {self.main}", f".Ft {argument(function.returns)}"]
        if function.parameters:
            lines += [f".Fo {function.name}", *(f".Fa {argument(p)}" for p in function.parameters), ".Fc"]
        else:
            lines += [f".Fn {function.name} void"]
        described, returned, examples = self.parted(writer, function.comment)
        lines += [".Sh DESCRIPTION", *(described or writer.sentences(function.comment))]
        lines += self.section_types(writer, function)
        if returned:
            lines += [".Sh RETURN VALUES", *returned]
        if examples:
            lines += [".Sh EXAMPLES", *examples]
        return lines + self.see_also(writer.mentioned | self.neighbours(function), function.name)

    def section_library(self):
        flag = self.library.removeprefix("lib")
        return [".Sh LIBRARY", f"The DiskDelta client library ({self.library}, \\-l{flag})"]

    def parted(self, writer, comment):
        """The comment as (description, return values, examples)."""
        described, returned, examples = [], [], []

        def add(to, lines):
            to += ([".Pp"] if to and not lines[0].startswith((".Bl", ".Bd")) else []) + lines

        for block in re.split(r"\n\s*\n", comment):
            for kind, lines in writer.blocks(block):
                if kind == "code":
                    add(examples, lines)
                elif kind == "items":
                    add(returned, lines)
                elif lines[0].startswith(".Bl") or not returned_part(block):
                    # What follows a list of results goes on about them.
                    add(returned if returned and returned[-1] == ".El" else described, lines)
                else:
                    before, after = returned_part(block)
                    if before:
                        add(described, writer.sentences(before))
                    add(returned, writer.sentences(after))
        return described, returned, examples

    # ---- Structures ----

    def used(self, function):
        """The structures and enumerations that a function's are made of, nearest first."""
        if function.name.endswith(("_free", "_close")):
            return []
        found, waiting = [], [t for t in function.types() if t in self.types]
        while waiting:
            name = waiting.pop(0)
            if name not in found:
                found.append(name)
                waiting += [t for t in self.types[name].types() if t in self.types]
        direct = set(function.types())
        return [self.types[n] for n in found if n in direct or len(self.types[n].members) <= LONGEST_REPEATED]

    def section_types(self, writer, function):
        lines = []
        for each in self.used(function):
            lines += [f".Ss {each.name}", *self.described(writer, each)]
        return lines

    def described(self, writer, described):
        lines = []
        if described.comment:
            for kind, block in writer.blocks(described.comment):
                lines += ([".Pp"] if lines and kind == "text" else []) + block
        if described.kind == "enum":
            return lines + ([".Pp"] if lines else []) + self.values_of(writer, described)
        lines += code_block(described.code.split("\n"))
        members = [m for m in described.members if m.comment]
        if members:
            lines.append(".Bl -tag -width Ds")
            for member in members:
                lines.append(".It " + " , ".join(f"Va {argument(n)}" for n in member.names))
                for kind, block in writer.blocks(member.comment):
                    lines += ([".Pp"] if kind == "text" and not lines[-1].startswith(".It") else []) + block
            lines.append(".El")
        return lines

    @staticmethod
    def values_of(writer, enumeration):
        numbers = dict(re.findall(r"(\w+) = ([^,\s]+)", enumeration.code))
        has_text = any(member.comment for member in enumeration.members)
        lines = [".Bl -tag -width Ds -compact" if has_text else ".Bl -item -compact"]
        for member in enumeration.members:
            value = f"Dv {member.names[0]}"
            if member.names[0] in numbers:
                value += f" Pq {argument(numbers[member.names[0]])}"
            if has_text:
                lines += [".It " + value, *(writer.sentences(member.comment) if member.comment else ["\\&"])]
            else:
                lines += [".It", "." + value]
        return lines + [".El"]

    # ---- References ----

    def neighbours(self, function):
        """Those that stand under the same heading, or that speak of this one; else those that share its handle."""
        near = {
            f.name
            for f in self.own.values()
            if function.section and f.section == function.section and f.header == function.header
        }
        near |= {f.name for f in self.own.values() if re.search(rf"\b{function.name}\(\)", f.comment)}
        if function.name.endswith("_next") and function.name[: -len("_next")] in self.functions:
            near.add(function.name[: -len("_next")])
        if function.name + "_next" in self.functions:
            near.add(function.name + "_next")
        if "diskdelta_reason" in {t for used in self.used(function) for t in used.types()}:
            near.add("diskdelta_reason_name")
        return near

    def see_also(self, names, own):
        names = sorted((set(names) - {own}) | ({self.library} - {own}))
        lines = [f".Xr {name} 3" + (" ," if at < len(names) - 1 else "") for at, name in enumerate(names)]
        return [".Sh SEE ALSO", *lines] if names else []

    # ---- The library ----

    def overview(self):
        writer = self.writer()
        title, rest = self.about.split("\n\n", 1)
        lines = [".Sh NAME", f".Nm {self.library}", f".Nd {short(title.split(': ', 1)[-1])}"]
        lines += self.section_library()
        lines += [".Sh SYNOPSIS", f".In {self.main}"]
        examples, described = [], []
        for kind, block, heading in self.parts(writer, "\n\n".join([rest] + self.topics)):
            if kind == "code":
                examples += block
            else:
                described += [f".Ss {heading}"] if heading else ([".Pp"] if described else [])
                described += block
        lines += [".Sh DESCRIPTION", *described, *self.table()]
        if examples:
            lines += [".Sh EXAMPLES", *examples]
        return lines + self.see_also(writer.mentioned, self.library)

    @staticmethod
    def parts(writer, text):
        """Blocks with their headings: "THREADS. A client ..." and "Threads: a client ..." stand under "Threads"."""
        code = []
        for paragraph in re.split(r"\n\s*\n", text):
            if all(each.startswith("    ") for each in paragraph.split("\n")):
                code += ([""] if code else []) + paragraph.split("\n")
                continue
            found = re.match(r"([A-Z][A-Z' ,-]+)\.\s+(?=\S)|([A-Z][a-z]+): (?=\S)", paragraph)
            heading = (found[1] or found[2]).capitalize() if found else ""
            rest = paragraph[found.end() :] if found else paragraph
            for kind, block in writer.blocks(rest[0].upper() + rest[1:] if found else rest):
                yield kind, block, heading
                heading = ""
        if code:
            yield "code", code_block(code), ""

    def table(self):
        """Every function with what it does, by the headings of the headers."""
        groups = {}
        for function in self.own.values():
            groups.setdefault(function.section or title_of(function.header, self.main), []).append(function)
        lines = []
        for heading, functions in groups.items():
            lines += [f".Ss Functions: {heading}", ".Bl -tag -width Ds -compact"]
            for function in functions:
                lines += [f".It Xr {function.name} 3", *lines_of(short(function.comment))]
            lines.append(".El")
        return lines


def title_of(header, main):
    return "the library" if header == main else header.rsplit("/", 1)[-1].removesuffix(".h").replace("_", " ")


def returned_part(block):
    """(what is before, what tells the return values), or None where nothing does."""
    parts = sentences(block)
    for at, sentence in enumerate(parts):
        if RETURNS.match(sentence):
            return " ".join(parts[:at]), " ".join(parts[at:])
    return None
