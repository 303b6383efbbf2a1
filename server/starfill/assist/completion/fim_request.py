"""What the model is asked for a suggestion, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from starfill.assist.completion.cursor_context import CursorContext, cursor_context_at
from starfill.assist.completion.fim_prompt import Anchor, Prompt, Setup, plan
from starfill.assist.completion.postprocess import postprocess
from starfill.assist.completion.stopping import Stopper
from starfill.assist.completion.token_healing import MAX_DROPPED, TokenIndex, allowed_after
from starfill.assist.prompts.detokenizer import Detokenizer, decode
from starfill.assist.prompts.family import Dialect
from starfill.assist.prompts.tokenizer import Tokenizer
from starfill.config.choices import Layout
from starfill.config.settings import Settings
from starfill.jobs import Finish, Job, Priority, Result, Sampling
from starfill.text.document import Document
from starfill.text.position import Edit

USUAL_CONTEXT = 2048  # tokens of context if the setting doesn't say
LINE_TOKENS = 48  # a line of code needs fewer; a model that writes on has lost its way
VARIED = 0.4  # the temperature of several candidates if the user's is 0, with which all would be the same
BEFORE_DRAFT = 3  # tokens of the prompt's end by which an answer is found in the draft


@dataclass(frozen=True, slots=True)
class FimRequest:
    """The prompt for a place. Under the same settings, equal requests have equal answers."""

    prompt: Prompt
    place: CursorContext
    offset: int


@dataclass(slots=True, eq=False)
class PendingAnswer:
    """A request that the engine is working on. written: the answer so far, which grows on the engine's thread.

    result: set when the answer is whole.
    """

    request: FimRequest
    written: list[int] = field(default_factory=list)
    result: Result | None = None

    @property
    def draft(self) -> tuple[int, ...]:
        """Tokens that the next answer is likely to repeat."""
        return (*self.request.prompt.ids[-BEFORE_DRAFT:], *self.written)

    def answered(self, future: Future[Result]) -> None:
        """The job has ended. May be called on any thread."""
        if future.exception() is None and is_whole(future.result()):
            self.result = future.result()


class Requester:
    """Asks one model, under one state of the settings.

    problem: a sentence on a setting that this model can't follow; None if there is none.
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

    def request(self, document: Document, offset: int, anchor: Anchor | None) -> tuple[FimRequest, Anchor]:
        """The request for a cursor at `offset` (characters), and the anchor to pass in next time."""
        prompt, anchor = plan(document, offset, anchor, self.setup)
        place = cursor_context_at(document, offset, prompt.closers, self.settings.multi_line, self.setup.dialect.leaks)
        return FimRequest(prompt, place, offset), anchor

    def job(self, uri: str, pending: PendingAnswer, count: int, draft: tuple[int, ...], priority: Priority) -> Job:
        prompt, settings = pending.request.prompt, self.settings
        varied = count > 1 and settings.temperature == 0
        most = self.setup.answer if pending.request.place.multi_line else min(self.setup.answer, LINE_TOKENS)
        return Job(
            key=uri,
            ids=prompt.ids,
            max_new_tokens=most + (MAX_DROPPED if prompt.dropped else 0),
            stop_ids=self.setup.dialect.stop_ids,
            sampling=Sampling(VARIED if varied else settings.temperature, settings.top_p),
            candidates=count,
            priority=priority,
            on_token=self._watch(pending, count),
            allowed=allowed_after(self._index, prompt.dropped),
            begins=prompt.cut,
            draft=draft,
        )

    def prefill(self, uri: str, request: FimRequest) -> Job:
        """A job that only prefills the prompt, in idle time."""
        return Job(uri, request.prompt.ids, max_new_tokens=0, priority=Priority.IDLE)

    def goes_on(self, request: FimRequest, before: FimRequest) -> bool:
        """Whether computing this prompt keeps the KV state of the one before it, or loses as little as possible."""
        kept = len(before.prompt.ids) - MAX_DROPPED
        same = request.prompt.ids[:kept] == before.prompt.ids[:kept]
        return same or self.setup.layout is Layout.PSM  # in PSM each typed character moves the suffix anyway

    def read(self, result: Result, request: FimRequest) -> tuple[tuple[Edit, ...], str | None]:
        """The different edits of a result. If there are none, the reason why the first candidate isn't shown."""
        edits: dict[Edit, None] = {}
        reasons = []
        for ids, finish in zip(result.candidates, result.finish, strict=True):
            text = decode(self.setup.tokenizer.token_bytes, ids, skip=len(request.prompt.dropped))
            edit, reason = postprocess(text, request.place, request.offset, cut_short=finish is Finish.LENGTH)
            if edit is not None:
                edits[edit] = None
            reasons.append(reason)
        return tuple(edits), None if edits else reasons[0]

    def _watch(self, pending: PendingAnswer, count: int) -> Callable[[int, int], bool]:
        """A job's `on_token`, which ends each candidate at its stop condition."""
        skip, token_bytes = len(pending.request.prompt.dropped), self.setup.tokenizer.token_bytes
        watches = [(Detokenizer(token_bytes, skip), Stopper(pending.request.place)) for _ in range(count)]

        def on_token(candidate: int, token: int) -> bool:
            if candidate == 0:
                pending.written.append(token)
            detokenizer, stopper = watches[candidate]
            return stopper.feed(detokenizer.feed(token))

        return on_token


def is_whole(result: Result) -> bool:
    """Whether an answer is whole: no newer request and no cancel cut it short."""
    return not {Finish.CANCELLED, Finish.SUPERSEDED} & set(result.finish)
