"""A GPTQ checkpoint's weights in full, for systems that can't read GPTQ."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file

from starfill.checkpoint.config import CheckpointConfig, read_config
from starfill.checkpoint.weights import Weights
from starfill.engine.linear.reference import Packed, dequantize
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint

PACKED = ("qweight", "qzeros", "scales", "g_idx")
STORED = ("I32", "F16")


def tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors of a checkpoint by the names of an unquantized one, in float16; linears [out, in].

    A tied output head that is stored a second time is left out.
    """
    config = read_config(folder)
    weights = Weights.open(config)
    linears = OpenedCheckpoint.of(config).architecture.linears()
    for name, size in linears.items():
        yield f"{name}.weight", _linear(config, weights, name, *size)
    for name, tensor in weights.tensors.items():
        stem, _, part = name.rpartition(".")
        if name != "lm_head.weight" and not (stem in linears and part != "bias"):
            yield name, weights.get(name, tensor.shape).half()


def write(folder: Path, target: Path) -> Path:
    """The checkpoint as `transformers` loads it without any other library."""
    target.mkdir(parents=True)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config.pop("quantization_config", None)
    (target / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    shutil.copy(folder / "tokenizer.json", target)
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors(folder)}, target / "model.safetensors", {"format": "pt"}
    )
    return target


def _linear(config: CheckpointConfig, weights: Weights, name: str, rows: int, columns: int) -> torch.Tensor:
    q = config.quantization
    if q is None:
        return weights.get(f"{name}.weight", (columns, rows)).half()
    parts = {part: weights.get(f"{name}.{part}", weights.entry(f"{name}.{part}").shape, STORED) for part in PACKED}
    offset = 1 if q.checkpoint_format == "gptq" else 0
    return dequantize(Packed(**parts, bias=None, bits=q.bits, zero_offset=offset)).t().contiguous()
