"""What the language server needs from the other rooms.

A backend, which gets and loads models; an assistant, which completes; an instructor, which carries out instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from starfill.assist.completion.result import Completion
from starfill.assist.instruct.actions import Action
from starfill.assist.instruct.outcome import Instruction, Outcome
from starfill.config.settings import Settings
from starfill.jobs import ModelInfo, OnTrouble
from starfill.text.document import Document
from starfill.text.position import Span
from starfill.util.progress import OnProgress


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that the setting `model` may name.

    where: it is bundled, on this machine, or known to be published. nbytes: of its files, None if unknown.
    """

    name: str
    where: Literal["bundled", "here", "known"]
    nbytes: int | None


class AssistantProtocol(Protocol):
    """`assist.completion.assistant.Assistant` as the server uses it. All methods but `close` return at once or are
    async.
    """

    @property
    def info(self) -> ModelInfo: ...

    @property
    def problem(self) -> str | None:
        """A sentence on a setting that this model can't follow; None if there is none."""
        ...

    @property
    def substitute(self) -> ModelInfo | None:
        """The model that suggests while the engine of `info` can't be reached; None if nobody does."""
        ...

    def watch(self, on_trouble: OnTrouble) -> None:
        """on_trouble: called from any thread. With a sentence when a remote engine begins to fail, with None when it
        works again.

        Also with a sentence if a local engine goes on with less memory than before.
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
        """Suggestions for an offset. Cancelling the task stops the computation."""
        ...

    def changed(self, document: Document, offset: int) -> None:
        """A document was edited. Its cursor is probably at `offset`."""
        ...

    def accepted(self, uri: str) -> None: ...

    def forget(self, uri: str) -> None: ...

    def configure(self, settings: Settings) -> None: ...

    def close(self) -> None:
        """Free the model. May block."""
        ...


class InstructorProtocol(Protocol):
    """`assist.instruct.instructor.Instructor` as the server uses it. All methods but `close` return at once or are
    async.
    """

    @property
    def info(self) -> ModelInfo: ...

    def refusal(self, document: Document, selection: Span, action: Action) -> str | None:
        """Why that can't be asked about this selection (it is too long), as far as a quick estimate shows; else
        None.
        """
        ...

    async def instruct(self, instruction: Instruction, on_text: Callable[[str, int], None]) -> Outcome:
        """Carry out an instruction. Cancelling the task stops the model before its next token.

        on_text(text so far, tokens so far) is called on the event loop. Raises RequestError, with a sentence, if it is
        refused.
        """
        ...

    def configure(self, settings: Settings) -> None: ...

    def forget(self, uri: str) -> None: ...

    def close(self) -> None:
        """Free the instructor's own resources. May block."""
        ...


class Backend(Protocol):
    def load(self, settings: Settings, report: OnProgress) -> AssistantProtocol:
        """Blocks until the model is ready. Raises StarfillError, with the sentence to show, if it can't be loaded.

        NotPulledError: the repository would have to be downloaded, which this method never does. ConsentError: the
        engine is on another machine, and the user hasn't agreed to it.
        """
        ...

    def load_instructor(
        self, settings: Settings, report: OnProgress, beside: AssistantProtocol | None
    ) -> InstructorProtocol:
        """Blocks until actions can be asked for: of the model of `beside`, or of their own model if one is set.

        Raises StarfillError like `load`, also if the two models don't fit into memory together.
        """
        ...

    def allow(self, origin: str) -> None:
        """The user has agreed to an engine on another machine, for now and later."""
        ...

    def models(self) -> list[ModelChoice]:
        """The models that could be loaded, or downloaded and then loaded. Reads the disk and blocks. Contacts
        nobody.
        """
        ...

    def download_size(self, repository: str) -> str:
        """The size of what `pull` would download, in words like "7.3 GB". Contacts the hub and blocks. Raises
        StarfillError.
        """
        ...

    def pull(self, repository: str, report: OnProgress, stopped: Callable[[], bool]) -> None:
        """Download a repository, so that `load` finds it. Blocks, and asks `stopped` now and then.

        Raises StarfillError if it can't be downloaded or was stopped. The next call continues from there.
        """
        ...
