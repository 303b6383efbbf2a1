"""The text of an answer while its tokens arrive: decoded on the engine's thread, reported on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from starfill.assist.instruct.repetition import first_repetition_end
from starfill.assist.prompts.detokenizer import Detokenizer

OnText = Callable[[str, int], None]
CallLater = Callable[[float, Callable[[], None]], object]
CHECK_EVERY = 16  # tokens between two checks whether the answer repeats itself
REPORT_INTERVAL = 0.05  # seconds between two reports; a small model writes a token each millisecond


def end_of(text: str, stops: Sequence[str], start: int = 0) -> int | None:
    """Where an answer ends: before the first of `stops` that begins at `start` or later; None while it may go on."""
    return min((at for stop in stops if (at := text.find(stop, start)) >= 0), default=None)


def final_part(text: str, stops: Sequence[str]) -> str:
    """The part of an unfinished answer that is final: without an end that may be the beginning of a stop text."""
    held = max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
    return text[: len(text) - held]


class Listener:
    """A job's `on_token`: ends the answer at a stop text or when it repeats itself, and reports the text so far.

    Made on the event loop, on which `on_text` is called, with the text and the number of tokens so far.

    earlier: the number of tokens of an earlier answer, which count too. source: the code that the answer is about; see
    `repetition`. call_later: calls a function on the event loop after so many seconds.
    """

    def __init__(
        self,
        token_bytes: Sequence[bytes],
        stops: Sequence[str],
        on_text: OnText,
        source: str = "",
        earlier: int = 0,
        call_later: CallLater | None = None,
    ) -> None:
        self._detokenizer = Detokenizer(token_bytes)
        self._stops, self._on_text, self._source = stops, on_text, source
        self._overlap = max((len(stop) - 1 for stop in stops), default=0)
        self._loop = asyncio.get_running_loop()
        self._later = call_later or self._loop.call_later
        self._text, self._tokens = "", earlier
        self._shown = earlier
        self._pending = False  # whether a call of `_show` is scheduled
        self._closed = False

    def on_token(self, candidate: int, token: int) -> bool:
        piece = self._detokenizer.feed(token)
        start = max(0, len(self._text) - self._overlap)
        self._text += piece
        self._tokens += 1
        if not self._pending and not self._closed:
            self._pending = True
            with suppress(RuntimeError):  # the event loop was closed just now
                self._loop.call_soon_threadsafe(self._show)
        if self._tokens % CHECK_EVERY == 0 and first_repetition_end(self._text, self._source) is not None:
            return True
        return bool(piece) and end_of(self._text, self._stops, start) is not None

    def close(self) -> None:
        """Report nothing from now on."""
        self._closed = True

    def _show(self) -> None:
        if self._closed:
            return
        text, self._shown = self._text, self._tokens
        self._on_text(final_part(text[: end_of(text, self._stops)], self._stops).lstrip(), self._shown)
        self._later(REPORT_INTERVAL, self._again)

    def _again(self) -> None:
        self._pending = False
        if self._tokens > self._shown:  # tokens that arrived meanwhile haven't scheduled a call
            self._pending = True
            self._show()
