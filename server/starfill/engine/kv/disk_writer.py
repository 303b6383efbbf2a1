"""When KV states are written to disk: now and then while nothing is computed, and when their model is closed.

The engine's thread copies a state out of its slot, which takes milliseconds. A second thread hashes and writes it, one
state at a time, and then ends (see `util/daemon_thread.py`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Concatenate, ParamSpec
from weakref import WeakKeyDictionary

from starfill.engine.kv.disk_store import DiskStore, UnsavedState
from starfill.engine.kv.kv_cache import KVShape
from starfill.engine.kv.prefix_cache import MAX_RECOMPUTED, PrefixCache, Slot
from starfill.util.daemon_thread import in_daemon_thread

PAUSE = 5.0  # seconds without a job before states are written
INTERVAL = 300.0  # seconds between two rounds of writing; a state of a large model has 50 MB

P = ParamSpec("P")
logger = logging.getLogger(__name__)


def _turning_off_on_error(
    method: Callable[Concatenate[DiskWriter, P], None],
) -> Callable[Concatenate[DiskWriter, P], None]:
    """Decorates a method: if saving fails in any way, saving is turned off and computing goes on."""

    def guarded(self: DiskWriter, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            logger.exception("KV states can't be saved; that is off now")
            self.off()

    return guarded


class DiskWriter:
    """All methods but `finish` are called on the engine's thread."""

    def __init__(self, slots: PrefixCache, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._clock = slots, clock
        self._saved: dict[Hashable, DiskStore] = {}  # by model
        self._written: WeakKeyDictionary[Slot, int] = WeakKeyDictionary()  # a hash of the ids that are on disk
        self._writing: Future[None] | None = None
        self._round = clock() - INTERVAL  # when the last round began
        self._due: float | None = None

    @_turning_off_on_error
    def use(self, model: Hashable, saved: DiskStore) -> None:
        """Keep a model's states in this store from now on. If its limit is 0, keep none, and remove those that are
        there.
        """
        if saved.limit:
            saved.open()
            self._saved[model] = saved
        elif self._saved.pop(model, None) is not None:
            saved.clear()
        else:
            saved.expire()

    @_turning_off_on_error
    def restore(self, model: Hashable, document: Hashable, ids: Sequence[int], shape: KVShape) -> None:
        """Put the saved state that shares most with `ids` into the prefix cache, if that saves a lot of computing."""
        saved = self._saved.get(model)
        if saved is None:
            return
        most = self._slots.shared((model, document), ids) + MAX_RECOMPUTED
        if most < len(ids):
            slot = saved.load(ids, most, shape)
            if slot is not None:
                self._slots.add((model, document), slot)
                self._mark(slot)

    def off(self) -> None:
        """Turn saving off."""
        self._saved.clear()
        self._due = None

    def touched(self) -> None:
        """A job has ended, so states may have changed."""
        if self._saved:
            self._due = max(self._clock() + PAUSE, self._round + INTERVAL)

    def seconds_until_due(self) -> float | None:
        """Seconds until something has to be written; None for never."""
        return None if self._due is None else max(0.0, self._due - self._clock())

    @_turning_off_on_error
    def save_one(self) -> None:
        """Write a state that isn't on disk, the oldest first. The next one follows when it is written."""
        if self._writing is not None and not self._writing.done():
            self._due = self._clock() + 0.1
            return
        for model, saved in self._saved.items():
            unsaved = list(self._unsaved(model, saved))
            if unsaved:
                self._due = self._round = self._clock()
                self._write(saved, [self._state(*unsaved[-1])])
                return
        self._due = None

    @_turning_off_on_error
    def save_all(self, model: Hashable) -> None:
        """A model is being closed: write what isn't on disk. Its slots are dropped one by one as their states are
        copied.
        """
        saved = self._saved.pop(model, None)
        if saved is None:
            return
        states = []
        room = saved.limit
        for slot, document in self._unsaved(model, saved):
            state = self._state(slot, document)
            room -= state.nbytes
            if room < 0:
                break
            states.append(state)
            self._slots.drop(slot)
        self._write(saved, states)

    def finish(self, seconds: float) -> None:
        """Wait until everything is written, but at most so long."""
        if self._writing is not None:
            wait([self._writing], seconds)

    def _unsaved(self, model: Hashable, saved: DiskStore) -> Iterator[tuple[Slot, str]]:
        """The latest states of documents that may be saved and aren't on disk, the most recently used first."""
        for document, slot in reversed(self._slots.latest(model).items()):
            if not isinstance(document, str) or not saved.keeps(document):
                continue
            if len(slot.ids) > MAX_RECOMPUTED and self._written.get(slot) != hash(tuple(slot.ids)):
                yield slot, document

    def _state(self, slot: Slot, document: str) -> UnsavedState:
        self._mark(slot)
        return UnsavedState(document, tuple(slot.ids), slot.cache.layers())

    def _mark(self, slot: Slot) -> None:
        self._written[slot] = hash(tuple(slot.ids))

    def _write(self, saved: DiskStore, states: Sequence[UnsavedState]) -> None:
        earlier = self._writing

        def work() -> None:
            if earlier is not None:
                wait([earlier])
            saved.save(states)

        self._writing = in_daemon_thread(work)
