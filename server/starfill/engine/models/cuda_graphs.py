"""Steps captured as CUDA graphs: one for each number of rows and each length of context, replayed for any document.

A graph repeats its kernels on the addresses with which it was captured. What changes from step to step (ids, positions,
the address of each row's KV storage) is in a table that is filled before. If a step has fewer rows than its graph, rows
of padding are added: they write to a page of no document, and their results aren't used.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from starfill.engine.cuda.packed_weights import ROWS, launching_on
from starfill.engine.kv.kv_cache import BLOCK, KVCache, KVShape
from starfill.engine.models.cuda_steps import Table

HEIGHTS = (1, 2, 4, 8, ROWS)  # numbers of rows for which steps are captured
SHORTEST, GROWTH = 1024, 4  # positions that the smallest graphs can see, and the factor to the next larger ones

Step = Callable[[Table, torch.Tensor], None]  # computes a table's rows, and their logits float32 [R, vocab]
# returns a function that repeats the work, on the same tensors
Capture = Callable[[Callable[[], None]], Callable[[], None]]


class CudaCapture:
    """Captures on a stream of its own, since the default stream can't be captured. All graphs share one pool of memory.

    In that pool a graph owns its memory only while it runs: the next replay may overwrite it.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # Another model may compute or load meanwhile, so only this thread's calls are checked.
        mode = "thread_local"
        with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode=mode):
            work()
        return graph.replay


@dataclass(frozen=True, slots=True)
class Buffers:
    """What graphs of so many rows read and write: numbers int64 [3 + layers, rows], logits float32 [rows, vocab]."""

    numbers: torch.Tensor
    logits: torch.Tensor


class Graphs:
    """Runs steps of at most ROWS rows. capture None: computes each one directly, with as many rows as it has.

    It keeps captured graphs, never a step: the caller passes the step each time, so that nothing here refers to a model
    and keeps it alive. length: positions of the model's context.
    """

    def __init__(self, kv: KVShape, vocab_size: int, length: int, capture: Capture | None) -> None:
        self._kv, self._vocab_size, self._capture = kv, vocab_size, capture
        self._dump = torch.zeros(2, kv.kv_heads, BLOCK, kv.head_dim, dtype=kv.dtype, device=kv.device)
        self._padding = torch.tensor([BLOCK, *[self._dump.data_ptr()] * kv.layers])
        self._buffers: dict[int, Buffers] = {}
        self._replays: dict[tuple[int, int], Callable[[], None]] = {}
        self._lengths = [min(SHORTEST, length)]
        while self._lengths[-1] < length:
            self._lengths.append(min(self._lengths[-1] * GROWTH, length))

    def __call__(self, step: Step, ids: torch.Tensor, caches: Sequence[KVCache], last: int) -> torch.Tensor:
        """ids int64 [R], on the CPU or the device: rows of one cache, or one of each -> logits float32 [last, vocab].

        Room in the caches must be reserved; they don't count the rows yet. The logits belong to the caller.
        """
        rows, length = len(ids), max(cache.length for cache in caches) + len(ids) // len(caches)
        with launching_on(self._kv.device):
            if self._capture is None:
                buffers = self._new_buffers(rows)
                self._fill(buffers, ids, caches)
                step(Table(buffers.numbers, length), buffers.logits)
                return buffers.logits[rows - last :]
            height = next(height for height in HEIGHTS if height >= rows)
            replay = self._replay(step, height, next(each for each in self._lengths if each >= length))
            buffers = self._buffers[height]
            self._fill(buffers, ids, caches)
            replay()
            return buffers.logits[rows - last : rows].clone()

    def prepare(self, step: Step, report: Callable[[float, str], None]) -> None:
        """Capture all graphs, the largest first, so that the others fit into its memory."""
        if self._capture is None:
            return
        kinds = list(itertools.product(reversed(HEIGHTS), reversed(self._lengths)))
        with launching_on(self._kv.device):
            for done, (height, length) in enumerate(kinds):
                report(1.0, f"preparing the GPU, {done} of {len(kinds)}")
                self._replay(step, height, length)

    def _replay(self, step: Step, height: int, length: int) -> Callable[[], None]:
        found = self._replays.get((height, length))
        if found is None:
            assert self._capture is not None
            buffers = self._buffers.setdefault(height, self._new_buffers(height))
            self._fill(buffers, torch.zeros(0, dtype=torch.int64), ())

            def work() -> None:
                step(Table(buffers.numbers, length), buffers.logits)

            work()  # a capture doesn't allow kernels to be compiled and loaded
            found = self._replays[height, length] = self._capture(work)
        return found

    def _new_buffers(self, rows: int) -> Buffers:
        numbers = torch.zeros(3 + self._kv.layers, rows, dtype=torch.int64, device=self._kv.device)
        return Buffers(numbers, torch.empty(rows, self._vocab_size, device=self._kv.device))

    def _fill(self, buffers: Buffers, ids: torch.Tensor, caches: Sequence[KVCache]) -> None:
        """Write the rows' numbers, see `Table`, then those of the padding."""
        rows, each = len(ids), len(ids) // max(len(caches), 1)
        on_host = ids.device.type == "cpu"
        numbers = torch.zeros(*buffers.numbers.shape, dtype=torch.int64)
        if on_host:
            numbers[0, :rows] = ids
        for start, cache in zip(range(0, rows, each or 1), caches, strict=True):
            numbers[1, start : start + each] = torch.arange(cache.length, cache.length + each)
            numbers[2:, start : start + each] = cache.column()[:, None]
        if rows < numbers.shape[1]:
            numbers[2:, rows:] = self._padding[:, None]
        # This is pageable memory: the driver has copied it when this returns, and nothing waits for the device.
        buffers.numbers.copy_(numbers, non_blocking=True)
        if not on_host:
            buffers.numbers[0, :rows] = ids
