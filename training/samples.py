"""From text to training sequences: fill-in-the-middle samples in the layouts that the server sends, and plain text.

Pure functions of (text, random generator). Cuts are made at characters and each part is tokenised on its own, as in
StarCoder's training. The layouts (StarCoder, and "SPM variant 2" of the FIM paper, arXiv 2207.14255):

    PSM  <fim_prefix>P<fim_suffix>S<fim_middle>M<|endoftext|>
    SPM  <fim_prefix><fim_suffix>S<fim_middle>P M<|endoftext|>     (P and M next to each other, encoded apart)

either after `<filename>PATH\\n`, in about a third of the samples. The server's anchored PSM puts the start of the line
after <fim_middle>, hence the many middles that begin at a line's start.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Encode = Callable[[str], list[int]]

MIN_FIM_CHARS = 40  # of a text that is cut in three


@dataclass(frozen=True)
class Sentinels:
    """Token ids of the special tokens that the samples use."""

    eos: int = 0
    prefix: int = 1
    middle: int = 2
    suffix: int = 3
    pad: int = 4
    filename: int = 5


@dataclass(frozen=True)
class Mix:
    """Shares of what a sequence is made of; the middle kinds are weights."""

    fim: float = 0.65
    spm: float = 0.5
    with_path: float = 0.3
    no_suffix: float = 0.1
    no_prefix: float = 0.04
    span: float = 0.10  # a random run of characters
    line_end: float = 0.45  # from a column to the end of its line
    block: float = 0.35  # whole lines
    line_block: float = 0.10  # from a column to the end of a later line
    max_block_lines: int = 8
    middle_weight: float = 2.0  # of a middle's tokens in the loss; every other token counts 1
    instructions: float = 0.0  # of the sequences: those that are filled with instructions first
    same_file: float = 0.0  # of the samples that fill a sequence up: those that go on in the file of the one before
    response_weight: float = 2.0  # of a response's tokens; the prompt before it counts 0


@dataclass(frozen=True)
class Recipe:
    """What every sample is made with."""

    encode: Encode
    mix: Mix = Mix()
    sentinels: Sentinels = Sentinels()


@dataclass(frozen=True)
class Cut:
    """A text in three parts: prefix + middle + suffix (+ what was left away where the suffix is dropped)."""

    prefix: str
    middle: str
    suffix: str


@dataclass(frozen=True)
class Sample:
    """Token ids, and for each its weight as a target of the loss."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Region:
    """Characters start..end of file number `file`."""

    file: int
    start: int
    end: int


def line_bounds(text: str, offset: int) -> tuple[int, int]:
    """Start and end (before the newline) of the line that holds `offset`."""
    end = text.find("\n", offset)
    return text.rfind("\n", 0, offset) + 1, len(text) if end < 0 else end


def end_of_block(text: str, start: int, lines: int) -> int:
    """The end of the line `lines` - 1 below the one that holds `start`, moved back over trailing blank lines."""
    end = line_bounds(text, start)[1]
    for _ in range(lines - 1):
        if end < len(text):
            end = line_bounds(text, end + 1)[1]
    return max(start, len(text[:end].rstrip()))


def middle_span(text: str, rng: Random, mix: Mix) -> tuple[int, int]:
    """Where the middle starts and ends. Late in the text, since the server sends more prefix than suffix."""
    target = 0 if rng.random() < mix.no_prefix else int(len(text) * rng.uniform(0.4, 0.95))
    start, end = line_bounds(text, target)
    for _ in range(8):  # a blank line has nothing to fill in
        if text[start:end].strip() or end >= len(text):
            break
        start, end = line_bounds(text, end + 1)
    column = rng.randrange(start, end) if end > start else start
    kinds = ("span", "line_end", "block", "line_block")
    kind = rng.choices(kinds, [mix.span, mix.line_end, mix.block, mix.line_block])[0]
    if kind == "span":
        return column, min(len(text), column + int(2 ** rng.uniform(2, 9)))
    if kind == "line_end":
        return column, end
    first = start if kind == "block" else column
    return first, end_of_block(text, first, rng.randint(1, mix.max_block_lines))


def cut(text: str, rng: Random, mix: Mix) -> Cut:
    """The text cut in three at random, in the shapes that an editor asks for."""
    start, end = middle_span(text, rng, mix)
    suffix = text[end:]
    if rng.random() < mix.no_suffix:  # the cursor at the end of the file
        suffix = rng.choice(["", "\n"])
    return Cut(text[:start], text[start:end], suffix)


def path_header(path: str, recipe: Recipe) -> list[int]:
    return [recipe.sentinels.filename, *recipe.encode(path + "\n")]


def layout(parts: Cut, path: str | None, spm: bool, recipe: Recipe) -> Sample:
    """The parts as one sample; the middle and the end token after it carry the mix's `middle_weight`."""
    s = recipe.sentinels
    prefix, middle, suffix = map(recipe.encode, (parts.prefix, parts.middle, parts.suffix))
    head = [] if path is None else path_header(path, recipe)
    if spm:
        head += [s.prefix, s.suffix, *suffix, s.middle, *prefix]
    else:
        head += [s.prefix, *prefix, s.suffix, *suffix, s.middle]
    tail = [*middle, s.eos]
    return Sample(head + tail, [1.0] * len(head) + [recipe.mix.middle_weight] * len(tail))


def fim_sample(text: str, path: str, room: int, rng: Random, recipe: Recipe) -> Sample | None:
    """A fill-in-the-middle sample of at most `room` tokens, the text shortened until it fits; None if too short."""
    spm = rng.random() < recipe.mix.spm
    shown_path = path if rng.random() < recipe.mix.with_path else None
    while len(text) >= MIN_FIM_CHARS:
        sample = layout(cut(text, rng, recipe.mix), shown_path, spm, recipe)
        if len(sample.ids) <= room:
            return sample
        text = text[: int(len(text) * min(0.95, room / len(sample.ids)))]
    return None


def plain_sample(text: str, path: str, ends: bool, room: int, rng: Random, recipe: Recipe) -> Sample:
    """The text as it is, cut off after `room` tokens. An end token separates it from what follows it in a sequence;
    it is learned (weight 1) only where the file really ends."""
    head = path_header(path, recipe) if rng.random() < recipe.mix.with_path else []
    ids = [*head, *recipe.encode(text), recipe.sentinels.eos]
    weights = [1.0] * (len(ids) - 1) + [1.0 if ends else 0.0]
    return Sample(ids[:room], weights[:room])


def instruction_sample(prompt: str, response: str, recipe: Recipe) -> Sample:
    """An instruction in its template and the response; only the response and the end token after it are learned."""
    asked, answered = recipe.encode(prompt), [*recipe.encode(response), recipe.sentinels.eos]
    return Sample(asked + answered, [0.0] * len(asked) + [recipe.mix.response_weight] * len(answered))


def regions(lengths: Sequence[int], line_starts: Sequence[Sequence[int]], chars: int, rng: Random) -> list[Region]:
    """All files cut at line starts into regions of about `chars` characters (the first shorter), in random order."""
    found = []
    for file, (length, starts) in enumerate(zip(lengths, line_starts, strict=True)):
        begin, end = 0, rng.randint(chars // 3, chars)
        while begin < length:
            stop = length if end >= length else max(starts[bisect_right(starts, end) - 1], begin)
            stop = stop if stop > begin else min(length, end)  # one line longer than a region
            found.append(Region(file, begin, stop))
            begin, end = stop, stop + chars
    rng.shuffle(found)
    return found
