"""How much memory KV states may take where no setting says so: enough for some documents, if there is that much."""

from __future__ import annotations

from collections.abc import Collection

import torch

from starfill.engine.kv.kv_cache import KVShape
from starfill.util.machine_memory import system_memory

DOCUMENTS, TOKENS = 8, 4096  # for the states of so many documents, of so many tokens each
LEAST = 512 * 2**20  # bytes, even if less is free
SHARE = 4  # a quarter of what is free, at most
DEVICE_SHARE = 2  # half of what is free on a GPU, which other programs need less


def automatic(shapes: Collection[KVShape]) -> int:
    """The budget in bytes for models that are loaded already, given the shapes of their states."""
    wanted = sum(DOCUMENTS * TOKENS * shape.bytes_per_token for shape in shapes)
    return max(LEAST, min(wanted, _allowed(shapes)))


def _allowed(shapes: Collection[KVShape]) -> int:
    devices = {device for shape in shapes for device in (shape.device, *shape.devices) if device.type == "cuda"}
    if devices:
        return sum(torch.cuda.mem_get_info(device)[0] for device in devices) // DEVICE_SHARE
    return system_memory().available // SHARE
