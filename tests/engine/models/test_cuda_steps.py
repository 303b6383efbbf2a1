"""Whole passes of few rows: against the same model's blocks, and to the bit against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from cuda_models import BIGCODE, LLAMA, STARCODER2, random_cache, random_model, same, some_ids
from starfill.engine.kv.kv_cache import KVCache, KVShape
from starfill.engine.models.decoder import Decoder

MODELS = {
    "gpt_bigcode": BIGCODE,
    "llama": LLAMA,
    "a key head for each query head": LLAMA | {"num_key_value_heads": 4},
    "heads wider than the stream": LLAMA | {"head_dim": 64, "attention_bias": True, "mlp_bias": True},
    "starcoder2": STARCODER2,
    "relu": BIGCODE | {"activation_function": "relu"},
    "gelu": BIGCODE | {"activation_function": "gelu"},
    "gelu with a gate": LLAMA | {"hidden_act": "gelu"},
}
ALIKE = ("gpt_bigcode", "a key head for each query head", "starcoder2")


@pytest.fixture(autouse=True)
def poisoned() -> Iterator[None]:
    """Whatever is made to be filled in holds NaN before."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def in_float32(cache: KVCache) -> KVCache:
    shape = cache.shape
    shape = KVShape(shape.layers, shape.kv_heads, shape.head_dim, torch.float32, shape.device)
    return KVCache.of(shape, [layer.float() for layer in cache.layers()])


def by_blocks(model: Decoder, cache: KVCache, ids: torch.Tensor) -> torch.Tensor:
    model.steps = None
    return model(ids, cache, last=len(ids))


def compare(model: Decoder, start: int, rows: int, tolerance: float) -> None:
    cache, ids = random_cache(model, start), some_ids(rows)
    exact = in_float32(cache)
    found = model(ids, cache, last=rows)
    assert model.steps is not None
    expected = by_blocks(model, exact, ids)
    assert (found - expected).norm() / expected.norm() < tolerance
    for kept, as_expected in zip(cache.layers(), exact.layers(), strict=True):
        assert kept.dtype == model.kv_shape.dtype
        assert torch.equal(kept[:, :, :start].float(), as_expected[:, :, :start])
        new, as_expected = kept[:, :, start:].float(), as_expected[:, :, start:]
        assert (new - as_expected).norm() / as_expected.norm() < tolerance


@torch.inference_mode()
@pytest.mark.parametrize("name", MODELS)
def test_it_computes_what_the_blocks_do(name: str) -> None:
    far = name in ALIKE
    compare(random_model(MODELS[name]), start=300 if far else 20, rows=3 if far else 1, tolerance=0.003)


@torch.inference_mode()
@pytest.mark.parametrize("layout", [Layout(4, 32, True), Layout(3, 64, sym=False)], ids=str)
def test_with_packed_linears(layout: Layout) -> None:
    """Those of one input are one."""
    model = random_model(LLAMA | {"attention_bias": True}, packed=layout)
    parts = model.stages[0][1][0].parts()
    assert (len(parts.qkv), len(parts.up), parts.gated) == (1, 1, True)
    compare(model, start=130, rows=2, tolerance=0.003)


@torch.inference_mode()
def test_in_bfloat16() -> None:
    compare(random_model(LLAMA, dtype=torch.bfloat16), start=130, rows=2, tolerance=0.02)


@torch.inference_mode()
@pytest.mark.parametrize("name", ALIKE)
def test_the_rows_of_a_sequence_equal_one_at_a_time(name: str) -> None:
    model, ids = random_model(MODELS[name]), some_ids(3)
    together = random_cache(model, 126)  # over the end of a block
    alone = together.fork()
    found = model(ids, together, last=3)
    assert torch.equal(found, torch.cat([model(each, alone, last=1) for each in ids.split(1)]))
    assert same(together, alone)


@torch.inference_mode()
@pytest.mark.parametrize("name", ALIKE)
def test_several_sequences_equal_each_alone(name: str) -> None:
    model, starts = random_model(MODELS[name]), (0, 127, 200)
    ids = some_ids(len(starts))
    caches, alone = ([random_cache(model, start, seed=start) for start in starts] for _ in range(2))
    found = model.step(ids, caches)
    for n, cache in enumerate(alone):
        assert torch.equal(found[n : n + 1], model(ids[n : n + 1], cache, last=1))
    assert all(map(same, caches, alone))


@torch.inference_mode()
def test_a_cache_that_has_moved() -> None:
    """Growing gives it other storage; the same state elsewhere gives the same bits."""
    model, ids = random_model(BIGCODE), some_ids(3)
    cache = random_cache(model, 126)
    kept, before = cache.fork(), cache.addresses()
    found = [model(each, cache, last=1) for each in ids.split(1)]
    assert not set(before) & set(cache.addresses())
    kept.reserve(200)
    assert torch.equal(torch.cat(found), model(ids, kept, last=3))
    assert same(cache, kept)


@torch.inference_mode()
def test_without_logits_only_the_state_grows() -> None:
    model, ids = random_model(BIGCODE), some_ids(2)
    cache, other = (random_cache(model, 5) for _ in range(2))
    assert model(ids, cache, last=0).shape == (0, 64)
    assert model(ids, other, last=1).shape == (1, 64)
    assert same(cache, other)


@torch.inference_mode()
def test_long_passes_are_computed_block_by_block() -> None:
    model = random_model(BIGCODE)
    assert model.steps is not None

    def never(*_: object) -> None:
        raise AssertionError

    model.steps = (never, model.steps[1])  # type: ignore[assignment]
    model.kv_shape = in_float32(KVCache(model.kv_shape)).shape
    assert model(some_ids(17), KVCache(model.kv_shape), last=1).shape == (1, 64)


def steps_of(fields: dict[str, object], changed: Sequence[str] = ()) -> object:
    model = random_model(fields)
    for name in changed:
        setattr(model.stages[0][1][1], name, torch.nn.Identity())
    return model.steps


def test_what_it_cannot_take_is_computed_block_by_block() -> None:
    assert steps_of(BIGCODE) is not None
    assert steps_of(BIGCODE, ["c_proj"]) is None  # another linear
    assert steps_of(LLAMA | {"head_dim": 8}) is None
    assert steps_of(LLAMA | {"head_dim": 48}) is None
    model = random_model(BIGCODE, dtype=torch.float32)
    assert model.steps is None
