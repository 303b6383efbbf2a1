"""One KV state per document, reused by longest common prefix, the least recently used dropped at a byte budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Hashable, Sequence
from typing import Generic, TypeVar

from starfill.engine.kv_cache import KVCache, KVShape

K = TypeVar("K", bound=Hashable)


class Slot:
    """Token ids and the KV state computed from exactly them."""

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache
        self.ids: list[int] = []

    def trim(self, length: int) -> None:
        self.cache.trim(length)
        del self.ids[length:]

    def fork(self) -> Slot:
        """A slot of its own with the same ids and state."""
        other = Slot(self.cache.fork())
        other.ids = list(self.ids)
        return other


class Slots(Generic[K]):
    def __init__(self, budget: int = 0) -> None:
        self.budget = budget  # bytes, for all slots together
        self._slots: OrderedDict[K, Slot] = OrderedDict()

    def take(self, key: K, ids: Sequence[int], shape: KVShape) -> Slot:
        """The slot of `key`, trimmed to what it shares with `ids`, less one: the last token is fed for its logits."""
        slot = self._slots.setdefault(key, Slot(KVCache(shape)))
        self._slots.move_to_end(key)
        slot.trim(min(common_prefix(slot.ids, ids), len(ids) - 1))
        return slot

    def shrink(self, keep: Container[K]) -> None:
        """Drop least recently used slots until the budget holds; those in `keep` stay even beyond it."""
        total = self.nbytes
        for key in list(self._slots):
            if total <= self.budget:
                return
            if key not in keep:
                total -= self._slots.pop(key).cache.nbytes

    def drop(self, key: K) -> None:
        self._slots.pop(key, None)

    def drop_all(self, chosen: Callable[[K], bool]) -> None:
        for key in list(filter(chosen, self._slots)):
            del self._slots[key]

    @property
    def nbytes(self) -> int:
        return sum(slot.cache.nbytes for slot in self._slots.values())


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """The number of leading ids that `a` and `b` share."""
    a, b = tuple(a), tuple(b)  # slices of a list and of a tuple never equal each other
    low, high = 0, min(len(a), len(b))
    while low < high:  # comparing slices runs in C, unlike a loop over ids
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
