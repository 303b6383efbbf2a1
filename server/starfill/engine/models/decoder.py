"""The skeleton that the architectures share: embedding, blocks, head, over the rows of one or several sequences.

An architecture's file defines its `Config`, its `Block` and its `Model`: a `Decoder` that says how rows are embedded
and how logits are computed. A block gets rows [R, hidden], and a `Rows` that knows which sequences they belong to; only
attention needs to know.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch

from starfill.engine.cuda.packed_weights import ROWS
from starfill.engine.kv.attention import CausalWindow
from starfill.engine.kv.kv_cache import KVCache, KVShape
from starfill.engine.linear.cuda import CudaLinear
from starfill.engine.linear.select import Linear
from starfill.engine.models.fused import Fused, Parts
from starfill.engine.models.norm import Norm
from starfill.engine.models.parameters import ParameterSource
from starfill.engine.native.library import native
from starfill.engine.native.team import Team
from starfill.engine.out_of_memory import naming_out_of_memory

if TYPE_CHECKING:
    from starfill.engine.models.cuda_graphs import Graphs
    from starfill.engine.models.cuda_steps import CudaSteps, Table

Rotation = tuple[torch.Tensor, torch.Tensor]  # cosines and signed sines, see rotary.py


@dataclass(frozen=True, slots=True)
class View:
    """The rows of one sequence, for attention."""

    cache: KVCache
    sight: CausalWindow

    def attend(self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
        return self.sight.attend(q, *self.cache.write(layer, k, v), scale)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that a pass computes: T rows of one sequence, or one row of each of several sequences."""

    positions: torch.Tensor  # int64 [R], each row's position in its own sequence
    views: tuple[View, ...]
    rotation: Rotation | None = None

    def attend(self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
        """q [R, heads, D], k and v [kv_heads, R, D], all float32 -> [R, heads * D]. k and v are kept.

        On a GPU the result has the dtype of the KV state.
        """
        if len(self.views) == 1:
            return self.views[0].attend(layer, q, k, v, scale)
        rows = range(len(self.views))
        parts = [self.views[i].attend(layer, q[i : i + 1], k[:, i : i + 1], v[:, i : i + 1], scale) for i in rows]
        return torch.cat(parts)

    def to(self, device: torch.device) -> Rows:
        return Rows(
            self.positions.to(device),
            tuple(View(view.cache, view.sight.to(device)) for view in self.views),
            None if self.rotation is None else (self.rotation[0].to(device), self.rotation[1].to(device)),
        )


class Block(Protocol):
    def parts(self) -> Parts: ...

    def __call__(self, x: torch.Tensor, rows: Rows) -> torch.Tensor:
        """x [R, hidden] float32, the residual stream, on the block's device."""
        ...


class Config(Protocol):
    """What every architecture knows from config.json alone."""

    @property
    def n_layer(self) -> int: ...
    @property
    def n_embd(self) -> int: ...  # the width of the residual stream
    @property
    def n_head(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def context_length(self) -> int: ...

    def kv_shape(self, quantized: bool, device: torch.device) -> KVShape:
        """quantized: whether the linears are."""
        ...

    def linears(self) -> dict[str, tuple[int, int]]:
        """(in_features, out_features) of each quantizable layer by its full name."""
        ...


class Decoder(ABC):
    """Token ids to logits. The residual stream, norms and attention are float32, whatever the linears use.

    ending: the norm before the head, and the head. window: the number of positions that a row sees, including its own;
    None for all.
    """

    through = ""

    def __init__(
        self,
        config: Config,
        source: ParameterSource,
        blocks: Sequence[Block],
        ending: tuple[Norm, Linear],
        window: int | None = None,
    ) -> None:
        shape = config.kv_shape(source.quantized, source.device)
        self.kv_shape = replace(shape, devices=source.devices, longest=config.context_length)
        self.stages = stages(blocks, source.devices)
        self.window = window
        self.vocab_size, self.context_length = config.vocab_size, config.context_length
        self.norm, self.lm_head = ending
        self.team = Team(torch.get_num_threads())

    @abstractmethod
    def embed(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """ids and positions int64 [R] -> x [R, hidden] float32."""

    def rotation(self, positions: torch.Tensor) -> Rotation | None:
        """Rotates queries and keys at these positions; None if the architecture embeds positions instead."""
        return None

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor:
        """Compute ids int64 [T] behind those of the cache, and keep their KV. Returns logits float32 [last, vocab] of
        the last ones.

        ids may be on the CPU whatever the model is on: then nothing waits for its device.
        """
        with self._timed(len(ids)):
            logits = self._run(ids, (cache,), last)
        cache.advance(len(ids))
        return logits

    def step(self, ids: torch.Tensor, caches: Sequence[KVCache]) -> torch.Tensor:
        """One token for each of N sequences in one pass: ids int64 [N] -> logits float32 [N, vocab].

        With quantized linears, row n has the same bits as `self(ids[n:n+1], caches[n], 1)`. All caches advance or none.
        """
        with self._timed(len(ids)):
            logits = self._run(ids, caches, last=len(ids))
        for cache in caches:
            cache.advance(1)
        return logits

    @contextmanager
    def _timed(self, rows: int) -> Iterator[None]:
        """Time a pass, on as many threads as the machine can spare."""
        kernels = native()
        if kernels is None or self.kv_shape.device.type != "cpu":
            yield
            return
        kernels.threads = self.team.threads
        began = time.perf_counter()
        try:
            yield
        finally:
            kernels.threads = self.team.size
        self.team.learn(rows, time.perf_counter() - began)

    @cached_property
    def fused(self) -> Fused | None:
        """The pass as one call of our kernels; None if they can't compute it."""
        if len(self.stages) > 1:
            return None
        parts = [block.parts() for block in self.stages[0][1]]
        return Fused.of(parts, self.norm, self.lm_head, self.kv_shape, self.window)

    @cached_property
    def steps(self) -> tuple[CudaSteps, Graphs] | None:
        """Passes of few rows on a GPU whose kernels take the linears; else None."""
        if len(self.stages) > 1 or not isinstance(self.lm_head, CudaLinear):
            return None
        from starfill.engine.models.cuda_graphs import CudaCapture, Graphs
        from starfill.engine.models.cuda_steps import CudaSteps

        kv, parts = self.kv_shape, [block.parts() for block in self.stages[0][1]]
        steps = CudaSteps.of(parts, self.norm, self.lm_head, kv, self.window, self.context_length)
        if steps is None:
            return None
        capture = CudaCapture(kv.device) if kv.device.type == "cuda" else None
        return steps, Graphs(kv, self.vocab_size, self.context_length, capture)

    def _step(self, table: Table, logits: torch.Tensor) -> None:
        assert self.steps is not None
        x, rotation = self.embed(table.ids, table.positions), self.rotation(table.positions)
        self.steps[0](x, rotation, table, logits)

    def prepare(self, report: Callable[[float, str], None]) -> None:
        """On a GPU: compile and capture what passes need, so that the first ones needn't wait for it."""
        # If memory runs out, the rest is captured when it is used: then memory can be freed.
        with suppress(torch.OutOfMemoryError), naming_out_of_memory():
            if self.steps is not None:
                self.steps[1].prepare(self._step, report)
            if self.kv_shape.on_device:
                for rows in (1, ROWS + 1):
                    self(torch.zeros(rows, dtype=torch.int64), KVCache(self.kv_shape), last=1)

    def _run(self, ids: torch.Tensor, caches: Sequence[KVCache], last: int) -> torch.Tensor:
        """Logits [last, vocab] of the last rows. The caches hold the rows' KV, but don't count them yet."""
        tokens, device = len(ids) // len(caches), self.kv_shape.device
        for cache in caches:
            cache.reserve(tokens)
        if self.steps is not None and len(ids) <= ROWS:
            return self.steps[1](self._step, ids, caches, last)
        if len(caches) == 1:
            positions = torch.arange(caches[0].length, caches[0].length + tokens, device=device)
        else:
            positions = torch.tensor([cache.length for cache in caches], device=device)
        x, rotation = self.embed(ids.to(device), positions), self.rotation(positions)
        if self.fused is not None:
            return self.fused(x, rotation, caches, last)
        views = tuple(View(cache, CausalWindow(cache.length, tokens, self.window, device)) for cache in caches)
        rows = Rows(positions, views, rotation)
        for stage, (device, blocks) in enumerate(self.stages):
            if stage:
                x, rows = x.to(device), rows.to(device)
            for block in blocks:
                x = block(x, rows)
        return self.lm_head(self.norm(x[len(ids) - last :])).float() if last else x[:0]


def stages(blocks: Sequence[Block], devices: Sequence[torch.device]) -> list[tuple[torch.device, list[Block]]]:
    """Neighbouring blocks on the same device, together."""
    runs: list[tuple[torch.device, list[Block]]] = []
    for block, device in zip(blocks, devices, strict=True):
        if not runs or runs[-1][0] != device:
            runs.append((device, []))
        runs[-1][1].append(block)
    return runs
