"""The progress of work."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[float, str], None]
"""Called with the fraction that is done, from 0 to 1, and what is being done; from any thread."""


def ignore(fraction: float, doing: str) -> None:
    """For callers that don't want to know."""
