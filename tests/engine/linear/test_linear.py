"""The reference against a plain reading of the format; every kernel against the reference, bit for bit by row."""

from __future__ import annotations

import itertools

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from checkpoints.random_checkpoint import linear as random_linear
from starfill.engine.linear import cuda, int4pack, native, reference
from starfill.engine.linear.dense import unpack
from starfill.engine.linear.reference import Packed
from starfill.engine.linear.select import Packer, Shape, head_kernel, select
from starfill.engine.native.library import native as kernels

LAYOUTS = [
    Layout(*choice)
    for choice in itertools.product((3, 4, 8), (-1, 32, 64, 128), (False, True), ("gptq", "gptq_v2"), (False, True))
]
# ||y - reference|| / ||reference||: bf16 activations and scales, 8 bits of mantissa each; or 16-bit activations, and
# the rounding of weights to fp16 that is the reference's own.
TOLERANCE = {int4pack: 0.006, native: 0.0004}
each_packer = pytest.mark.parametrize("packer", TOLERANCE, ids=["int4pack", "native"])


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


@each_packer
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_kernels_agree_with_the_reference(layout: Layout, packer: Packer) -> None:
    layer = packed(layout)
    x = torch.randn(33, 256, generator=torch.Generator().manual_seed(2))
    expected = reference.linear(x, layer)
    error = (packer.pack(layer)(x).float() - expected).norm() / expected.norm()
    assert error < TOLERANCE[packer]


@each_packer
@pytest.mark.parametrize("columns", [32, 96, 1024, 2080])
def test_any_number_of_output_features(columns: int, packer: Packer) -> None:
    layer = packed(Layout(), columns=columns)
    x = torch.randn(3, 256)
    expected = reference.linear(x, layer)
    y = packer.pack(layer)(x)
    assert y.shape == expected.shape
    assert (y.float() - expected).norm() / expected.norm() < TOLERANCE[packer]


@each_packer
@pytest.mark.parametrize("layout", [Layout(), Layout(8, -1), Layout(4, 32, True)], ids=str)
@pytest.mark.parametrize("rows,columns", [(256, 384), (1024, 256), (2048, 512)])
def test_a_row_does_not_depend_on_its_company(layout: Layout, rows: int, columns: int, packer: Packer) -> None:
    """Bitwise: this is what makes a warm answer equal the cold one."""
    linear = packer.pack(packed(layout, rows, columns))
    x = torch.randn(200, rows, generator=torch.Generator().manual_seed(3))
    together = linear(x)
    for start, count in ((0, 1), (7, 1), (3, 2), (5, 3), (5, 4), (1, 7), (60, 64), (100, 100), (199, 1)):
        assert torch.equal(linear(x[start : start + count]), together[start : start + count])


@each_packer
def test_packing_survives_the_way_through_tensors(packer: Packer) -> None:
    for layout in (Layout(4, 32, True), Layout(8), Layout(3, -1)):
        linear = packer.pack(packed(layout))
        again = packer.restore(linear.tensors(), 160)
        x = torch.randn(5, 256)
        assert torch.equal(linear(x), again(x))


@each_packer
@pytest.mark.parametrize("size", [1e-7, 1.0, 1e4])
def test_the_quantized_head_is_close(packer: Packer, size: float) -> None:
    weight = size * torch.randn(501, 256, generator=torch.Generator().manual_seed(4))
    x = torch.randn(20, 256, generator=torch.Generator().manual_seed(5))
    expected = x @ weight.t()
    y = packer.pack_head(weight)(x).float()
    assert y.shape == expected.shape
    assert (y - expected).norm() / expected.norm() < 0.01


def test_activations_with_outliers_keep_their_small_numbers() -> None:
    """A large number costs those of its own block their digits, no others."""
    layer = packed(Layout(4, 128), 512, 64)
    x = torch.randn(9, 512, generator=torch.Generator().manual_seed(6))
    x[:, 5] = 3000.0
    rest = x.clone()
    rest[:, 5] = 0.0
    outlier = reference.linear(x - rest, layer) - reference.linear(torch.zeros_like(x), layer)
    expected = reference.linear(rest, layer)
    error = (native.pack(layer)(x) - outlier - expected).norm() / expected.norm()
    assert error < 0.03


def test_empty_and_extreme_activations() -> None:
    layer = packed(Layout(4, 128), 256, 64)
    linear = native.pack(layer)
    assert linear(torch.empty(0, 256)).shape == (0, 64)
    assert torch.equal(linear(torch.zeros(2, 256)), reference.linear(torch.zeros(2, 256), layer))
    x = torch.randn(2, 256)
    for size in (1e-20, 1e20):
        expected = reference.linear(size * x, layer)
        assert torch.allclose(linear(size * x), expected, rtol=1e-3, atol=size / 100)


def test_dense_is_the_reference() -> None:
    layer = packed(Layout(4, 64, True))
    x = torch.randn(4, 256)
    y = unpack(layer, torch.float32, torch.device("cpu"))(x)
    assert torch.allclose(y, reference.linear(x, layer), atol=1e-5)


@pytest.mark.parametrize(
    "shape,kernel",
    [
        (Shape("cpu", 4, 2048, 16), "native-int16"),
        (Shape("cpu", 8, 2048, 1), "native-int16"),
        (Shape("cpu", 3, 6144, 1), "native-int16"),
        (Shape("cpu", 4, 48, 3), "dense"),  # groups of 16: the operator has none
        (Shape("cpu", None, 2048, 1), "dense"),
        (Shape("cuda", 4, 2048, 16), "triton-fp16"),
        (Shape("cuda", 8, 2048, 1, torch.bfloat16), "triton-bf16"),
        (Shape("cuda", 3, 1920, 20), "triton-fp16"),  # groups of 96
        (Shape("cuda", 4, 2048, 128), "dense"),  # and of 16
        (Shape("cuda", None, 2048, 1), "dense"),
    ],
)
def test_the_choice_of_kernel(shape: Shape, kernel: str) -> None:
    assert select(shape).name == kernel
    assert head_kernel("cpu", 2048).name == "native-int16"
    assert head_kernel("cuda", 2048, torch.bfloat16).name == "triton-bf16"


def test_torch_computes_where_our_kernels_can_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starfill.engine.linear.select.native_kernels", lambda: None)
    assert select(Shape("cpu", 4, 2048, 16)).name == head_kernel("cpu", 2048).name == "int4pack-bf16"


def test_a_gpu_takes_weights_in_full_where_its_kernels_can_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starfill.engine.cuda.packed_product.attempt", lambda: 1 / 0)
    cuda.obstacle.cache_clear()
    try:
        kernel = select(Shape("cuda", 4, 2048, 16))
    finally:
        cuda.obstacle.cache_clear()
    assert kernel.name == "dense"
    assert kernel.reason.endswith("don't run here (ZeroDivisionError: division by zero)")
    monkeypatch.undo()
    assert select(Shape("cuda", 4, 2048, 16)).name == "triton-fp16"


@pytest.mark.parametrize("layout", [Layout(4, 32, True), Layout(8, 128), Layout(4, -1, True, "gptq", False)], ids=str)
def test_vectors_of_256_bits_give_the_same(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    linear = native.pack(packed(layout, 512, 96))
    x = torch.randn(40, 512, generator=torch.Generator().manual_seed(7))
    expected = linear(x)
    found = kernels()
    assert found is not None
    monkeypatch.setattr(found, "isa", 256)
    assert torch.equal(linear(x), expected)
    assert torch.equal(linear(x[3:4]), expected[3:4])
