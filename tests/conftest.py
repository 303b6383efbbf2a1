"""Fixtures that more than one room uses. Nothing here downloads anything."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from random_checkpoint import SHAPES, Layout, write

# Processes of tests share the cores, and a thread that spins at a barrier takes one from the thread it waits for.
# Read when torch loads its OpenMP runtime, here and in the servers that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if "STARFILL_TESTS_ON_GPU" not in os.environ:  # the same tests everywhere; `make test-cuda` is for a GPU
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["TRITON_INTERPRET"] = "1"  # its kernels run on the CPU; read when they are defined


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With pytest-xdist's `--dist loadgroup` a file's tests run in one process: they share what it has started."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """The plain last line."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a process of pytest-xdist
        return
    kinds = ("passed", "failed", "error", "skipped")
    passed, failed, errors, skipped = (len(reporter.getreports(kind)) for kind in kinds)
    reporter.write_line(f"{passed} passed, {failed + errors} failed, {skipped} skipped")


TINY = SHAPES["tiny"]
MakeCheckpoint = Callable[..., Path]


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> MakeCheckpoint:
    """make_checkpoint(layout, **changes to the tiny shape) -> the folder of a random gpt_bigcode checkpoint."""

    def make(layout: Layout, **changes: int) -> Path:
        folder = tmp_path_factory.mktemp("checkpoint")
        return write(folder, dataclasses.replace(TINY, **changes), layout)

    return make


@pytest.fixture(params=["native", "torch"])
def each_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs twice: with our kernels, and as where they can't run."""
    if request.param == "torch":
        for user in (
            "linear.select.native_kernels",
            "attention.native",
            "models.activation.native",
            "models.decoder.native",
            "models.fused.native",
        ):
            monkeypatch.setattr(f"starfill.engine.{user}", lambda: None)
    return str(request.param)
