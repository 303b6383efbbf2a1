"""Attention of a step against torch's, on random inputs and poisoned outputs; what a row's bits depend on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import triton

from starfill.engine.cuda.attention import attend, combine
from starfill.engine.kv.attention import attention, causal_mask, fused_attention
from starfill.engine.models.cuda_steps import LOG2_E

KEYS = 16  # in a block, so that few are enough to make several
NAN = float("nan")


@dataclass
class Case:
    """heads of each key head: group. blocks: of a span. window: 0 for all."""

    kv_heads: int = 1
    group: int = 3
    dim: int = 16
    blocks: int = 1
    window: int = 0
    dtype: torch.dtype = torch.float16

    def cache(self, capacity: int = 128) -> torch.Tensor:
        return torch.randn(2, self.kv_heads, capacity, self.dim).to(self.dtype)

    def queries(self, rows: int) -> torch.Tensor:
        return torch.randn(rows, self.kv_heads * self.group, self.dim).to(self.dtype)

    def run(
        self, q: torch.Tensor, positions: list[int], caches: list[torch.Tensor], reach: int | None = None
    ) -> torch.Tensor:
        """reach: of the grid, if further than the furthest row."""
        rows, heads, span = len(q), self.kv_heads * self.group, self.blocks * KEYS
        spans = -(-(reach or max(positions) + 1) // span)
        lanes = triton.next_power_of_2(self.group)
        shared = max(16 // lanes, 1)
        peaks, sums = torch.full((2, rows, heads, spans), NAN)
        mixed = torch.full((rows, heads, spans, self.dim), NAN)
        at = torch.tensor(positions)
        capacities = torch.tensor([cache.shape[2] for cache in caches])
        addresses = torch.tensor([cache.data_ptr() for cache in caches])
        attend[-(-rows // shared), self.kv_heads, spans](
            q, peaks, sums, mixed, at, capacities, addresses, rows, spans, self.dim**-0.5 * LOG2_E,
            self.kv_heads, self.group, lanes, shared, self.dim, KEYS, self.blocks, self.window,
        )  # fmt: skip
        out = torch.full_like(q, NAN)
        combine[rows, heads](peaks, sums, mixed, out, at, spans, heads, self.dim, span, self.window, CHUNK=2)
        return out

    def expected(self, q: torch.Tensor, position: int, cache: torch.Tensor) -> torch.Tensor:
        k, v = cache.float()
        mask = causal_mask(position, 1, q.device, self.window or None)
        return attention(q.float(), k[:, : mask.shape[2]], v[:, : mask.shape[2]], mask, self.dim**-0.5)


CASES = {
    "multi-query": Case(),
    "more heads than a product's rows": Case(group=17, dim=32),
    "a key head for each query head": Case(kv_heads=2, group=1),
    "grouped": Case(kv_heads=2, group=4),
    "spans of several blocks": Case(blocks=3, group=2),
    "window": Case(window=20, group=8),
    "window and spans of several blocks": Case(window=20, blocks=2, kv_heads=2, group=2),
    "bfloat16": Case(dtype=torch.bfloat16),
}


@pytest.mark.parametrize("name", CASES)
def test_it_equals_attention(name: str) -> None:
    case = CASES[name]
    cache, positions = case.cache(), [61, 62, 63]
    q = case.queries(3)
    found = case.run(q, positions, [cache] * 3)
    for row, position in enumerate(positions):
        expected = case.expected(q[row : row + 1], position, cache)
        assert torch.allclose(
            found[row].float().view(1, -1), expected, atol=0.004 if case.dtype == torch.float16 else 0.03
        )


@pytest.mark.parametrize("name", ["multi-query", "a key head for each query head", "window"])
def test_a_row_does_not_depend_on_the_others(name: str) -> None:
    case = CASES[name]
    here, there = case.cache(), case.cache(capacity=256)
    positions, caches = [14, 15, 16, 0, 70], [here, here, here, there, there]
    q = case.queries(5)
    found = case.run(q, positions, caches)
    for row in range(5):
        alone = case.run(q[row : row + 1], positions[row : row + 1], caches[row : row + 1])
        assert torch.equal(found[row : row + 1], alone), row
    assert torch.equal(found, case.run(q, positions, caches, reach=100))


def test_what_lies_out_of_sight_does_not_matter() -> None:
    case = Case(kv_heads=2, group=2)
    cache, q = case.cache(), case.queries(2)
    found = case.run(q, [20, 21], [cache] * 2)
    cache[:, :, 22:] = NAN
    assert torch.equal(case.run(q, [20, 21], [cache] * 2), found)
    hidden = Case(kv_heads=2, group=2, window=5)
    found = hidden.run(q, [20, 21], [cache] * 2)
    cache[:, :, :16] *= 2
    assert torch.equal(hidden.run(q, [20, 21], [cache] * 2), found)


@pytest.mark.parametrize("window", [None, 20, 300])
@pytest.mark.parametrize("start", [0, 37])
def test_long_passes_through_torch(start: int, window: int | None) -> None:
    tokens, kv_heads, group, dim = 40, 2, 3, 16
    q = torch.randn(tokens, kv_heads * group, dim)
    k, v = torch.randn(2, kv_heads, 128, dim).half()
    mask = causal_mask(start, tokens, q.device, window)
    expected = attention(q, k.float(), v.float(), mask, dim**-0.5)
    k[:, start + tokens :] = v[:, start + tokens :] = NAN
    found = fused_attention(q, k, v, start, dim**-0.5, window)
    assert found.dtype == torch.float16
    assert torch.allclose(found.float(), expected, atol=0.004)
