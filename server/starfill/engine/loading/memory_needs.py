"""How much memory a checkpoint needs, whether it fits, and what to change if not: arithmetic in bytes, without torch.

The bytes of its weights are computed in `weight_memory.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starfill.engine.cuda.tuning import CONVERTED, SCRATCH

PROCESS = 300 * 2**20  # for Python, torch and the tokenizer
REPACKED = 256  # output features converted at a time, see the packing in linear/
SHORTEST = 256  # tokens of context; with fewer, completing makes little sense


def working_bytes(heads: int, widest: int, context: int, chunk: int) -> int:
    """Bytes of the largest intermediate results, in float32, without the process itself.

    Attention of one chunk over the whole context needs at most four tensors of the size of its scores, an MLP four of
    its width; repacking a layer needs six 32-bit copies of a slice of it. heads: query heads; widest: the most input or
    output features of a layer; chunk: tokens prefilled at once.
    """
    attention, mlp = 4 * heads * chunk * context * 4, 4 * chunk * widest * 4
    return PROCESS + max(attention + mlp, 6 * REPACKED * widest * 4)


def device_working_bytes(widest: int, chunk: int) -> int:
    """The same in a GPU's memory, where attention stores no scores and the process isn't counted.

    Dequantized weights, and an MLP's four tensors of its width beside the residual stream, in 16 or 32 bits; packing a
    layer needs six 32-bit copies of a slice of it.
    """
    return SCRATCH + max(5 * chunk * widest * 4, 6 * CONVERTED * 4)


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes. weights: as loaded; kv: the states of all documents at full length; working: everything else."""

    weights: int
    kv: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.working


@dataclass(frozen=True, slots=True)
class Demand:
    """What `Needs` are computed from, besides the number of open documents and the length of their prompts."""

    weights: int
    kv_per_token: int
    layers: int
    heads: int
    widest: int
    chunk: int
    on_device: bool = False

    def needs(self, documents: int, context: int) -> Needs:
        state = self.kv_per_token * context
        # Storage grows by half as much again, and a layer's old storage lives until it is copied.
        growing = state // 2 + state // self.layers
        if self.on_device:
            working = device_working_bytes(self.widest, self.chunk)
        else:
            working = working_bytes(self.heads, self.widest, context, self.chunk)
        return Needs(self.weights, documents * state, working + growing)


def advice(demand: Demand, documents: int, context: int, available: int) -> list[str]:
    """What to change so that it fits, each a clause of its own; [] if it fits already."""

    def fits(documents: int, context: int) -> bool:
        return demand.needs(documents, context).total <= available

    if fits(documents, context):
        return []
    if not fits(1, min(context, SHORTEST)):
        room = available - demand.needs(1, min(context, SHORTEST)).total + demand.weights
        if room <= 0:
            return ["free some memory: there is no room for any weights"]
        return [f"take a branch that holds less, or a smaller model: there is room for {room / 1e9:.1f} GB of weights"]
    found = []
    if fits(1, context):  # so there are several documents
        fewer = _largest(documents, lambda n: fits(n, context))
        found.append(f"keep {fewer} document{'s' if fewer > 1 else ''} instead of {documents}")
    if fits(documents, min(context, SHORTEST)):
        longest = _largest(context, lambda n: fits(documents, n))
        found.append(f"set contextTokens to {longest} instead of {context}")
    return found or [f"set contextTokens to {_largest(context, lambda n: fits(1, n))} and keep one document"]


def _largest(upper: int, fits: Callable[[int], bool]) -> int:
    """The largest of 1..upper that fits. 1 fits, and whatever is smaller than something that fits."""
    low, high = 1, upper
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def place(layer_bytes: Sequence[int], free: Sequence[int], reserve: int) -> list[int] | None:
    """The device of each layer, in order, neighbouring layers together; None if they don't all fit.

    free: free bytes of each device. reserve: bytes on each to leave free, for states and intermediate results. All
    layers are on the first device that holds them all. If there is none, each device is filled to about the same share.
    """
    room = [max(0, bytes_ - reserve) for bytes_ in free]
    for device, bytes_ in enumerate(room):
        if sum(layer_bytes) <= bytes_:
            return [device] * len(layer_bytes)
    steps = 64  # the smallest share that holds everything is taken
    for step in range(1, steps + 1):
        placed = _fill(layer_bytes, [bytes_ * step // steps for bytes_ in room])
        if placed is not None:
            return placed
    return None


def _fill(layer_bytes: Sequence[int], room: Sequence[int]) -> list[int] | None:
    placed: list[int] = []
    device, left = 0, room[0] if room else 0
    for bytes_ in layer_bytes:
        while bytes_ > left:
            device += 1
            if device >= len(room):
                return None
            left = room[device]
        placed.append(device)
        left -= bytes_
    return placed
