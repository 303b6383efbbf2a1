"""The fill-in-the-middle prompt: which layout, which window, and what a typed character costs.

A prompt has a prefix P, a suffix S and the middle that the model writes. Three layouts:

    psm           <fim_prefix>P<fim_suffix>S<fim_middle>           P ends at the cursor: typing moves all of S
    anchored-psm  <fim_prefix>P<fim_suffix>S<fim_middle>typed      P ends at the anchor: typing appends
    spm           <fim_prefix><fim_suffix>S<fim_middle>P typed     P and the middle are one text: typing appends

Anchored PSM is published as EFIM (arXiv 2505.21889). SPM is written as StarCoder was trained with it ("SPM variant 2"
of the FIM paper, arXiv 2207.14255); other tools' suffix-first orders are unknown to the model.

Everything here is a pure function of (document, offset, previous anchor). The anchor, once set, stands for as long as
the text before it and the text after the cursor are what they were, wherever in the file they have moved to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from starfill.assist.brackets import CLOSERS, auto_closed, scan
from starfill.assist.family import Layout, Sentinels
from starfill.assist.healing import drop
from starfill.assist.tokenizer import Tokenizer
from starfill.assist.window import Part, cut_prefix, cut_suffix, find_start, model_text
from starfill.text.document import Document

MAX_TYPED = 256  # tokens after the anchor; then a new one is set
MAX_TYPED_CHARS = 2048  # the same in characters, before anything is encoded
LINE_REACH = 2000  # characters of the cursor's line that are looked at, to either side
GAP = 64  # characters between cursor and suffix: what the editor inserted with an opener
SUFFIX_SHARE = 1 / 4  # of the window; prefix and suffix each take what the other doesn't need


@dataclass(frozen=True, slots=True)
class Setup:
    """What stays the same from prompt to prompt. context: tokens of prompt and answer. answer: tokens of it kept free.

    The parts are budgeted, never the finished prompt, so no sentinel can be cut off.
    """

    tokenizer: Tokenizer
    sentinels: Sentinels
    layout: Layout
    context: int
    answer: int

    @property
    def typed(self) -> int:
        """Tokens reserved for what is typed after the anchor."""
        return min(MAX_TYPED, (self.context - self.answer) // 8)

    @property
    def window(self) -> int:
        """Tokens for prefix and suffix together."""
        return self.context - self.answer - self.typed - len(self.sentinels.family.sentinels)


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the typing began, with the text around it. offset: of the anchor in the document last seen."""

    setup: Setup
    offset: int
    prefix: Part
    suffix: Part


@dataclass(frozen=True, slots=True)
class Prompt:
    """ids: for the model. dropped: the bytes that the answer must begin with (healing). typed: text since the anchor.

    closers: the auto-closed brackets and quotes right after the cursor, which stand neither in the prefix nor the
    suffix.
    """

    ids: tuple[int, ...]
    dropped: bytes
    typed: str
    closers: str


def plan(document: Document, offset: int, previous: Anchor | None, setup: Setup) -> tuple[Prompt, Anchor]:
    """The prompt for a cursor at `offset` (characters), and the anchor to hand in next time."""
    closers = closers_at(document, offset)
    anchor = _kept(document, offset, previous, setup) or _fresh(document, offset, len(closers), previous, setup)
    typed = document.slice(anchor.offset, offset)
    ids, dropped = _lay_out(anchor, typed)
    return Prompt(ids, dropped, typed, closers), anchor


def closers_at(document: Document, offset: int) -> str:
    """The auto-closed brackets and quotes right after the cursor."""
    line = document.line_of(offset)
    left = document.slice(max(document.line_start(line), offset - LINE_REACH), offset)
    right = document.slice(offset, min(document.line_end(line), offset + GAP))
    return auto_closed(left, right)


def _kept(document: Document, offset: int, previous: Anchor | None, setup: Setup) -> Anchor | None:
    """The previous anchor at its present place, if it still stands."""
    if previous is None or previous.setup != setup or setup.layout is Layout.PSM:
        return None
    start = _find_anchor(document, offset, previous)
    if start is None or offset - start > MAX_TYPED_CHARS:
        return None
    typed = document.slice(start, offset)
    if not _suffix_follows(document, offset, typed, previous.suffix):
        return None
    if len(setup.tokenizer.encode(model_text(typed))) > setup.typed:
        return None
    return replace(previous, offset=start)


