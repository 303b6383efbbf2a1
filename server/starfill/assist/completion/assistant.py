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
from starfill.jobs import Engine, ModelInfo, OnTrouble, Priority, Result
from starfill.text.document import Document
from starfill.text.position import Edit
from starfill.util.supersede import NewestWins, until_superseded

PAUSE = 0.01  # seconds without a request before idle work starts: an editor that asks with each key has asked by then
SUPERSEDED = "superseded by a newer request"

IdleWait = Callable[[], Awaitable[None]]


async def until_idle() -> None:
    await asyncio.sleep(PAUSE)


class Assistant:
    """Completes documents with one engine. Its methods are called on the event loop, which never waits.

    A newer request for a document supersedes an older one, which then answers at once, with nothing.

    pause: a wait that ends when nothing has been asked for a moment. Prompts are prefilled ahead of time after it.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        dialect: Dialect,
        settings: Settings,
        *,
        pause: IdleWait = until_idle,
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
        # Encoding a window takes tens of milliseconds. One thread does it, which also keeps a document's requests in
        # order.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prompt")
        self.configure(settings)

    @property
    def info(self) -> ModelInfo:
        return self.engine.info

    @property
    def context(self) -> int:
        """The number of tokens that a prompt and its answer may have together."""
        return self._requester.setup.context

    @property
    def problem(self) -> str | None:
        """A sentence on a setting that this model can't follow; None if there is none."""
        return self._requester.problem

    @property
    def substitute(self) -> ModelInfo | None:
        """The model that suggests while the engine can't be reached."""
        return None

    @property
    def busy(self) -> bool:
        return self._running > 0

    def configure(self, settings: Settings) -> None:
        """Use these settings from the next request on. Suggestions made under other settings are forgotten."""
        for state in self._states.values():
            state.forget_suggestions()
        self.engine.resize(settings.cache_budget)
        self._policy = AccessPolicy.of(settings)
        self.engine.persist(settings.saved_state_bytes, self._policy.keeps)
        self._requester = Requester(self.tokenizer, self.dialect, self._index, settings, self.info.context_length)

    def watch(self, on_trouble: OnTrouble) -> None:
        """See `job.Engine`."""
        self.engine.watch(on_trouble)

    def goes_on(self, document: Document, offset: int, count: int) -> bool:
        """Whether the user is typing what the suggestion shown says, so that no model has to be asked."""
        state = self._states.get(document.uri)
        return state is not None and sum(tail(each, document, offset) is not None for each in state.shown) >= count

    def accepted(self, uri: str) -> None:
        """The user has accepted a whole suggestion, so nothing of it is left to type through."""
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
        """Suggest edits for a cursor at `offset` (characters).

        automatic: the user didn't ask for this one; a single candidate is generated. Otherwise as many as `candidates`
        or the setting says. Raises EngineError where a remote engine has failed.
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
        """A document was edited, with its cursor probably at `offset`: prefill its prompt before the editor asks.

        Does nothing where no completion has been asked for so far, or where the user types a suggestion through.
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
        """Prefill the prompt for a cursor at `offset`, unless something is asked within a moment."""
        await self._pause()
        foreseen = await self._next_request(document, offset, state)
        if foreseen is None or (state.prepared is not None and state.prepared.request == foreseen):
            return
        self.engine.submit(self._requester.prefill(document.uri, foreseen))

    async def _suggest_next(self, document: Document, edit: Edit, state: DocumentState) -> None:
        """Compute what to suggest after `edit` is accepted, unless something is asked within a moment.

        The work is done in the slot of the present request and only appends to it, so typing anything else costs as
        much as before.
        """
        before, requester = state.pending, self._requester
        await self._pause()
        accepted = document.replaced(edit.start, edit.end, edit.text)
        foreseen = await self._next_request(accepted, edit.start + len(edit.text), state)
        if foreseen is None or before is None or not requester.goes_on(foreseen, before.request):
            return
        state.prepared = pending = PendingAnswer(foreseen)
        ticket = self.engine.submit(requester.job(document.uri, pending, 1, (), Priority.IDLE))
        ticket.future.add_done_callback(pending.answered)

    async def _next_request(self, document: Document, offset: int, state: DocumentState) -> FimRequest | None:
        """The request that the editor will send with the cursor at `offset`; None while one is running. The anchor of
        the last request is kept.
        """
        if self._requests.runs(document.uri) or self._closed:
            return None
        work = partial(self._requester.request, document, offset, state.anchor)
        foreseen, _ = await asyncio.get_running_loop().run_in_executor(self._executor, work)
        return None if self._requests.runs(document.uri) else foreseen
