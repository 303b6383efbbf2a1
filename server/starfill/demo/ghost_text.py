"""A suggestion at the cursor that isn't part of the text yet. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_NEXT_WORD = re.compile(r"\s*(?:\w+|[^\w\s]+)|\s+")


@dataclass(frozen=True, slots=True)
class Ghost:
    """text: what accepting it inserts. over: how many characters after the cursor it replaces."""

    text: str
    over: int = 0

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @property
    def word(self) -> str:
        """Up to the end of its first word, or of the punctuation before a word."""
        found = _NEXT_WORD.match(self.text)
        return found[0] if found else self.text

    def without(self, typed: str) -> Ghost | None:
        """What is left of it after `typed` was typed at the cursor; None if nothing is left, or something else was
        typed.
        """
        if not typed or not self.text.startswith(typed) or len(typed) == len(self.text):
            return None
        return replace(self, text=self.text[len(typed) :])
