"""The benchmark of GPUs: its figures, and one whole run on the CPU with what a bare machine has."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from checkpoints.random_checkpoint import Layout
from gpu.cases import CASES, LAYOUT, TINY_CASES, described
from gpu.ceilings import Ceilings
from gpu.clock import Deadline
from gpu.measured import Decode, Keystrokes, Measured, Memory, Prefill, bars, rounded, show

ROOT = Path(__file__).parents[2]
# What a machine that is borrowed for an hour has: no package of ours is installed there, and none can be.
ABSENT = ("pygls", "lsprotocol", "platformdirs", "textual", "tree_sitter", "gguf", "matplotlib")
BARE = f"""
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def on_a_bare_machine(*arguments: str) -> str:
    command = [sys.executable, "-c", BARE, *arguments]
    environment = {"PYTHONPATH": "server:benchmarks", "PATH": "", "HOME": "/nowhere"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def measured() -> Measured:
    return Measured(
        name="m",
        layout="4 bits",
        layers=40,
        of=40,
        read=8_000_000_000,
        decode=[Decode(512, 1, 4.0, 250.0, 0.66), Decode(512, 4, 5.0, 800.0, 0.55)],
        prefill=[Prefill(512, 30.0, 0.7), Prefill(8000, 410.0, 0.6)],
        keystrokes=[Keystrokes(500, 5.0, 6.0, 1.5), Keystrokes(8000, 8.0, 9.0, 1.5)],
        engine={1: 240.0, 4: 780.0},
        memory=Memory(8_300_000_000, 200_000_000, 9_700_000_000),
    )


def test_the_bars(measured: Measured) -> None:
    found = {bar.name: (round(bar.value, 2), bar.reached) for bar in bars(measured, 60.0)}
    assert found == {
        "decode at 512 tokens, share of the bandwidth": (0.66, True),
        "warm keystroke at 8000 tokens, ms (median)": (8.0, True),
        "cold prompt of 8000 tokens, ms": (410.0, False),
        "decode, starfill / transformers": (4.0, False),
        "peak memory beside weights and KV state, GB": (1.2, True),
    }
    assert list(bars(Measured("m", "", 1, 1, 1), 60.0)) == []


def test_the_ceiling_of_decode() -> None:
    assert Ceilings(4e12, 8e14).decode(weights=8 * 10**9, state=2 * 10**9) == 400


def test_what_is_shown(measured: Measured) -> None:
    console = Console(width=130)
    with console.capture() as shown:
        show(measured, Ceilings(4e12, 8e14), console)
    text = shown.get()
    for figure in ("500 passes a second", "66%", "780.0", "19512", "9.70", "1.20"):
        assert figure in text
    assert "extrapolated" not in text


def test_a_model_that_was_cut_says_so(measured: Measured) -> None:
    cut = replace(measured, layers=30, memory=None, failed=["decode of 4 at 512 tokens: out of memory"])
    console = Console(width=130)
    with console.capture() as shown:
        show(cut, Ceilings(4e12, 8e14), console)
    text = shown.get()
    assert "30 of 40 layers" in text and "187.5" in text and "out of memory" in text


def test_figures_are_rounded_for_json() -> None:
    assert rounded({1: [0.123456, 3], "a": 123456.7}) == {"1": [0.1235, 3], "a": 123500.0}


def test_a_layout_in_words() -> None:
    assert described(Layout(3, 64)) == "3 bits, groups of 64"
    assert described(LAYOUT) == "4 bits, groups of 128, act order"


def test_a_deadline() -> None:
    assert Deadline(0).over and not Deadline(1).over


def test_how_many_layers_fit() -> None:
    from gpu.random_source import fitting, layers

    shape = CASES["codellama-70b"].shape
    assert layers(shape) == 80
    assert fitting(shape, LAYOUT, 200 * 10**9) == 80
    some = fitting(shape, LAYOUT, 20 * 10**9)
    assert 30 < some < 50  # 80 layers take 34 GB at 4 bits
    assert fitting(shape, LAYOUT, 0) == 1


def test_each_product_is_timed_once() -> None:
    pytest.importorskip("triton")
    from gpu.kernels import products

    found = products([case.shape for case in TINY_CASES.values()], Layout(4, 32, True))
    assert [size for size, layout in found if layout.bits == 4][:4] == [(32, 64), (32, 32), (32, 128), (128, 32)]
    assert [size for size, layout in found if layout.bits == 8] == [(32, 64)]
    assert len(found) == len(set(found))
    sizes = [size for size, layout in products([CASES["codellama-13b"].shape], LAYOUT) if layout.bits == 4]
    assert sizes == [(5120, 15360), (5120, 5120), (5120, 27648), (13824, 5120)]  # those of one input are one


def test_a_run_on_a_bare_machine() -> None:
    pytest.importorskip("triton")
    told = on_a_bare_machine("gpu.bench_gpu", "--device", "cpu", "--shapes", "tiny", "--model", "tiny")
    found = json.loads(told.splitlines()[-1])
    (model,) = found["models"]
    assert model["failed"] == []
    assert [(each["context"], each["rows"]) for each in model["decode"]] == [(18, 1), (18, 2)]
    assert all(each["pass_ms"] > 0 for each in model["decode"])
    assert [each["tokens"] for each in model["prefill"]] == [18]
    assert [each["computed"] for each in model["keystrokes"]] == [1.5]
    assert set(model["engine"]) == {"1", "2"}
    assert found["transformers"]["through"] == "dense float16 weights"
    assert found["transformers"]["tokens_s"] > 0
    assert {"ours", "dense", "Marlin"} <= set(found["kernels"]["32 x 64, 4 bits, groups of 32, act order"])
    assert set(found["chunks"]["32 x 64, 4 bits, groups of 32, act order"]) == {
        "dense",
        "ours, 0.007812 MiB",
        "ours, 0.0625 MiB",
    }
    assert found["ceilings"]["bandwidth_gb_s"] > 0
    for title in ("a warm keystroke", "a cold prompt", "bars", "microseconds by rows", "by room for"):
        assert title in told


def test_the_tests_on_a_gpu_need_no_more_than_that() -> None:
    tests = [str(path) for path in sorted((ROOT / "tests/engine").glob("test_cuda*.py"))]
    assert len(tests) == 3
    told = on_a_bare_machine(
        "pytest", "--collect-only", "-W", "default", "-p", "no:cacheprovider", "-m", "cuda", *tests
    )
    assert "test_graphs_equal_eager_to_the_bit" in told
