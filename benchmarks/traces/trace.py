"""Typing traces of real files: what an editor sends, event by event, and where it asks for a completion.

A trace is made of rounds, so that several systems can take turns. Pure, and the same for the same seed and sources.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from traces.typist import Event, Place, Typist

# Modules that every Python has, in which people wrote ordinary code. The order is that of the documents.
MODULES = (
    *("inspect", "argparse", "textwrap", "ast", "shutil", "configparser", "tarfile", "mailbox", "zipfile", "pathlib"),
    *(
        "subprocess",
        "typing",
        "datetime",
        "difflib",
        "optparse",
        "tempfile",
        "doctest",
        "pdb",
        "traceback",
        "threading",
    ),
)
STRETCH = 6  # characters typed between two other things
LEAST = 14  # characters of a line that is worth typing in


@dataclass(frozen=True, slots=True)
class Trace:
    """texts: of the documents, as they are opened before they are first used. rounds: each in one or two documents."""

    texts: tuple[str, ...]
    rounds: tuple[tuple[Event, ...], ...]

    @property
    def visited(self) -> int:
        """How many of the documents are used."""
        return len({event.document for events in self.rounds for event in events})

    @property
    def asks(self) -> int:
        return sum(event.cursor is not None for events in self.rounds for event in events)


def stdlib_lines(module: str) -> list[str]:
    """The lines of a module of the standard library that are plain ASCII."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    lines = Path(spec.origin).read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line.isascii() and "\f" not in line]


def sources(documents: int, lines: int) -> list[list[str]]:
    """The beginnings of as many modules, without the licence or whatever else stands first in them."""
    return [stdlib_lines(module)[40 : 40 + lines] for module in MODULES[:documents]]


def mixed(texts: Sequence[Sequence[str]], asks: int, seed: int = 0) -> Trace:
    """A working day in small: typing, mistakes, brackets, Enter, accepting, undoing, jumping, several documents.

    asks: how many completions are asked for, at least; the last round is a whole one.
    """
    chance = random.Random(seed)
    typists = [Typist(number, list(lines)) for number, lines in enumerate(texts)]
    visited: list[list[str]] = [[] for _ in typists]
    rounds: list[tuple[Event, ...]] = []
    asked, present = 0, -1
    while asked < asks:
        number = len(rounds)
        # Two rounds in a document, then the next one; every fifth round is back in the one before the last.
        wanted = (number // 2 - 2 * (number % 5 == 4)) % len(typists)
        typist = typists[wanted]
        events = []
        if wanted != present:
            events.append(typist.come_back("switch" if visited[wanted] else "open"))
        events += _round(typist, visited[wanted], number, chance)
        present = wanted
        rounds.append(tuple(events))
        asked += sum(event.cursor is not None for event in events)
    return Trace(tuple("\n".join(lines) for lines in texts), tuple(rounds))


def _round(typist: Typist, visited: list[str], number: int, chance: random.Random) -> Iterator[Event]:
    """A jump, some typing, and one other thing, which follows from the round's number."""
    thing = ("mistake", "elsewhere", "accept", "enter")[number % 4]
    line, kind = _where(typist.lines, visited, thing == "enter", number % 3 == 2, chance)
    visited.append(typist.lines[line])
    after = typist.lines[line + 1] if thing == "enter" else ""
    yield typist.jump(kind, line, also=thing == "enter")
    yield from typist.type(STRETCH)
    if thing == "mistake":
        yield from typist.mistype()
    elif thing == "elsewhere":
        yield typist.insert(chance.randrange(len(typist.lines)), [f"# note {number}"])
        yield from typist.type(STRETCH, first="elsewhere")
    elif thing == "accept":
        yield from typist.accept_and_undo()
    yield typist.finish()
    if thing == "enter":
        yield typist.enter(after)
        yield from typist.type(STRETCH)
        yield typist.finish()


def _where(
    lines: Sequence[str], visited: Sequence[str], two: bool, back: bool, chance: random.Random
) -> tuple[int, str]:
    """A line worth typing in, new or visited before, and what the jump there is called."""
    worth = [i for i, line in enumerate(lines[:-1]) if len(line.strip()) >= LEAST]
    if two:
        worth = [i for i in worth if len(lines[i + 1].strip()) >= STRETCH]
    known = [i for i in worth if lines[i] in visited]
    if back and known:
        return chance.choice(known), "return"
    return chance.choice([i for i in worth if lines[i] not in visited] or worth), "jump"


def growing(lengths: Sequence[int], keys: int, count: Callable[[str], int], suffix: int = 8) -> Trace:
    """Typing at a place before which more and more text stands: a round for each length, in tokens as `count` has it.

    Each round first inserts what makes the text so long ("grow"), then types `keys` characters. `suffix` lines follow.
    """
    stock = [line for module in MODULES for line in stdlib_lines(module)]
    after, stock = stock[:suffix], stock[suffix:]
    lines = ["    total = first_value + second_value * third_value - offset", *after]
    typist = Typist(0, lines)
    rounds, used, tokens = [], 0, count("\n".join(lines))
    for length in lengths:
        begin = used
        while tokens < length:
            tokens += count(stock[used] + "\n")
            used += 1
        grown = typist.insert(begin, stock[begin:used])
        rounds.append((grown, typist.jump("grow", used), *typist.type(keys), typist.finish()))
    return Trace(("\n".join(lines),), tuple(rounds))


def cold(lengths: Sequence[int], count: Callable[[str], int]) -> Trace:
    """A document of each length, in tokens, whose beginnings differ; one completion near the end of each."""
    texts, rounds = [], []
    for number, length in enumerate(lengths):
        stock = [line for module in MODULES[number:] for line in stdlib_lines(module)]
        lines: list[str] = []
        tokens = 0
        while tokens < length:
            tokens += count(stock[len(lines)] + "\n")
            lines.append(stock[len(lines)])
        texts.append("\n".join(lines))
        place = Place(len(lines) - 1, len(lines[-1]))
        rounds.append((Event("cold", number, None, place),))
    return Trace(tuple(texts), tuple(rounds))
