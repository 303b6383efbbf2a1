"""From a checkpoint's folder to a quantized one: the steps of `starfill models quantize`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from starfill.checkpoint.config import CheckpointConfig, read_config
from starfill.engine.loading.loader import choose_device
from starfill.errors import CheckpointError, SettingsError
from starfill.quantize import auto_gptq, gptqmodel
from starfill.quantize.calibration import CalibrationSample, sequences
from starfill.quantize.layerwise import LayerwiseRun, LinearError, OnStep, plan
from starfill.quantize.skeleton import Skeleton, classic
from starfill.quantize.solver import MakeSolver, RoundToNearest
from starfill.quantize.spec import WEIGHTS_NAME, Spec
from starfill.quantize.writer import TensorFile, check_destination, check_room, copy_companions, new_folder, size_of

BACKENDS = {"auto-gptq": "auto_gptq", "gptqmodel": "gptqmodel"}  # our extra -> the package that it installs


@dataclass(frozen=True, slots=True)
class Request:
    """backend: "auto", "auto-gptq", "gptqmodel", or "rtn" for none. calibration: see calibration.sequences.

    copy_head: store an output head that is the embedding table a second time, as published checkpoints do; without it
    auto-gptq loads the model with a random head.
    """

    source: Path
    destination: Path
    spec: Spec = field(default_factory=Spec)
    sample: CalibrationSample = field(default_factory=CalibrationSample)
    calibration: Path | None = None
    backend: str = "auto"
    device: str = "auto"
    copy_head: bool = True


def make(request: Request, report: OnStep = lambda _: None) -> list[LinearError]:
    """Write the folder `request.destination`.

    Raises StarfillError, and leaves nothing behind, if the model, the settings or the calibration text can't be used.
    """
    check_destination(request.destination)
    config = open_source(request.source)
    backend = choose_backend(request.backend)
    spec = request.spec
    if backend == "rtn":
        spec = replace(spec, desc_act=False)  # there is no order to follow
    if backend == "gptqmodel" and not spec.sym:
        spec = replace(spec, checkpoint_format="gptq_v2")  # the only asymmetric format that it reads again
    skeleton = Skeleton(config, choose_device(request.device), request.copy_head)
    spec.check(skeleton.linears)
    entries = plan(skeleton, spec)
    check_room(request.destination, sum(map(size_of, entries.values())))
    length = min(request.sample.length, skeleton.context_length)
    ids = sequences(request.calibration, config, replace(request.sample, length=length))
    with new_folder(request.destination) as folder:
        make_solver = _solver(backend, config, spec, ids, skeleton, folder, report)
        with TensorFile(folder / f"{WEIGHTS_NAME}.safetensors", entries) as out:
            errors = LayerwiseRun(skeleton, spec, make_solver, out, report)(ids)
        _write_settings(folder, config, spec)
        copy_companions(config.folder, folder)
    return errors


def open_source(folder: Path) -> CheckpointConfig:
    """Raises CheckpointError if it is no checkpoint, or quantized already."""
    config = read_config(folder)
    if config.quantization is not None:
        raise CheckpointError(
            f"{folder} is quantized already ({config.quantization}): quantize the model that it was made of"
        )
    return config


def choose_backend(name: str) -> str:
    """The backend to use; "auto" is the one that is installed. Raises SettingsError naming the extra to install."""
    if name == "rtn":
        return name
    installed = [backend for backend, package in BACKENDS.items() if find_spec(package) is not None]
    if name == "auto" and installed:
        return installed[0]
    if name in installed:
        return name
    if name == "auto":
        raise SettingsError(
            "GPTQ needs a library that isn't installed here: pip install 'starfill[auto-gptq]' (Python 3.11, in an"
            " environment of its own) or 'starfill[gptqmodel]', or use --method rtn, which needs none"
        )
    raise SettingsError(f"--backend {name} isn't installed here: pip install 'starfill[{name}]'")


def _solver(
    backend: str,
    config: CheckpointConfig,
    spec: Spec,
    ids: Sequence[Sequence[int]],
    skeleton: Skeleton,
    folder: Path,
    report: OnStep,
) -> MakeSolver:
    if backend == "rtn":
        return RoundToNearest
    if backend == "auto-gptq":
        return auto_gptq.solver()
    return gptqmodel.solver(config, spec, ids, skeleton, folder, report)


def _write_settings(folder: Path, config: CheckpointConfig, spec: Spec) -> None:
    """Write quantize_config.json, and config.json with the same under quantization_config, where transformers looks."""
    settings = spec.settings(config.folder.absolute().name)
    raw = {key: value for key, value in classic(config.model).items() if key != "dtype"}
    raw |= {"torch_dtype": "float16", "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(raw, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "quantize_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
