"""The packed product against the reference, on fresh random inputs and poisoned outputs."""

from __future__ import annotations

import itertools

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from checkpoints.random_checkpoint import linear as random_linear
from starfill.engine.cuda import dequantized_product, packed_product
from starfill.engine.cuda.tuning import Tuning, choose
from starfill.engine.linear import cuda, reference
from starfill.engine.linear.cuda import CudaLinear, pack, pack_head
from starfill.engine.linear.reference import Packed

CPU = torch.device("cpu")
HALF, BFLOAT = torch.float16, torch.bfloat16
LAYOUTS = [
    *(
        (Layout(*choice, "gptq", False), HALF)
        for choice in itertools.product((3, 4, 8), (-1, 32, 64, 128), (False, True))
    ),
    *((Layout(bits, 64, True, "gptq_v2", True), HALF) for bits in (3, 4, 8)),
    *((Layout(bits, 32, True, "gptq", False), BFLOAT) for bits in (3, 4, 8)),
    *((Layout(bits, 128, False, "gptq_v2", True), BFLOAT) for bits in (3, 4, 8)),
]
each_layout = pytest.mark.parametrize("layout,dtype", LAYOUTS, ids=str)
SPLIT = Tuning(columns=64, splits=2, warps=4, stages=1)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is made to be filled in holds NaN before."""
    empty = torch.empty

    def poison(*size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        made = empty(*size, dtype=dtype, device=device)
        return made.fill_(float("nan")) if dtype.is_floating_point else made

    monkeypatch.setattr(torch, "empty", poison)
    dequantized_product.shared_buffer.cache_clear()
    monkeypatch.setattr(dequantized_product, "SCRATCH", 2 * 256 * 128)


def packed(layout: Layout, rows: int = 256, columns: int = 96) -> Packed:
    tensors = random_linear("x", rows, columns, layout, torch.Generator().manual_seed(1))
    qweight, qzeros, scales, g_idx, bias = (tensors[f"x.{p}"] for p in ("qweight", "qzeros", "scales", "g_idx", "bias"))
    return Packed(qweight, qzeros, scales, g_idx, bias, layout.bits, 1 if layout.checkpoint_format == "gptq" else 0)


def error(y: torch.Tensor, expected: torch.Tensor) -> float:
    """||y - expected|| / ||expected||."""
    return float((y.float() - expected).norm() / expected.norm())


@each_layout
def test_parts_add_up_to_the_reference(layout: Layout, dtype: torch.dtype) -> None:
    layer = packed(layout)
    linear = pack(layer, CPU, dtype)
    x = torch.randn(3, 256).to(dtype)
    parts = packed_product.parts(linear, x, SPLIT)
    assert parts.shape == (2, 3, 96)
    assert linear.bias is not None
    assert error(parts.sum(0) + linear.bias, reference.linear(x, layer)) < 0.0005  # the reference rounds its weights


@each_layout
def test_many_rows_agree_with_the_reference(layout: Layout, dtype: torch.dtype) -> None:
    layer = packed(layout, columns=160)  # in two pieces
    x = torch.randn(17, 256).to(dtype)
    assert error(pack(layer, CPU, dtype)(x), reference.linear(x, layer)) < (0.001 if dtype == HALF else 0.006)


@pytest.mark.parametrize("layout", [Layout(4, 32, True, sym=False), Layout(8, -1), Layout(3, 96)], ids=str)
@pytest.mark.parametrize("rows", [96, 192])
def test_blocks_that_are_not_full(layout: Layout, rows: int) -> None:
    layer = packed(layout, rows, 64)
    linear = pack(layer, CPU, HALF)
    for count in (2, 17):
        x = torch.randn(count, rows)
        assert error(linear(x), reference.linear(x, layer)) < 0.002


def test_a_row_does_not_depend_on_its_company() -> None:
    """Bitwise: this is what makes a warm answer equal the cold one."""
    linear = pack(packed(Layout(4, 128, True)), CPU, HALF)
    x = torch.randn(16, 256)
    together = linear(x)
    for start, count in ((0, 1), (7, 1), (3, 2), (5, 4), (8, 8)):
        assert torch.equal(linear(x[start : start + count]), together[start : start + count])
    assert linear(x[:0]).shape == (0, 96)


@pytest.mark.parametrize("dtype", [HALF, BFLOAT], ids=str)
def test_extreme_activations(dtype: torch.dtype) -> None:
    layer = packed(Layout(4, 128))
    linear = pack(layer, CPU, dtype)
    for size in (1e-5, 1e4):
        x = (size * torch.randn(2, 256)).to(dtype)
        x[0, 5] = 0
        assert linear.bias is not None
        y = packed_product.parts(linear, x, SPLIT).sum(0) + linear.bias
        assert error(y, reference.linear(x, layer)) < 0.0005


@pytest.mark.parametrize("size", [1e-7, 1.0, 1e4])
def test_the_quantized_head_is_close(size: float) -> None:
    weight = size * torch.randn(101, 256, generator=torch.Generator().manual_seed(4))
    linear = pack_head(weight, CPU, HALF)
    x = torch.randn(4, 256, generator=torch.Generator().manual_seed(5))
    parts = linear.parts(x.half())
    assert parts.shape[1:] == (4, 101)
    assert error(parts.sum(0), x @ weight.t()) < 0.01


def test_weights_are_packed_slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pack(packed(Layout(4, 64, True, sym=False)), CPU, HALF)
    monkeypatch.setattr(cuda, "CONVERTED", 256 * 64)
    sliced = pack(packed(Layout(4, 64, True, sym=False)), CPU, HALF)
    assert all(torch.equal(tensor, sliced.tensors()[name]) for name, tensor in whole.tensors().items())


@pytest.mark.parametrize("in_features,columns", [(6144, 6400), (6144, 49152), (24576, 6144), (28672, 8192), (128, 64)])
def test_the_usual_tuning_covers_every_block(in_features: int, columns: int) -> None:
    how = choose(132, in_features, columns)
    blocks = in_features // 128
    each = -(-blocks // how.splits)
    assert (how.splits - 1) * each < blocks <= how.splits * each
    assert how.columns >= 16 * how.warps
    if blocks > 1:
        assert -(-columns // how.columns) * how.splits >= 132


def test_what_is_held_is_what_the_words_take() -> None:
    linear = pack(packed(Layout(4, 128)), CPU, HALF)
    assert isinstance(linear, CudaLinear) and linear.zeros is None and linear.order is None
    assert linear.nbytes == 256 * 96 // 2 + 2 * 96 * 2 + 4 * 96
