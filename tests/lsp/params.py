"""Parameters of messages that many tests send."""

from __future__ import annotations

from typing import Any

INLINE = {"textDocument": {"inlineCompletion": {}}, "window": {"workDoneProgress": True}}


def silence(params: Any) -> None:
    """Among the `answers`: no answer at all."""


def position(line: int, character: int) -> dict[str, int]:
    return {"line": line, "character": character}


def replace(start: tuple[int, int], end: tuple[int, int], text: str) -> dict[str, Any]:
    """A content change: put `text` in the place of the range from `start` to `end`, each (line, character)."""
    return {"range": {"start": position(*start), "end": position(*end)}, "text": text}
