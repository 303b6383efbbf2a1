"""The prompt of a completion: its layout, its window, and how many tokens a typed character costs.

A prompt has a prefix P, a suffix S and the middle that the model writes. These are the layouts, in StarCoder's tokens
(each family has its own strings and rules, see `families`):

    psm           <fim_prefix>P<fim_suffix>S<fim_middle>           P ends at the cursor: typing moves all of S
    anchored-psm  <fim_prefix>P<fim_suffix>S<fim_middle>typed      P ends at the anchor: typing appends
    spm           <fim_prefix><fim_suffix>S<fim_middle>P typed     P and the middle are one text: typing appends
    prefix        P typed                                          for models that can't fill in: they don't see S

Anchored PSM is published as EFIM (arXiv 2505.21889). SPM is the variant that StarCoder was trained with ("SPM variant
2" of the FIM paper, arXiv 2207.14255); the model doesn't know the suffix-first orders of other tools.

Everything here is a pure function of (document, offset, previous anchor). An anchor stays valid as long as the text
before it and the text after the cursor are unchanged, even if both have moved within the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import unquote, urlsplit

from starfill.assist.completion.context_window import Window, cut_prefix, cut_suffix, find_start, model_text
from starfill.assist.completion.token_healing import drop
from starfill.assist.prompts.family import Dialect
from starfill.assist.prompts.template import Field, fill
from starfill.assist.prompts.tokenizer import Tokenizer
from starfill.code.brackets import CLOSERS, auto_closed, scan
from starfill.config.choices import Layout
from starfill.text.document import Document

MAX_TYPED = 256  # tokens after the anchor; a new anchor is set when there are more
MAX_TYPED_CHARS = 2048  # the same in characters, checked before anything is encoded
LINE_REACH = 2000  # characters of the cursor's line, to either side, that are looked at
GAP = 64  # characters between cursor and suffix: what the editor inserted with an opener
EARLIER = 8  # how many anchors of places left behind are remembered; the engine keeps no more states for a document
SUFFIX_SHARE = 1 / 4  # of the window; prefix and suffix may each use what the other one doesn't need
MAX_HEADER = 48  # tokens for the file's path
PATH_NAMES = 2  # path components, counted from the end: models were trained on paths within a project
NO_SUFFIX = Window("", (), whole=False)


@dataclass(frozen=True, slots=True)
class Setup:
    """What stays the same from prompt to prompt. context: tokens of prompt and answer. answer: tokens kept free for it.

    Each part has a budget of its own. The finished prompt is never cut, so no sentinel can be lost.
    """

    tokenizer: Tokenizer
    dialect: Dialect
    layout: Layout
    context: int
    answer: int

    @property
    def joins(self) -> bool:
        """Whether prefix and typed text are one text, encoded together."""
        return Field("text") in self.dialect.orders[self.layout]

    @property
    def typed(self) -> int:
        """Tokens reserved for what is typed after the anchor."""
        return min(MAX_TYPED, (self.context - self.answer) // 8)

    @property
    def window(self) -> int:
        """The number of tokens for prefix and suffix together."""
        order = self.dialect.orders[self.layout]
        controls = sum(isinstance(piece, int) for piece in order) + (self.dialect.bos is not None)
        return self.context - self.answer - self.typed - controls - self.header_budget

    @property
    def header_budget(self) -> int:
        """The number of tokens reserved for the file's path."""
        wanted = Field("header") in self.dialect.orders[self.layout] and self.dialect.header
        return min(MAX_HEADER, (self.context - self.answer) // 16) if wanted else 0

    def encode_prefix(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, start=True)


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the typing began, with the text around it. offset: the anchor's, in the document as it was last seen.

    header: the tokens that tell the model the file's path. earlier: anchors of places that the cursor has left, the
    latest first. Back at one of them the prompt is the same again, and the engine may still have its state.
    """

    setup: Setup
    header: tuple[int, ...]
    offset: int
    prefix: Window
    suffix: Window
    earlier: tuple[Anchor, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """ids: the model's input. dropped: bytes that the answer must begin with (token healing); cut: their ids.

    typed: text since the anchor.

    closers: the auto-closed brackets and quotes right after the cursor, which are part of neither prefix nor suffix.
    """

    ids: tuple[int, ...]
    dropped: bytes
    cut: tuple[int, ...]
    typed: str
    closers: str


def plan(document: Document, offset: int, previous: Anchor | None, setup: Setup) -> tuple[Prompt, Anchor]:
    """The prompt for a cursor at `offset` (characters), and the anchor to hand in next time."""
    closers = closers_at(document, offset)
    known = (previous, *previous.earlier) if previous is not None else ()
    standing = ((each, kept) for each in known if (kept := _still_valid(document, offset, each, setup)) is not None)
    used, anchor = next(standing, (None, None))
    if anchor is None:
        anchor = _new_anchor(document, offset, len(closers), previous, setup)
    earlier = tuple(replace(each, earlier=()) for each in known if each is not used)
    anchor = replace(anchor, earlier=earlier[:EARLIER])
    typed = document.slice(anchor.offset, offset)
    ids, cut = _lay_out(anchor, typed)
    dropped = b"".join(setup.tokenizer.token_bytes[token] for token in cut)
    return Prompt(ids, dropped, cut, typed, closers), anchor


def closers_at(document: Document, offset: int) -> str:
    """The auto-closed brackets and quotes right after the cursor."""
    line = document.line_of(offset)
    left = document.slice(max(document.line_start(line), offset - LINE_REACH), offset)
    right = document.slice(offset, min(document.line_end(line), offset + GAP))
    return auto_closed(left, right)


def _still_valid(document: Document, offset: int, previous: Anchor, setup: Setup) -> Anchor | None:
    """The previous anchor, moved to where it stands now; None if it is no longer valid."""
    if previous.setup != setup or setup.layout is Layout.PSM:
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
    """The end of the prefix's text in the document: at its old offset, or moved by an edit above the window."""
    prefix = anchor.prefix.text
    expected = len(prefix) if anchor.prefix.whole else anchor.offset
    if expected <= offset and document.slice(expected - len(prefix), expected) == prefix:
        return expected
    if anchor.prefix.whole:
        return None
    region_start = max(0, offset - MAX_TYPED_CHARS - len(prefix))
    found = document.slice(region_start, offset).find(prefix)
    return region_start + found + len(prefix) if found >= 0 else None


def _suffix_follows(document: Document, offset: int, typed: str, suffix: Window) -> bool:
    """Whether the suffix comes right after the cursor, or after closers that belong to the typed text.

    When `{` and Enter are typed, a line end, indentation and `}` stand between cursor and suffix. That is still typing.
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


def _new_anchor(document: Document, offset: int, closers: int, previous: Anchor | None, setup: Setup) -> Anchor:
    """A new anchor. It takes over the windows of the previous one if they still fit."""
    encode = setup.tokenizer.encode
    end = _anchor_offset(document, offset, setup)
    after = offset + closers
    share = int(setup.window * SUFFIX_SHARE)
    shows_suffix = setup.layout is not Layout.PREFIX
    suffix = cut_suffix(document, after, share, encode) if shows_suffix else NO_SUFFIX
    room = setup.window - len(suffix.ids)
    same_setup = previous if previous is not None and previous.setup == setup else None
    start = find_start(document, same_setup.prefix, same_setup.offset, end, room) if same_setup else None
    prefix = cut_prefix(document, end, room, setup.encode_prefix, start)
    left = setup.window - len(prefix.ids)
    if shows_suffix and same_setup and _suffix_fits(document, after, same_setup.suffix, share // 2):
        # A window that has grown too long is cut to its share at once; otherwise each new anchor would cut it again.
        suffix = same_setup.suffix if len(same_setup.suffix.ids) <= left else suffix
    elif shows_suffix and not suffix.whole and left > share:
        suffix = cut_suffix(document, after, left, encode)
    return Anchor(setup, header_ids(document.uri, setup), end, prefix, suffix)


def header_ids(uri: str, setup: Setup) -> tuple[int, ...]:
    """The tokens that tell the model where the file is: as much of the end of its path as fits, or nothing."""
    parts = urlsplit(uri)
    names = [name for name in unquote(parts.path).split("/") if name and not name.endswith(":")]
    if setup.header_budget == 0 or parts.scheme == "untitled" or parts.path.endswith(".ipynb"):
        return ()  # the model would write JSON if it saw a notebook's name
    for count in range(min(PATH_NAMES, len(names)), 0, -1):
        path = "/".join(names[-count:])
        ids = fill(setup.dialect.header, {"path": path}, setup.tokenizer)
        if len(ids) <= setup.header_budget and "\n" not in path:
            return ids
    return ()


def _suffix_fits(document: Document, start: int, suffix: Window, least: int) -> bool:
    """Whether a previous suffix window stands at `start` and has at least `least` tokens."""
    end = start + len(suffix.text)
    if suffix.whole != (end == len(document)) or document.slice(start, end) != suffix.text:
        return False
    return suffix.whole or len(suffix.ids) >= least


def _anchor_offset(document: Document, offset: int, setup: Setup) -> int:
    """The start of the cursor's line; the cursor itself in plain PSM, and in a very long line."""
    start = document.line_start(document.line_of(offset))
    if setup.layout is Layout.PSM or offset - start > LINE_REACH:
        return offset
    typed = setup.tokenizer.encode(model_text(document.slice(start, offset)))
    return offset if len(typed) > setup.typed // 2 else start


def _lay_out(anchor: Anchor, typed: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids of a prompt, and the ids that were cut off at its end."""
    setup, prefix, suffix = anchor.setup, anchor.prefix, anchor.suffix
    dialect, tokenizer = setup.dialect, setup.tokenizer
    if setup.joins:
        # One text is encoded as a whole. That may take a token more than its parts do; the front then gives one up.
        last = model_text(prefix.text + typed)
        room = setup.window + setup.typed - len(suffix.ids)
        last_ids = tuple(setup.encode_prefix(last))[-room:]
    else:
        last = model_text(typed)
        last_ids = tuple(tokenizer.encode(last))
    dropped: tuple[int, ...] = ()
    if setup.layout in dialect.family.healed and last_ids:
        last_ids, dropped = drop(last_ids, last, tokenizer.token_bytes)
    parts = {"header": anchor.header, "prefix": prefix.ids, "suffix": suffix.ids, "typed": last_ids, "text": last_ids}
    ids: list[int] = [] if dialect.bos is None else [dialect.bos]
    for piece in dialect.orders[setup.layout]:
        ids += parts[piece.name] if isinstance(piece, Field) else [cast(int, piece)]
    return tuple(ids), dropped
