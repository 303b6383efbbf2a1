"""The reference against a plain reading of the format; every kernel against the reference, bit for bit by row."""

from __future__ import annotations

import itertools

import pytest
import torch

from random_checkpoint import Layout
from random_checkpoint import linear as random_linear
from starfill.engine.linear import cpu, reference
from starfill.engine.linear.dense import unpack
from starfill.engine.linear.reference import Packed
from starfill.engine.linear.select import Shape, select

LAYOUTS = [
    Layout(*choice)
    for choice in itertools.product((3, 4, 8), (-1, 32, 64, 128), (False, True), ("gptq", "gptq_v2"), (False, True))
]
TOLERANCE = 0.006  # ||y - reference|| / ||reference||: bf16 activations and scales, 8 bits of mantissa each


def packed(layout: Layout, rows: int = 256, columns: int = 160) -> Packed:
    tensors = random_linear("x", rows, columns, layout, torch.Generator().manual_seed(1))
    qweight, qzeros, scales, g_idx, bias = (tensors[f"x.{p}"] for p in ("qweight", "qzeros", "scales", "g_idx", "bias"))
    return Packed(qweight, qzeros, scales, g_idx, bias, layout.bits, 1 if layout.checkpoint_format == "gptq" else 0)


def read_plainly(words: list[int], bits: int) -> list[int]:
    """Codes of a bit stream as the format's text says it, on Python's integers."""
    stream = sum((word & 0xFFFFFFFF) << (32 * i) for i, word in enumerate(words))
    return [(stream >> (i * bits)) & (2**bits - 1) for i in range(len(words) * 32 // bits)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_reference_is_the_format(layout: Layout) -> None:
    layer = packed(layout, 128, 32)
    w = reference.dequantize(layer)
    codes = [read_plainly(column, layout.bits) for column in layer.qweight.t().tolist()]
    zeros = [read_plainly(row, layout.bits) for row in layer.qzeros.tolist()]
    for k, n in itertools.product((0, 1, 10, 21, 31, 32, 77, 127), (0, 1, 10, 21, 31)):
        group = int(layer.g_idx[k])
        zero = (zeros[group][n] + layer.zero_offset) % 2**layout.bits
        expected = layer.scales[group, n].float() * (codes[n][k] - zero)
        assert w[k, n] == expected.half(), (k, n)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_int4_kernel_agrees_with_the_reference(layout: Layout) -> None:
    layer = packed(layout)
    x = torch.randn(33, 256, generator=torch.Generator().manual_seed(2))
    expected = reference.linear(x, layer)
    error = (cpu.pack(layer)(x).float() - expected).norm() / expected.norm()
    assert error < TOLERANCE


@pytest.mark.parametrize("columns", [32, 96, 1024, 2080])
def test_any_number_of_output_features(columns: int) -> None:
    layer = packed(Layout(), columns=columns)
    x = torch.randn(3, 256)
    expected = reference.linear(x, layer)
    y = cpu.pack(layer)(x)
    assert y.shape == expected.shape
    assert (y.float() - expected).norm() / expected.norm() < TOLERANCE


@pytest.mark.parametrize("layout", [Layout(), Layout(8, -1), Layout(4, 32, True)], ids=str)
@pytest.mark.parametrize("rows,columns", [(256, 384), (1024, 256), (2048, 512)])
def test_a_row_does_not_depend_on_its_company(layout: Layout, rows: int, columns: int) -> None:
    """Bitwise: this is what makes a warm answer equal the cold one."""
    linear = cpu.pack(packed(layout, rows, columns))
    x = torch.randn(200, rows, generator=torch.Generator().manual_seed(3))
    together = linear(x)
    for start, count in ((0, 1), (7, 1), (3, 2), (5, 4), (1, 7), (60, 64), (100, 100), (199, 1)):
        assert torch.equal(linear(x[start : start + count]), together[start : start + count])


def test_packing_survives_the_way_through_tensors() -> None:
    for layout in (Layout(4, 32, True), Layout(8), Layout(3, -1)):
        linear = cpu.pack(packed(layout))
        again = cpu.Int4Linear.from_tensors(linear.tensors(), 160)
        x = torch.randn(5, 256)
        assert torch.equal(linear(x), again(x))


def test_the_quantized_head_is_close() -> None:
    weight = torch.randn(500, 256, generator=torch.Generator().manual_seed(4))
    x = torch.randn(20, 256, generator=torch.Generator().manual_seed(5))
    expected = x @ weight.t()
    assert (cpu.quantize_head(weight)(x).float() - expected).norm() / expected.norm() < 0.01


def test_dense_is_the_reference() -> None:
    layer = packed(Layout(4, 64, True))
    x = torch.randn(4, 256)
    y = unpack(layer, torch.float32, torch.device("cpu"))(x)
    assert torch.allclose(y, reference.linear(x, layer), atol=1e-5)


@pytest.mark.parametrize(
    "shape,kernel",
    [
        (Shape("cpu", 4, 2048, 16), "int4pack-bf16"),
        (Shape("cpu", 8, 2048, 1), "int4pack-bf16"),
        (Shape("cpu", 3, 6144, 1), "int4pack-bf16"),
        (Shape("cpu", 4, 48, 3), "dense"),  # groups of 16: the operator has none
        (Shape("cpu", None, 2048, 1), "dense"),
        (Shape("cuda", 4, 2048, 16), "dense"),
    ],
)
def test_the_choice_of_kernel(shape: Shape, kernel: str) -> None:
    assert select(shape).name == kernel
