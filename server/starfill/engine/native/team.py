"""How many threads compute a pass: all of them, or for a while only one, when other programs need the cores too.

A kernel's threads wait for each other at its end. If another process has taken one of the cores, the thread on it waits
for a time slice at each of a token's hundred ends, and decoding becomes 40 times slower. One thread alone isn't
affected. So passes are timed, and after some that took far longer than usual the next ones are computed by one thread.
"""

from __future__ import annotations

SLOW = 3.0  # times the best time of passes with as many rows
PATIENCE = 2  # slow passes in a row before only one thread is used
FADE = 1.01  # the factor by which the best time grows with each pass: contexts grow, processors slow down
ALONE, LONGEST = 32, 1024  # passes that one thread computes then, at first and at most


class Team:
    """size: the number of threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._best: dict[int, float] = {}  # seconds, by the rows' order of magnitude
        self._slow = 0  # passes in a row
        self._alone = 0  # passes that one thread still has to compute
        self._next = ALONE

    @property
    def threads(self) -> int:
        """For the next pass."""
        return 1 if self._alone else self.size

    def learn(self, rows: int, seconds: float) -> None:
        """A pass of `rows` rows has taken `seconds`."""
        if self._alone:
            self._alone -= 1
            return
        kind = rows.bit_length()
        best = self._best.get(kind, seconds)
        self._best[kind] = min(best * FADE, seconds)
        if seconds < SLOW * best:
            self._slow = 0
            self._next = max(self._next // 2, ALONE) if seconds < 2 * best else self._next
            return
        self._slow += 1
        if self._slow >= PATIENCE and self.size > 1:
            self._slow = 0
            self._alone, self._next = self._next, min(2 * self._next, LONGEST)
