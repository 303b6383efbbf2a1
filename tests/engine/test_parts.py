"""KV cache, sampling and attention on their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from starfill.engine.kv.attention import attention, causal_mask
from starfill.engine.kv.kv_cache import BLOCK, KVCache, KVShape
from starfill.engine.models.activation import ACTIVATIONS
from starfill.engine.sampling import nucleus, pick
from starfill.jobs import Sampling

SHAPE = KVShape(2, 1, 8, torch.float32, torch.device("cpu"))


def test_the_cache_grows_in_blocks_and_keeps_what_it_holds() -> None:
    cache = KVCache(SHAPE)
    written = torch.randn(1, 300, 8)
    for start in range(0, 300, 50):
        cache.reserve(50)
        cache.write(1, written[:, start : start + 50], -written[:, start : start + 50])
        cache.advance(50)
    cache.reserve(1)
    keys, values = cache.write(1, torch.zeros(1, 1, 8), torch.zeros(1, 1, 8))
    assert cache.capacity % BLOCK == 0
    assert keys.shape == (1, 3 * BLOCK, 8)
    assert torch.equal(keys[:, :300], written)
    assert torch.equal(values[:, :300], -written)
    assert cache.nbytes == SHAPE.bytes_per_token * cache.capacity


def test_the_cache_never_has_room_for_more_than_a_model_can_have() -> None:
    cache = KVCache(replace(SHAPE, longest=500))
    for length in (300, 301, 500):
        cache.reserve(length - cache.length)
        cache.advance(length - cache.length)
        assert cache.capacity == {300: 384, 301: 384, 500: 512}[length]


@pytest.mark.parametrize("heads,kv_heads", [(4, 1), (8, 2), (6, 6)])
@pytest.mark.parametrize("start,tokens", [(0, 1), (0, 200), (127, 1), (128, 2), (300, 77)])
def test_attention_is_scaled_dot_product_attention(heads: int, kv_heads: int, start: int, tokens: int) -> None:
    rng = torch.Generator().manual_seed(start + tokens)
    keys = -(-(start + tokens) // BLOCK) * BLOCK
    q = torch.randn(tokens, heads, 16, generator=rng)
    k, v = (torch.randn(kv_heads, keys, 16, generator=rng) for _ in range(2))
    mask = causal_mask(start, tokens, torch.device("cpu"))
    ours = attention(q, k, v, mask, 0.25)
    group = heads // kv_heads
    expected = F.scaled_dot_product_attention(
        q.transpose(0, 1), k.repeat_interleave(group, 0), v.repeat_interleave(group, 0), ~mask[:, 0], scale=0.25
    )
    assert torch.allclose(ours, expected.transpose(0, 1).reshape(tokens, -1), atol=1e-5)


@pytest.mark.parametrize("window", [1, 100, 128, 200, 1000])
def test_a_window_hides_what_is_further_back(window: int) -> None:
    mask = causal_mask(150, 140, torch.device("cpu"), window)
    for t, key in ((0, 150), (0, 151), (3, 153 - window), (3, 154 - window), (139, 289 - window), (139, 290 - window)):
        if key >= 0:
            assert bool(mask[t, 0, key]) == (key > 150 + t or key <= 150 + t - window), (t, key)


@pytest.mark.parametrize("dim", [16, 32, 64, 80, 96, 112, 128, 192, 256])
@pytest.mark.parametrize("kv_heads", [1, 3])
def test_a_position_attends_with_the_same_bits_alone_and_in_company(kv_heads: int, dim: int) -> None:
    """A query alone, in small and in large company. Products of few rows take other ways through the library."""
    tokens = 260
    rng = torch.Generator().manual_seed(dim)
    k, v = (torch.randn(kv_heads, 3 * BLOCK, dim, generator=rng) for _ in range(2))
    for group in (1, 2, 3, 5, 8):
        q = torch.randn(tokens, kv_heads * group, dim, generator=rng)
        whole = attention(q, k, v, causal_mask(0, tokens, q.device), dim**-0.5)
        for start, count in ((0, 1), (5, 2), (100, 1), (101, 3), (127, 1), (130, 5), (200, 17), (259, 1)):
            end = start + count
            keys = -(-end // BLOCK) * BLOCK
            mask = causal_mask(start, count, q.device)
            part = attention(q[start:end], k[:, :keys], v[:, :keys], mask, dim**-0.5)
            assert torch.equal(part, whole[start:end]), (group, start, count)


@pytest.mark.parametrize("name", ["gelu_pytorch_tanh", "gelu", "relu", "silu"])
def test_an_activation_gives_every_number_the_same_bits_wherever_it_stands(name: str) -> None:
    function = ACTIVATIONS[name]
    every = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    every = every[every.abs() < 1e30]
    together = function(every)
    some = (every.abs() > 1) & (every.abs() < 6)  # where gelu's two ways differ
    for size in (1, 7):  # torch computes the remainder of a tensor one by one, the rest with vectors
        alone = torch.cat([function(part.clone()) for part in every[some].split(size)])
        assert torch.equal(alone, together[some])
    assert torch.allclose(together.double(), function(every.double()), rtol=0.005, atol=1e-3)


def test_a_fork_goes_its_own_way() -> None:
    cache = KVCache(SHAPE)
    cache.reserve(130)
    keys = torch.randn(1, 130, 8)
    cache.write(1, keys, -keys)
    cache.advance(130)
    cache.trim(100)
    fork = cache.fork()
    assert (fork.length, fork.capacity, cache.capacity) == (100, BLOCK, 2 * BLOCK)
    fork.reserve(1)
    kept, _ = fork.write(1, torch.ones(1, 1, 8), torch.ones(1, 1, 8))
    assert torch.equal(kept[:, :100], keys[:, :100])
    assert (kept[:, 100] == 1).all()
    assert (kept[:, 101:] == 0).all()
    cache.advance(30)
    again, _ = cache.write(1, torch.ones(1, 0, 8), torch.ones(1, 0, 8))
    assert torch.equal(again[:, :130], keys)


def test_each_layer_keeps_its_state_on_its_device() -> None:
    shape = KVShape(3, 1, 8, torch.float32, torch.device("cpu"), tuple(map(torch.device, ("cpu", "meta", "meta"))))
    cache = KVCache(shape)
    cache.reserve(5)
    for layer, device in enumerate(shape.devices):
        new = torch.ones(1, 5, 8, device=device)
        assert {part.device for part in cache.write(layer, new, new)} == {device}


def test_greedy_takes_the_first_of_equals() -> None:
    logits = torch.tensor([0.0, 3.0, 3.0, 1.0])
    assert pick(logits, Sampling(), torch.Generator()) == 1
    assert pick(logits, Sampling(), torch.Generator(), allowed=[3, 0]) == 3


def test_sampling_follows_the_distribution() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    counts = torch.zeros(4)
    for _ in range(4000):
        counts[pick(logits, Sampling(1.0), rng)] += 1
    assert torch.allclose(counts / 4000, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.03)


@pytest.mark.parametrize(
    "top_p,kept", [(0.0, [0]), (0.4, [0]), (0.5, [0]), (0.51, [0, 1]), (0.76, [0, 1, 2]), (1.0, [0, 1, 2, 3])]
)
def test_the_nucleus(top_p: float, kept: list[int]) -> None:
    probabilities = torch.tensor([0.5, 0.25, 0.125, 0.125])
    assert nucleus(probabilities, top_p).nonzero().flatten().tolist() == kept
