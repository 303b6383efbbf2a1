"""gptqmodel (7.6.0), auto-gptq's maintained successor, run in a process of its own: see gptqmodel_worker.py.

It quantizes the whole model. Our loop then takes each linear from its result, so that every backend writes the same
files, and its error is measured in the same way.
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
from starfill.quantize.layerwise import OnStep, QuantizeStep
from starfill.quantize.skeleton import Skeleton
from starfill.quantize.solver import MakeSolver
from starfill.quantize.spec import Spec

PACKAGE = Path(__file__).parents[2]  # the folder from which starfill is imported
# a line of its progress bar, which counts from 0
WORKING_ON = re.compile(r"Quantizing (\S+) in layer\s+\[(\d+) of (\d+)\]")


def solver(
    config: CheckpointConfig,
    spec: Spec,
    ids: Sequence[Sequence[int]],
    skeleton: Skeleton,
    folder: Path,
    report: OnStep,
) -> MakeSolver:
    """Run it. Its own checkpoint is in a folder inside `folder` until our loop has read it. Raises SettingsError."""
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

    def make(name: str, linear: nn.Linear, spec: Spec) -> FinishedSolver:
        left.discard(name)
        ready = FinishedSolver(weights, name, linear, spec)
        if not left:
            scratch.cleanup()
        return ready

    return make


class FinishedSolver:
    """A solver whose work is done: it returns the linear's tensors in gptqmodel's checkpoint."""

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
        """Does nothing: gptqmodel has seen the inputs."""

    def solve(self) -> Packed:
        return self._packed


def _run(job: Path, report: OnStep) -> None:
    command = [sys.executable, "-m", "starfill.quantize.gptqmodel_worker", str(job)]
    environment = os.environ | {
        "GPTQMODEL_CPU_WORKERS": "2",  # with one for each core it waits for itself
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PACKAGE), os.environ.get("PYTHONPATH", "")))),
    }
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=job.parent
    ) as process:  # it writes logs into its working directory
        assert process.stdout is not None
        last: deque[str] = deque(maxlen=12)
        try:
            for line in _lines(process.stdout):
                last.append(line)
                if found := WORKING_ON.search(line):
                    layer, layers = int(found[2]), int(found[3]) + 1
                    report(QuantizeStep(layer + 1, layers, found[1], layer / layers, "gptqmodel:"))
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        told = next((line for line in reversed(last) if "Error" in line), last[-1] if last else "no output")
        raise SettingsError(f"gptqmodel could not quantize this model with these settings; it said: {told}")


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """What it writes, split also where its progress bar starts over."""
    for raw in stream:
        yield from filter(None, (part.strip() for part in re.split("[\r\n]", raw.decode("utf-8", "replace"))))
