"""Whether a second model fits into memory beside the one that is loaded."""

from __future__ import annotations

import torch

from starfill.engine.loading.inspect import shown_bytes
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.loading.weight_memory import demand, weight_memory
from starfill.errors import CheckpointError
from starfill.jobs import ModelInfo
from starfill.util.machine_memory import anonymous_memory, system_memory

CONTEXT = 2048  # tokens of one document's state for which there must be memory


def check_fits(opened: OpenedCheckpoint, device: torch.device, first: ModelInfo) -> None:
    """Raises CheckpointError if the checkpoint would push weights of `first` out of memory.

    On a GPU `devices_of` checks that. On the CPU, weights that are mapped from a file count as free memory for the
    system, though the model reads all of them for each token. So the memory of `first` is subtracted from all that the
    process could have.
    """
    if device.type != "cpu":
        return
    parts = weight_memory(opened, device.type)
    context = min(CONTEXT, opened.architecture.context_length)
    needed = demand(opened, parts.total, device).needs(1, context).total
    own = anonymous_memory()
    room = system_memory().available + (first.weight_bytes if own is None else own) - first.weight_bytes
    if needed > room:
        raise CheckpointError(
            f"{opened.config.folder} needs about {shown_bytes(needed)} of memory, but beside {first.name} there are"
            f" {shown_bytes(max(room, 0))}: set instruct.model to a smaller checkpoint, or to none, so that"
            f" {first.name} does both"
        )
