"""Which GPU gets which layer, if one GPU is too small for a checkpoint."""

from __future__ import annotations

import torch

from starfill.engine.loading.memory_needs import place
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.loading.weight_memory import demand, weight_memory
from starfill.errors import CheckpointError

CONTEXT = 2048  # tokens of KV state for which each device keeps memory free


def free_on_gpus() -> tuple[int, ...]:
    """Free bytes of each visible GPU."""
    return tuple(torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count()))


def devices_of(opened: OpenedCheckpoint, device: torch.device) -> tuple[torch.device, ...]:
    """The device of each layer, for `load_model`.

    Raises CheckpointError if the weights don't fit on all of them together.
    """
    if device.type != "cuda":
        return (device,) * opened.architecture.n_layer
    free = free_on_gpus()
    parts = weight_memory(opened, "cuda")
    layers = list(parts.layers)
    layers[0] += parts.before
    layers[-1] += parts.after
    needs = demand(opened, 0, device).needs(1, CONTEXT)
    for reserve in (needs.total, 0):  # too little memory for long contexts is better than none at all
        placed = place(layers, free, reserve)
        if placed is not None:
            return tuple(torch.device("cuda", index) for index in placed)
    raise CheckpointError(
        f"{opened.config.folder} needs {parts.total / 1e9:.1f} GB of GPU memory for its weights, and"
        f" {sum(free) / 1e9:.1f} GB are free ({len(free)} x GPU): take a smaller checkpoint, or set device to 'cpu'"
    )
