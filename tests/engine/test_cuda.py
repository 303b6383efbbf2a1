"""On an NVIDIA GPU: kernels against the reference, models against transformers, and to the bit against themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from gpu.cases import CASES
from gpu.random_source import Built, build, random_layer
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.linear import reference
from starfill.engine.linear.cuda import CudaLinear, pack, pack_head
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.model import LanguageModel
from starfill.engine.models.decoder import Decoder
from tiny_checkpoints import BASES, dequantized, their_logits, write, write_quantized

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU: make test-cuda"),
]
DEVICE = torch.device("cuda")
VOCABULARY = 300
LAYOUTS = [Layout(4, 32, True), Layout(3, 64), Layout(8, -1), Layout(0)]
SIZES = [(6144, 6400), (6144, 24576), (24576, 6144), (5120, 13824), (8192, 1024), (4608, 512)]
KINDS = [Layout(4, 128, True), Layout(3, 128), Layout(8, -1), Layout(4, 32, sym=False)]
HALF = [torch.float16, torch.bfloat16]
PRODUCTS = [
    *((size, KINDS[0], HALF[0]) for size in SIZES[1:]),
    *((SIZES[0], layout, dtype) for layout in KINDS for dtype in HALF),
]
STARTS = (0, 127, 1020, 4090)  # on both sides of a block's end, and of the reach of graphs
REAL = {"gpt_bigcode": CASES["starcoder-15b"].shape, "llama": CASES["codellama-13b"].shape}


def some_ids(count: int, vocabulary: int = VOCABULARY, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, vocabulary, (count,), generator=torch.Generator().manual_seed(seed))


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float().cpu() - expected.float().cpu()).norm() / expected.float().cpu().norm())


def poison() -> None:
    """Leaves torch no free memory but such as is full of NaN, for what is computed next."""
    torch.cuda.empty_cache()
    for size in (2**28, 2**17):  # large blocks and small ones come from different places
        torch.full((size,), float("nan"), device=DEVICE)


@torch.inference_mode()
def in_pieces(model: LanguageModel, ids: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Logits of all ids, computed in passes of these sizes."""
    cache = KVCache(model.kv_shape)
    return torch.cat([model(piece, cache, last=len(piece)) for piece in ids.to(DEVICE).split(list(sizes))])


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("architecture", BASES)
def test_logits_are_those_of_transformers(tmp_path: Path, architecture: str, layout: Layout) -> None:
    """A long pass, one behind others, and few rows at a time."""
    fields = BASES[architecture] | ({"sliding_window": 70} if architecture == "starcoder2" else {})
    check(tmp_path, fields, fields, layout, 0.02)


def test_bfloat16_where_the_checkpoint_says_so(tmp_path: Path) -> None:
    fields = BASES["llama"]
    model = check(tmp_path, fields | {"torch_dtype": "bfloat16"}, fields, Layout(4, 32), 0.06)
    assert model.kv_shape.dtype == torch.bfloat16


def check(
    folder: Path, fields: dict[str, Any], exact: dict[str, Any], layout: Layout, tolerance: float
) -> LanguageModel:
    """fields: of the checkpoint; exact: of transformers' model, which computes in float32 on the CPU."""
    if layout.bits:
        expecting = dequantized(write_quantized(folder, fields, layout), exact, layout)
    else:
        expecting = write(folder, fields)
    ids = some_ids(160)
    expected = their_logits(expecting, ids)
    model = load_model(OpenedCheckpoint.open(folder), DEVICE).model
    for sizes in ([160], [100, 60], [100, *[1] * 20, 40], [16] * 10):
        poison()
        assert error(in_pieces(model, ids, sizes), expected) < tolerance, sizes
    return model


@pytest.mark.parametrize("size,layout,dtype", PRODUCTS, ids=str)
def test_products_of_real_layers(size: tuple[int, int], layout: Layout, dtype: torch.dtype) -> None:
    """Against the reference, and each row to the bit as if it were alone."""
    layer = random_layer(layout, *size, DEVICE, torch.Generator(DEVICE).manual_seed(1), bias=True)
    linear = pack(layer, DEVICE, dtype)
    x = torch.randn(300, size[0], device=DEVICE).to(dtype)
    expected = reference.linear(x, layer)
    for rows in (1, 5, 16, 17, 300):
        poison()
        assert error(linear(x[:rows]), expected[:rows]) < (0.001 if dtype == torch.float16 else 0.006), rows
    check_rows(linear, x[:16])


