"""The instructor: from a selection and an instruction to edits or an explanation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from starfill.assist.instruct.actions import Action
from starfill.assist.instruct.answer_stream import Listener, OnText, end_of
from starfill.assist.instruct.instruction_request import (
    ContextBudget,
    InstructionRequest,
    instruction_request,
    least_tokens,
)
from starfill.assist.instruct.outcome import AnswerCost, Instruction, Outcome
from starfill.assist.instruct.read_answer import Reading, read
from starfill.assist.prompts.detokenizer import decode
from starfill.assist.prompts.family import Dialect
from starfill.assist.prompts.tokenizer import Tokenizer
from starfill.config.access_policy import AccessPolicy
from starfill.config.settings import Settings
from starfill.errors import EngineError, RequestError
from starfill.jobs import Engine, Finish, Job, ModelInfo, Priority, Result, Sampling
from starfill.text.document import Document
from starfill.text.position import Span
from starfill.util.supersede import NewestWins, until_superseded

SECOND_TEMPERATURE = 0.4  # the temperature of the second sample, which is drawn if the likeliest answer doesn't parse
SEED = 1  # of the second sample, so that the same request gets the same answer
SUPERSEDED = "a newer action on this document has taken this one's place"
ENDED = "the document was closed, or the model is being replaced"
DOES_NOT_PARSE = "does not parse"

T = TypeVar("T")


def _nothing(text: str, tokens: int) -> None:
    pass


class Instructor:
    """Carries out instructions with one engine. Its methods are called on the event loop, which never waits.

    A newer action on a document supersedes an older one, which ends with a RequestError.
    """

    def __init__(
        self, engine: Engine, tokenizer: Tokenizer, dialect: Dialect, settings: Settings, *, owns_engine: bool = True
    ) -> None:
        """owns_engine: close the engine with the instructor; False if it completes too."""
        self._engine, self._tokenizer, self._dialect = engine, tokenizer, dialect
        self._owns_engine = owns_engine
        self._requests: NewestWins[str, str] = NewestWins()  # by document; superseded with a sentence
        self._estimate: tuple[Document, Span, int] | None = (
            None  # the last estimate, which all actions of one menu share
        )
        # Encoding, parsing and comparing take up to a second for a large selection.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="instruct")
        self.configure(settings)

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    @property
    def busy(self) -> bool:
        return bool(self._requests)

    def configure(self, settings: Settings) -> None:
        """From the next request on."""
        self._settings, self._policy = settings, AccessPolicy.of(settings)
        self._room = ContextBudget.of(self.info, settings)
        self._engine.resize(settings.cache_budget)

    def refusal(self, document: Document, selection: Span, action: Action) -> str | None:
        """Why that can't be asked here; None if it can, as far as a quick estimate shows. No model is asked, nothing
        parsed.
        """
        reason = self._policy.refusal(document.uri, document.language_id)
        if reason is not None:
            return reason
        if self._estimate is None or self._estimate[0] is not document or self._estimate[1] != selection:
            self._estimate = document, selection, least_tokens(document, selection, self._tokenizer)
        return self._room.refusal(self._estimate[2], action)

    def forget(self, uri: str) -> None:
        """A document was closed."""
        self._requests.supersede(uri, ENDED)
        self._engine.release(_key(uri))

    def close(self) -> None:
        """End all requests, and the engine if it belongs to the instructor. From any thread, since it waits for the
        engine.
        """
        self._requests.supersede_all(ENDED)
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._owns_engine:
            self._engine.close()

    async def instruct(self, instruction: Instruction, on_text: OnText = _nothing) -> Outcome:
        """Carry out an instruction. Cancelling the task stops the model before its next token. Raises RequestError if
        it is refused.

        on_text: called on the event loop, now and then, with the answer so far and its number of tokens. The text
        starts again if a second sample is drawn.
        """
        started = time.perf_counter()
        reason = self._policy.refusal(instruction.document.uri, instruction.document.language_id)
        if reason is not None:
            raise RequestError(reason)
        uri = instruction.document.uri
        request = self._requests.begin(uri, SUPERSEDED)
        ask = partial(instruction_request, instruction, self._tokenizer, self._dialect, self._room)
        try:
            asked = await self._in_thread(request, ask)
            reading, work = await self._sample(asked, request, on_text)
            if not reading.is_good:
                reading, work = await self._second_sample(asked, request, on_text, reading, work)
        finally:
            self._requests.end(uri, request)
        if reading.refusal is not None:
            raise RequestError(reading.refusal)
        work = replace(work, total_ms=(time.perf_counter() - started) * 1e3)
        warning = DOES_NOT_PARSE if reading.parses is False else reading.warning
        return Outcome(instruction, asked.span, reading.text, reading.edits, warning, work)

    async def _second_sample(
        self, asked: InstructionRequest, request: asyncio.Future[str], on_text: OnText, first: Reading, work: AnswerCost
    ) -> tuple[Reading, AnswerCost]:
        """The better one of `first`, which is no good, and a second sample."""
        sampling = Sampling(SECOND_TEMPERATURE, self._settings.top_p, SEED)
        text, cut_off, more = await self._answer(asked, request, on_text, sampling, work.generated_tokens)
        try:
            second = await self._in_thread(request, partial(read, asked, text, cut_off))
        except RequestError:
            second = first
        if request.done():
            raise RequestError(request.result())
        return (second if second.is_good else first), replace(
            work,
            samples=2,
            generated_tokens=work.generated_tokens + more.generated_tokens,
            steps=work.steps + more.steps,
            prefill_ms=work.prefill_ms + more.prefill_ms,
            decode_ms=work.decode_ms + more.decode_ms,
        )

    async def _sample(
        self, asked: InstructionRequest, request: asyncio.Future[str], on_text: OnText
    ) -> tuple[Reading, AnswerCost]:
        """The likeliest answer."""
        text, cut_off, work = await self._answer(asked, request, on_text)
        return await self._in_thread(request, partial(read, asked, text, cut_off)), work

    async def _answer(
        self,
        asked: InstructionRequest,
        request: asyncio.Future[str],
        on_text: OnText,
        sampling: Sampling = Sampling(),  # noqa: B008 - immutable
        earlier: int = 0,
    ) -> tuple[str, bool, AnswerCost]:
        """One answer, and whether the token limit ended it. earlier: the number of tokens generated before."""
        form = self._dialect.instruct
        stops = form.stops + (form.explanation_stops if asked.instruction.action.name == "explain" else ())
        listener = Listener(self._tokenizer.token_bytes, stops, on_text, asked.code, earlier)
        ticket = self._engine.submit(
            Job(
                key=_key(asked.instruction.document.uri),
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
            result = await until_superseded(request, asyncio.wrap_future(ticket.future))
        except EngineError as error:
            raise RequestError(str(error)) from None
        finally:
            listener.close()
            ticket.cancel()
        if result is None:
            raise RequestError(request.result())
        if result.finish[0] in (Finish.CANCELLED, Finish.SUPERSEDED):
            raise RequestError(SUPERSEDED if result.finish[0] is Finish.SUPERSEDED else ENDED)
        text = decode(self._tokenizer.token_bytes, result.candidates[0])
        text = text[: end_of(text, stops)]
        return text, result.finish[0] is Finish.LENGTH, _work(result)

    async def _in_thread(self, request: asyncio.Future[str], work: Callable[[], T]) -> T:
        """Runs `work`, which needs the processor, on a thread."""
        running = asyncio.get_running_loop().run_in_executor(self._executor, work)
        done = await until_superseded(request, running)
        if done is None:
            raise RequestError(request.result())
        return done


def _key(uri: str) -> tuple[str, str]:
    """The prefix cache key of a document's actions. Its completions have another one."""
    return "instruct", uri


def _work(result: Result) -> AnswerCost:
    return AnswerCost(
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
