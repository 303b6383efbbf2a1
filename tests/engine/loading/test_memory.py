"""Memory on paper: tables for the arithmetic, and what a loaded model really holds."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from checkpoints.random_checkpoint import Layout, Shape, linear, write
from checkpoints.shapes import SHAPES, Starcoder2
from starfill.checkpoint.config import read_config
from starfill.engine.linear import cuda, int4pack
from starfill.engine.linear.dense import dense_nbytes
from starfill.engine.linear.reference import LayerShape, Packed
from starfill.engine.loading import inspect as inspecting
from starfill.engine.loading import memory_needs, placement
from starfill.engine.loading.inspect import inspect
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.memory_needs import Demand, advice, place
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.loading.placement import devices_of
from starfill.engine.loading.weight_memory import weight_memory
from starfill.errors import CheckpointError
from starfill.util.machine_memory import Memory, available_in, container_limit, system_memory

GB = 10**9
STARCODER2 = Starcoder2(2, 64, 128, 4, 2, 320, 256, tie_word_embeddings=True)


@pytest.mark.parametrize(
    ("layers", "free", "reserve", "expected"),
    [
        ([10] * 4, [100], 0, [0, 0, 0, 0]),
        ([10] * 4, [39], 0, None),
        ([10] * 4, [100], 61, None),
        ([10] * 4, [30, 100], 0, [1, 1, 1, 1]),  # one that holds everything is better than two
        ([10] * 4, [30, 30], 0, [0, 0, 1, 1]),
        ([10] * 4, [15, 35], 0, [0, 1, 1, 1]),
        ([10] * 4, [35, 15], 5, [0, 0, 0, 1]),
        ([10] * 8, [5, 45, 45], 0, [1, 1, 1, 1, 2, 2, 2, 2]),  # the first can't take a single one
        ([10] * 8, [35, 35, 35], 0, [0, 0, 0, 1, 1, 1, 2, 2]),
        ([40, 10, 10, 40], [45, 25, 45], 0, [0, 1, 1, 2]),
        ([10], [], 0, None),
    ],
)
def test_place(layers: list[int], free: list[int], reserve: int, expected: list[int] | None) -> None:
    assert place(layers, free, reserve) == expected


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=12),
    st.lists(st.integers(0, 300), max_size=4),
    st.integers(0, 40),
)
def test_place_never_overfills(layers: list[int], free: list[int], reserve: int) -> None:
    placed = place(layers, free, reserve)
    if placed is None:
        assert all(room - reserve < sum(layers) for room in free)
        return
    assert len(placed) == len(layers)
    assert placed == sorted(placed)
    for device, room in enumerate(free):
        used = sum(size for size, chosen in zip(layers, placed, strict=True) if chosen == device)
        assert used == 0 or used <= room - reserve


@pytest.mark.parametrize(
    ("bits", "groups", "ordered", "bias", "expected"),
    [
        (4, 2, False, False, 64 * 256 // 2 + 2 * 64 * 4),
        (3, 2, False, False, 64 * 256 // 2 + 2 * 64 * 4),  # 3-bit codes are held as 4-bit ones
        (8, 2, False, False, 2 * (64 * 256 // 2 + 2 * 64 * 4)),
        (4, 4, True, True, 64 * 256 // 2 + 4 * 64 * 4 + 8 * 256 + 2 * 64),
    ],
)
def test_int4_bytes(bits: int, groups: int, ordered: bool, bias: bool, expected: int) -> None:
    shape = LayerShape(256, 64, bits, groups, ordered=ordered, bias=bias)
    assert int4pack.packed_nbytes(shape) == expected


PACKED = [
    *(
        Layout(4, 128),
        Layout(4, 32, True, sym=False),
        Layout(3, 64, True),
        Layout(8, -1, True),
        Layout(4, 96),
        Layout(4, 192),
    ),
    Layout(8, 128, sym=False),
]


@pytest.mark.parametrize("layout", PACKED, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_cuda_bytes_are_those_of_packed_layers(layout: Layout, bias: bool) -> None:
    rows = 192 if layout.group_size in (-1, 32) else 384  # not all blocks are full
    made = linear("x", rows, 96, layout, torch.Generator().manual_seed(1))
    tensors = {name.removeprefix("x."): tensor for name, tensor in made.items()}
    layer = Packed(**{**tensors, "bias": tensors["bias"] if bias else None}, bits=layout.bits, zero_offset=1)
    groups = len(layer.scales)
    shape = LayerShape(rows, 96, layout.bits, groups, not layout.sym, layout.desc_act and groups > 1, bias)
    assert cuda.pack(layer, torch.device("cpu"), torch.float16).nbytes == cuda.HALF.packed_nbytes(shape)


def test_cuda_bytes_are_those_of_a_head() -> None:
    head = cuda.pack_head(torch.randn(101, 256), torch.device("cpu"), torch.float16)
    assert head.nbytes == cuda.HALF.packed_nbytes(LayerShape(256, 101, 8, 2))


def test_a_gpu_needs_no_room_for_scores() -> None:
    on_device = replace(DEMAND, on_device=True)
    assert on_device.needs(1, 8192).working - on_device.needs(1, 1024).working == 7168 * 1_000_000 * 6 // 10
    assert replace(on_device, chunk=2048).needs(1, 1024).working > on_device.needs(1, 1024).working


def test_output_features_are_rounded_up() -> None:
    assert int4pack.packed_nbytes(LayerShape(256, 33, 4, 2)) == int4pack.packed_nbytes(LayerShape(256, 48, 4, 2))
    assert dense_nbytes(256, 33, 4, bias=True) == 4 * (256 * 33 + 33)


@pytest.mark.parametrize("layout", [Layout(0), *(Layout(bits, size, act) for bits, size, act in (
    (4, 32, True), (4, 32, False), (4, -1, True), (3, 32, True), (8, -1, True), (8, 32, True),
))], ids=lambda layout: f"{layout.bits}bit-{layout.group_size}g{'-act' if layout.desc_act else ''}")  # fmt: skip
@pytest.mark.parametrize("shape", [SHAPES["tiny"], SHAPES["tiny-llama"], STARCODER2], ids=["bigcode", "llama", "sc2"])
def test_what_is_held_on_paper_is_what_the_loader_holds(shape: Shape, layout: Layout, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, shape, layout))
    paper = weight_memory(OpenedCheckpoint.of(config), "cpu")
    assert paper.total + paper.mapped == load_model(OpenedCheckpoint.of(config), torch.device("cpu")).info.weight_bytes
    assert len(paper.layers) == 2


GROWTH = """
import sys
from pathlib import Path
import torch
from starfill.checkpoint.config import read_config
from starfill.engine.loading.loader import load_model
from starfill.engine.loading.opened_checkpoint import OpenedCheckpoint
from starfill.engine.linear import native
def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) * 1024
config = read_config(Path(sys.argv[1]))
before = resident()
loaded = load_model(OpenedCheckpoint.of(config), torch.device("cpu"))
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads resident memory from Linux's /proc")
def test_a_process_grows_by_what_is_held_on_paper(tmp_path: Path) -> None:
    shape = replace(SHAPES["starcoderbase-1b"], n_layer=4, vocab_size=4096)
    folder = write(tmp_path, shape, Layout(4, 128, desc_act=True))
    paper = next(fact.value for fact in inspect(folder, device_name="cpu") if fact.key == "heldBytes")
    assert isinstance(paper, int) and paper > 90e6
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, folder], capture_output=True, text=True, timeout=300, check=True
    )
    assert 0.9 * paper < int(done.stdout) < 1.2 * paper + 20e6


