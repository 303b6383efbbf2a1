"""Measures one model of random weights, through the engine that the server has."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from gpu.cases import Case, Work
from gpu.ceilings import Ceilings
from gpu.clock import settle
from gpu.measured import Decode, Keystrokes, Measured, Memory, Prefill
from gpu.random_source import Built
from latency.summary import median, quantile
from starfill.engine.generate import advance, feed
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.kv.prefix_cache import Slot
from starfill.engine.local_engine import LocalEngine
from starfill.engine.models.decoder import Decoder
from starfill.errors import StarfillError
from starfill.jobs import Job, Result, Sampling

RESERVE = 4 * 2**30  # bytes of the device's free memory that KV states leave alone
HOST = 2**30  # bytes for KV states where there is no such device
PIECE = 1024  # tokens of a prompt computed at once, where it isn't the engine that cuts it
WAIT = 300.0  # seconds that one job may take

Say = Callable[[str], None]


class Bench:
    """The measurements of one model. Each stands for itself, so that one that fails leaves the others."""

    def __init__(self, case: Case, built: Built, ceilings: Ceilings, work: Work, measured: Measured, say: Say) -> None:
        self._case, self._built, self._ceilings, self._work, self._say = case, built, ceilings, work, say
        self._model, self._device = built.model, built.model.kv_shape.device
        self._measured = measured
        self._rng = random.Random(1)
        self._documents = 0

    def run(self) -> None:
        """Fills in what `Measured` has, and says what it is doing."""
        work, few = self._work, self._case.weights_only
        self._try("compiling kernels, capturing graphs", self._prepare)
        with self._engine() as engine:
            if not few and self._device.type == "cuda":
                self._try("the longest prompt, for memory", partial(self._memory, engine, self._cut(max(work.prompts))))
            for tokens in map(self._cut, work.prompts[: 1 if few else None]):
                self._try(f"cold prompts of {tokens} tokens", partial(self._cold, engine, tokens))
            for tokens in () if few else work.warm:
                self._try(f"keystrokes at {tokens} tokens", partial(self._typing, engine, tokens))
            for rows in work.rows:
                self._try(f"{rows} answers", partial(self._answers, engine, rows))
        for context in map(self._cut, work.contexts[: 1 if few else None]):
            for rows in work.rows:
                self._try(f"decode of {rows} at {context} tokens", partial(self._decode, context, rows))

    def _prepare(self) -> None:
        """As the server does while it loads."""
        assert isinstance(self._model, Decoder)
        with torch.inference_mode():
            self._model.prepare(lambda share, doing: self._say(f"{self._case.name}: {doing}"))

    def _memory(self, engine: LocalEngine, tokens: int) -> None:
        """The longest prompt, and an answer to it."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        key = self._document()
        self._ask(engine, key, self._ids(tokens), self._work.steps)
        engine.release(key)
        kv = self._built.info.kv_bytes_per_token * (tokens + self._work.steps)
        self._measured.memory = Memory(self._built.tally.held, kv, torch.cuda.max_memory_reserved(self._device))

    def _cold(self, engine: LocalEngine, tokens: int) -> None:
        """Each prompt is another one, so that nothing of it is known; the first isn't counted."""
        times = []
        for _ in range(self._work.repeats + 1):
            key = self._document()
            times.append(self._ask(engine, key, self._ids(tokens), 1)[0])
            engine.release(key)
        first = median(times[1:])
        share = self._built.prefill_flops(tokens) / first / self._ceilings.matrix
        self._measured.prefill.append(Prefill(tokens, first * 1e3, share))

    def _typing(self, engine: LocalEngine, context: int) -> None:
        """A document in which somebody types at the end of the prompt: every key changes its last token, as the piece
        of a word does that grows, and every second one adds a token."""
        key, ids = self._document(), self._ids(context)
        self._ask(engine, key, ids, 1)
        samples: list[tuple[float, Result]] = []
        for number in range(self._work.untimed + self._work.keys):
            if number % 2:
                ids = [*ids, *self._ids(1)]
            samples.append(self._ask(engine, key, [*ids[:-1], *self._ids(1)], 1))
        engine.release(key)
        times = [first * 1e3 for first, _ in samples[self._work.untimed :]]
        computed = median(result.computed_tokens for _, result in samples[self._work.untimed :])
        self._measured.keystrokes.append(Keystrokes(context, median(times), quantile(times, 0.95), computed))

    def _answers(self, engine: LocalEngine, candidates: int) -> None:
        """Tokens a second of whole answers, as a job gets them, behind a short prompt."""
        key = self._document()
        _, result = self._ask(engine, key, self._ids(self._cut(min(self._work.prompts))), self._work.steps, candidates)
        engine.release(key)
        if result.steps:
            self._measured.engine[candidates] = result.steps * candidates / result.decode_ms * 1e3

    def _decode(self, context: int, rows: int) -> None:
        """Passes as decode makes them: the tokens of one are read before the next is asked for."""
        room = self._work.untimed + self._work.steps
        with torch.inference_mode():
            first = Slot(KVCache(self._model.kv_shape))
            ids = self._ids(context - room)
            for start in range(0, len(ids), PIECE):
                feed(self._model, first, ids[start : start + PIECE], last=0)
            slots = [first, *(first.fork() for _ in range(rows - 1))]
            tokens = self._ids(rows)
            for number in range(room):
                if number == self._work.untimed:
                    settle(self._device)
                    began = time.perf_counter()
                tokens = advance(self._model, slots, tokens).argmax(-1).tolist()
            seconds = (time.perf_counter() - began) / self._work.steps
        state = rows * self._built.info.kv_bytes_per_token * (context - self._work.steps // 2)
        share = 1 / seconds / self._ceilings.decode(self._built.tally.read, state)
        self._measured.decode.append(Decode(context, rows, seconds * 1e3, rows / seconds, share))

    def _ask(
        self, engine: LocalEngine, key: str, ids: Sequence[int], tokens: int, candidates: int = 1
    ) -> tuple[float, Result]:
        """Seconds from submitting a job to its first token, and what it came to.

        Tokens are sampled: among random ones nothing repeats, so that no pass computes more than one of each candidate.
        """
        told: list[float] = []

        def on_token(candidate: int, token: int) -> bool:
            told.append(time.perf_counter())
            return False

        job = Job(key, ids, tokens, sampling=Sampling(1.0, seed=1), candidates=candidates, on_token=on_token)
        began = time.perf_counter()
        result = engine.submit(job).future.result(WAIT)
        return told[0] - began, result

    def _try(self, what: str, measure: Callable[[], object]) -> None:
        self._say(f"{self._case.name}: {what}")
        began = time.perf_counter()
        try:
            measure()
        except (torch.OutOfMemoryError, StarfillError) as error:
            self._measured.failed.append(f"{what}: {str(error).splitlines()[0]}")
        self._measured.seconds[what] = time.perf_counter() - began
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def _engine(self) -> Iterator[LocalEngine]:
        free = torch.cuda.mem_get_info(self._device)[0] - RESERVE if self._device.type == "cuda" else HOST
        engine = LocalEngine(self._model, self._built.info, max(free, 0))
        try:
            yield engine
        finally:
            engine.close()

    def _cut(self, tokens: int) -> int:
        """As many as leave room for an answer."""
        return min(tokens, self._built.info.context_length - self._work.untimed - self._work.steps)

    def _document(self) -> str:
        self._documents += 1
        return f"document {self._documents}"

    def _ids(self, count: int) -> list[int]:
        return self._rng.choices(range(self._built.info.vocab_size), k=count)
