"""What a checkpoint needs in memory, whether that fits and what to change if not: arithmetic in bytes, without torch.

What its weights take is worked out in `weight_memory.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starfill.engine.cuda.tuning import CONVERTED, SCRATCH

PROCESS = 300 * 2**20  # Python, torch and the tokenizer
REPACKED = 256  # output features that are converted at a time, see the packing in linear/
SHORTEST = 256  # tokens of context below which completing makes little sense


def working_bytes(heads: int, widest: int, context: int, chunk: int) -> int:
    """The largest intermediate results, in float32, besides the process itself.

    Attention of one chunk over the whole context has at most four tensors of its scores' size alive, an MLP four of its
    width; repacking a layer takes six 32-bit copies of a slice of it. heads: query heads; widest: the most features
    that a layer takes or gives; chunk: tokens prefilled at once.
    """
    attention, mlp = 4 * heads * chunk * context * 4, 4 * chunk * widest * 4
    return PROCESS + max(attention + mlp, 6 * REPACKED * widest * 4)


def device_working_bytes(widest: int, chunk: int) -> int:
    """The same in a GPU's memory, where attention keeps no scores and the process has none of its own.

    Weights in full, and an MLP's four tensors of its width beside the residual stream, in 16 or 32 bits; packing a
    layer takes six 32-bit copies of a slice of it.
    """
    return SCRATCH + max(5 * chunk * widest * 4, 6 * CONVERTED * 4)


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes. weights: as held; kv: the state of all documents at full length; working: everything else."""

    weights: int
    kv: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.working


@dataclass(frozen=True, slots=True)
class Demand:
    """What decides on `Needs`, besides how many documents are open and how long their prompts are."""

    weights: int
    kv_per_token: int
    layers: int
    heads: int
    widest: int
    chunk: int
    on_device: bool = False

    def needs(self, documents: int, context: int) -> Needs:
        state = self.kv_per_token * context
        # A state's storage grows by half as much again, and a layer's old one lives until it is copied.
        growing = state // 2 + state // self.layers
        if self.on_device:
            working = device_working_bytes(self.widest, self.chunk)
        else:
            working = working_bytes(self.heads, self.widest, context, self.chunk)
        return Needs(self.weights, documents * state, working + growing)


def advice(demand: Demand, documents: int, context: int, available: int) -> list[str]:
    """What to change so that it fits, each a clause of its own; [] when it fits as it is."""

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
    if fits(1, context):  # so there are several
        fewer = _largest(documents, lambda n: fits(n, context))
        found.append(f"keep {fewer} document{'s' if fewer > 1 else ''} instead of {documents}")
    if fits(documents, min(context, SHORTEST)):
        longest = _largest(context, lambda n: fits(documents, n))
        found.append(f"set contextTokens to {longest} instead of {context}")
    return found or [f"set contextTokens to {_largest(context, lambda n: fits(1, n))} and keep one document"]


def _largest(upper: int, fits: Callable[[int], bool]) -> int:
    """The largest of 1..upper that fits; what fits at n fits at n - 1, and 1 fits."""
    low, high = 1, upper
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def place(layer_bytes: Sequence[int], free: Sequence[int], reserve: int) -> list[int] | None:
    """The device of each layer, neighbours together and in the devices' order, or None when they don't all fit.

    free: free bytes of each device. reserve: bytes to leave alone on each, for states and intermediate results. All on
    the first device that holds them all; else spread, so that each device is filled to about the same share.
    """
    room = [max(0, bytes_ - reserve) for bytes_ in free]
    for device, bytes_ in enumerate(room):
        if sum(layer_bytes) <= bytes_:
            return [device] * len(layer_bytes)
    steps = 64  # shares tried, the smallest that holds everything is taken
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
