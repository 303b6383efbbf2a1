"""Seeded random edit sequences over an alphabet of everything that was ever mistaken for a line end or a character."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from starfill.text.document import Change
from starfill.text.position import Position, Range

ALPHABET = [
    *("a", "b", " ", "\t", "(", "\r", "\n", "\r\n", "\r\n", "\n"),
    *("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"),
    *("é", "e\u0301", "ß", "漢", "😀", "👩\u200d🚀", "\ud83d", "\ude00"),
]


@dataclass(frozen=True)
class Sequence:
    text: str
    steps: list[list[Change]]  # one list a didChange
    probes: list[Position]


def text(random: Random, longest: int) -> str:
    return "".join(random.choices(ALPHABET, k=random.randrange(longest + 1)))


def position(random: Random) -> Position:
    """Mostly inside a document of a few lines, now and then far outside."""
    if random.random() < 0.05:
        return Position(random.choice([0, 3, 2**31 - 1]), random.choice([0, 3, 2**31 - 1]))
    return Position(random.randrange(12), random.randrange(9))


def change(random: Random) -> Change:
    kind = random.random()
    if kind < 0.04:
        return None, text(random, 30)
    start = position(random)
    if kind < 0.5:
        return Range(start, start), text(random, 3)
    near = Position(start.line + random.randrange(3), random.randrange(9))
    return Range(start, random.choice([near, position(random)])), text(random, random.choice([0, 2, 12]))


def sequence(seed: int) -> Sequence:
    random = Random(seed)
    steps = [[change(random) for _ in range(random.randrange(1, 4))] for _ in range(6)]
    return Sequence(text(random, 40), steps, [position(random) for _ in range(8)])