def _find_anchor(document: Document, offset: int, anchor: Anchor) -> int | None:
    """The end of the prefix's text in the document: where it was, or moved by an edit above the window."""
    prefix = anchor.prefix.text
    expected = len(prefix) if anchor.prefix.whole else anchor.offset
    if expected <= offset and document.slice(expected - len(prefix), expected) == prefix:
        return expected
    if anchor.prefix.whole:
        return None
    region_start = max(0, offset - MAX_TYPED_CHARS - len(prefix))
    found = document.slice(region_start, offset).find(prefix)
    return region_start + found + len(prefix) if found >= 0 else None


def _suffix_follows(document: Document, offset: int, typed: str, suffix: Part) -> bool:
    """Whether the suffix comes right after the cursor, or after closers that belong to what was typed.

    `{` and Enter leave the cursor, a line end, indentation and `}` before the suffix: that is still typing.
    """
    right = document.slice(offset, offset + GAP + len(suffix.text))
    length = len(document) - offset - len(suffix.text) if suffix.whole else right.find(suffix.text)
    if not 0 <= length <= GAP or not right.startswith(suffix.text, length):
        return False
    gap = right[:length]
    if not all(mark in CLOSERS or mark.isspace() for mark in gap):
        return False
    closing = scan(gap, scan(typed).open).closing
    return not gap or (bool(closing) and all(each.fits for each in closing))


def _fresh(document: Document, offset: int, closers: int, previous: Anchor | None, setup: Setup) -> Anchor:
    """A new anchor, with the windows of the previous one where they still serve."""
    encode = setup.tokenizer.encode
    end = _anchor_offset(document, offset, setup)
    after = offset + closers
    share = int(setup.window * SUFFIX_SHARE)
    suffix = cut_suffix(document, after, share, encode)
    room = setup.window - len(suffix.ids)
    same_setup = previous if previous is not None and previous.setup == setup else None
    start = find_start(document, same_setup.prefix, same_setup.offset, end, room) if same_setup else None
    prefix = cut_prefix(document, end, room, encode, start)
    left = setup.window - len(prefix.ids)
    if same_setup and _stands(document, after, same_setup.suffix, share // 2):
        # One that has grown too long is cut to its share at once, or each new anchor would cut it again.
        suffix = same_setup.suffix if len(same_setup.suffix.ids) <= left else suffix
    elif not suffix.whole and left > share:
        suffix = cut_suffix(document, after, left, encode)
    return Anchor(setup, end, prefix, suffix)


def _stands(document: Document, start: int, suffix: Part, least: int) -> bool:
    """Whether a previous suffix window stands at `start`, and isn't too short to keep (tokens)."""
    end = start + len(suffix.text)
    if suffix.whole != (end == len(document)) or document.slice(start, end) != suffix.text:
        return False
    return suffix.whole or len(suffix.ids) >= least


def _anchor_offset(document: Document, offset: int, setup: Setup) -> int:
    """The start of the cursor's line; the cursor itself in plain PSM, and in a line too long to type in."""
    start = document.line_start(document.line_of(offset))
    if setup.layout is Layout.PSM or offset - start > LINE_REACH:
        return offset
    typed = setup.tokenizer.encode(model_text(document.slice(start, offset)))
    return offset if len(typed) > setup.typed // 2 else start


def _lay_out(anchor: Anchor, typed: str) -> tuple[tuple[int, ...], bytes]:
    setup, tokens = anchor.setup, anchor.setup.sentinels
    prefix, suffix, encode = anchor.prefix, anchor.suffix, anchor.setup.tokenizer.encode
    if setup.layout is Layout.SPM:
        # One text, so one encoding; joined it may take a token more than its parts, which the front then gives up.
        room = setup.window + setup.typed - len(suffix.ids)
        text = model_text(prefix.text + typed)
        after_middle = tuple(encode(text))[-room:]
        before_middle: tuple[int, ...] = (tokens.prefix, tokens.suffix, *suffix.ids)
    else:
        text = model_text(typed)
        after_middle = tuple(encode(text))
        before_middle = (tokens.prefix, *prefix.ids, tokens.suffix, *suffix.ids)
    dropped = b""
    if setup.layout in tokens.family.healed and after_middle:
        after_middle, dropped = drop(after_middle, text, setup.tokenizer.token_bytes)
    return (*before_middle, tokens.middle, *after_middle), dropped
