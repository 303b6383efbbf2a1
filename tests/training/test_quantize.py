"""Our loop of layers over auto-gptq's solver; needs the [auto-gptq] extra."""

from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.auto_gptq
pytest.importorskip("auto_gptq", reason="the [auto-gptq] extra isn't installed", exc_type=ImportError)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("bits", "group_size", "desc_act"), [(4, 32, True), (4, -1, False), (8, 64, True)])
def test_packed_weights_are_the_ones_the_model_is_left_with(
    bits: int, group_size: int, desc_act: bool, tmp_path: Path
) -> None:
    from checkpoint import dequantize
    from make_fixtures import tiny_model
    from quantize import LINEARS, quantize, write_checkpoint

    torch.manual_seed(0)
    model = tiny_model()
    before = model.transformer.h[1].mlp.c_fc.weight.clone()
    tensors = quantize(model, [torch.randint(0, 128, (48,)) for _ in range(4)], bits, group_size, desc_act)
    for number, block in enumerate(model.transformer.h):
        for name in LINEARS:
            full = f"transformer.h.{number}.{name}"
            packed = [tensors[f"{full}.{part}"] for part in ("qweight", "qzeros", "scales", "g_idx")]
            weight = block.get_submodule(name).weight
            torch.testing.assert_close(dequantize(*packed, bits).T.float(), weight, atol=2e-3, rtol=2e-3)
    error = (model.transformer.h[1].mlp.c_fc.weight - before).abs().mean() / before.abs().mean()
    assert error < (0.02 if bits == 8 else 0.25)
    assert "lm_head.weight" not in tensors
    write_checkpoint(tmp_path, model, tensors, bits, group_size, desc_act, "tiny")
    assert (tmp_path / f"gptq_model-{bits}bit-{group_size}g.safetensors").exists()
