"""The tensors of a checkpoint: found by name in one or several safetensors files, mapped into memory one at a time.

Each tensor is a map of its own, which ends with the tensor. So converting a checkpoint layer by layer never holds more
than one layer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from starfill.checkpoint import files
from starfill.checkpoint.config import CheckpointConfig, read_json
from starfill.checkpoint.safetensors_file import Tensor, map_tensor, read_header
from starfill.errors import CheckpointError

FLOATS = ("F32", "F16", "BF16")


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
            tensors.update(read_header(path))
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
        """The tensor, mapped (not copied). Raises CheckpointError if it is missing or not of that shape and dtype."""
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
        try:
            return map_tensor(entry)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"tensor {name} in {entry.file} can't be read ({error}): is the file there?"
            ) from None


def weight_files(config: CheckpointConfig) -> tuple[Path, ...]:
    """The safetensors files of a checkpoint, whichever of the usual names they have."""
    folder = config.folder
    names = {file.name for file in folder.iterdir()}
    found = files.weight_files(names, lambda name: read_json(folder / name), folder)
    shards = [name for name in found if name.endswith(files.WEIGHTS)]
    if not shards:
        raise _nothing_found(folder, names)
    missing = [name for name in shards if name not in names]
    if missing:
        raise CheckpointError(
            f"{folder / missing[0]} is missing: {len(shards) - len(missing)} of {len(shards)} shards are there,"
            " download the others"
        )
    return tuple(folder / name for name in shards)


def _nothing_found(folder: Path, names: Collection[str]) -> CheckpointError:
    pickles = sorted(name for name in names if name.endswith(files.PICKLES))
    if pickles:
        return CheckpointError(
            f"{folder / pickles[0]} is a pickle checkpoint, which can run code when it is loaded: get the safetensors"
            " version of this model, or convert it"
        )
    return CheckpointError(f"{folder} holds no .safetensors file: download the model's weights into it")
