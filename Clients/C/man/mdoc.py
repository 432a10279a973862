"""Turns the text of comments into mdoc(7)."""

import re
import textwrap

# Macros of mdoc that would be taken for such in the middle of a line.
CALLABLE = set(
    """Ac Ad An Ao Ap Aq Ar At Bc Bo Bq Brc Bro Brq Bsx Bx Cd Cm Dc Do Dq Dv Dx Ec Em En Eo Eq Er Es Ev Fa Fc Fl Fn
    Fr Ft Fx Ic In Lb Li Lk Ms Mt Nm No Ns Nx Oc Oo Op Ot Ox Pa Pc Pf Po Pq Qc Ql Qo Qq Sc Sm So Sq St Sx Sy Ta Tn Ux Va Vt Xc
    Xo Xr""".split()
)
CLOSING = ".,:;)]?!"


def escape(text):
    return text.replace("\\", "\\e")


def argument(word):
    """A word as one argument of a macro."""
    word = escape(word)
    if word in CALLABLE or (word and word in CLOSING + "(["):
        word = "\\&" + word
    if " " in word or '"' in word:
        word = '"' + word.replace('"', '""') + '"'
    return word


def line(text):
    """A line of text, which is not to be taken for a macro."""
    return "\\&" + text if text.startswith((".", "'")) else text


def lines_of(text):
    """Text as lines that an editor shows whole."""
    return [line(each) for each in textwrap.wrap(escape(text), 78, break_long_words=False, break_on_hyphens=False)]


def code_block(lines):
    """Lines as they are."""
    indent = min((len(each) - len(each.lstrip()) for each in lines if each.strip()), default=0)
    body = [line(escape(each[indent:]).replace("-", "\\-")) for each in lines]
    return [".Bd -literal -offset indent", *body, ".Ed"]


def sentences(text):
    return re.split(r"(?<=[.!?])\s+(?=[A-Z0-9`\"(*-]|diskdelta_)", " ".join(text.split()))


class Writer:
    """Writes text with its names marked: `functions` have pages, `types` are described, `values` are constants."""

    def __init__(self, functions, types, values):
        self.functions, self.types, self.values = functions, types, values
        # What the text named, for SEE ALSO.
        self.mentioned = set()
        # The page's own function and its parameters.
        self.own, self.parameters = None, set()

    def marked(self, word):
        """(macro, argument) for a word that is a name; else None."""
        called = word[:-2] if word.endswith("()") else None
        if called:
            if called in self.functions:
                self.mentioned.add(called)
                return ("Fn", called) if called == self.own else ("Xr", called + " 3")
            return ("Fn", called)
        if word in self.types:
            return ("Vt", word)
        if word in self.values or word == "NULL" or re.fullmatch(r"DISKDELTA_[A-Z0-9_]+", word):
            return ("Dv", word)
        return None

    def quoted(self, code):
        """What stands between backticks."""
        if code.lstrip("*") in self.parameters:
            return "Fa", argument(code)
        macro = self.marked(code)
        if macro:
            return macro
        if re.fullmatch(r"\*?[a-z]\w*", code):
            return "Va", argument(code)
        return "Ql", argument(code)

    def sentence(self, text):
        """The lines of one sentence."""
        lines, plain = [], []
        for piece in re.findall(r"[(\[]*`[^`]+`\S*|\S+", text):
            opening, core, closing = re.fullmatch(r"([(\[]*)(`[^`]+`|.*?)(\S*?)", piece).groups()
            if core.startswith("`"):
                macro = self.quoted(core[1:-1])
            else:
                core, closing = re.fullmatch(r"([\w./]*\w\(\)|[\w./]*\w|)(.*)", piece[len(opening) :]).groups()
                macro = self.marked(core) if core else None
            if macro is None:
                plain.append(piece)
                continue
            if plain:
                lines += lines_of(" ".join(plain))
                plain = []
            start = f".Pf {opening} " if opening else "."
            lines.append(start + " ".join(macro) + self.after(closing))
        if plain:
            lines += lines_of(" ".join(plain))
        return lines

    @staticmethod
    def after(closing):
        """What follows a name without a space."""
        if not closing:
            return ""
        if all(each in CLOSING for each in closing):
            return " " + " ".join(closing)
        tail = ""
        while closing and closing[-1] in CLOSING:
            tail = " " + closing[-1] + tail
            closing = closing[:-1]
        return " Ns " + argument(closing) + tail

    def sentences(self, text):
        return [each for sentence in sentences(text) for each in self.sentence(sentence)]

    def blocks(self, text):
        """Paragraphs, lists and code, as (kind, lines of mdoc) in their order."""
        for paragraph in re.split(r"\n\s*\n", text):
            lines = paragraph.split("\n")
            if all(each.startswith("    ") for each in lines):
                yield "code", code_block(lines)
            elif ITEM.match(lines[0]):
                yield "items", self.items(lines)
            elif lines[0].startswith("- "):
                yield "text", self.bullets(lines)
            else:
                yield "text", self.sentences(paragraph)

    def items(self, lines):
        """` 1  Text` and the lines that go on with it: a tagged list."""
        written, tag, text = [".Bl -tag -width Ds"], None, []
        for each in lines + [None]:
            found = each is not None and ITEM.match(each)
            if (each is None or found) and tag is not None:
                mark = self.marked(tag)
                written.append(".It " + (" ".join(mark) if mark else "Li " + argument(tag)))
                written += self.sentences(" ".join(text))
            if found:
                tag, text = found[1], [each[found.end() :]]
            elif each is not None:
                text.append(each)
        return written + [".El"]

    def bullets(self, lines):
        written, items = [".Bl -bullet"], []
        for each in lines:
            if each.startswith("- "):
                items.append(each[2:])
            else:
                items[-1] += " " + each.strip()
        for item in items:
            written += [".It", *self.sentences(item)]
        return written + [".El"]


# The start of a list of results, as in " 1  A batch." or "-1  It failed." or " *  otherwise".
ITEM = re.compile(r"\s?(-?\d+|NULL|DISKDELTA_[A-Z0-9_]+|`[^`]+`)\s{2,}(?=\S)")
