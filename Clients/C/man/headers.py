"""Reads the public headers: what they declare, and the comment before each declaration.

It understands the C that these headers are written in, not all of C. An exported function that it cannot read is an
error; other declarations that it does not know are left out.
"""

import re
from dataclasses import dataclass, field


class Unreadable(Exception):
    """A header is not written as this module understands it."""


@dataclass
class Function:
    name: str
    returns: str
    # As written: "const char *address"; empty for (void).
    parameters: list
    comment: str
    # The header that declares it, and the heading it stands under there, if any.
    header: str
    section: str

    def types(self):
        return re.findall(r"\w+", " ".join([self.returns] + self.parameters))


@dataclass
class Member:
    # More than one where they belong together: has_length and length.
    names: list
    comment: str


@dataclass
class Type:
    """A structure, or an enumeration with its values, or the type of a function."""

    name: str
    kind: str
    # The declaration without its comments.
    code: str
    members: list
    comment: str
    header: str

    def types(self):
        return re.findall(r"\w+", self.code)


@dataclass
class Header:
    path: str
    # The comment at the start of the file.
    about: str
    functions: list = field(default_factory=list)
    types: list = field(default_factory=list)


def text_of(comment):
    """A comment without its stars. Empty lines stay: they part paragraphs."""
    lines = comment.strip()[2:-2].split("\n")
    lines = [lines[0].strip()] + [re.sub(r"^\s*\*? ?", "", line, count=1) for line in lines[1:]]
    return "\n".join(line.rstrip() for line in lines).strip("\n")


TOKEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"|[{};]|\n|[^\S\n]+|[^\s{};/\"]+|/", re.DOTALL)
HEADING = re.compile(r"/\* -{3,} (.*?) -+ \*/")
# Where C++ is told that this is C.
LANGUAGE_LINKAGE = re.compile(r"^#ifdef __cplusplus\n.*?^#endif\n", re.DOTALL | re.MULTILINE)
PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", re.MULTILINE)


def declarations(source):
    """Yields (heading, comment, code) for each declaration; the code keeps the comments inside it."""
    source = LANGUAGE_LINKAGE.sub("\n", source)
    # Lines stay lines: a comment belongs to a declaration only where no line is between.
    source = PREPROCESSOR.sub(";", source)
    heading, comment, code, depth = "", "", "", 0
    for token in TOKEN.findall(source):
        if token.startswith(("/*", "//")) and not code.strip():
            found = HEADING.fullmatch(token)
            heading = found.group(1) if found else heading
            comment = "" if found or token.startswith("//") else token
            code = ""
            continue
        if token == "\n" and code == "\n":
            # An empty line: the comment was about something else.
            comment = ""
            continue
        code += token
        depth += (token == "{") - (token == "}")
        if depth < 0:
            raise Unreadable("a brace closes that none opened")
        if token == ";" and depth == 0:
            if code.strip() != ";":
                yield heading, text_of(comment) if comment else "", code.strip()
            comment, code = "", ""


def split_parameters(text):
    """Parts at commas that are not inside parentheses."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part for part in (" ".join(part.split()) for part in parts) if part and part != "void"]


COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def read_function(code, comment, heading, name):
    flat = " ".join(COMMENT.sub("", code).split())
    found = re.fullmatch(r"DISKDELTA_API (.*?[ *])(\w+)\((.*)\)((?: [A-Z_]+(?:\(.*\))?)*);", flat)
    if not found:
        raise Unreadable(f"this function is not understood: {flat}")
    return Function(found[2], found[1].strip(), split_parameters(found[3]), comment, name, heading)


def without_comments(code):
    code = re.sub(r"[ \t]*/\*.*?\*/[ \t]*\n?", "", code, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in code.split("\n") if line.strip())


def member_name(code):
    """The name that a member's declaration gives."""
    function = re.search(r"\(\*\s*(\w+)\)\s*\(", code)
    if function:
        return function[1]
    names = re.findall(r"\w+", re.sub(r"\[.*?\]|:\s*\d+|=.*", "", code.rsplit("}", 1)[-1]))
    return names[-1] if names else None


def read_members(body, end):
    """The commented members of a structure (`end` is ";") or values of an enumeration (",")."""
    members, comment, code, depth = [], "", "", 0
    for token in re.findall(r"/\*.*?\*/|[{}();,]|\n|[^{}();,/\n]+|/", body + end, re.DOTALL):
        if token.startswith("/*"):
            comment = comment if code.strip() else text_of(token)
            continue
        depth += (token in "{(") - (token in "})")
        if token == end and depth == 0:
            name = member_name(code)
            if name and not comment and members and members[-1].names == ["has_" + name]:
                members[-1].names.append(name)
            elif name:
                members.append(Member([name], comment))
            comment, code = "", ""
        else:
            code += token
    return members


def read_type(code, comment, name):
    """A Type, or None where nothing is described: an opaque handle, a declaration ahead of its structure."""
    found = re.match(r"(typedef )?(struct|enum|union) (\w+)\s*\{(.*)\}\s*(\w*);", code, re.DOTALL)
    if found:
        kind = found[2]
        members = read_members(found[4], "," if kind == "enum" else ";")
        return Type(found[5] or found[3], kind, without_comments(code), members, comment, name)
    found = re.match(r"typedef [^{]*\(\*(\w+)\)\(", code)
    if found:
        return Type(found[1], "function", without_comments(code), [], comment, name)
    return None


def read(path, name):
    """Reads the header at `path`, which programs include as `name`."""
    source = path.read_text(encoding="utf-8")
    first = re.match(r"\s*(/\*.*?\*/)", source, re.DOTALL)
    header = Header(name, text_of(first[1]) if first else "")
    for heading, comment, code in declarations(source[first.end() if first else 0 :]):
        if "DISKDELTA_API" in code:
            header.functions.append(read_function(code, comment, heading, name))
        else:
            found = read_type(code, comment, name)
            if found:
                header.types.append(found)
    return header
