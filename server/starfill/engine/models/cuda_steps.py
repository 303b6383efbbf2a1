"""A pass of few rows as a fixed sequence of kernels, about ten a layer, which is the same for all rows.

So it can be captured once and replayed for any rows (cuda_graphs.py). The residual stream is float32; the inputs of
products have the linears' dtype, keys and values that of the KV state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from starfill.engine.cuda import elementwise as kernels
from starfill.engine.cuda.attention import attend, combine
from starfill.engine.kv.kv_cache import BLOCK, KVShape
from starfill.engine.linear.cuda import CudaLinear
from starfill.engine.linear.select import Linear
from starfill.engine.models.activation import Activation, StableActivation
from starfill.engine.models.fused import Parts
from starfill.engine.models.norm import Norm
from starfill.engine.native.structs import ActivationKind

DIMS = (16, 32, 64, 128, 256)  # head dimensions that the kernels take
SPANS = 128  # into which a model's longest context is cut; a step's working memory grows with them
CHUNK = 16  # spans added up at a time
COLUMNS = 512  # columns of an activation that one program computes
KINDS = {
    ActivationKind.SILU: kernels.SILU,
    ActivationKind.GELU: kernels.GELU,
    ActivationKind.GELU_TANH: kernels.GELU_TANH,
}
LOG2_E = 1.4426950408889634


@dataclass(frozen=True, slots=True)
class Table:
    """What a step has to know of its rows, one column for each: int64 [3 + layers, R] on the device."""

    numbers: torch.Tensor
    furthest: int  # all positions are below this one

    @property
    def rows(self) -> int:
        return self.numbers.shape[1]

    @property
    def ids(self) -> torch.Tensor:
        return self.numbers[0]

    @property
    def positions(self) -> torch.Tensor:
        return self.numbers[1]

    @property
    def capacities(self) -> torch.Tensor:
        """The number of positions in each row's KV storage."""
        return self.numbers[2]

    def addresses(self, layer: int) -> torch.Tensor:
        """The address of each row's KV storage of the layer."""
        return self.numbers[3 + layer]


