"""An answer while it arrives: its text is converted to token ids, until the job has what it wants."""

from __future__ import annotations

from starfill.jobs import Finish, Job
from starfill.remote.apis.api import AnswerPart
from starfill.remote.encoding import PromptEncoder

FINER = 8  # our tokens to one of the engine's, at most: an engine that goes on after that ignores its limit
FINISHES = {"stop": Finish.STOP, "length": Finish.LENGTH}


class AnswerStream:
    """One candidate. begins: the bytes that the engine's text has to begin with; `Job.begins` are the ids for them.

    ids, finish: the result. prefix_mismatch: the text began differently. pieces: the number of events with text. ended:
    the engine has ended it, and only its figures may follow.
    """

    def __init__(self, job: Job, candidate: int, encoder: PromptEncoder, begins: bytes = b"") -> None:
        self._job, self.candidate, self._encoder, self._begins = job, candidate, encoder, begins
        self._held = b""
        self.ids: list[int] = []
        self.finish: Finish | None = None
        self.prefix_mismatch = self.ended = False
        self.pieces = 0

    def take(self, piece: AnswerPart) -> bool:
        """True if nothing more is wanted."""
        if self.finish is None and piece.text:
            self.pieces += 1
            self._text(piece.text)
        if self.finish is None and piece.finish is not None:
            self.prefix_mismatch = bool(self._begins)
            self.finish = FINISHES[piece.finish]
            self.ended = True
        if self.ended:
            return bool(piece.text) and piece.finish is None  # it should have ended, but goes on
        return self.finish is not None or self.prefix_mismatch

    def begin(self) -> None:
        """Add the beginning, for an engine that was given it as part of the prompt."""
        self._begins = b""
        self.prefix_mismatch = self.ended = False
        self.finish = None
        self._add(self._job.begins)

    def _text(self, text: str) -> None:
        if self._begins:
            self._held += text.encode("utf-8", "replace")
            if not self._held.startswith(self._begins):
                self.prefix_mismatch = not self._begins.startswith(self._held)
                return
            text = self._held[len(self._begins) :].decode("utf-8", "replace")
            self._begins = b""
            self._add(self._job.begins)
        self._add(self._encoder.ids(text))

    def _add(self, ids: list[int] | tuple[int, ...]) -> None:
        for id in ids:
            if self.finish is not None:
                return
            self.ids.append(id)
            if self._job.on_token(self.candidate, id):
                self.finish = Finish.STOP
            elif len(self.ids) >= FINER * self._job.max_new_tokens:
                self.finish = Finish.LENGTH
