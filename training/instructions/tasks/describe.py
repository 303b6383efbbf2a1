"""Between code and words: docstrings written, code explained, code written from a docstring or a comment."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from instructions.crop import dedented, whole_lines
from instructions.source import Edit, Source, apply
from instructions.tasks.names import functions

MAX_SUMMARY = 200  # characters
MIN_SUMMARY_WORDS = 3
MAX_FUNCTION = 800
COMMENT = re.compile(r"(?:^|\n)(?P<pad> *)# (?P<text>[A-Z][^\n]+(?:\n(?P=pad)# [^\n]+)*)\n(?P=pad)(?=\S)")
NOT_WORDS = re.compile(r"noqa|type:|pragma|fmt:|pylint|TODO|FIXME|XXX|http|>>>|[=({\[\\|]")


@dataclass(frozen=True)
class Described:
    """A function without its docstring, with the docstring's summary alone as its docstring, and the summary."""

    name: str
    signature: str  # `name(parameters)`, on one line
    bare: str
    documented: str
    summary: str


def summary_of(docstring: str) -> str | None:
    """The first paragraph as one line, if it is a sentence or two in plain words."""
    text = " ".join(docstring.strip().split("\n\n")[0].split())
    fits = len(text) <= MAX_SUMMARY and len(text.split()) >= MIN_SUMMARY_WORDS
    return (
        text
        if fits and text.isascii() and not NOT_WORDS.search(text) and '"""' not in text and text[0].isupper()
        else None
    )


def described(source: Source) -> Iterator[Described]:
    """The file's short functions that have a docstring and a body beside it."""
    for function in functions(source):
        docstring, crop = ast.get_docstring(function), whole_lines(source, function, function)
        if not docstring or not crop or len(function.body) < 2 or function.name.startswith("test"):
            continue
        summary, first, second = summary_of(docstring), function.body[0], function.body[1]
        if summary is None or source.end(function) - source.start(function) - len(docstring) > MAX_FUNCTION:
            continue
        start, end = source.start(first), source.end(first)
        line_start = source.text.rfind("\n", 0, start) + 1
        following = source.text.rfind("\n", 0, source.start(second)) + 1
        if source.text[line_start:start].strip() or not end < following or source.text[end:following].strip():
            continue
        pad = source.text[line_start:start]
        sides = []
        for text in ("", f'{pad}"""{summary}"""\n'):
            edit = Edit(line_start - crop.start, following - crop.start, text)
            sides.append(dedented(apply(source.text[crop.start : crop.end], [edit])))
        signature = f"{function.name}({ast.unparse(function.args)})"
        if sides[0] and sides[1]:
            yield Described(function.name, signature, sides[0], sides[1], summary)


def commented(source: Source) -> Iterator[tuple[str, str]]:
    """(comment, the statements below it up to a blank line or another comment), where both are short and plain."""
    starts = {source.line_starts[s.lineno - 1]: (body, i) for body in source.bodies for i, s in enumerate(body)}
    for match in COMMENT.finditer(source.text):
        text = " ".join(match["text"].replace("\n" + match["pad"] + "# ", " ").split())
        place = starts.get(match.end() - len(match["pad"]))
        if place is None or NOT_WORDS.search(text) or not text.isascii() or not 3 <= len(text.split()) <= 25:
            continue
        body, first = place
        last = first
        while (
            last + 1 < len(body)
            and source.text[source.end(body[last]) : source.start(body[last + 1])].strip(" ") == "\n"
        ):
            last += 1
        crop = whole_lines(source, body[first], body[last])
        code = dedented(source.text[crop.start : crop.end]) if crop and crop.end - crop.start <= 400 else None
        if code and "#" not in code and len(code) > 20:
            yield text, code
