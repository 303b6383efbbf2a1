"""Our dequantizer against what auto-gptq wrote and computed (tests/fixtures/auto_gptq)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from checkpoint import dequantize, load, unpack

FIXTURES = sorted((Path(__file__).parent.parent / "fixtures" / "auto_gptq").iterdir())


@pytest.mark.parametrize("folder", FIXTURES, ids=lambda f: f.name)
def test_weights_and_logits_equal_auto_gptqs(folder: Path) -> None:
    bits = json.loads((folder / "quantize_config.json").read_text())["bits"]
    tensors = load_file(next(folder.glob("gptq_model*.safetensors")))
    expected = load_file(folder / "expected.safetensors")
    for name in [n.removeprefix("weight.") for n in expected if n.startswith("weight.")]:
        parts = [tensors[f"{name}.{part}"] for part in ("qweight", "qzeros", "scales", "g_idx")]
        assert torch.equal(dequantize(*parts, bits), expected[f"weight.{name}"])
    with torch.no_grad():
        logits = load(folder)(expected["input_ids"]).logits
    torch.testing.assert_close(logits, expected["logits"], atol=1e-4, rtol=0)


def test_three_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="3-bit fields straddle words"):
        unpack(torch.zeros(3, 1, dtype=torch.int32), 3)
