"""What every architecture promises, checked on a loaded model; tests/engine has a file for each architecture."""

from __future__ import annotations

import random
from pathlib import Path

import torch

from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.model import LanguageModel


def model_at(folder: Path) -> LanguageModel:
    return load_model(OpenedCheckpoint.open(folder), torch.device("cpu")).model


def some_ids(count: int, vocabulary: int = 300, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, vocabulary, (count,), generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def logits(model: LanguageModel, *chunks: torch.Tensor) -> torch.Tensor:
    cache = KVCache(model.kv_shape)
    return torch.cat([model(chunk, cache, last=len(chunk)) for chunk in chunks])


def check_splits(model: LanguageModel, length: int = 200) -> None:
    """A position has the same logits, to the bit, however the sequence was cut into passes."""
    ids = some_ids(length)
    whole = logits(model, ids)
    rng = random.Random(2)
    for sizes in ([1] * length, [127, 2, length - 129], [128, length - 128], [5, length - 10, 1, 4]):
        assert torch.equal(logits(model, *ids.split(sizes)), whole), sizes
    for _ in range(4):
        cuts = sorted(rng.sample(range(1, length), rng.randrange(1, 12)))
        sizes = [b - a for a, b in zip([0, *cuts], [*cuts, length], strict=True)]
        assert torch.equal(logits(model, *ids.split(sizes)), whole), sizes


@torch.inference_mode()
def check_step(model: LanguageModel, tokens: int = 4, exact: bool = True) -> None:
    """Several sequences at once, of different lengths and on both sides of a block's end, against one at a time."""
    starts = (3, 126, 127, 128, 200)
    ids = [some_ids(start + tokens, seed=start) for start in starts]
    caches, alone = ([KVCache(model.kv_shape) for _ in starts] for _ in range(2))
    for sequence, start, *pair in zip(ids, starts, caches, alone, strict=True):
        for cache in pair:
            model(sequence[:start], cache, last=0)
    for i in range(tokens):
        fed = torch.stack([sequence[start + i] for sequence, start in zip(ids, starts, strict=True)])
        together = model.step(fed, caches)
        expected = torch.cat([model(fed[n : n + 1], alone[n], last=1) for n in range(len(starts))])
        if exact:
            assert torch.equal(together, expected), i
        assert torch.allclose(together, expected, atol=1e-4), i
    assert [cache.length for cache in caches] == [start + tokens for start in starts]


@torch.inference_mode()
def check_trim_and_fork(model: LanguageModel, exact: bool = True) -> None:
    ids, other = some_ids(160), some_ids(20, seed=5)
    cache = KVCache(model.kv_shape)
    model(ids, cache, last=0)
    cache.trim(77)
    fork = cache.fork()
    model(other, fork, last=0)
    again = model(ids[77:90], cache, last=13)
    forked = model(ids[:5], fork, last=5)
    assert (cache.length, fork.length) == (90, 102)
    for found, expected in (
        (again, logits(model, ids)[77:90]),
        (forked, logits(model, torch.cat([ids[:77], other, ids[:5]]))[97:]),
    ):
        assert torch.equal(found, expected) if exact else torch.allclose(found, expected, atol=1e-4)
