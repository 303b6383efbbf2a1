"""The instructor: from a selection and an instruction to edits or an explanation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from starfill.assist.family import Dialect
from starfill.assist.instruct.actions import Action
from starfill.assist.instruct.listener import Listener, OnText, end_of
from starfill.assist.instruct.outcome import Outcome, Request, Work
from starfill.assist.instruct.question import Answer, Question, Room, least_tokens, question
from starfill.assist.instruct.reading import Reading, read
from starfill.assist.stream import decode
from starfill.assist.tokenizer import Tokenizer
from starfill.assist.turn import end_soon, unless
from starfill.engine.job import Engine, Finish, Job, ModelInfo, Priority, Result, Sampling
from starfill.errors import EngineError, RequestError
from starfill.settings import Settings
from starfill.text.document import Document
from starfill.text.position import Span

SECOND = 0.4  # the temperature of the sample that is drawn where the likeliest answer does not parse
SEED = 1  # of that sample, so that the same request gets the same answer
SUPERSEDED = "a newer action on this document has taken this one's place"
ENDED = "the document was closed, or the model is being replaced"
DOES_NOT_PARSE = "does not parse"

T = TypeVar("T")


def _nothing(text: str, tokens: int) -> None:
    pass


class Instructor:
    """Carries out instructions with one engine. Methods are called on the event loop, which never waits.

    The newest action on a document wins: an older one ends with a RequestError.
    """

    def __init__(
        self, engine: Engine, tokenizer: Tokenizer, dialect: Dialect, settings: Settings, *, owns_engine: bool = True
    ) -> None:
        """owns_engine: the engine is closed with it; False where it completes too."""
        self._engine, self._tokenizer, self._dialect = engine, tokenizer, dialect
        self._owns_engine = owns_engine
        # Of running requests, by document; done, with a sentence, once one is to end.
        self._turns: dict[str, asyncio.Future[str]] = {}
        self._looked: tuple[Document, Span, int] | None = None  # the last quick look: of one list of actions
        # Encoding, parsing and comparing take up to a second where much is selected.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="instruct")
        self.configure(settings)

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    @property
    def busy(self) -> bool:
        return bool(self._turns)

    def configure(self, settings: Settings) -> None:
        """From the next request on."""
        self._settings = settings
        self._room = Room.of(self.info, settings)
        self._engine.resize(settings.cache_budget)

    def refusal(self, document: Document, selection: Span, action: Action) -> str | None:
        """Why that can't be asked here, as far as a quick look tells: no model is asked, nothing parsed. Else None."""
        reason = self._settings.enabled_for(document.uri, document.language_id)
        if reason is not None:
            return reason
        if self._looked is None or self._looked[0] is not document or self._looked[1] != selection:
            self._looked = document, selection, least_tokens(document, selection, self._tokenizer)
        return self._room.refusal(self._looked[2], action)

    def forget(self, uri: str) -> None:
        """A document was closed."""
        self._end(uri, ENDED)
        self._engine.release(_key(uri))

    def close(self) -> None:
        """End all requests, and the engine if it is the instructor's own. From any thread, since it waits for that."""
        for turn in list(self._turns.values()):
            end_soon(turn, ENDED)
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._owns_engine:
            self._engine.close()

    async def instruct(self, request: Request, on_text: OnText = _nothing) -> Outcome:
        """Cancelling the task stops the model before its next token. RequestError with the sentence of a refusal.

        on_text: called with the answer as the model has written it so far and the number of tokens so far, now and
            then, on the event loop. Where the answer is no good, it begins anew.
        """
        started = time.perf_counter()
        reason = self._settings.enabled_for(request.document.uri, request.document.language_id)
        if reason is not None:
            raise RequestError(reason)
        uri = request.document.uri
        self._end(uri, SUPERSEDED)
        turn = self._turns[uri] = asyncio.get_running_loop().create_future()
        try:
            asked = await self._apart(turn, partial(question, request, self._tokenizer, self._dialect, self._room))
            answer, work = await self._ask(asked, turn, on_text)
            reading = await self._apart(turn, partial(read, asked, answer))
            if not reading.is_good:
                reading, work = await self._second(asked, turn, on_text, reading, work)
        finally:
            if self._turns.get(uri) is turn:
                del self._turns[uri]
        if reading.refusal is not None:
            raise RequestError(reading.refusal)
        work = replace(work, total_ms=(time.perf_counter() - started) * 1e3)
        warning = DOES_NOT_PARSE if reading.parses is False else reading.warning
        return Outcome(request, asked.span, reading.text, reading.edits, warning, work)

    async def _second(
        self, asked: Question, turn: asyncio.Future[str], on_text: OnText, first: Reading, work: Work
    ) -> tuple[Reading, Work]:
        """Another sample where the first one is no good; the first one where this one is no better."""
        sampling = Sampling(SECOND, self._settings.top_p, SEED)
        answer, more = await self._ask(asked, turn, on_text, sampling, work.generated_tokens)
        try:
            second = await self._apart(turn, partial(read, asked, answer))
        except RequestError:
            second = first
        if turn.done():
            raise RequestError(turn.result())
        return (second if second.is_good else first), replace(
            work,
            samples=2,
            generated_tokens=work.generated_tokens + more.generated_tokens,
            steps=work.steps + more.steps,
            prefill_ms=work.prefill_ms + more.prefill_ms,
            decode_ms=work.decode_ms + more.decode_ms,
        )

    async def _ask(
        self,
        asked: Question,
        turn: asyncio.Future[str],
        on_text: OnText,
        sampling: Sampling = Sampling(),  # noqa: B008 - immutable
        earlier: int = 0,
    ) -> tuple[Answer, Work]:
        """One sample. earlier: tokens that the request has generated before."""
        form = self._dialect.instruct
        stops = form.stops + (form.explanation_stops if asked.request.action.name == "explain" else ())
        listener = Listener(self._tokenizer.token_bytes, stops, on_text, asked.code, earlier)
        ticket = self._engine.submit(
            Job(
                key=_key(asked.request.document.uri),
                ids=asked.ids,
                max_new_tokens=asked.max_new_tokens,
                stop_ids=self._dialect.stop_ids,
                sampling=sampling,
                priority=Priority.INSTRUCTION,
                on_token=listener.on_token,
                draft=asked.draft,
            )
        )
        try:
            result = await unless(turn, asyncio.wrap_future(ticket.future))
        except EngineError as error:
            raise RequestError(str(error)) from None
        finally:
            listener.close()
            ticket.cancel()
        if result is None:
            raise RequestError(turn.result())
        if result.finish[0] in (Finish.CANCELLED, Finish.SUPERSEDED):
            raise RequestError(SUPERSEDED if result.finish[0] is Finish.SUPERSEDED else ENDED)
        text = decode(self._tokenizer.token_bytes, result.candidates[0])
        text = text[: end_of(text, stops)]
        return Answer(text, result.finish[0] is Finish.LENGTH), _work(result)

    async def _apart(self, turn: asyncio.Future[str], work: Callable[[], T]) -> T:
        """Work for the processor, off the event loop."""
        done = await unless(turn, asyncio.get_running_loop().run_in_executor(self._executor, work))
        if done is None:
            raise RequestError(turn.result())
        return done

    def _end(self, uri: str, why: str) -> None:
        turn = self._turns.pop(uri, None)
        if turn is not None and not turn.done():
            turn.set_result(why)


def _key(uri: str) -> tuple[str, str]:
    """The slot of a document's actions, beside that of its completions."""
    return "instruct", uri


def _work(result: Result) -> Work:
    return Work(
        prompt_tokens=result.prompt_tokens,
        cached_tokens=result.cached_tokens,
        computed_tokens=result.computed_tokens,
        generated_tokens=result.generated_tokens,
        steps=result.steps,
        samples=1,
        prefill_ms=result.prefill_ms,
        decode_ms=result.decode_ms,
        total_ms=0.0,
    )
