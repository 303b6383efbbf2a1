"""Whether an engine is asked at all: not for a while after a failure, longer after each further one."""

from __future__ import annotations

import time
from collections.abc import Callable

from starfill.errors import EngineError
from starfill.jobs import OnTrouble

FIRST, LONGEST = 1.0, 30.0  # seconds without a request
PATIENCE = 120.0  # seconds that an engine may ask for


class Health:
    """Used on one thread. on_trouble: called with a sentence when the engine fails, with None when it works again."""

    def __init__(self, on_trouble: OnTrouble, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_trouble, self.clock = on_trouble, clock
        self._delay = 0.0
        self._until = 0.0
        # a probe has succeeded since the last job, and no job has shown yet that the engine works
        self._probe_succeeded = False
        self._probes_mislead = False  # a job failed after a probe had succeeded: from now on only a job can tell
        self.trouble: str | None = None

    @property
    def rest(self) -> float:
        """Seconds until the next attempt."""
        return max(0.0, self._until - self.clock())

    def failed(self, error: EngineError, *, probe: bool = False) -> None:
        """An attempt failed in a way that the next one is likely to repeat. probe: it was no job."""
        self._probes_mislead = not probe and (self._probes_mislead or self._probe_succeeded)
        self._probe_succeeded = False
        if not self.rest:  # otherwise it was a request of the same moment
            self._delay = min(max(FIRST, 2 * self._delay), LONGEST)
        self._until = max(self._until, self.clock() + min(max(self._delay, error.later), PATIENCE))
        if self.trouble != str(error):
            self.trouble = str(error)
            self._on_trouble(self.trouble)

    def answers(self) -> bool:
        """A probe succeeded: the engine is there. The next job will show whether it works.

        Returns False if that means nothing, because probes succeed and jobs fail.
        """
        if self._probes_mislead:
            return False
        self._probe_succeeded = True
        self._until = 0.0
        self._clear()
        return True

    def worked(self) -> None:
        """A job was answered."""
        self._delay = self._until = 0.0
        self._probe_succeeded = self._probes_mislead = False
        self._clear()

    def _clear(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            self._on_trouble(None)
