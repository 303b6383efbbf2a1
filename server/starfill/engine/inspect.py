"""What a checkpoint is and needs, from its headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from starfill.checkpoint.config import read_config
from starfill.checkpoint.weights import Weights
from starfill.engine.linear.select import Shape, select
from starfill.engine.loader import choose_device, parse_architecture

WORKING_SPACE = 300 * 2**20  # bytes: Python, torch and activations


@dataclass(frozen=True, slots=True)
class Fact:
    key: str
    label: str
    value: object
    shown: str


def inspect(folder: Path) -> list[Fact]:
    """Raises CheckpointError when the folder holds no checkpoint that Starfill runs."""
    config = read_config(folder)
    architecture = parse_architecture(config)
    weights = Weights.open(config)
    q = config.quantization
    device = choose_device("auto")
    rows = next(iter(architecture.linears().values()))[0]
    kernel = select(Shape(device.type, q.bits if q else None, rows, q.groups(rows) if q else 1))
    kv = architecture.kv_shape(torch.float32, device).bytes_per_token
    dtypes = sorted({tensor.dtype for tensor in weights.tensors.values()})
    needed = weights.nbytes + WORKING_SPACE + kv * architecture.context_length
    return [
        Fact("path", "path", str(folder), str(folder)),
        Fact("architecture", "architecture", config.model_type, config.model_type),
        Fact(
            "shape",
            "shape",
            {"layers": architecture.n_layer, "width": architecture.n_embd, "heads": architecture.n_head},
            f"{architecture.n_layer} layers of width {architecture.n_embd}, {architecture.n_head} heads,"
            f" vocabulary {architecture.vocab_size}",
        ),
        Fact("contextLength", "context", architecture.context_length, f"{architecture.context_length} tokens"),
        Fact("quantization", "quantization", str(q) if q else None, str(q) if q else "none"),
        Fact("kernel", "kernel", kernel.name, f"{kernel.name}: {kernel.reason}"),
        Fact("files", "files", [file.name for file in weights.files], ", ".join(file.name for file in weights.files)),
        Fact("tensors", "tensors", len(weights.tensors), f"{len(weights.tensors)} ({', '.join(dtypes)})"),
        Fact("weightBytes", "weights", weights.nbytes, f"{weights.nbytes / 1e9:.2f} GB"),
        Fact("kvBytesPerToken", "KV per token", kv, f"{kv / 1024:.1f} KiB"),
        Fact("memoryBytes", "memory needed", needed, f"about {needed / 1e9:.2f} GB with one full context"),
    ]
