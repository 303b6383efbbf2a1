"""Linears of one input as one product."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from checkpoints.random_checkpoint import linear as random_linear
from starfill.engine.linear.cuda import CudaLinear, pack, side_by_side
from starfill.engine.linear.reference import Packed, linear
from starfill.engine.models.merged_linears import MergedLinears

CPU = torch.device("cpu")
WIDTHS = (64, 32, 96)
LAYOUTS = [Layout(4, 128), Layout(4, 32, True), Layout(3, 64, sym=False), Layout(8, -1)]


def layer(width: int, layout: Layout, seed: int, order: int = 1) -> Packed:
    """order: the same for layers of one input, as GPTQ has it."""
    made = random_linear("x", 256, width, layout, torch.Generator().manual_seed(seed))
    g_idx = made["x.g_idx"].sort().values
    if layout.desc_act:
        g_idx = g_idx[torch.randperm(256, generator=torch.Generator().manual_seed(order))]
    return Packed(made["x.qweight"], made["x.qzeros"], made["x.scales"], g_idx, made["x.bias"], layout.bits, 1)


def layers(layout: Layout) -> list[Packed]:
    return [layer(width, layout, seed) for seed, width in enumerate(WIDTHS)]


def packed(layout: Layout) -> list[CudaLinear]:
    return [pack(each, CPU, torch.float16) for each in layers(layout)]


@pytest.mark.parametrize("rows", [1, 16, 20])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_they_give_what_each_gives(layout: Layout, rows: int) -> None:
    x = torch.randn(rows, 256)
    joined = MergedLinears(packed(layout), WIDTHS)
    assert len(joined.linears) == 1
    assert joined.linears[0].nbytes == sum(each.nbytes for each in packed(layout)) - 2 * 4 * 256 * layout.desc_act
    for found, each in zip(joined(x), layers(layout), strict=True):
        expected = linear(x, each)
        assert found.shape == expected.shape
        assert (found.float() - expected).norm() / expected.norm() < 0.002


def test_some_have_zeros_and_biases() -> None:
    symmetric, other = layer(64, Layout(4, 64), 1), layer(64, Layout(4, 64, sym=False), 2)
    symmetric = replace(symmetric, bias=None)
    whole = side_by_side([pack(each, CPU, torch.float16) for each in (symmetric, other)])
    assert whole is not None and whole.zeros is not None and whole.bias is not None
    x = torch.randn(3, 256)
    expected = torch.cat([linear(x, symmetric), linear(x, other)], 1)
    assert (whole(x).float() - expected).norm() / expected.norm() < 0.002


@pytest.mark.parametrize(
    "others",
    [
        pack(layer(64, Layout(4, 32, True), 2, order=2), CPU, torch.float16),  # another order of inputs
        pack(layer(64, Layout(4, 32), 2), CPU, torch.float16),  # none
        pack(layer(64, Layout(4, 64, True), 2), CPU, torch.float16),
        pack(layer(64, Layout(3, 32, True), 2), CPU, torch.float16),
        pack(layer(64, Layout(4, 32, True), 2), CPU, torch.bfloat16),
        replace(pack(layer(64, Layout(4, 32, True), 2), CPU, torch.float16), out_features=63),
    ],
)
def test_those_that_stay_apart(others: CudaLinear) -> None:
    first = pack(layer(64, Layout(4, 32, True), 1), CPU, torch.float16)
    assert MergedLinears([first, others], [64, 64]).linears == (first, others)


def test_other_kinds_stay_apart() -> None:
    first = pack(layer(64, Layout(4, 32), 1), CPU, torch.float16)
    joined = MergedLinears([first, lambda x: x[:, :5]], [64, 5])  # type: ignore[list-item]
    assert [y.shape for y in joined(torch.randn(2, 256))] == [(2, 64), (2, 5)]