DEMAND = Demand(weights=8 * GB, kv_per_token=1_000_000, layers=10, heads=8, widest=4096, chunk=128)


@pytest.mark.parametrize(
    ("documents", "context", "available", "expected"),
    [
        (4, 2048, 30 * GB, []),
        (4, 2048, 15 * GB, ["keep 2 documents instead of 4", "set contextTokens to 1446 instead of 2048"]),
        (1, 8192, 15 * GB, ["set contextTokens to 4130 instead of 8192"]),
        (9, 8192, 9 * GB, ["set contextTokens to 412 and keep one document"]),
        (4, 2048, 4 * GB, ["take a branch that holds less, or a smaller model"]),
        (4, 2048, GB // 4, ["free some memory"]),
    ],
)
def test_advice(documents: int, context: int, available: int, expected: list[str]) -> None:
    found = advice(DEMAND, documents, context, available)
    assert [text[: len(start)] for text, start in zip(found, expected, strict=True)] == expected, found


def test_advice_fits_when_followed() -> None:
    for available in range(10 * GB, 20 * GB, GB // 3):
        for text in advice(DEMAND, 4, 4096, available):
            numbers = [int(word) for word in text.split() if word.isdigit()]
            followed = (4, numbers[0]) if "contextTokens" in text else (numbers[0], 4096)
            if text.endswith("one document"):
                followed = (1, numbers[0])
            assert DEMAND.needs(*followed).total <= available, text


def test_inspect_says_what_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, SHAPES["tiny"], Layout(4, 32))
    facts = {fact.key: fact for fact in inspect(folder, documents=3, context=100)}
    kv = 2 * 2 * 32 * 2
    assert facts["kvBytes"].value == 3 * 100 * kv
    assert facts["kvBytes"].shown == "0 MB for 3 documents of 100 tokens"
    assert facts["fits"].value is True
    parts = [facts[key].value for key in ("heldBytes", "kvBytes", "workingBytes")]
    assert facts["memoryBytes"].value == sum(parts)  # type: ignore[arg-type]
    monkeypatch.setattr(inspecting, "system_memory", lambda: Memory(GB, GB // 4))
    facts = {fact.key: fact for fact in inspect(folder, documents=3, context=100_000)}
    assert facts["fits"].value is False
    assert facts["advice"].shown.startswith("free some memory")
    assert facts["kvBytes"].shown.endswith("of 256 tokens"), "more than the model can look back"


def test_layers_are_spread_over_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = SHAPES["tiny-llama"].with_layers(6)
    config = read_config(write(tmp_path, shape, Layout(4, 32)))
    parts = weight_memory(OpenedCheckpoint.of(config), "cuda")
    assert parts.mapped == 0
    assert parts.before == 550 * 64 * 2, "the embedding table lies on the GPU"
    linears = 2 * [(64, 64)] + 2 * [(64, 32)] + 2 * [(64, 96)] + [(96, 64)]
    packed = sum(cuda.HALF.packed_nbytes(LayerShape(*size, 4, size[0] // 32)) for size in linears)
    assert parts.layers[0] == packed + 2 * 64 * 4

    def placed(*free: int) -> list[int | None]:
        monkeypatch.setattr(placement, "free_on_gpus", lambda: free)
        return [device.index for device in devices_of(OpenedCheckpoint.of(config), torch.device("cuda"))]

    assert placed(GB, GB) == [0] * 6
    part = parts.total * 2 // 3
    assert placed(part, part) == [0, 0, 0, 1, 1, 1]
    with pytest.raises(CheckpointError, match=r"needs 0.0 GB of GPU memory .* are free \(2 x GPU\): take a smaller"):
        placed(1000, 1000)
    assert devices_of(OpenedCheckpoint.of(config), torch.device("cpu")) == (torch.device("cpu"),) * 6


def test_system_memory() -> None:
    here = system_memory()
    assert 0 < here.available <= here.total
    assert here.total > 256 * 2**20


def test_memory_of_linux() -> None:
    text = "MemTotal:       24683116 kB\nMemFree:        500 kB\nMemAvailable:   22041364 kB\n"
    assert available_in(text) == 22041364 * 1024
    assert available_in("MemTotal: 5 kB\n") is None


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory.max", "max\n", None),
        ("memory.max", "4294967296\n", 4294967296),
        ("memory/memory.limit_in_bytes", "1073741824\n", 1073741824),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("other", "5", None),
    ],
)
def test_limit_of_a_container(tmp_path: Path, name: str, text: str, expected: int | None) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert container_limit(tmp_path) == expected


def test_the_arithmetic_needs_no_torch() -> None:
    assert "import torch" not in Path(memory_needs.__file__).read_text(encoding="utf-8")
