"""Post-processing: what of a generated text is shown.

A list of small rules, each against one thing that a completion must never do. A rule takes the text and the text around
the cursor, and returns the text without that fault. Where nothing is left, the rule's reason says why nothing is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from math import gcd

from starfill.assist.completion.cursor_context import CursorContext, opens_block
from starfill.assist.completion.stopping import ONLY_SPACE, REPEATS_BELOW, REPEATS_ITSELF, end_of, without_loops
from starfill.code.brackets import CLOSER_OF, OPENER_OF, QUOTES, Closing, scan
from starfill.code.indentation import TAB_WIDTH, indent_of, unit_of, width, with_spaces, with_tabs
from starfill.text.position import Edit

NOTHING = "the model had nothing to add"

NEAR = 400  # characters after the cursor whose closers count

Rule = Callable[[str, CursorContext], str]


def postprocess(
    text: str, place: CursorContext, offset: int, cut_short: bool = False
) -> tuple[Edit | None, str | None]:
    """The edit to show at `offset`; or None, and the reason why nothing is shown.

    cut_short: the token limit ended the text, so its last line may be unfinished.
    """
    if not text.strip():
        return None, ONLY_SPACE if text else NOTHING
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for rule, reason in RULES_BEFORE_END:
        text = rule(text, place)
        if not text.strip():
            return None, reason
    end = end_of(text, place, final=not cut_short)
    if end is not None:
        text = text[: end.at]
        if not text.strip():
            return None, end.reason
    elif cut_short:
        text = without_fragment(text, place)
    for rule, reason in RULES:
        text = rule(text, place)
        if not text.strip():
            return None, reason
    text, replaced = settle_closers(text, place)
    if not text.strip():
        return None, "the model only closed what is closed already"
    return Edit(offset, offset + replaced, text.replace("\n", place.eol)), None


def readable(text: str, place: CursorContext) -> str:
    """Up to the first bytes that aren't valid UTF-8."""
    return text.split("\ufffd", 1)[0]


def without_leaks(text: str, place: CursorContext) -> str:
    """Up to the first sentinel that is written out as text, unless the document contains it too."""
    return text[: min((at for leak in place.leaks if (at := text.find(leak)) >= 0), default=len(text))]


def without_fragment(text: str, place: CursorContext) -> str:
    """Without the last line of several, if the token limit ended the text: that line is unfinished."""
    head, _, _ = text.rpartition("\n")
    return head if head.strip() else text


def loop_free(text: str, place: CursorContext) -> str:
    return without_loops(text, place.before)


def not_the_line_above(text: str, place: CursorContext) -> str:
    """Nothing, if the text only repeats the line above."""
    line, above = place.before + text, place.previous_line
    if text.startswith("\n") and place.before.strip():
        line, above = text.strip("\n"), place.before
    if place.rest.strip() or above is None or "\n" in text.strip("\n") or not re.search(r"\w{2}", above):
        return text
    return "" if line.strip() == above.strip() and width(line) == width(above) else text


def same_indentation(text: str, place: CursorContext) -> str:
    """With tabs or spaces, whichever the document indents with; unchanged where the document has no indentation."""
    unit = unit_around(place)
    if unit is None:
        return text
    first, *others = text.split("\n")
    lines = others if place.before.strip() else [first, *others]
    if unit == "\t":
        steps = [len(indent_of(line)) for line in lines if line.startswith(" ") and line.strip()]
        step = gcd(*steps) if steps else TAB_WIDTH
        step = TAB_WIDTH if step % TAB_WIDTH == 0 else max(step, 2)
        lines = [with_tabs(line, step) for line in lines]
    else:
        lines = [with_spaces(line, unit) for line in lines]
    return "\n".join((first, *lines) if place.before.strip() else lines)


def right_start(text: str, place: CursorContext) -> str:
    """The first line at most as far in as the block at the cursor, and no second space after a space."""
    if place.before.strip():
        doubled = re.search(r"\S \Z", place.before) and re.match(r" \S", text)
        return text[1:] if doubled else text
    above = place.previous_line
    if not place.before or above is None or scan(above).open:
        return text
    step = len((unit_around(place) or "").expandtabs(TAB_WIDTH)) if opens_block(above) else 0
    most = max(width(above) + step, width(place.before))
    while text[:1] in (" ", "\t") and width(place.before + text) > most:
        text = text[1:]
    return text


