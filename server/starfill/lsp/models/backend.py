"""What the language server needs from the rest.

A backend that gets and loads models, an assistant that completes, an instructor that carries out instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from starfill.assist.completion.result import Completion
from starfill.assist.instruct.actions import Action
from starfill.assist.instruct.outcome import Instruction, Outcome
from starfill.config.settings import Settings
from starfill.jobs import ModelInfo
from starfill.text.document import Document
from starfill.text.position import Span
from starfill.util.progress import OnProgress


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that the setting `model` may name.

    where: it came with Starfill, is on this machine, or is known to be published. nbytes: of its files, None where that
    isn't known.
    """

    name: str
    where: Literal["bundled", "here", "known"]
    nbytes: int | None


class Assistant(Protocol):
    """`assist.completion.assistant.Assistant` as the server sees it; all but `close` answer at once or are async."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def problem(self) -> str | None:
        """A sentence on a setting that this model can't follow, or None."""
        ...

    @property
    def substitute(self) -> ModelInfo | None:
        """Who suggests while the engine of `info` can't be reached; None for nobody."""
        ...

    def watch(self, told: Callable[[str | None], None]) -> None:
        """told: called from any thread with a sentence once an engine elsewhere fails, with None once it works.

        With a sentence too where the one here goes on with less memory than it had.
        """
        ...

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

    def changed(self, document: Document, offset: int) -> None:
        """A document was edited; its cursor is probably at `offset`."""
        ...

    def accepted(self, uri: str) -> None: ...

    def forget(self, uri: str) -> None: ...

    def configure(self, settings: Settings) -> None: ...

    def close(self) -> None:
        """Free the model; may block."""
        ...


class Instructor(Protocol):
    """`assist.instruct.instructor.Instructor` as the server sees it; all but `close` answer at once or are async."""

    @property
    def info(self) -> ModelInfo: ...

    def refusal(self, document: Document, selection: Span, action: Action) -> str | None:
        """Why that can't be asked about this selection (it is too long), as far as a quick look tells."""
        ...

    async def instruct(self, instruction: Instruction, on_text: Callable[[str, int], None]) -> Outcome:
        """Carry out an instruction; cancelling the task stops the model before its next token.

        on_text(text so far, tokens so far) is called on the event loop. RequestError with the sentence for a refusal.
        """
        ...

    def configure(self, settings: Settings) -> None: ...

    def forget(self, uri: str) -> None: ...

    def close(self) -> None:
        """Free what is its own; may block."""
        ...


class Backend(Protocol):
    def load(self, settings: Settings, report: OnProgress) -> Assistant:
        """Blocks until the model is ready; StarfillError with the sentence to show when it can't be.

        NotPulledError for a repository that would have to be downloaded: that never happens here. ConsentError for an
        engine on another machine to which the user hasn't agreed.
        """
        ...

    def load_instructor(self, settings: Settings, report: OnProgress, beside: Assistant | None) -> Instructor:
        """Blocks until actions can be asked for: of the model of `beside`, or of their own where one is set.

        StarfillError as `load`, also when the two models don't fit into memory together.
        """
        ...

    def allow(self, origin: str) -> None:
        """The user has agreed to an engine on another machine, now and later."""
        ...

    def models(self) -> list[ModelChoice]:
        """What could be loaded, or downloaded first. Reads the disk and blocks; asks nobody."""
        ...

    def download_size(self, repository: str) -> str:
        """What `pull` would download, in words like "7.3 GB". Contacts the hub and blocks; StarfillError as below."""
        ...

    def pull(self, repository: str, report: OnProgress, stopped: Callable[[], bool]) -> None:
        """Download a repository, so that `load` finds it. Blocks; asks `stopped` now and then.

        StarfillError when it can't be downloaded or was stopped; the next time goes on from there.
        """
        ...
