"""How long typing must pause before an engine is asked: not at all while the engine keeps up with the keys.

An engine that can't begin an answer before the next key works for nobody. If many people share it, it gets no further
with anything: most engines notice abandoned requests only between two batches.
"""

from __future__ import annotations

from collections import deque
from statistics import median

QUICK = 0.15  # seconds to the first token with which an engine keeps up with typing
LONGEST = 0.4  # seconds; longer than between two keys, too short to be noticed where answers are slow anyway
COUNT = 5  # of the latest answers; the first one for a new document is slow and doesn't predict the next


class Debounce:
    """Used on one thread. Learns from completions only: the prompt of an action is different."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque([0.0] * COUNT, COUNT)

    @property
    def delay(self) -> float:
        """Seconds to wait before the next request is sent."""
        return min(max(self._first - QUICK, 0.0), LONGEST)

    def began(self, seconds: float) -> None:
        """The first token of an answer came after so many seconds."""
        self._latest.append(seconds)

    def gave_up(self, seconds: float) -> None:
        """Nothing had come when the request was given up."""
        if seconds > self._first:
            self._latest.append(seconds)

    @property
    def _first(self) -> float:
        return median(self._latest)