def balanced(text: str, place: CursorContext) -> str:
    """Up to the first closer that closes nothing, or that closes what the text after the cursor closes already.

    The text after the cursor closes it already if it fits without the completion, but not with all of it.
    """
    closings = scan(text, place.open_around).closing
    for closing in closings:
        if place.from_start and not closing.fits:
            return text[: closing.start]
    ends = (0, *(closing.end for closing in closings), len(text))
    fits = [
        _closed_by_rest(scan(text[:end], place.open_around).open, min(count, len(closings)), place)
        for count, end in enumerate(ends)
    ]
    if not fits[0] or fits[-1]:
        return text
    last = max(count for count, fine in enumerate(fits) if fine)
    return without_rest_of_line(text[: closings[last].start], place) if last < len(closings) else text


def without_rest_of_line(text: str, place: CursorContext) -> str:
    """Without the text that stands after the cursor on its line, at the end of the text, at the end of one of its
    lines, or inside.
    """
    rest = place.rest.rstrip()
    bare = rest.lstrip()
    if not bare or len(_taken(text, place)) < len(place.closers):
        return text
    at = f"{text}\n".find(f"{bare}\n")
    if at < 0 and len(bare) >= 3 and not bare.isalnum():
        at = text.find(bare)
    if at >= 0:
        return text[:at]
    for length in range(min(len(rest), len(text)), 0, -1):
        if text.endswith(rest[:length]) and (length >= 3 or not rest[0].isalnum()):
            return text[: len(text) - length]
    return text


def without_trailing_space(text: str, place: CursorContext) -> str:
    """Without white space at the end. One space is kept in front of a word or an operator that follows on the line."""
    wanted = text.endswith(" ") and place.rest[:1] not in ("", " ", "\t", *",;:.)]}")
    return text.rstrip() + " " * wanted


def settle_closers(text: str, place: CursorContext) -> tuple[str, int]:
    """The text, and how many of the auto-closed characters after the cursor it replaces.

    If the text ends with these characters, they are left out of it. If it goes on after them, it replaces them. If it
    has several lines and doesn't close the bracket, the bracket gets a line of its own.
    """
    if not place.closers:
        return text, 0
    taken = "".join(closing.text for closing in _taken(text, place))
    if not taken:
        if "\n" in text and place.closers[0] in OPENER_OF:
            text = f"{text}\n{place.block_indent}"
        return text, 0
    if text.endswith(taken) and _taken(text, place)[0].start == len(text) - len(taken):
        return text[: len(text) - len(taken)], 0
    return text, len(taken)


RULES_BEFORE_END: tuple[tuple[Rule, str], ...] = (
    (readable, "the model wrote bytes that are no text"),
    (without_leaks, "the model wrote a control token as text"),
    (loop_free, REPEATS_ITSELF),
)
RULES: tuple[tuple[Rule, str], ...] = (
    (same_indentation, ONLY_SPACE),
    (right_start, ONLY_SPACE),
    (not_the_line_above, "the model repeated the line above"),
    (without_rest_of_line, REPEATS_BELOW),
    (balanced, "the model closed a bracket or quote that is not open"),
    (without_trailing_space, ONLY_SPACE),
)


def unit_around(place: CursorContext) -> str | None:
    """One level of indentation in the lines around; None if none of them is indented."""
    unit = _unit_of_lines(place.above, place.below)
    return unit or unit_of([f"{indent_of(place.before)}x"])


@lru_cache(maxsize=16)  # the lines around stay the same while a line is typed
def _unit_of_lines(above: tuple[str, ...], below: tuple[str, ...]) -> str | None:
    return unit_of((*above, *below))


def _taken(text: str, place: CursorContext) -> list[Closing]:
    """Those closers in a text that the editor has inserted already, in their order."""
    taken: list[Closing] = []
    rest = place.closers
    for closing in scan(text, place.open_before).closing:
        if not closing.fits or not rest.startswith(closing.text):
            break
        taken.append(closing)
        rest = rest[len(closing.text) :]
    return taken


def _closed_by_rest(stack: tuple[str, ...], taken: int, place: CursorContext) -> bool:
    """Whether the text after the cursor closes the innermost open bracket once `taken` closers are written."""
    quote = place.open_before[-1] if place.open_before and not place.closers else ""
    if quote and quote[0] in QUOTES and quote in place.rest and stack[-1:] != (quote,):
        return False
    below = place.closers[taken:] + "\n".join((place.rest, *place.below))[:NEAR]
    needed = _needed_by(below) if place.closers[:1] not in tuple(QUOTES) else ()
    innermost = tuple(CLOSER_OF[mark] for mark in reversed(stack) if mark in CLOSER_OF)
    return innermost[: len(needed)] == needed


@lru_cache(maxsize=16)  # the lines below stay the same while a line is typed
def _needed_by(below: str) -> tuple[str, ...]:
    return tuple(closing.text for closing in scan(below).closing)
