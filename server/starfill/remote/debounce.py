"""How long typing must pause before an engine is asked: not at all while it keeps up with the keys.

An engine that can't begin an answer before the next key comes computes for nobody, and one that many people share then
gets no further with anything: most look for what has been given up only between two batches.
"""

from __future__ import annotations

from collections import deque
from statistics import median

QUICK = 0.15  # seconds to the first token that keep up with typing
LONGEST = 0.4  # seconds of a pause: more than between two keys, less than one notices where answers are slow anyway
COUNT = 5  # of the latest answers; a new document's is slow and says nothing of the next


class Debounce:
    """Used on one thread. Learns from completions alone: an action's prompt is another matter."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque([0.0] * COUNT, COUNT)

    @property
    def delay(self) -> float:
        """Seconds before the next request is sent."""
        return min(max(self._first - QUICK, 0.0), LONGEST)

    def began(self, seconds: float) -> None:
        """The first token of an answer has come after so long."""
        self._latest.append(seconds)

    def gave_up(self, seconds: float) -> None:
        """Nothing had come when nobody wanted it any more."""
        if seconds > self._first:
            self._latest.append(seconds)

    @property
    def _first(self) -> float:
        return median(self._latest)
