"""The assistant: from a document and a cursor to an edit. Puts the pure rooms together around the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from starfill.assist.completion import Completion, Figures
from starfill.assist.ending import Stopper
from starfill.assist.family import Dialect
from starfill.assist.fim import Anchor, Prompt, Setup, plan
from starfill.assist.healing import MAX_DROPPED, TokenIndex, allowed_after
from starfill.assist.place import Place, place_at
from starfill.assist.polish import polish
from starfill.assist.reuse import Shown, shown, tail
from starfill.assist.stream import Detokenizer, decode
from starfill.assist.tokenizer import Tokenizer
from starfill.assist.turn import end_soon, unless
from starfill.engine.job import Engine, Finish, Job, ModelInfo, Result, Sampling
from starfill.errors import RequestError
from starfill.settings import Settings
from starfill.text.document import Document
from starfill.text.position import Edit

USUAL_CONTEXT = 2048  # tokens, where the setting leaves it to us
LINE_TOKENS = 48  # more than a line of code needs; a model that goes on is lost
VARIED = 0.4  # the temperature of several candidates when the user's is 0, which would make them all the same
SUPERSEDED = "superseded by a newer request"
CANCELLED = "cancelled by the editor"
FAILED = "the model failed; the server's log says why"


@dataclass(slots=True, eq=False)
class Memory:
    """What is remembered of a document. `anchor` belongs to the prompt thread, all else to the event loop.

    turn: of the running request, if any; done once that is overtaken by a newer one.
    """

    anchor: Anchor | None = None
    shown: tuple[Shown, ...] = ()
    figures: Figures | None = None
    turn: asyncio.Future[None] | None = None

    def overtake(self) -> None:
        if self.turn is not None and not self.turn.done():
            self.turn.set_result(None)


class Assistant:
    """Completes documents with one engine. Methods are called on the event loop, which never waits.

    The newest request for a document wins: an older one answers at once, with nothing.
    engine, tokenizer, dialect: the model and how it is spoken to.
    problem: a sentence on a setting that this model can't follow, or None.
    """

    def __init__(self, engine: Engine, tokenizer: Tokenizer, dialect: Dialect, settings: Settings) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self.dialect = dialect
        self.problem: str | None = None
        self._index = TokenIndex(tokenizer.token_bytes)
        self._memories: dict[str, Memory] = {}
        self._running = 0
        # Encoding a window takes tens of milliseconds, and one thread keeps the requests of a document in order.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prompt")
        self.configure(settings)

    @property
    def info(self) -> ModelInfo:
        return self.engine.info

    @property
    def context(self) -> int:
        """Tokens that a prompt and its answer have room for."""
        return self._setup.context

    @property
    def busy(self) -> bool:
        return self._running > 0

    def configure(self, settings: Settings) -> None:
        """From the next request on; what was suggested under other settings is forgotten."""
        for memory in self._memories.values():
            memory.shown = ()
        layout, self.problem = self.dialect.layout(settings.layout)
        context = min(self.info.context_length, settings.context_tokens or USUAL_CONTEXT)
        self._settings = settings
        self.engine.resize(settings.cache_bytes)
        self._setup = Setup(
            tokenizer=self.tokenizer,
            dialect=self.dialect,
            layout=layout,
            context=context,
            answer=min(settings.max_new_tokens, context // 2),
        )

    def last(self, uri: str) -> Figures | None:
        """The figures of the last request for a document that wasn't superseded."""
        memory = self._memories.get(uri)
        return memory.figures if memory else None

    def accepted(self, uri: str) -> None:
        """A suggestion has been accepted whole: nothing of it is left to type through."""
        if memory := self._memories.get(uri):
            memory.shown = ()

    def forget(self, uri: str) -> None:
        """A document was closed."""
        if memory := self._memories.pop(uri, None):
            memory.overtake()
        self.engine.release(uri)

    def close(self) -> None:
        """End all requests, and the engine. From any thread, since it waits for the engine."""
        for memory in list(self._memories.values()):
            if memory.turn is not None:
                end_soon(memory.turn, None)
        self._executor.shutdown(wait=False, cancel_futures=True)
        self.engine.close()

    async def complete(
        self,
        document: Document,
        offset: int,
        *,
        automatic: bool = True,
        candidates: int | None = None,
    ) -> Completion:
        """Edits for a cursor at `offset` (characters).

        automatic: not asked for by the user, so one candidate; otherwise as many as `candidates` or the setting says.
        """
        if not 0 <= offset <= len(document):
            raise RequestError(f"Position {offset} is outside of {document.uri}, which has {len(document)} characters.")
        started = time.perf_counter()
        memory = self._memories.setdefault(document.uri, Memory())
        memory.overtake()
        turn = memory.turn = asyncio.get_running_loop().create_future()
        count = candidates or (1 if automatic else self._settings.candidates)
        figures = Figures(reason=FAILED)
        self._running += 1
        try:
            edits, figures = await self._answer(document, offset, count, memory, turn)
        except asyncio.CancelledError:
            figures = Figures(reason=CANCELLED)
            raise
        finally:
            self._running -= 1
            figures = replace(figures, total_ms=(time.perf_counter() - started) * 1e3)
            if memory.turn is turn:
                memory.turn, memory.figures = None, figures
        return Completion(document.uri, document.version, edits, figures)

    async def _answer(
        self, document: Document, offset: int, count: int, memory: Memory, turn: asyncio.Future[None]
    ) -> tuple[tuple[Edit, ...], Figures]:
        setup, settings = self._setup, self._settings
        figures = Figures(reason=settings.enabled_for(document.uri, document.language_id), layout=setup.layout.value)
        if figures.reason:
            return (), figures
        tails = tuple(rest for each in memory.shown if (rest := tail(each, document, offset)))
        if len(tails) >= count:
            return tails, replace(figures, source="reuse")

        def prepare() -> tuple[Prompt, Place] | None:
            if turn.done():
                return None
            prompt, memory.anchor = plan(document, offset, memory.anchor, setup)
            leaks = setup.dialect.leaks
            return prompt, place_at(document, offset, prompt.closers, settings.multi_line, leaks)

        prepared = await unless(turn, asyncio.get_running_loop().run_in_executor(self._executor, prepare))
        if prepared is None:
            return (), replace(figures, reason=SUPERSEDED)
        prompt, place = prepared
        ticket = self.engine.submit(self._job(document.uri, prompt, place, count, setup, settings))
        try:
            result = await unless(turn, asyncio.wrap_future(ticket.future))
        finally:
            ticket.cancel()
        if result is None or {Finish.CANCELLED, Finish.SUPERSEDED} & set(result.finish):
            return (), replace(figures, reason=SUPERSEDED)
        edits, reason = self._read(result, prompt, place, offset)
        memory.shown = tuple(shown(document, edit) for edit in edits)
        return edits, replace(
            figures,
            reason=reason,
            prompt_tokens=result.prompt_tokens,
            cached_tokens=result.cached_tokens,
            computed_tokens=result.computed_tokens,
            generated_tokens=result.generated_tokens,
            prefill_ms=result.prefill_ms,
            decode_ms=result.decode_ms,
            source="model",
        )

    def _job(self, uri: str, prompt: Prompt, place: Place, count: int, setup: Setup, settings: Settings) -> Job:
        varied = count > 1 and settings.temperature == 0
        most = setup.answer if place.multi_line else min(setup.answer, LINE_TOKENS)
        return Job(
            key=uri,
            ids=prompt.ids,
            max_new_tokens=most + (MAX_DROPPED if prompt.dropped else 0),
            stop_ids=self.dialect.stop_ids,
            sampling=Sampling(VARIED if varied else settings.temperature, settings.top_p),
            candidates=count,
            on_token=self._watch(prompt, place, count),
            allowed=allowed_after(self._index, prompt.dropped),
        )

    def _watch(self, prompt: Prompt, place: Place, count: int) -> Callable[[int, int], bool]:
        """A job's `on_token`: ends each candidate as soon as its text has ended."""
        skip = len(prompt.dropped)
        watches = [(Detokenizer(self.tokenizer.token_bytes, skip), Stopper(place)) for _ in range(count)]

        def on_token(candidate: int, token: int) -> bool:
            detokenizer, stopper = watches[candidate]
            return stopper.feed(detokenizer.feed(token))

        return on_token

    def _read(self, result: Result, prompt: Prompt, place: Place, offset: int) -> tuple[tuple[Edit, ...], str | None]:
        """The different edits of a result; or none, and the first candidate's reason."""
        edits: dict[Edit, None] = {}
        reasons = []
        for ids, finish in zip(result.candidates, result.finish, strict=True):
            text = decode(self.tokenizer.token_bytes, ids, skip=len(prompt.dropped))
            edit, reason = polish(text, place, offset, cut_short=finish is Finish.LENGTH)
            if edit is not None:
                edits[edit] = None
            reasons.append(reason)
        return tuple(edits), None if edits else reasons[0]
