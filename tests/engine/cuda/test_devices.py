"""Where everything is, on a machine with two GPUs."""

from __future__ import annotations

from itertools import cycle, product
from pathlib import Path

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from hollow_gpus import HollowGPUs
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.model import LanguageModel
from starfill.engine.models.cuda_graphs import HEIGHTS
from starfill.engine.sampling import pick
from starfill.jobs import Sampling
from tiny_checkpoints import BASES, write, write_quantized

FIRST, SECOND = torch.device("cuda", 0), torch.device("cuda", 1)
SLOTS_PER_DOCUMENT = {"on the second": (SECOND, SECOND), "spread": (FIRST, SECOND)}
LAYOUTS = [Layout(4, 32, True), Layout(3, 64), Layout(8, -1), Layout(0)]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> HollowGPUs:
    return HollowGPUs(monkeypatch)


def load(folder: Path, devices: tuple[torch.device, ...]) -> LanguageModel:
    return load_model(OpenedCheckpoint.open(folder), devices[0], devices=devices).model


# Every layout in one architecture, and every architecture in some layout.
CASES = list(dict.fromkeys([*product(["llama"], LAYOUTS), *zip(BASES, cycle(LAYOUTS), strict=False)]))


@pytest.mark.parametrize(("architecture", "layout"), CASES, ids=str)
@pytest.mark.parametrize("place", SLOTS_PER_DOCUMENT)
def test_all_of_a_pass_is_where_it_is_computed(
    tmp_path: Path, gpus: HollowGPUs, architecture: str, place: str, layout: Layout
) -> None:
    fields, devices = BASES[architecture], SLOTS_PER_DOCUMENT[place]
    (write_quantized(tmp_path, fields, layout) if layout.bits else write(tmp_path, fields))
    with gpus():
        model = load(tmp_path, devices)
        cache = KVCache(model.kv_shape)
        for tokens in (100, 40, 3, 1):
            logits = model(torch.zeros(tokens, dtype=torch.int64), cache, last=1)
            assert logits.device == devices[-1]
        other = cache.fork()
        cache.park()
        assert {layer.device.type for layer in cache.storage} == {"cpu"}
        assert model.step(torch.zeros(2, dtype=torch.int64), [cache, other]).device == devices[-1]
        assert tuple(layer.device for layer in cache.storage) == devices
    if layout.bits:  # torch's own operators see to it themselves
        assert {where for _, where in gpus.launched} == {device.index for device in devices}


@pytest.mark.parametrize("place", SLOTS_PER_DOCUMENT)
def test_whatever_a_model_needs_is_compiled_while_it_is_loaded(tmp_path: Path, gpus: HollowGPUs, place: str) -> None:
    folder = write_quantized(tmp_path, BASES["llama"], LAYOUTS[0])
    with gpus():
        model = load(folder, SLOTS_PER_DOCUMENT[place])
        compiled = set(gpus.launched)
        assert gpus.captured == (len(HEIGHTS) if place == "on the second" else 0)  # a model of one reach
        cache = KVCache(model.kv_shape)
        for tokens in (100, 40, 3, 1):
            model(torch.zeros(tokens, dtype=torch.int64), cache, last=1)
    assert set(gpus.launched) == compiled
    assert {"product", "dequantize"} <= {name for name, _ in compiled}


@torch.inference_mode()
@pytest.mark.parametrize("sampling", [Sampling(0), Sampling(1.0), Sampling(0.8, 0.9)], ids=str)
def test_a_token_is_picked_where_its_logits_are(gpus: HollowGPUs, sampling: Sampling) -> None:
    with gpus():
        logits, generator = torch.empty(300, device=SECOND), torch.Generator()
        assert pick(logits, sampling, generator).device == SECOND
        assert pick(logits, sampling, generator, allowed=[3, 4]).device == SECOND
