"""Against auto-gptq itself, the oracle of the format. Runs in the environment that `make test-auto-gptq` makes.

`make test` reads files that auto-gptq wrote (tests/fixtures/auto_gptq), so the format is held there too.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from starfill.checkpoint.config import read_config
from starfill.engine.kv_cache import KVCache
from starfill.engine.linear import cpu, reference
from starfill.engine.linear.reference import Packed
from starfill.engine.loader import load_model

pytest.importorskip("auto_gptq", reason="needs the extra [auto-gptq]: make test-auto-gptq", exc_type=ImportError)
pytestmark = [pytest.mark.auto_gptq, pytest.mark.filterwarnings("default")]

LAYOUTS = list(itertools.product((3, 4, 8), (-1, 32, 64, 128), (False, True)))


@pytest.mark.parametrize("bits,group_size,desc_act", LAYOUTS)
def test_a_layer_that_auto_gptq_solved_and_packed(bits: int, group_size: int, desc_act: bool) -> None:
    from quantize import solve

    torch.manual_seed(bits + group_size)
    linear = torch.nn.Linear(256, 96)
    block = torch.nn.Sequential(linear)
    with torch.no_grad():
        tensors = solve(block, linear, [(torch.randn(64, 256), {})], bits, group_size, desc_act)
    layer = Packed(**tensors, bits=bits, zero_offset=1)
    assert torch.equal(reference.dequantize(layer), theirs(tensors, bits, group_size))
    x = torch.randn(5, 256)
    exact = reference.linear(x, layer)
    assert (cpu.pack(layer)(x).float() - exact).norm() / exact.norm() < 0.006


def theirs(tensors: dict[str, torch.Tensor], bits: int, group_size: int) -> torch.Tensor:
    """W [in, out] as auto-gptq's own linear has it: its answer to the unit vectors."""
    from auto_gptq.nn_modules.qlinear.qlinear_cuda import QuantLinear

    linear = QuantLinear(bits, group_size, 256, 96, bias=False)
    for name in ("qweight", "qzeros", "scales", "g_idx"):
        setattr(linear, name, tensors[name])
    answer: torch.Tensor = linear(torch.eye(256, dtype=torch.float16))
    return answer


@pytest.mark.parametrize("bits,group_size,desc_act", [(3, 32, True), (4, 32, True), (4, -1, False), (8, 64, True)])
def test_a_model_quantized_by_the_recipe_loads_and_agrees(
    tmp_path: Path, bits: int, group_size: int, desc_act: bool
) -> None:
    from make_fixtures import tiny_model
    from quantize import quantize, write_checkpoint

    torch.manual_seed(0)
    model = tiny_model()
    calibration = [torch.randint(0, 128, (64,)) for _ in range(8)]
    tensors = quantize(model, calibration, bits, group_size, desc_act)
    write_checkpoint(tmp_path, model, tensors, bits, group_size, desc_act, "tiny")
    ours = load_model(read_config(tmp_path), torch.device("cpu")).model
    ids = torch.randint(0, 128, (50,))
    with torch.inference_mode():
        expected = model(ids[None]).logits[0]  # its linears hold the quantized values now
        found = ours(ids, KVCache(ours.kv_shape), last=50)
    assert (found - expected).norm() / expected.norm() < 0.03
