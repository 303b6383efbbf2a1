"""How the product kernel divides a layer: computed from the number of multiprocessors. Nothing is measured yet.

The cost of its main loop, read from the code that Triton 3.9 makes for sm_90, 4 bits in groups of 128, 4 warps:

    columns   instructions a weight   registers
         64                     3.7          56
        128                     2.8          96
        256                     2.4         202

An H100 can issue about 4 instructions in the time in which its memory delivers a weight. On sm_80 the loop has 3.6 at
128 columns; groups of 32 cost 1.5 more, desc_act 0.8, 3 bits 1.6, bfloat16 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 128  # input features that a program takes at a time
WIDTH = 128  # output features of a program; with fewer, the fixed cost of a block would count for too much
PROGRAMS = 4  # programs for each multiprocessor, so that enough reads are under way
SCRATCH = 128 << 20  # bytes of dequantized weights for products of many rows; by arithmetic, see benchmarks/LOG.md
CONVERTED = 1 << 22  # codes converted at a time when weights are packed
CHIPLESS = 1  # multiprocessors that are assumed for Triton's interpreter


@dataclass(frozen=True, slots=True)
class Tuning:
    """columns: output features of a program, at least 16 for each warp. splits: programs that share a column's input
    features, each taking neighbouring blocks. warps and stages: Triton's.
    """

    columns: int
    splits: int
    warps: int
    stages: int


def choose(multiprocessors: int, in_features: int, columns: int) -> Tuning:
    """The tuning of a layer. It depends on nothing but the arguments, so that a row's bits don't either."""
    width = WIDTH if columns >= WIDTH else 64
    blocks, programs = -(-in_features // BLOCK), -(-columns // width)
    splits = max(1, min(blocks, multiprocessors * PROGRAMS // programs))
    return Tuning(width, -(-blocks // -(-blocks // splits)), warps=4, stages=4)
