"""The candidates of a job as streamed requests: what is sent, and what the events of the answer mean."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from starfill.errors import EngineError
from starfill.jobs import Priority
from starfill.remote.apis.api import Api, Ask
from starfill.remote.encoding import EncodedPrompt, PromptEncoder
from starfill.remote.http import ASKING, TYPING, Connection, garbled
from starfill.remote.request import RemoteJob
from starfill.remote.slots import SlotAssignment
from starfill.remote.stream import AnswerStream

LINGER = 0.2  # seconds that a stream may stay open after the end of its answer


class CandidateStreams:
    """Used on the network's thread. on_first_token: called with the seconds until the first token of a completion."""

    def __init__(
        self,
        connection: Connection,
        api: Api,
        model: str,
        encoder: PromptEncoder,
        slots: SlotAssignment,
        *,
        on_first_token: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._connection, self._api, self._model = connection, api, model
        self._encoder, self._slots = encoder, slots
        self._on_first_token, self._clock = on_first_token, clock
        self._salt = secrets.token_bytes(16)

    async def ask(self, job: RemoteJob, number: int) -> None:
        """Ask for one candidate; a second time if its text doesn't begin as it must and the engine can't force that.

        The second prompt contains the half-typed word. The local engine would let the model choose its tokens anew.
        """
        encoded = self._encoder.prompt(job.job.ids)
        begins = encoded.rest + self._encoder.bytes(job.job.begins)
        answer = AnswerStream(job.job, number, self._encoder, begins)
        job.answers.append(answer)
        await self._listen(job, answer, encoded, begins if self._api.forces else b"")
        if answer.prefix_mismatch:
            answer.begin()
            await self._listen(job, answer, self._encoder.longer(encoded, begins), b"")

    async def _listen(self, job: RemoteJob, answer: AnswerStream, encoded: EncodedPrompt, begins: bytes) -> None:
        wanted = job.job
        patience = TYPING if wanted.priority is Priority.COMPLETION else ASKING
        sampling = wanted.sampling
        if sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + answer.candidate)
        ask = Ask(
            model=self._model,
            prompt=encoded.prompt,
            max_tokens=wanted.max_new_tokens,
            sampling=sampling,
            begins=begins.decode("utf-8", "replace"),
            stop_ids=wanted.stop_ids if self._encoder.takes_ids else frozenset(),
            slot=self._slots.of(wanted.key) if answer.candidate == 0 else None,
        )
        asked = self._connection.stream(self._api.path, self._api.body(ask), patience, self._session(wanted.key))
        async with asked as events, aclosing(events):
            until = time.monotonic() + patience
            while True:
                try:
                    event = await _next(events, until - time.monotonic())
                except asyncio.TimeoutError:
                    if answer.ended:  # the answer is complete, though the stream isn't
                        return
                    raise
                if event is None:
                    break
                pieces = answer.pieces
                if self._take(job, answer, event):
                    return
                if answer.ended:
                    until = min(until, time.monotonic() + LINGER)
                elif answer.pieces > pieces:  # the engine sent an event without text
                    until = time.monotonic() + patience
        if answer.finish is None and not answer.prefix_mismatch:
            raise EngineError(f"{self._connection.address.base} has broken off its answer", again=True)

    def _take(self, job: RemoteJob, answer: AnswerStream, event: Mapping[str, Any]) -> bool:
        """Take an event of an answer. True if nothing more is wanted."""
        try:
            piece = self._api.read(event)
        except (KeyError, TypeError, IndexError, ValueError, AttributeError):
            raise garbled(self._connection.address) from None
        if piece.text and job.first is None:
            job.first = self._clock()
            if job.job.priority is Priority.COMPLETION:
                self._on_first_token(job.first - job.sent)
        if piece.prompt_tokens is not None and answer.candidate == 0:
            job.prompt_tokens, job.cached_tokens = piece.prompt_tokens, piece.cached_tokens or 0
        return answer.take(piece)

    def _session(self, key: Hashable) -> str:
        """The same for each request of a document, without telling anything about it."""
        return hashlib.blake2b(repr(key).encode("utf-8", "replace"), key=self._salt, digest_size=16).hexdigest()


async def _next(events: AsyncGenerator[Mapping[str, Any], None], seconds: float) -> Mapping[str, Any] | None:
    """The next event; None after the last one. Before Python 3.12 `wait_for` loses a cancel that comes together with
    one.
    """
    coming = asyncio.ensure_future(anext(events, None))
    try:
        done, _ = await asyncio.wait([coming], timeout=max(0.0, seconds))
        if not done:
            raise asyncio.TimeoutError
        return coming.result()
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait([coming])
        _ = coming.cancelled() or coming.exception()  # seen
