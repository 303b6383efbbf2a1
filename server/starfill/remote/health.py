"""Whether an engine is asked at all: not for a while after a failure, and each time longer."""

from __future__ import annotations

import time
from collections.abc import Callable

from starfill.errors import EngineError

FIRST, LONGEST = 1.0, 30.0  # seconds without a request
PATIENCE = 120.0  # seconds that an engine may ask for itself

Told = Callable[["str | None"], None]


class Health:
    """Used on one thread. told: called with the sentence when the engine fails, with None once it works again."""

    def __init__(self, told: Told, clock: Callable[[], float] = time.monotonic) -> None:
        self._told, self.clock = told, clock
        self._delay = 0.0
        self._until = 0.0
        self._vouched = False  # its probe has answered since a job was, and no job has yet shown that it works
        self._doubted = False  # and then a job failed all the same: from now on only a job can tell
        self.trouble: str | None = None

    @property
    def rest(self) -> float:
        """Seconds until the next attempt."""
        return max(0.0, self._until - self.clock())

    def failed(self, error: EngineError, *, probe: bool = False) -> None:
        """An attempt has failed in a way that says something of the next one. probe: it was no job."""
        self._doubted = not probe and (self._doubted or self._vouched)
        self._vouched = False
        if not self.rest:  # else it is another request of the same moment
            self._delay = min(max(FIRST, 2 * self._delay), LONGEST)
        self._until = max(self._until, self.clock() + min(max(self._delay, error.later), PATIENCE))
        if self.trouble != str(error):
            self.trouble = str(error)
            self._told(self.trouble)

    def answers(self) -> bool:
        """A probe has been answered: the engine is there. Whether it works, the next job tells.

        False where that is known to say nothing: probes succeed and jobs fail.
        """
        if self._doubted:
            return False
        self._vouched = True
        self._until = 0.0
        self._clear()
        return True

    def worked(self) -> None:
        """A job has been answered."""
        self._delay = self._until = 0.0
        self._vouched = self._doubted = False
        self._clear()

    def _clear(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            self._told(None)
