"""What the language server needs from the rest: something that loads a model, and an assistant that completes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starfill.assist.completion import Completion, Figures
from starfill.engine.job import ModelInfo
from starfill.settings import Settings
from starfill.text.document import Document

Report = Callable[[float, str], None]
"""How far a load is, from 0 to 1, and what it is doing; may be called from any thread."""


class Assistant(Protocol):
    """`starfill.assist.assistant.Assistant` as the server sees it; all but `close` answer at once or are async."""

    @property
    def info(self) -> ModelInfo: ...

    async def complete(
        self,
        document: Document,
        offset: int,
        *,
        automatic: bool = True,
        candidates: int | None = None,
    ) -> Completion:
        """Suggestions for an offset; cancelling the task stops the computation."""
        ...

    def last(self, uri: str) -> Figures | None: ...

    def accepted(self, uri: str) -> None: ...

    def forget(self, uri: str) -> None: ...

    def configure(self, settings: Settings) -> None: ...

    def close(self) -> None:
        """Free the model; may block."""
        ...


class Backend(Protocol):
    def load(self, settings: Settings, report: Report) -> Assistant:
        """Blocks until the model is ready; StarfillError with the sentence to show when it can't be."""
        ...
