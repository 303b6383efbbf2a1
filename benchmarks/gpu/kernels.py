"""What a layer's product takes for few rows: ours in several tunings, torch's, the GPTQ library's, a dense one.

What is seen here belongs into starfill/engine/cuda/tuning.py.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from checkpoints.layout import Layout
from checkpoints.shapes import Shape
from gpu.clock import seconds
from gpu.measured import rounded
from gpu.random_source import random_layer
from gpu.theirs import Linear, others
from starfill.engine.cuda import packed_product
from starfill.engine.cuda.tuning import Tuning
from starfill.engine.linear import cuda
from starfill.engine.linear.cuda import CudaLinear

ROWS = (1, 4, 16)
BEYOND_CACHES = 2**28  # bytes of weights that a round reads, so that none of them is still in a cache
BEST = 3  # tunings that are shown
PROGRAMS = (2, 4, 8)  # on each multiprocessor
WARPS_AND_STAGES = ((2, 4), (4, 3), (4, 5), (8, 4))  # each is compiled anew, for seconds

TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))

Size = tuple[int, int]  # input and output features


@dataclass(frozen=True, slots=True)
class Place:
    """Where products are timed, and how often. copied: bytes a second."""

    device: torch.device
    dtype: torch.dtype
    copied: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Timed:
    """us: microseconds by rows; empty where there is no figure, and `why`.

    share: of the bandwidth, that reading the weights takes with the fewest rows; for a prompt's chunks (chunks.py) of
    the matrix rate, with the most.
    """

    kernel: str
    size: Size
    us: dict[int, float]
    share: float
    why: str = ""

    def as_json(self) -> list[float] | str:
        return rounded(list(self.us.values())) if self.us else self.why


def products(shapes: Sequence[Shape], layout: Layout) -> list[tuple[Size, Layout]]:
    """All linear layers, each size once, then the output heads, which are 8 bits whatever the rest is."""
    first = [shape.with_layers(1) for shape in shapes]
    linears = [(size, layout) for shape in first for size in _joined(shape.linears())]
    tables = [next(iter(shape.plain().values())) for shape in first]
    head = replace(layout, bits=8, desc_act=False)
    return list(dict.fromkeys([*linears, *(((hidden, vocabulary), head) for vocabulary, hidden in tables)]))


def _joined(linears: dict[str, Size]) -> Iterator[Size]:
    """As a model has them on a GPU, those of one input as one; see starfill/engine/models/merged_linears.py."""
    for names, group in itertools.groupby(linears, lambda name: next((g for g in TOGETHER if name.endswith(g)), name)):
        sizes = [linears[name] for name in group]
        yield (sizes[0][0], sum(columns for _, columns in sizes)) if isinstance(names, tuple) else sizes[0]


def tunings(device: torch.device, size: Size) -> list[Tuning]:
    """Programs of several widths, and as many of them as some numbers for each multiprocessor come to."""
    if device.type != "cuda":
        return [Tuning(columns=64, splits=2, warps=4, stages=2)]
    multiprocessors = torch.cuda.get_device_properties(device).multi_processor_count
    found = []
    for columns, (warps, stages), each in itertools.product((64, 128, 256), WARPS_AND_STAGES, PROGRAMS):
        splits = multiprocessors * each // -(-size[1] // columns)
        if columns >= 16 * warps:
            found.append(Tuning(columns, max(1, min(splits, size[0] // 128)), warps, stages))
    return list(dict.fromkeys(found))


def compare(place: Place, size: Size, layout: Layout) -> list[Timed]:
    """Ours as it would run, then its best tunings, then whoever else has a kernel for it."""
    blank = Timed("", size, {}, 0.0)
    rows = _ours(place, blank, layout)
    for name, dtype, make in others(layout, *size, place.device, place.dtype):
        gc.collect()
        rows.append(_theirs(place, replace(blank, kernel=name), dtype, make))
    return rows


def _ours(place: Place, blank: Timed, layout: Layout) -> list[Timed]:
    """Ours leave their splits for the caller to add up; "added up" is a whole layer, as called outside of steps."""
    linears = copies(place, blank.size, layout)

    def of(name: str, call: Callable[[CudaLinear, torch.Tensor], torch.Tensor], rows: Sequence[int]) -> Timed:
        calls = [partial(call, linear) for linear in linears]
        return timed(place, replace(blank, kernel=name), calls, place.dtype, linears[0].nbytes, rows)

    found = [of("ours", packed_product.parts, ROWS), of("ours, added up", CudaLinear.__call__, ROWS)]
    tried = []
    for how in tunings(place.device, blank.size):
        each = of("", partial(packed_product.parts, how=how), ROWS[:1])
        if each.us:
            tried.append((each.us[ROWS[0]], how))
    for _, how in sorted(tried, key=lambda each: each[0])[:BEST]:
        label = f"  columns {how.columns} splits {how.splits} warps {how.warps} stages {how.stages}"
        found.append(of(label, partial(packed_product.parts, how=how), ROWS))
    return found


def _theirs(place: Place, blank: Timed, dtype: torch.dtype, make: Callable[[], tuple[Linear, int]]) -> Timed:
    try:
        first, nbytes = make()
        calls = [first, *(make()[0] for _ in range(_needed(place, nbytes) - 1))]
    except Exception as error:  # a library that isn't there, a layout or a chip that a kernel doesn't take
        return replace(blank, why=sentence(error))
    return timed(place, blank, calls, dtype, nbytes, ROWS)


def timed(
    place: Place, blank: Timed, calls: Sequence[Linear], dtype: torch.dtype, nbytes: int, rows: Sequence[int]
) -> Timed:
    """calls: the same product of different weights, of `nbytes` each."""
    us = {}
    try:
        for count in rows:
            x = torch.randn(count, blank.size[0], device=place.device, dtype=dtype)
            us[count] = 1e6 * seconds([partial(call, x) for call in calls], place.device, place.rounds)
    except Exception as error:  # a tuning that takes more than the chip has
        return replace(blank, why=sentence(error))
    return replace(blank, us=us, share=nbytes / (us[rows[0]] / 1e6) / place.copied)


def copies(place: Place, size: Size, layout: Layout) -> list[CudaLinear]:
    generator = torch.Generator(place.device).manual_seed(1)
    first = cuda.pack(random_layer(layout, *size, place.device, generator), place.device, place.dtype)
    more = range(_needed(place, first.nbytes) - 1)
    return [first, *(replace(first, words=first.words.clone(), scales=first.scales.clone()) for _ in more)]


def cells(found: Sequence[Timed], rows: Sequence[int] = ROWS) -> Iterator[tuple[str, ...]]:
    """For a table: kernel, microseconds by rows, share."""
    for each in found:
        figures = [f"{each.us[count]:.1f}" if count in each.us else "" for count in rows]
        yield each.kernel, *figures, f"{each.share:.0%}" if each.us else each.why[:40]


def _needed(place: Place, nbytes: int) -> int:
    return -(-BEYOND_CACHES // nbytes) if place.device.type == "cuda" else 1


def sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
