"""On an NVIDIA GPU: the same answers as on the CPU, within half precision."""

from __future__ import annotations

import pytest
import torch

from conftest import MakeCheckpoint
from random_checkpoint import Layout
from starfill.checkpoint.config import read_config
from starfill.engine.kv_cache import KVCache
from starfill.engine.loader import load_model

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]


@pytest.mark.parametrize("layout", [Layout(4, 32, True), Layout(8, -1), Layout(bits=0)], ids=str)
def test_logits_equal_those_of_the_cpu(make_checkpoint: MakeCheckpoint, layout: Layout) -> None:
    folder = make_checkpoint(layout)
    ids = torch.arange(100)
    answers = []
    for device in (torch.device("cpu"), torch.device("cuda")):
        model = load_model(read_config(folder), device).model
        with torch.inference_mode():
            answers.append(model(ids.to(device), KVCache(model.kv_shape), last=100).cpu())
    assert (answers[1] - answers[0]).norm() / answers[0].norm() < 0.02
