"""The assistant: from a document and a cursor to an edit. Puts the pure rooms together around the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from starfill.assist.completion.document_state import DocumentState
from starfill.assist.completion.fim_request import FimRequest, PendingAnswer, Requester, is_whole
from starfill.assist.completion.result import Completion, Figures
from starfill.assist.completion.token_healing import TokenIndex
from starfill.assist.completion.type_through import shown, tail
from starfill.assist.prompts.family import Dialect
from starfill.assist.prompts.tokenizer import Tokenizer
from starfill.config.access_policy import AccessPolicy
from starfill.config.settings import Settings
from starfill.errors import RequestError
from starfill.jobs import Engine, ModelInfo, Priority, Result
from starfill.text.document import Document
from starfill.text.position import Edit
from starfill.util.supersede import NewestWins, until_superseded

PAUSE = 0.01  # seconds without a request, after which there is time: an editor that asks with each key has asked then
SUPERSEDED = "superseded by a newer request"

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
        self._states: dict[str, DocumentState] = {}
        self._requests: NewestWins[str, None] = NewestWins()  # by document
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
        return self._requester.setup.context

    @property
    def problem(self) -> str | None:
        """A sentence on a setting that this model can't follow, or None."""
        return self._requester.problem

    @property
    def substitute(self) -> ModelInfo | None:
        """Who suggests while the engine can't be reached."""
        return None

    @property
    def busy(self) -> bool:
        return self._running > 0

    def configure(self, settings: Settings) -> None:
        """From the next request on; what was suggested under other settings is forgotten."""
        for state in self._states.values():
            state.forget_suggestions()
        self.engine.resize(settings.cache_budget)
        self._policy = AccessPolicy.of(settings)
        self.engine.persist(settings.saved_state_bytes, self._policy.keeps)
        self._requester = Requester(self.tokenizer, self.dialect, self._index, settings, self.info.context_length)

    def watch(self, told: Callable[[str | None], None]) -> None:
        """See `job.Engine`."""
        self.engine.watch(told)

    def goes_on(self, document: Document, offset: int, count: int) -> bool:
        """Whether what is shown is being typed through, so that no model has to be asked."""
        state = self._states.get(document.uri)
        return state is not None and sum(tail(each, document, offset) is not None for each in state.shown) >= count

    def accepted(self, uri: str) -> None:
        """A suggestion has been accepted whole: nothing of it is left to type through."""
        if state := self._states.get(uri):
            state.shown = ()

    def forget(self, uri: str) -> None:
        """A document was closed."""
        if state := self._states.pop(uri, None):
            state.rest()
        self._requests.supersede(uri, None)
        self.engine.release(uri)

    def close(self) -> None:
        """End all requests, and the engine. From any thread, since it waits for the engine."""
        self._closed = True
        self._requests.supersede_all(None)
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
        state = self._states.setdefault(document.uri, DocumentState())
        state.rest()
        request = self._requests.begin(document.uri, None)
        count = candidates or (1 if automatic else self._requester.settings.candidates)
        self._running += 1
        try:
            edits, figures = await self._answer(document, offset, count, state, request)
        finally:
            self._running -= 1
            newest = self._requests.end(document.uri, request)
        total_ms = (time.perf_counter() - started) * 1e3
        figures = replace(figures, total_ms=total_ms, model=self.info.name, device=self.info.device)
        if edits and count == 1 and state.prepared is None and newest:
            state.prepare(self._suggest_next(document, edits[0], state))
        return Completion(document.uri, document.version, edits, figures, superseded=not newest)

    def changed(self, document: Document, offset: int) -> None:
        """A document was edited, its cursor probably at `offset`: compute its prompt before the editor asks.

        Only where a completion was asked for before, and not what is being typed through.
        """
        state = self._states.get(document.uri)
        if state is None or self._policy.refusal(document.uri, document.language_id):
            return
        if not any(tail(each, document, offset) for each in state.shown):
            state.prepare(self._prefill(document, offset, state))

    async def _answer(
        self, document: Document, offset: int, count: int, state: DocumentState, request: asyncio.Future[None]
    ) -> tuple[tuple[Edit, ...], Figures]:
        requester = self._requester
        refusal = self._policy.refusal(document.uri, document.language_id)
        figures = Figures(reason=refusal, layout=requester.setup.layout.value)
        if refusal:
            return (), figures
        tails = tuple(rest for each in state.shown if (rest := tail(each, document, offset)))
        if len(tails) >= count:
            return tails, replace(figures, source="reuse")

        def ask() -> FimRequest | None:
            if request.done():
                return None
            asked, state.anchor = requester.request(document, offset, state.anchor)
            return asked

        asked = await until_superseded(request, asyncio.get_running_loop().run_in_executor(self._executor, ask))
        if asked is None:
            return (), replace(figures, reason=SUPERSEDED)
        prepared, before = state.prepared, state.pending
        state.prepared = None
        if prepared is not None and prepared.request == asked:
            before = prepared
            if prepared.result is not None and count == 1:
                state.pending = prepared
                return self._show(prepared.result, asked, document, state, replace(figures, source="prepared"))
        state.pending = pending = PendingAnswer(asked)
        job = requester.job(document.uri, pending, count, before.draft if before else (), Priority.COMPLETION)
        ticket = self.engine.submit(job)
        try:
            result = await until_superseded(request, asyncio.wrap_future(ticket.future))
        finally:
            ticket.cancel()
        if result is None or not is_whole(result):
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
        return self._show(result, asked, document, state, figures)

    def _show(
        self, result: Result, asked: FimRequest, document: Document, state: DocumentState, figures: Figures
    ) -> tuple[tuple[Edit, ...], Figures]:
        edits, reason = self._requester.read(result, asked)
        state.shown = tuple(shown(document, edit) for edit in edits)
        return edits, replace(figures, reason=reason)

    async def _prefill(self, document: Document, offset: int, state: DocumentState) -> None:
        """Compute the prompt of a place, if nothing is asked in a moment."""
        await self._pause()
        foreseen = await self._foresee(document, offset, state)
        if foreseen is None or (state.prepared is not None and state.prepared.request == foreseen):
            return
        self.engine.submit(self._requester.prefill(document.uri, foreseen))

    async def _suggest_next(self, document: Document, edit: Edit, state: DocumentState) -> None:
        """Compute what to suggest once `edit` is accepted, if nothing is asked in a moment.

        In the slot of what is asked now, which it only appends to, so that typing anything else costs what it did.
        """
        before, requester = state.pending, self._requester
        await self._pause()
        accepted = document.replaced(edit.start, edit.end, edit.text)
        foreseen = await self._foresee(accepted, edit.start + len(edit.text), state)
        if foreseen is None or before is None or not requester.goes_on(foreseen, before.request):
            return
        state.prepared = pending = PendingAnswer(foreseen)
        ticket = self.engine.submit(requester.job(document.uri, pending, 1, (), Priority.IDLE))
        ticket.future.add_done_callback(pending.answered)

    async def _foresee(self, document: Document, offset: int, state: DocumentState) -> FimRequest | None:
        """What will be asked at a place; None while something is. The anchor stays that of the last request."""
        if self._requests.runs(document.uri) or self._closed:
            return None
        work = partial(self._requester.request, document, offset, state.anchor)
        foreseen, _ = await asyncio.get_running_loop().run_in_executor(self._executor, work)
        return None if self._requests.runs(document.uri) else foreseen
