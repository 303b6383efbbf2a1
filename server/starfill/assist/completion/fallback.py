"""Two assistants in one: where a remote engine doesn't answer in time, the local model does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from starfill.assist.completion.assistant import SUPERSEDED, Assistant
from starfill.assist.completion.result import Completion, Figures
from starfill.config.settings import Settings
from starfill.errors import EngineError, StarfillError
from starfill.jobs import ModelInfo, OnTrouble
from starfill.text.document import Document
from starfill.util.daemon_thread import in_daemon_thread
from starfill.util.supersede import NewestWins, until_superseded

Reconnect = Callable[[], Assistant]
T = TypeVar("T")


class TimeLimit(Protocol):
    """The type of asyncio.wait_for: returns the result of `work`, or cancels it after `seconds` and raises
    TimeoutError.
    """

    async def __call__(self, work: Awaitable[T], seconds: float, /) -> T: ...


MISSES = 3  # late answers in a row, after which the remote engine isn't asked for a while
REST = 10.0  # seconds until a remote engine that was too slow or unreachable is tried again


class FallbackAssistant:
    """remote: has `engine_latency_budget_ms` for each suggestion. local: runs on this machine.

    While the remote engine is known to fail, and for REST seconds after MISSES late answers in a row, the local one is
    asked at once. While a suggestion is typed through, the assistant that made it is asked. The settings' family and
    layout apply to each one's own model.

    `remote` may be an error instead, if the engine could not be reached; `reconnect`, which blocks, then tries again.
    """

    def __init__(
        self,
        remote: Assistant | EngineError,
        local: Assistant,
        settings: Settings,
        reconnect: Reconnect,
        clock: Callable[[], float] = time.monotonic,
        within: TimeLimit = asyncio.wait_for,
    ) -> None:
        self.remote = remote if isinstance(remote, Assistant) else None
        self.local = local
        self._settings, self._reconnect, self._clock, self._within = settings, reconnect, clock, within
        self._trouble = None if isinstance(remote, Assistant) else str(remote)
        self._misses = 0
        self._rest_until = clock() + REST  # until then the remote engine is not asked, or not reconnected to
        self._reconnecting: asyncio.Task[None] | None = None
        self._on_trouble: OnTrouble | None = None
        self._reported: str | None = None  # the sentence last reported
        self._answered: dict[str, Assistant] = {}  # by document: which assistant answered last
        self._requests: NewestWins[str, None] = NewestWins()  # by document
        self._closed = False
        if self.remote is not None:
            self.remote.watch(self._on_remote_trouble)

    @property
    def info(self) -> ModelInfo:
        return (self.remote or self.local).info

    @property
    def substitute(self) -> ModelInfo | None:
        """The model that suggests while the engine can't be reached."""
        return self.local.info

    @property
    def problem(self) -> str | None:
        return next((each.problem for each in self._both if each.problem is not None), None)

    def configure(self, settings: Settings) -> None:
        self._settings = settings
        self._misses = 0  # the latency budget may have changed
        for each in self._both:
            each.configure(settings)
        self._report()

    def watch(self, on_trouble: OnTrouble) -> None:
        self._on_trouble = on_trouble
        self._report()

    def accepted(self, uri: str) -> None:
        for each in self._both:
            each.accepted(uri)

    def forget(self, uri: str) -> None:
        self._answered.pop(uri, None)
        self._requests.supersede(uri, None)
        for each in self._both:
            each.forget(uri)

    def changed(self, document: Document, offset: int) -> None:
        """Only the local assistant prefills ahead of time, and only where it was needed before."""
        if self.remote is None or not self.remote.goes_on(document, offset, 1):
            self.local.changed(document, offset)

    def close(self) -> None:
        """From any thread, like an assistant's."""
        self._closed = True
        for each in self._both:
            each.close()

    async def complete(
        self, document: Document, offset: int, *, automatic: bool = True, candidates: int | None = None
    ) -> Completion:
        """A newer request for a document supersedes an older one, whichever assistant is working on that."""
        uri = document.uri
        request = self._requests.begin(uri, None)
        work = asyncio.ensure_future(self._answer(document, offset, automatic, candidates))
        try:
            found = await until_superseded(request, work)
        finally:
            work.cancel()
            self._requests.end(uri, request)
        return found or Completion(uri, document.version, (), Figures(reason=SUPERSEDED), superseded=True)

    async def _answer(self, document: Document, offset: int, automatic: bool, candidates: int | None) -> Completion:
        began = time.perf_counter()
        count = candidates or (1 if automatic else self._settings.candidates)
        shown = self._answered.get(document.uri)
        goes_on = shown is not None and shown.goes_on(document, offset, count)
        waited = 0.0
        if self.remote is not None and (shown is self.remote if goes_on else self._worth_asking):
            found = await self._in_time(self.remote, document, offset, automatic, candidates)
            if found is not None:
                self._answered[document.uri] = self.remote
                return found
            waited = (time.perf_counter() - began) * 1e3
        self._try_to_reconnect()
        found = await self.local.complete(document, offset, automatic=automatic, candidates=candidates)
        self._answered[document.uri] = self.local
        return replace(found, figures=replace(found.figures, total_ms=found.figures.total_ms + waited))

    async def _in_time(
        self, remote: Assistant, document: Document, offset: int, automatic: bool, candidates: int | None
    ) -> Completion | None:
        """None if the remote assistant takes longer than the budget, or fails."""
        asked = remote.complete(document, offset, automatic=automatic, candidates=candidates)
        try:
            found = await self._within(asked, self._settings.engine_latency_budget_ms / 1e3)
        except asyncio.TimeoutError:
            self._misses += 1
            self._rest_until = self._clock() + REST
        except EngineError:
            return None  # a trouble that lasts is reported by the engine itself
        else:
            if found.figures.source == "model":
                self._misses = 0
            self._report()
            return found
        self._report()
        return None

    @property
    def _worth_asking(self) -> bool:
        return self._trouble is None and (self._misses < MISSES or self._clock() >= self._rest_until)

    def _try_to_reconnect(self) -> None:
        """Try to reconnect now and then, in the background."""
        if self.remote is None and self._reconnecting is None and self._clock() >= self._rest_until:
            self._reconnecting = asyncio.ensure_future(self._reconnected())

    async def _reconnected(self) -> None:
        try:
            found = await asyncio.wrap_future(in_daemon_thread(self._reconnect))
            if self._closed:
                in_daemon_thread(found.close)
                return
            found.configure(self._settings)
            found.watch(self._on_remote_trouble)
            self.remote, self._trouble = found, None
        except StarfillError as error:
            self._trouble = str(error)
        finally:
            self._rest_until = self._clock() + REST
            self._reconnecting = None
        self._report()

    @property
    def _both(self) -> list[Assistant]:
        return [each for each in (self.remote, self.local) if each is not None]

    def _on_remote_trouble(self, trouble: str | None) -> None:
        """The engine's callback, on a thread of its own."""
        self._trouble = trouble
        self._report()

    def _report(self) -> None:
        says = self._trouble
        if says is None and self._misses >= MISSES:
            budget = self._settings.engine_latency_budget_ms
            says = f"{self.info.device} takes longer than the {budget} ms that engine.latencyBudgetMs allows"
        if self._on_trouble is not None and says != self._reported:
            self._reported = says
            self._on_trouble(says)
