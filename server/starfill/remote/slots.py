"""Which slot of an engine with slots keeps a document's state."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Hashable

MOST = 256  # documents


class SlotAssignment:
    """Each document has its own slot; documents share slots if there are more of them than slots.

    llama.cpp's server would choose a slot by the prompts in its idle slots. But with each key the request before it is
    still ending, in the very slot that holds the prompt, so the server would compute the prompt from its beginning in
    another slot. It doesn't report which slot it took until the answer ends, either.

    slots: how many the engine has, 0 for one without. first: the slot of the first document; editors that share an
    engine should not all begin with the same one.
    """

    def __init__(self, slots: int, first: int | None = None) -> None:
        self._slots = slots
        self._next = secrets.randbelow(max(slots, 1)) if first is None else first
        self._known: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        """The number of known documents."""
        return len(self._known)

    def of(self, key: Hashable) -> int | None:
        """The slot to ask for; None for an engine without slots."""
        if not self._slots:
            return None
        if key not in self._known:
            self._known[key], self._next = self._next % self._slots, self._next + 1
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def forget(self, key: Hashable) -> None:
        self._known.pop(key, None)
