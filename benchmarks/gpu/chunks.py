"""What a layer's product takes for a chunk of a prompt: a dense one, and ours with more or less room for its weights.

What is seen here belongs into SCRATCH in starfill/engine/cuda/tuning.py: little room makes small products, which leave
multiprocessors idle, and room that a cache holds saves the memory a way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from checkpoints.layout import Layout
from gpu.cases import Work
from gpu.clock import seconds
from gpu.kernels import Place, Size, Timed, sentence
from gpu.random_source import random_layer
from starfill.engine.cuda import dequantized_product
from starfill.engine.linear import cuda

Product = Callable[[torch.Tensor], torch.Tensor]


def compare(place: Place, size: Size, layout: Layout, work: Work, matrix: float) -> list[Timed]:
    """matrix: operations a second that products of matrices reach here."""
    generator = torch.Generator(place.device).manual_seed(1)
    linear = cuda.pack(random_layer(layout, *size, place.device, generator), place.device, place.dtype)
    weight = torch.randn(size[1], size[0], device=place.device, dtype=place.dtype)
    dense = partial(torch.nn.functional.linear, weight=weight)
    found = [_timed(place, Timed("dense", size, {}, 0.0), dense, work.chunks, matrix)]
    del weight, dense
    for nbytes in work.rooms:
        blank = Timed(f"ours, {nbytes / 2**20:.4g} MiB", size, {}, 0.0)
        try:
            buffer = torch.empty(nbytes // place.dtype.itemsize, dtype=place.dtype, device=place.device)
        except torch.OutOfMemoryError as error:
            found.append(replace(blank, why=sentence(error)))
            continue
        found.append(
            _timed(place, blank, partial(dequantized_product.many_rows, linear, buffer=buffer), work.chunks, matrix)
        )
    return found


def _timed(place: Place, blank: Timed, product: Product, chunks: Sequence[int], matrix: float) -> Timed:
    us = {}
    try:
        for rows in chunks:
            x = torch.randn(rows, blank.size[0], device=place.device, dtype=place.dtype)
            us[rows] = 1e6 * seconds([partial(product, x)], place.device, place.rounds)
    except torch.OutOfMemoryError as error:
        return replace(blank, why=sentence(error))
    most = chunks[-1]
    operations = 2 * most * blank.size[0] * blank.size[1]
    return replace(blank, us=us, share=operations / (us[most] / 1e6) / matrix)
