"""A pass that runs out of memory leaves the states as they were."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import pytest
import torch

from engine.out_of_memory.scarce_memory import Device
from engine.toy import (
    PLENTY,
    OnDevice,
    Toy,
    is_whole,
    prompt,
)
from starfill.engine.generate import advance, feed
from starfill.engine.kv.kv_cache import BLOCK, KVCache
from starfill.engine.kv.prefix_cache import Slot


class Failing(Toy):
    """Runs out of memory in one of its passes, at one of three moments."""

    def __init__(self, moment: str, number: int = 0) -> None:
        super().__init__(on_device=True)
        self.moment, self.passes = moment, number

    def __call__(self, ids: torch.Tensor, cache: KVCache, last: int) -> torch.Tensor:
        self.passes -= 1
        moment = self.moment if self.passes == -1 else "never"
        if moment == "before":
            raise torch.OutOfMemoryError
        if moment == "written":
            cache.reserve(len(ids))
            cache.write(0, *torch.ones(2, 1, len(ids), 1))
            raise torch.OutOfMemoryError
        logits = super().__call__(ids, cache, last)
        if moment == "counted":
            raise torch.OutOfMemoryError
        return logits


MOMENTS = ("before", "written", "counted")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("tokens", [1, 5, 200])
def test_a_slot_whose_pass_fails_is_what_it_was(moment: str, tokens: int) -> None:
    slot, ids = Slot(KVCache(Toy(on_device=True).kv_shape)), prompt(100 + tokens)
    feed(Toy(on_device=True), slot, ids[:100], last=0)
    model = Failing(moment)
    with pytest.raises(torch.OutOfMemoryError):
        feed(model, slot, ids[100:], last=1)
    assert slot.ids == ids[:100] and is_whole(slot)
    again = feed(model, slot, ids[100:], last=1)
    whole = Slot(KVCache(Toy().kv_shape))
    assert torch.equal(again, feed(Toy(), whole, ids, last=1)) and slot.ids == ids and is_whole(slot)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_all_slots_of_a_step_grow_or_none(moment: str, number: int) -> None:
    """The toy takes them one after the other, so that some have grown when it fails."""
    model, slots = Failing(moment, number), [Slot(KVCache(Toy(on_device=True).kv_shape)) for _ in range(3)]
    for seed, slot in enumerate(slots):
        feed(Toy(on_device=True), slot, prompt(20, seed), last=0)
    with pytest.raises(torch.OutOfMemoryError):
        advance(model, slots, [1, 2, 3])
    assert [slot.ids for slot in slots] == [prompt(20, seed) for seed in range(3)] and all(map(is_whole, slots))
    advance(model, slots, [1, 2, 3])
    assert [slot.ids[20:] for slot in slots] == [[1], [2], [3]] and all(map(is_whole, slots))


LAYERED = OnDevice(4, 1, 2, torch.float32, torch.device("cpu"))


LAYER = LAYERED.bytes_per_token * BLOCK // LAYERED.layers


def layered() -> tuple[KVCache, list[torch.Tensor]]:
    cache = KVCache(LAYERED)
    cache.reserve(100)
    for layer in range(LAYERED.layers):
        cache.write(layer, *torch.randn(2, 1, 100, 2))
    cache.advance(100)
    return cache, cache.layers()


def same(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("failing", range(4))
@pytest.mark.parametrize("then", ["again", "less", "parked", "forked"])
def test_a_state_that_could_not_grow_holds_what_it_held(device: Device, failing: int, then: str) -> None:
    """Its layers grow one by one, to three blocks; memory ends at one of them. Then they are made alike again."""
    cache, expected = layered()
    device.nbytes = (6 + 2 * failing) * LAYER
    with pytest.raises(torch.OutOfMemoryError):
        cache.reserve(200)
    assert [storage.shape[2] // BLOCK for storage in cache.storage] == [3] * failing + [1] * (4 - failing)
    assert cache.length == 100 and same(cache.layers(), expected)
    device.nbytes = PLENTY
    if then == "forked":
        cache = cache.fork()
    elif then == "parked":
        cache.park()
        assert cache.nbytes >= 4 * LAYER
    cache.reserve(1 if then == "less" else 200)
    assert same(cache.layers(), expected)
    assert len({cache.write(layer, *torch.ones(2, 1, 1, 2))[0].shape for layer in range(4)}) == 1
    assert {storage.shape[2] for storage in cache.storage} == {cache.capacity}
    assert cache.capacity >= cache.length + 1 and len(set(cache.addresses())) == 4


@pytest.mark.parametrize("room", range(4))
def test_a_state_that_could_not_come_back_stays_parked(device: Device, room: int) -> None:
    cache, expected = layered()
    cache.park()
    device.nbytes = room * LAYER
    with pytest.raises(torch.OutOfMemoryError):
        cache.reserve(1)
    assert cache.parked and same(cache.layers(), expected)
    with pytest.raises(torch.OutOfMemoryError):
        cache.fork()
    gc.collect()  # what the two failures hold on to
    device.nbytes = 4 * LAYER
    cache.reserve(1)
    assert not cache.parked and same(cache.layers(), expected)
