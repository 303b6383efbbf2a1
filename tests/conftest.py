"""Fixtures that more than one room uses. Nothing here downloads anything."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checkpoints.random_checkpoint import SHAPES, Layout, write

# Processes of tests share the cores, and a thread that spins at a barrier takes one from the thread it waits for.
# Read when torch loads its OpenMP runtime, here and in the servers that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if "STARFILL_TESTS_ON_GPU" not in os.environ:  # the same tests everywhere; `make test-cuda` is for a GPU
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["TRITON_INTERPRET"] = "1"  # its kernels run on the CPU; read when they are defined


# What takes longest begins first, so that the processes end together.
LONGEST = ("editors/vscode/", "test_", "remote/", "editors/", "engine/", "benchmarks/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((rank for rank, start in enumerate(LONGEST) if path.startswith(start)), len(LONGEST))

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With pytest-xdist the tests of a file run in one process, and those of an editor: they share what was started.

    Its own `--dist loadgroup` groups nothing with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:  # to be overridden, says its documentation
            file = nodeid.partition("::")[0]
            folder = file.rpartition("/")[0]
            return folder if folder.endswith(("editors/neovim", "editors/vscode")) else file

    return ByFile(config, log)


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
            "kv.attention.native",
            "models.activation.native",
            "models.decoder.native",
            "models.fused.native",
        ):
            monkeypatch.setattr(f"starfill.engine.{user}", lambda: None)
    return str(request.param)
