"""Checkpoints of 1B shapes, half their layers: they load, complete and stay as small as `inspect` says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkpoints.random_checkpoint import SHAPES, Layout, write
from starfill.engine.loading.inspect import inspect

PROCESS = 300 * 2**20  # bytes: what `inspect` counts for Python and torch; torch's build for GPUs alone takes more
MEASURED = """
import sys
from pathlib import Path
import torch
status = Path("/proc/self/status").read_text()
print("torch", status.split("VmRSS:")[1].split()[0], file=sys.stderr)
from starfill.cli.main import main
code = 0
try:
    main(sys.argv[1:])
except SystemExit as exit:
    code = exit.code
status = Path("/proc/self/status").read_text()
print("peak", status.split("VmHWM:")[1].split()[0], file=sys.stderr)
sys.exit(code)
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads the peak memory from Linux's /proc"
)


LAYERS = 12  # half of them: what a layer takes is the same in each


@pytest.fixture(params=["starcoderbase-1b", "tinyllama-1.1b"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = write(
        tmp_path_factory.mktemp("large"), SHAPES[request.param].with_layers(LAYERS), Layout(4, 128, desc_act=True)
    )
    yield folder
    for file in folder.iterdir():  # 0.5 GB
        file.unlink()


def complete(folder: Path, file: Path, cache: Path) -> tuple[dict[str, object], int, int]:
    """The answer as JSON, the process's peak memory in bytes, and what it had with torch alone."""
    command = [sys.executable, "-c", MEASURED, "complete", "--json", "--model", str(folder), f"{file}:2:8"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode in (0, 1), done.stderr  # random weights may write nothing that is worth showing
    torch_alone, peak = (int(done.stderr.split(name)[1].split()[0]) * 1024 for name in ("torch", "peak"))
    return json.loads(done.stdout), peak, torch_alone


def test_loads_completes_and_stays_small(folder: Path, tmp_path: Path) -> None:
    facts = {fact.key: fact.value for fact in inspect(folder, device_name="cpu")}
    held, needed, on_disk = (facts[key] for key in ("heldBytes", "memoryBytes", "weightBytes"))
    assert isinstance(held, int) and isinstance(needed, int) and isinstance(on_disk, int)
    file = tmp_path / "a.py"
    file.write_text("def f(x):\n    return x\n")
    for start in ("first, repacking", "second, from the cache"):
        answer, peak, torch_alone = complete(folder, file, tmp_path)
        assert answer["generatedTokens"], answer
        assert held < peak < needed + max(0, torch_alone - PROCESS), start
        assert needed < 1.3 * on_disk + 300e6, start
    for packed in tmp_path.rglob("*.safetensors"):
        packed.unlink()
