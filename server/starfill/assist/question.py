"""What the model is asked for a suggestion, and what its answer comes to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from starfill.assist.ending import Stopper
from starfill.assist.family import Dialect, Layout
from starfill.assist.fim import Anchor, Prompt, Setup, plan
from starfill.assist.healing import MAX_DROPPED, TokenIndex, allowed_after
from starfill.assist.place import Place, place_at
from starfill.assist.polish import polish
from starfill.assist.stream import Detokenizer, decode
from starfill.assist.tokenizer import Tokenizer
from starfill.engine.job import Finish, Job, Priority, Result, Sampling
from starfill.settings import Settings
from starfill.text.document import Document
from starfill.text.position import Edit

USUAL_CONTEXT = 2048  # tokens, where the setting leaves it to us
LINE_TOKENS = 48  # more than a line of code needs; a model that goes on is lost
VARIED = 0.4  # the temperature of several candidates when the user's is 0, which would make them all the same
BEFORE_DRAFT = 3  # tokens of the prompt by which an answer is found in the draft


@dataclass(frozen=True, slots=True)
class Question:
    """The prompt for a place. Under the same settings, equal questions have equal answers."""

    prompt: Prompt
    place: Place
    offset: int


@dataclass(slots=True, eq=False)
class Asked:
    """A question that the model was asked. written: what it has answered so far, growing on the engine's thread.

    result: once the answer is whole.
    """

    question: Question
    written: list[int] = field(default_factory=list)
    result: Result | None = None

    @property
    def draft(self) -> tuple[int, ...]:
        """What the next answer probably repeats."""
        return (*self.question.prompt.ids[-BEFORE_DRAFT:], *self.written)

    def answered(self, future: Future[Result]) -> None:
        """To be called when the job has ended, on any thread."""
        if future.exception() is None and ended(future.result()):
            self.result = future.result()


class Asking:
    """How one model is asked under one state of the settings.

    problem: a sentence on a setting that this model can't follow, or None.
    """

    def __init__(
        self, tokenizer: Tokenizer, dialect: Dialect, index: TokenIndex, settings: Settings, context_length: int
    ) -> None:
        layout, self.problem = dialect.layout(settings.layout)
        context = min(context_length, settings.context_tokens or USUAL_CONTEXT)
        answer = min(settings.max_new_tokens, context // 2)
        self.setup = Setup(tokenizer, dialect, layout, context, answer)
        self.settings = settings
        self._index = index

    def question(self, document: Document, offset: int, anchor: Anchor | None) -> tuple[Question, Anchor]:
        """What to ask for a cursor at `offset` (characters), and the anchor to hand in next time."""
        prompt, anchor = plan(document, offset, anchor, self.setup)
        place = place_at(document, offset, prompt.closers, self.settings.multi_line, self.setup.dialect.leaks)
        return Question(prompt, place, offset), anchor

    def job(self, uri: str, asked: Asked, count: int, draft: tuple[int, ...], priority: Priority) -> Job:
        prompt, settings = asked.question.prompt, self.settings
        varied = count > 1 and settings.temperature == 0
        most = self.setup.answer if asked.question.place.multi_line else min(self.setup.answer, LINE_TOKENS)
        return Job(
            key=uri,
            ids=prompt.ids,
            max_new_tokens=most + (MAX_DROPPED if prompt.dropped else 0),
            stop_ids=self.setup.dialect.stop_ids,
            sampling=Sampling(VARIED if varied else settings.temperature, settings.top_p),
            candidates=count,
            priority=priority,
            on_token=self._watch(asked, count),
            allowed=allowed_after(self._index, prompt.dropped),
            begins=prompt.cut,
            draft=draft,
        )

    def prefill(self, uri: str, question: Question) -> Job:
        """Only computes the prompt, while there is nothing else to do."""
        return Job(uri, question.prompt.ids, max_new_tokens=0, priority=Priority.IDLE)

    def goes_on(self, question: Question, before: Question) -> bool:
        """Whether computing a prompt leaves the KV state of the one before it as it is, or as good as it was."""
        kept = len(before.prompt.ids) - MAX_DROPPED
        same = question.prompt.ids[:kept] == before.prompt.ids[:kept]
        return same or self.setup.layout is Layout.PSM  # where each typed character moves the suffix anyway

    def read(self, result: Result, question: Question) -> tuple[tuple[Edit, ...], str | None]:
        """The different edits of a result; or none, and the first candidate's reason."""
        edits: dict[Edit, None] = {}
        reasons = []
        for ids, finish in zip(result.candidates, result.finish, strict=True):
            text = decode(self.setup.tokenizer.token_bytes, ids, skip=len(question.prompt.dropped))
            edit, reason = polish(text, question.place, question.offset, cut_short=finish is Finish.LENGTH)
            if edit is not None:
                edits[edit] = None
            reasons.append(reason)
        return tuple(edits), None if edits else reasons[0]

    def _watch(self, asked: Asked, count: int) -> Callable[[int, int], bool]:
        """A job's `on_token`: ends each candidate as soon as its text has ended."""
        skip, token_bytes = len(asked.question.prompt.dropped), self.setup.tokenizer.token_bytes
        watches = [(Detokenizer(token_bytes, skip), Stopper(asked.question.place)) for _ in range(count)]

        def on_token(candidate: int, token: int) -> bool:
            if candidate == 0:
                asked.written.append(token)
            detokenizer, stopper = watches[candidate]
            return stopper.feed(detokenizer.feed(token))

        return on_token


def ended(result: Result) -> bool:
    """Whether an answer is whole, not cut short by a newer request or a cancel."""
    return not {Finish.CANCELLED, Finish.SUPERSEDED} & set(result.finish)
