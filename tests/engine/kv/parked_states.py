"""KV states of a device, to be parked in the host's memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.toy import OnDevice, Toy, prompt
from starfill.engine.kv.kv_cache import BLOCK, KVCache, KVShape
from starfill.engine.kv.prefix_cache import Key, PrefixCache, Slot

HERE = torch.device("cpu")


SHAPE = OnDevice(3, 2, 4, torch.float32, HERE)


TOY = Toy(on_device=True).kv_shape


ONE = TOY.bytes_per_token * BLOCK


PLENTY = 1 << 30


A, B, C = (("model", name) for name in "abc")


def filled(tokens: int, shape: KVShape = SHAPE) -> tuple[KVCache, list[torch.Tensor]]:
    """A cache of random numbers, and what they are."""
    cache = KVCache(shape)
    cache.reserve(tokens)
    for layer in range(shape.layers):
        cache.write(layer, *torch.randn(2, shape.kv_heads, tokens, shape.head_dim, device=shape.device))
    cache.advance(tokens)
    return cache, cache.layers()


def holds(cache: KVCache, expected: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(here, there) for here, there in zip(cache.layers(), expected, strict=True))


def put(slots: PrefixCache, key: Key, seed: int, shape: KVShape = TOY) -> Slot:
    """A state of one block, and its ids."""
    ids = prompt(100, seed)
    slot = slots.take(key, ids, shape)
    Toy()(torch.tensor(ids[len(slot.ids) :]), slot.cache, 0)
    slot.ids[:] = ids
    return slot


def parked(slots: PrefixCache) -> list[bool]:
    return [slot.cache.parked for slot in slots]
