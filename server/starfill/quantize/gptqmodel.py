"""gptqmodel (7.6.0), auto-gptq's maintained successor, as a process of its own: see gptqmodel_worker.py.

It quantizes the whole model; our loop then takes each linear from its result, so that what is written, and how the
error is measured, is the same for every backend.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import torch
from torch import nn

from starfill.checkpoint.config import CheckpointConfig, read_config
from starfill.checkpoint.weights import Weights
from starfill.engine.linear.reference import Packed
from starfill.errors import SettingsError
from starfill.quantize.layerwise import OnStep, Step
from starfill.quantize.skeleton import Skeleton
from starfill.quantize.solver import MakeSolver
from starfill.quantize.spec import Spec

PACKAGE = Path(__file__).parents[2]  # the folder that starfill is imported from
WORKING_ON = re.compile(r"Quantizing (\S+) in layer\s+\[(\d+) of (\d+)\]")  # in its progress bar; counts from 0


def solver(
    config: CheckpointConfig,
    spec: Spec,
    ids: Sequence[Sequence[int]],
    skeleton: Skeleton,
    folder: Path,
    report: OnStep,
) -> MakeSolver:
    """Runs it, with its own checkpoint in a folder inside `folder` until our loop has read it. Raises SettingsError."""
    scratch = TemporaryDirectory(dir=folder, prefix=".gptqmodel")
    place = Path(scratch.name).absolute()
    job = {
        "source": str(config.folder.absolute()),
        "destination": str(place / "model"),
        "bits": spec.bits,
        "group_size": spec.group_size,
        "desc_act": spec.desc_act,
        "sym": spec.sym,
        "damp": spec.damp,
        "checkpoint_format": spec.checkpoint_format,
        "device": skeleton.device.type,
        "ids": [list(sequence) for sequence in ids],
    }
    (place / "job.json").write_text(json.dumps(job), encoding="utf-8")
    _run(place / "job.json", report)
    weights = Weights.open(read_config(place / "model"))
    left = set(skeleton.linears)

    def make(name: str, linear: nn.Linear, spec: Spec) -> Ready:
        left.discard(name)
        ready = Ready(weights, name, linear, spec)
        if not left:
            scratch.cleanup()
        return ready

    return make


class Ready:
    """A solver whose work is done: the linear's tensors in gptqmodel's checkpoint."""

    def __init__(self, weights: Weights, name: str, linear: nn.Linear, spec: Spec) -> None:
        rows, columns, bits = linear.in_features, linear.out_features, spec.bits
        groups = spec.groups(rows)
        self._packed = Packed(
            qweight=weights.get(f"{name}.qweight", (rows * bits // 32, columns), ("I32",)).clone(),
            qzeros=weights.get(f"{name}.qzeros", (groups, columns * bits // 32), ("I32",)).clone(),
            scales=weights.get(f"{name}.scales", (groups, columns)).half(),
            g_idx=weights.get(f"{name}.g_idx", (rows,), ("I32",)).clone(),
            bias=None,
            bits=bits,
            zero_offset=1 if spec.checkpoint_format == "gptq" else 0,
        )

    def see(self, inputs: torch.Tensor) -> None:
        """It has seen them."""

    def solve(self) -> Packed:
        return self._packed


def _run(job: Path, report: OnStep) -> None:
    command = [sys.executable, "-m", "starfill.quantize.gptqmodel_worker", str(job)]
    environment = os.environ | {
        "GPTQMODEL_CPU_WORKERS": "2",  # with one for each core it waits on itself
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PACKAGE), os.environ.get("PYTHONPATH", "")))),
    }
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=job.parent
    ) as process:  # it writes logs where it stands
        assert process.stdout is not None
        last: deque[str] = deque(maxlen=12)
        try:
            for line in _lines(process.stdout):
                last.append(line)
                if found := WORKING_ON.search(line):
                    layer, layers = int(found[2]), int(found[3]) + 1
                    report(Step(layer + 1, layers, found[1], layer / layers, "gptqmodel:"))
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        told = next((line for line in reversed(last) if "Error" in line), last[-1] if last else "no output")
        raise SettingsError(f"gptqmodel could not quantize this model with these settings; it said: {told}")


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """What it writes, split where its progress bar starts over too."""
    for raw in stream:
        yield from filter(None, (part.strip() for part in re.split("[\r\n]", raw.decode("utf-8", "replace"))))
