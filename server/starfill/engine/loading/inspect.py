"""What a checkpoint is and what it needs on this machine, from its headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from starfill.engine.linear.select import Shape, select
from starfill.engine.loading.loader import choose_device
from starfill.engine.loading.memory_needs import Demand, advice
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.loading.placement import free_on_gpus
from starfill.engine.loading.weight_memory import WeightMemory, demand, weight_memory
from starfill.engine.models.parameters import half
from starfill.util.machine_memory import system_memory

USUAL_CONTEXT = 2048  # tokens to which prompts are limited if contextTokens isn't set


@dataclass(frozen=True, slots=True)
class Fact:
    key: str
    label: str
    value: object
    shown: str


def inspect(folder: Path, documents: int = 1, context: int | None = None, device_name: str = "auto") -> list[Fact]:
    """documents, context: how many are open, and how many tokens of each are kept; None: as many as completions ask
    for.

    Raises CheckpointError if the folder holds no checkpoint that Starfill runs.
    """
    opened = OpenedCheckpoint.open(folder)
    device = choose_device(device_name)
    length = min(context or USUAL_CONTEXT, opened.architecture.context_length)
    parts = weight_memory(opened, device.type)
    return [
        *_what_it_is(opened, device),
        *_what_it_needs(demand(opened, parts.total, device), parts, device, documents, length),
    ]


def _what_it_is(opened: OpenedCheckpoint, device: torch.device) -> list[Fact]:
    config, architecture, weights = opened.config, opened.architecture, opened.weights
    q = config.quantization
    rows = next(iter(architecture.linears().values()))[0]
    kernel = select(Shape(device.type, q.bits if q else None, rows, q.groups(rows) if q else 1, half(config.model)))
    dtypes = sorted({tensor.dtype for tensor in weights.tensors.values()})
    return [
        Fact("path", "path", str(config.folder), str(config.folder)),
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
        Fact("weightBytes", "weights", weights.nbytes, f"{shown_bytes(weights.nbytes)} on disk"),
    ]


def _what_it_needs(
    wanted: Demand, parts: WeightMemory, device: torch.device, documents: int, context: int
) -> list[Fact]:
    needs = wanted.needs(documents, context)
    gpus = free_on_gpus() if device.type == "cuda" else ()
    available = sum(gpus) if gpus else system_memory().available
    changes = advice(wanted, documents, context, available)
    where = f"on {len(gpus)} GPUs" if len(gpus) > 1 else "on the GPU" if gpus else "in memory"
    mapped = f", {shown_bytes(parts.mapped)} more stay mapped in the file" if parts.mapped else ""
    kv = wanted.kv_per_token
    of = f"{documents} document{'s' if documents != 1 else ''} of {context} tokens"
    found = [
        Fact("heldBytes", "weights held", parts.total, f"{shown_bytes(parts.total)} {where}{mapped}"),
        Fact("kvBytesPerToken", "KV per token", kv, f"{kv / 1024:.1f} KiB"),
        Fact("kvBytes", "KV state", needs.kv, f"{shown_bytes(needs.kv)} for {of}"),
        Fact("workingBytes", "working space", needs.working, f"{shown_bytes(needs.working)} at most"),
        Fact("memoryBytes", "memory needed", needs.total, f"about {shown_bytes(needs.total)}"),
        Fact("availableBytes", "memory free", available, f"{shown_bytes(available)}{f' {where}' if gpus else ''}"),
        Fact("fits", "fits", not changes, "no" if changes else "yes"),
    ]
    return [*found, Fact("advice", "to change", changes, ", or ".join(changes))] if changes else found


def shown_bytes(size: int) -> str:
    """In GB or MB of 10^9 and 10^6 bytes, like model cards."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