class CudaSteps:
    """Refers to the blocks' parts. blocks_a_span: blocks of keys that one program of attention computes."""

    def __init__(
        self, blocks: Sequence[Parts], norm: Norm, head: CudaLinear, kv: KVShape, window: int, blocks_a_span: int
    ) -> None:
        self._blocks, self._norm, self._head, self._kv, self._window = tuple(blocks), norm, head, kv, window
        self._kind = _kind(blocks[0].activation)
        self._heads = _packed(blocks[0].o).in_features // kv.head_dim
        self._blocks_a_span = blocks_a_span

    @classmethod
    def of(
        cls, blocks: Sequence[Parts], norm: Norm, head: Linear, kv: KVShape, window: int | None, context: int
    ) -> CudaSteps | None:
        """None if the kernels can't run all of these parts. context: the model's longest."""
        linears = [head, *(linear for parts in blocks for linear in parts.linears)]
        if kv.dtype not in (torch.float16, torch.bfloat16) or kv.head_dim not in DIMS:
            return None
        if not all(isinstance(linear, CudaLinear) for linear in linears) or _kind(blocks[0].activation) is None:
            return None
        return cls(blocks, norm, _packed(head), kv, window or 0, -(-context // (BLOCK * SPANS)))

    def __call__(
        self, x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor] | None, table: Table, logits: torch.Tensor
    ) -> None:
        """x float32 [R, hidden], overwritten: embedded rows -> logits float32 [R, vocab].

        The rows' keys and values are written to the caches. rotation: as in decoder.py.
        """
        attention = _Attention(self._kv, self._heads, self._window, self._blocks_a_span, table)
        h = torch.empty_like(x, dtype=self._head.dtype)
        self._settle(x, None, self._blocks[0].before_attention, h)
        norms = [*(parts.before_attention for parts in self._blocks[1:]), self._norm]
        for layer, (parts, following) in enumerate(zip(self._blocks, norms, strict=True)):
            mixed = attention(layer, [_packed(each) for each in parts.qkv], h, rotation)
            self._settle(x, _sum(parts.o, mixed), parts.before_mlp, h)
            inner = x.new_empty(table.rows, _packed(parts.down).in_features, dtype=h.dtype)
            gate, up = _gate_and_up(parts, h)
            _activate(up, gate, inner, self._kind)
            self._settle(x, _sum(parts.down, inner), following, h)
        _activate(_sum(self._head, h), None, logits, kernels.NONE)

    def _settle(self, x: torch.Tensor, added: _Sum | None, norm: Norm, h: torch.Tensor) -> None:
        rows, width = x.shape
        block = next_power_of_2(width)
        kernels.settle[rows,](
            x, added and added.parts, added and added.bias, norm.weight, norm.bias, h, norm.eps,
            WIDTH=width, BLOCK=block, SPLITS=added.splits if added else 0, num_warps=min(max(block // 512, 1), 16),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sum:
    """A product [R, width] that isn't added up yet: parts float32 [splits, R, width], bias float32 [width]."""

    parts: torch.Tensor
    bias: torch.Tensor | None

    @property
    def splits(self) -> int:
        return self.parts.shape[0]

    @property
    def width(self) -> int:
        return self.parts.stride(1)

    def columns(self, start: int) -> _Sum:
        return _Sum(self.parts[:, :, start:], None if self.bias is None else self.bias[start:])


class _Attention:
    """The attention of one step, with working memory that its layers share."""

    def __init__(self, kv: KVShape, heads: int, window: int, blocks: int, table: Table) -> None:
        self._kv, self._heads, self._window, self._blocks, self._table = kv, heads, window, blocks, table
        self._spans = -(-table.furthest // (blocks * BLOCK))
        new = table.numbers.new_empty
        self._q = new(table.rows, heads, kv.head_dim, dtype=kv.dtype)
        self._peaks, self._sums = new(2, table.rows, heads, self._spans, dtype=torch.float32)
        self._mixed = new(table.rows, heads, self._spans, kv.head_dim, dtype=torch.float32)

    def __call__(
        self, layer: int, qkv: list[CudaLinear], h: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor] | None
    ) -> torch.Tensor:
        """h [R, hidden], normed -> [R, heads * head_dim] in h's dtype."""
        self._spread(layer, qkv, h, rotation)
        table, kv, spans, group = self._table, self._kv, self._spans, self._heads // self._kv.kv_heads
        lanes = next_power_of_2(group)
        # a matrix product takes at least 16 rows: of other tokens if there are fewer heads
        shared = max(16 // lanes, 1)
        keys = BLOCK // 2 if kv.head_dim <= 128 else BLOCK // 4  # two blocks of keys and values fit into shared memory
        attend[-(-table.rows // shared), kv.kv_heads, spans](
            self._q, self._peaks, self._sums, self._mixed, table.positions, table.capacities, table.addresses(layer),
            table.rows, spans, kv.head_dim**-0.5 * LOG2_E,
            KV_HEADS=kv.kv_heads, GROUP=group, LANES=lanes, SHARED=shared, DIM=kv.head_dim,
            KEYS=keys, BLOCKS=self._blocks * BLOCK // keys, WINDOW=self._window, num_warps=4, num_stages=2,
        )  # fmt: skip
        out = h.new_empty(table.rows, self._heads * kv.head_dim)
        combine[table.rows, self._heads](
            self._peaks, self._sums, self._mixed, out, table.positions, spans,
            HEADS=self._heads, DIM=kv.head_dim, SPAN=self._blocks * BLOCK, WINDOW=self._window, CHUNK=CHUNK,
            num_warps=4,
        )  # fmt: skip
        return out

    def _spread(
        self, layer: int, qkv: list[CudaLinear], h: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor] | None
    ) -> None:
        table, kv = self._table, self._kv
        sums = [_sum(linear, h) for linear in qkv]
        if len(sums) == 1:
            (whole,) = sums
            keys = self._heads * kv.head_dim
            sums += [whole.columns(keys), whole.columns(keys + kv.kv_heads * kv.head_dim)]
        q, k, v = sums
        cos, sin = rotation if rotation is not None else (None, None)
        kernels.spread[table.rows, self._heads + 2 * kv.kv_heads](
            q.parts, k.parts, v.parts, q.bias, k.bias, v.bias, cos, sin, self._q,
            table.positions, table.capacities, table.addresses(layer),
            HEADS=self._heads, KV_HEADS=kv.kv_heads, DIM=kv.head_dim,
            Q_WIDTH=q.width, K_WIDTH=k.width, V_WIDTH=v.width,
            Q_SPLITS=q.splits, K_SPLITS=k.splits, V_SPLITS=v.splits, num_warps=1,
        )  # fmt: skip


def _gate_and_up(parts: Parts, h: torch.Tensor) -> tuple[_Sum | None, _Sum]:
    sums = [_sum(linear, h) for linear in parts.up]
    if parts.gated and len(sums) == 1:
        (whole,) = sums
        return whole, whole.columns(whole.width // 2)
    return (sums[0] if parts.gated else None), sums[-1]


def _activate(up: _Sum, gate: _Sum | None, out: torch.Tensor, kind: int | None) -> None:
    """out [R, width] = f(up), or f(gate) * up."""
    rows, width = out.shape
    kernels.activate[rows, -(-width // COLUMNS)](
        up.parts, gate and gate.parts, up.bias, gate and gate.bias, out, WIDTH=width, BLOCK=COLUMNS,
        UP_WIDTH=up.width, GATE_WIDTH=gate.width if gate else 0,
        UP_SPLITS=up.splits, GATE_SPLITS=gate.splits if gate else 0, KIND=kind, num_warps=4,
    )  # fmt: skip


def _sum(linear: Linear, x: torch.Tensor) -> _Sum:
    packed = _packed(linear)
    return _Sum(packed.parts(x), packed.bias)


def _packed(linear: Linear) -> CudaLinear:
    assert isinstance(linear, CudaLinear)  # `of` sees to it
    return linear


def _kind(activation: Activation) -> int | None:
    """One of the kinds in cuda/elementwise.py; None if it has no such kind."""
    if isinstance(activation, StableActivation):
        return int(KINDS[activation.kind])
    return int(kernels.RELU) if activation is F.relu else None


def next_power_of_2(number: int) -> int:
    """The smallest power of two that is at least `number`, from 1 on."""
    return 1 << (number - 1).bit_length()
