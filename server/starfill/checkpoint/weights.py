"""The tensors of a checkpoint: found by name in one or several safetensors files, mapped into memory one at a time.

`safe_open` maps a file and a tensor is a view of that map; when the tensor is dropped so is the map, so that converting
a checkpoint layer by layer never holds more than a layer of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from starfill.checkpoint.config import CheckpointConfig, read_json
from starfill.errors import CheckpointError

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.safetensors$")
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
FLOATS = ("F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's entry in a file's header; dtype as safetensors spells it ("F16", "I32")."""

    file: Path
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * BYTES.get(self.dtype, 4)


class Weights:
    """All tensors of a checkpoint by name."""

    def __init__(self, folder: Path, tensors: Mapping[str, Tensor]) -> None:
        self.folder = folder
        self.tensors = tensors

    @classmethod
    def open(cls, config: CheckpointConfig) -> Weights:
        """Reads the headers only. Raises CheckpointError for a missing, truncated or pickled file."""
        tensors: dict[str, Tensor] = {}
        for path in weight_files(config):
            tensors.update(_header(path))
        return cls(config.folder, tensors)

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(sorted({tensor.file for tensor in self.tensors.values()}))

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def entry(self, name: str) -> Tensor:
        try:
            return self.tensors[name]
        except KeyError:
            raise CheckpointError(
                f"tensor {name} is missing from {self.folder}: the checkpoint is incomplete or of another architecture,"
                " download it again"
            ) from None

    def get(self, name: str, shape: Sequence[int], dtypes: Sequence[str] = FLOATS) -> torch.Tensor:
        """The tensor, mapped (not copied). Raises CheckpointError when it is missing or not of that shape and dtype."""
        entry = self.entry(name)
        if entry.dtype not in dtypes:
            raise CheckpointError(
                f"tensor {name} in {entry.file} has dtype {entry.dtype} where {' or '.join(dtypes)} is expected:"
                " the file doesn't fit its config, download the checkpoint again"
            )
        if entry.shape != tuple(shape):
            raise CheckpointError(
                f"tensor {name} in {entry.file} has shape {list(entry.shape)} where config.json and the quantization"
                f" settings ask for {list(shape)}: the files don't fit together, download the checkpoint again"
            )
        with _opened(entry.file) as file:
            tensor: torch.Tensor = file.get_tensor(name)
        return tensor


def weight_files(config: CheckpointConfig) -> tuple[Path, ...]:
    """The safetensors files of a checkpoint, whichever of the usual names they have."""
    folder = config.folder
    indexes = sorted(folder.glob("*.safetensors.index.json"))
    if indexes:
        shards = read_json(indexes[0]).get("weight_map", {})
        if not isinstance(shards, dict) or not shards:
            raise CheckpointError(f"{indexes[0]} has no weight_map: download it again")
        return tuple(_existing(folder / str(name), indexes[0]) for name in sorted(set(shards.values())))
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise _nothing_found(folder)
    shards = [match for file in files if (match := SHARD.search(file.name))]
    if len(shards) == len(files):
        return _all_shards(files, int(shards[0][2]), folder)
    return (files[0] if len(files) == 1 else _choose(files, config),)


def _all_shards(files: list[Path], total: int, folder: Path) -> tuple[Path, ...]:
    if len(files) != total:
        raise CheckpointError(f"{folder} holds {len(files)} of {total} shards: download the missing ones")
    return tuple(files)


def _choose(files: list[Path], config: CheckpointConfig) -> Path:
    """The file that the quantization settings name, or model.safetensors."""
    named = config.quantization.weights_name if config.quantization else None
    for name in (named, "model"):
        for file in files:
            if file.stem == name:
                return file
    listed = ", ".join(file.name for file in files)
    raise CheckpointError(f"{config.folder} holds several checkpoints ({listed}): keep only one of them there")


def _existing(path: Path, index: Path) -> Path:
    if not path.exists():
        raise CheckpointError(f"{path} is missing although {index.name} lists it: download it")
    return path


def _nothing_found(folder: Path) -> CheckpointError:
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickles:
        return CheckpointError(
            f"{folder / pickles[0]} is a pickle checkpoint, which can run code when it is loaded: get the safetensors"
            " version of this model, or convert it"
        )
    return CheckpointError(f"{folder} holds no .safetensors file: download the model's weights into it")


def _header(path: Path) -> dict[str, Tensor]:
    tensors = {}
    with _opened(path) as file:
        for name in file.keys():  # noqa: SIM118 - a safe_open handle is no mapping
            part = file.get_slice(name)
            tensors[name] = Tensor(path, part.get_dtype(), tuple(part.get_shape()))
    return tensors


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({error}): download it again") from None
