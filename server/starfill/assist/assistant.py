"""The assistant: from a document and a cursor to an edit. Puts the pure rooms together around the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from starfill.assist.completion import Completion, Figures
from starfill.assist.family import Dialect
from starfill.assist.healing import TokenIndex
from starfill.assist.memory import Memory
from starfill.assist.question import Asked, Asking, Question, ended
from starfill.assist.reuse import shown, tail
from starfill.assist.tokenizer import Tokenizer
from starfill.assist.turn import end_soon, unless
from starfill.engine.job import Engine, ModelInfo, Priority, Result
from starfill.errors import EngineError, RequestError
from starfill.settings import Settings
from starfill.text.document import Document
from starfill.text.position import Edit

PAUSE = 0.01  # seconds without a request, after which there is time: an editor that asks with each key has asked then
SUPERSEDED = "superseded by a newer request"
CANCELLED = "cancelled by the editor"
FAILED = "the model failed; the server's log says why"

Pause = Callable[[], Awaitable[None]]


async def until_idle() -> None:
    await asyncio.sleep(PAUSE)


class Assistant:
    """Completes documents with one engine. Methods are called on the event loop, which never waits.

    The newest request for a document wins: an older one answers at once, with nothing.
    engine, tokenizer, dialect: the model and how it is spoken to.
    pause: ends when nothing has been asked for a moment, so that there is time to compute ahead.
    """

    def __init__(
        self, engine: Engine, tokenizer: Tokenizer, dialect: Dialect, settings: Settings, *, pause: Pause = until_idle
    ) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self.dialect = dialect
        self._index = TokenIndex(tokenizer.token_bytes)
        self._memories: dict[str, Memory] = {}
        self._pause = pause
        self._running = 0
        self._closed = False
        # Encoding a window takes tens of milliseconds, and one thread keeps the requests of a document in order.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prompt")
        self.configure(settings)

    @property
    def info(self) -> ModelInfo:
        return self.engine.info

    @property
    def context(self) -> int:
        """Tokens that a prompt and its answer have room for."""
        return self._asking.setup.context

    @property
    def problem(self) -> str | None:
        """A sentence on a setting that this model can't follow, or None."""
        return self._asking.problem

    @property
    def substitute(self) -> ModelInfo | None:
        """Who suggests while the engine can't be reached."""
        return None

    @property
    def busy(self) -> bool:
        return self._running > 0

    def configure(self, settings: Settings) -> None:
        """From the next request on; what was suggested under other settings is forgotten."""
        for memory in self._memories.values():
            memory.forget_suggestions()
        self.engine.resize(settings.cache_budget)
        self.engine.persist(settings.saved_state_bytes, settings.keeps)
        self._asking = Asking(self.tokenizer, self.dialect, self._index, settings, self.info.context_length)

    def watch(self, told: Callable[[str | None], None]) -> None:
        """See `job.Engine`."""
        self.engine.watch(told)

    def last(self, uri: str) -> Figures | None:
        """The figures of the last request for a document that wasn't superseded."""
        memory = self._memories.get(uri)
        return memory.figures if memory else None

    def goes_on(self, document: Document, offset: int, count: int) -> bool:
        """Whether what is shown is being typed through, so that no model has to be asked."""
        memory = self._memories.get(document.uri)
        return memory is not None and sum(tail(each, document, offset) is not None for each in memory.shown) >= count

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
        self._closed = True
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
        Raises EngineError where an engine elsewhere has failed.
        """
        if not 0 <= offset <= len(document):
            raise RequestError(f"Position {offset} is outside of {document.uri}, which has {len(document)} characters.")
        started = time.perf_counter()
        memory = self._memories.setdefault(document.uri, Memory())
        turn = memory.begin()
        count = candidates or (1 if automatic else self._asking.settings.candidates)
        figures = Figures(reason=FAILED)
        self._running += 1
        try:
            edits, figures = await self._answer(document, offset, count, memory, turn)
        except asyncio.CancelledError:
            figures = Figures(reason=CANCELLED)
            raise
        except EngineError as error:
            figures = Figures(reason=str(error))
            raise
        finally:
            self._running -= 1
            total_ms = (time.perf_counter() - started) * 1e3
            figures = replace(figures, total_ms=total_ms, model=self.info.name, device=self.info.device)
            if memory.turn is turn:
                memory.turn, memory.figures = None, figures
        if edits and count == 1 and memory.prepared is None and not memory.busy:
            memory.prepare(self._suggest_next(document, edits[0], memory))
        return Completion(document.uri, document.version, edits, figures)

    def changed(self, document: Document, offset: int) -> None:
        """A document was edited, its cursor probably at `offset`: compute its prompt before the editor asks.

        Only where a completion was asked for before, and not what is being typed through.
        """
        memory = self._memories.get(document.uri)
        if memory is None or self._asking.settings.enabled_for(document.uri, document.language_id):
            return
        if not any(tail(each, document, offset) for each in memory.shown):
            memory.prepare(self._prefill(document, offset, memory))

    async def _answer(
        self, document: Document, offset: int, count: int, memory: Memory, turn: asyncio.Future[None]
    ) -> tuple[tuple[Edit, ...], Figures]:
        asking = self._asking
        refusal = asking.settings.enabled_for(document.uri, document.language_id)
        figures = Figures(reason=refusal, layout=asking.setup.layout.value)
        if refusal:
            return (), figures
        tails = tuple(rest for each in memory.shown if (rest := tail(each, document, offset)))
        if len(tails) >= count:
            return tails, replace(figures, source="reuse")

        def ask() -> Question | None:
            if turn.done():
                return None
            question, memory.anchor = asking.question(document, offset, memory.anchor)
            return question

        question = await unless(turn, asyncio.get_running_loop().run_in_executor(self._executor, ask))
        if question is None:
            return (), replace(figures, reason=SUPERSEDED)
        prepared, before = memory.prepared, memory.asked
        memory.prepared = None
        if prepared is not None and prepared.question == question:
            before = prepared
            if prepared.result is not None and count == 1:
                memory.asked = prepared
                return self._show(prepared.result, prepared, document, memory, replace(figures, source="prepared"))
        memory.asked = asked = Asked(question)
        job = asking.job(document.uri, asked, count, before.draft if before else (), Priority.COMPLETION)
        ticket = self.engine.submit(job)
        try:
            result = await unless(turn, asyncio.wrap_future(ticket.future))
        finally:
            ticket.cancel()
        if result is None or not ended(result):
            return (), replace(figures, reason=SUPERSEDED)
        figures = replace(
            figures,
            prompt_tokens=result.prompt_tokens,
            cached_tokens=result.cached_tokens,
            computed_tokens=result.computed_tokens,
            generated_tokens=result.generated_tokens,
            prefill_ms=result.prefill_ms,
            decode_ms=result.decode_ms,
            source="model",
        )
        return self._show(result, asked, document, memory, figures)

    def _show(
        self, result: Result, asked: Asked, document: Document, memory: Memory, figures: Figures
    ) -> tuple[tuple[Edit, ...], Figures]:
        edits, reason = self._asking.read(result, asked.question)
        memory.shown = tuple(shown(document, edit) for edit in edits)
        return edits, replace(figures, reason=reason)

    async def _prefill(self, document: Document, offset: int, memory: Memory) -> None:
        """Compute the prompt of a place, if nothing is asked in a moment."""
        await self._pause()
        question = await self._foresee(document, offset, memory)
        if question is None or (memory.prepared is not None and memory.prepared.question == question):
            return
        self.engine.submit(self._asking.prefill(document.uri, question))

    async def _suggest_next(self, document: Document, edit: Edit, memory: Memory) -> None:
        """Compute what to suggest once `edit` is accepted, if nothing is asked in a moment.

        In the slot of what is asked now, which it only appends to, so that typing anything else costs what it did.
        """
        before, asking = memory.asked, self._asking
        await self._pause()
        accepted = document.replaced(edit.start, edit.end, edit.text)
        question = await self._foresee(accepted, edit.start + len(edit.text), memory)
        if question is None or before is None or not asking.goes_on(question, before.question):
            return
        memory.prepared = asked = Asked(question)
        ticket = self.engine.submit(asking.job(document.uri, asked, 1, (), Priority.IDLE))
        ticket.future.add_done_callback(asked.answered)

    async def _foresee(self, document: Document, offset: int, memory: Memory) -> Question | None:
        """What will be asked at a place; None while something is. The anchor stays that of the last request."""
        if memory.busy or self._closed:
            return None
        work = partial(self._asking.question, document, offset, memory.anchor)
        question, _ = await asyncio.get_running_loop().run_in_executor(self._executor, work)
        return None if memory.busy else question