def test_the_head_of_a_real_model() -> None:
    weight = torch.randn(49152, 6144, device=DEVICE, dtype=torch.float16)
    head = pack_head(weight, DEVICE, torch.float16)
    x = torch.randn(16, 6144, device=DEVICE, dtype=torch.float16)
    poison()
    assert error(head(x), x.float() @ weight.float().t()) < 0.012
    check_rows(head, x)


def check_rows(linear: CudaLinear, x: torch.Tensor) -> None:
    together = linear.parts(x)
    poison()
    for row in range(len(x)):
        assert torch.equal(linear.parts(x[row : row + 1])[:, 0], together[:, row])


@pytest.fixture(scope="module", params=REAL)
def built(request: pytest.FixtureRequest) -> Iterator[Built]:
    """Two layers of a real model."""
    made = build(request.param, REAL[request.param].with_layers(2), Layout(4, 128, True), DEVICE, torch.float16)
    yield made
    del made
    torch.cuda.empty_cache()


@pytest.fixture
def model(built: Built) -> Decoder:
    assert isinstance(built.model, Decoder)
    return built.model


@torch.inference_mode()
def beginning(model: Decoder, length: int) -> KVCache:
    cache = KVCache(model.kv_shape)
    if length:
        model(some_ids(length, model.vocab_size, seed=length).to(DEVICE), cache, last=0)
    return cache


@torch.inference_mode()
@pytest.mark.parametrize("start", STARTS)
def test_graphs_equal_eager_to_the_bit(model: Decoder, start: int) -> None:
    from starfill.engine.models.cuda_graphs import Graphs

    captured = model.steps
    assert captured is not None
    eager = captured[0], Graphs(model.kv_shape, model.vocab_size, model.context_length, None)
    ids, whole = some_ids(16, model.vocab_size).to(DEVICE), beginning(model, start)
    for rows in (1, 2, 3, 5, 16):
        answers = []
        for way in (captured, eager):
            cache = whole.fork()
            model.steps = way
            try:
                poison()
                answers.append(torch.cat([model(ids[:rows], cache, last=rows), model(ids[:1], cache, last=1)]))
            finally:
                model.steps = captured
        assert answers[0].isfinite().all()
        assert torch.equal(*answers), rows


@torch.inference_mode()
@pytest.mark.parametrize("start", STARTS)
def test_the_rows_of_a_sequence_equal_one_at_a_time(model: Decoder, start: int) -> None:
    ids = some_ids(33, model.vocab_size).to(DEVICE)
    whole, answers = beginning(model, start), []
    for sizes in ([16, 16, 1], [1] * 33, [3, 5, 8, 2, 15]):
        cache = whole.fork()
        answers.append(torch.cat([model(piece, cache, last=len(piece)) for piece in ids.split(sizes)]))
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])


@torch.inference_mode()
def test_several_sequences_equal_each_alone(model: Decoder) -> None:
    ids = some_ids(2 * len(STARTS), model.vocab_size).to(DEVICE).view(2, -1)
    caches = [beginning(model, start) for start in STARTS]
    alone = [cache.fork() for cache in caches]
    for row in ids:
        together = model.step(row, caches)
        expected = torch.cat([model(row[n : n + 1], cache, last=1) for n, cache in enumerate(alone)])
        assert torch.equal(together, expected)


@torch.inference_mode()
def test_few_rows_agree_with_long_passes(model: Decoder) -> None:
    """The two ways that a position can be computed."""
    ids = some_ids(1200, model.vocab_size)
    whole = in_pieces(model, ids, [1200])[1100:]
    assert error(in_pieces(model, ids, [1100, *[1] * 20, 16, 64])[1100:], whole) < 0.01
    assert error(in_pieces(model, ids, [700, 500])[1100:], whole) < 0.01
