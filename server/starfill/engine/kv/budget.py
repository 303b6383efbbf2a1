"""How much memory KV states may take where no setting says so: enough for some documents, if there is that much."""

from __future__ import annotations

from collections.abc import Collection

import torch

from starfill.engine.kv.kv_cache import KVShape
from starfill.util.machine_memory import system_memory

DOCUMENTS, TOKENS = 8, 4096  # whose states are worth keeping, of so many tokens each
LEAST = 512 * 2**20  # bytes, however little is free
SHARE = 4  # at most a quarter of what is free is taken
DEVICE_SHARE = 2  # and half of it on a GPU, which others need less


def automatic(shapes: Collection[KVShape]) -> int:
    """Bytes, for models that are loaded already, with these shapes."""
    wanted = sum(DOCUMENTS * TOKENS * shape.bytes_per_token for shape in shapes)
    return max(LEAST, min(wanted, _allowed(shapes)))


def _allowed(shapes: Collection[KVShape]) -> int:
    devices = {device for shape in shapes for device in (shape.device, *shape.devices) if device.type == "cuda"}
    if devices:
        return sum(torch.cuda.mem_get_info(device)[0] for device in devices) // DEVICE_SHARE
    return system_memory().available // SHARE
