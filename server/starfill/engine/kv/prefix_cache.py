"""The prefix cache: KV states of earlier prompts, found by the longest prefix that they share with a new one.

A new prompt continues its document's state where next to nothing of that is thrown away. After a jump of the cursor
much would be: then the shared prefix is copied (which takes milliseconds; computing it takes seconds), and the old
state stays for the way back. So a document may have several states, each in a slot.

All states together are bounded in bytes; the least recently used one is evicted first. A state in a GPU's memory is
parked instead: moved to the host's memory, which is bounded too, and brought back when it is used again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence

from starfill.engine.kv.kv_cache import KVCache, KVShape
from starfill.util.common_prefix import common_prefix
from starfill.util.machine_memory import system_memory

MAX_RECOMPUTED = 16  # tokens that we accept recomputing before a state is copied for another prompt
SLOTS_PER_DOCUMENT = 8
HOST_SHARE = 4  # parked states may take this part (1 / 4) of the memory that is free when the first one is parked

Key = tuple[Hashable, Hashable]  # a model, and the document or whatever else its job stands for


class Slot:
    """Token ids and the KV state computed from exactly them.

    asked: the number of ids, from the start, that came from a prompt somebody asked for. What follows was generated, or
    prefilled in idle time.
    """

    def __init__(self, cache: KVCache, ids: Sequence[int] = ()) -> None:
        self.cache = cache
        self.ids = list(ids)
        self.asked = len(self.ids)

    def trim(self, length: int) -> None:
        self.cache.trim(length)
        del self.ids[length:]

    def fork(self, length: int | None = None) -> Slot:
        """A slot of its own with the same ids and state, or the first `length` of them."""
        length = len(self.ids) if length is None else length
        return Slot(self.cache.fork(length), self.ids[:length])

    def tokens_lost(self, length: int) -> int:
        """How many ids of prompts that were asked for a trim to `length` would throw away."""
        return min(self.asked, len(self.ids)) - length


class PrefixCache:
    """budget: bytes for all states together that aren't parked. host_budget: bytes for parked ones; None: decided when
    the first one is parked.
    """

    def __init__(self, budget: int = 0, host_budget: int | None = None) -> None:
        self.budget, self.host_budget = budget, host_budget
        self._slots: OrderedDict[Slot, Key] = OrderedDict()  # the most recently used last

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def take(
        self, key: Key, ids: Sequence[int], shape: KVShape, busy: Collection[Slot] = (), *, foreseen: bool = False
    ) -> Slot:
        """A slot for `key` that holds the longest prefix of `ids` that any slot of the model has. It never holds all of
        `ids`: the last one has to be computed for its logits.

        busy: slots in which other jobs compute. They are copied, like those of other documents, never changed.
        foreseen: the prompt is prefilled in idle time; nobody has asked for it yet.
        """
        best, shared = self._best(key, ids)
        if best is None:
            slot = Slot(KVCache(shape))
        elif self._slots[best] == key and best not in busy and best.tokens_lost(shared) <= MAX_RECOMPUTED:
            slot = best
            slot.trim(shared)
        else:
            slot = best.fork(shared)
        if slot.cache.parked:
            slot.cache.reserve(len(ids) - len(slot.ids))
        slot.asked = min(slot.asked, shared) if foreseen else len(ids)
        self.add(key, slot)
        return slot

    def shared(self, key: Key, ids: Sequence[int]) -> int:
        """The length of the prefix of `ids` that needn't be computed."""
        return self._best(key, ids)[1]

    def add(self, key: Key, slot: Slot) -> None:
        """Keep a slot, as the most recently used one. If its document then has too many, its oldest is dropped."""
        self._slots[slot] = key
        self._slots.move_to_end(slot)
        places = [each for each, its in self._slots.items() if its == key]
        if len(places) > SLOTS_PER_DOCUMENT:
            self.drop(places[0])

    def evict(self, keep: Collection[Slot]) -> None:
        """Park or drop the least recently used slots until the budgets hold. Those in `keep` stay in any case."""
        total = self.held
        for slot in list(self._slots):
            if total <= self.budget:
                break
            if slot not in keep and not slot.cache.parked:
                total -= slot.cache.nbytes
                self._evict(slot, keep)
        self._evict_from_host(keep)

    def evict_from_device(self, keep: Collection[Slot]) -> int:
        """Park everything but `keep`, and lower the budget. Returns the number of bytes freed."""
        held = self.held
        for slot in reversed(list(self._slots)):
            if slot not in keep and slot.cache.shape.on_device and not slot.cache.parked:
                self._evict(slot, keep)
        freed = held - self.held
        if freed:
            self.budget = min(self.budget, held) * 3 // 4
        return freed

    def _evict(self, slot: Slot, keep: Collection[Slot]) -> None:
        """Park a slot whose state is in a GPU's memory, if the host has room; drop any other one."""
        if not slot.cache.shape.on_device:
            self.drop(slot)
            return
        try:
            slot.cache.park()
        except (RuntimeError, MemoryError):
            self.drop(slot)
        self._evict_from_host(keep)

    def _evict_from_host(self, keep: Collection[Slot]) -> None:
        parked = [slot for slot in self._slots if slot.cache.parked]
        if parked and self.host_budget is None:
            self.host_budget = system_memory().available // HOST_SHARE
        total = sum(slot.cache.nbytes for slot in parked)
        for slot in parked:
            if total <= (self.host_budget or 0):
                return
            if slot not in keep:
                total -= slot.cache.nbytes
                self.drop(slot)

    def drop(self, slot: Slot) -> None:
        self._slots.pop(slot, None)

    def drop_all(self, chosen: Callable[[Key], bool]) -> None:
        for slot in [slot for slot, key in self._slots.items() if chosen(key)]:
            self.drop(slot)

    def latest(self, model: Hashable) -> dict[Hashable, Slot]:
        """The most recently used slot of each document of a model, in the order of use."""
        found: dict[Hashable, Slot] = {}
        for slot, (owner, document) in self._slots.items():
            if owner is model:
                found.pop(document, None)
                found[document] = slot
        return found

    @property
    def held(self) -> int:
        """Bytes of the states that aren't parked."""
        return sum(slot.cache.nbytes for slot in self._slots if not slot.cache.parked)

    def _best(self, key: Key, ids: Sequence[int]) -> tuple[Slot | None, int]:
        """The slot that shares the longest prefix with `ids`, and how much of it can be used. Among equals, one of the
        document's own.

        The document's own slots are looked at first, and the search ends when one is good enough: in most cases a
        keystroke continues the prompt before it.
        """
        best: Slot | None = None
        most, wanted = -1, len(ids) - 1
        newest_first = ((slot, its) for slot, its in reversed(self._slots.items()) if its[0] is key[0])
        for slot, its in sorted(newest_first, key=lambda item: item[1] != key):
            if _may_share(slot.ids, ids, most + 1):
                shared = min(common_prefix(slot.ids, ids), wanted)
                if shared > most:
                    best, most = slot, shared
                if its == key and wanted - most <= MAX_RECOMPUTED:
                    break
        return best, max(most, 0)


def _may_share(a: Sequence[int], b: Sequence[int], length: int) -> bool:
    """Whether `a` and `b` may share their first `length` ids: only the last of these is compared, which rules most
    out.
    """
    return length <= min(len(a), len(b)) and (length == 0 or a[length - 1] == b[length - 1])
