"""Writing a checkpoint: tensors one by one into a safetensors file, in a folder that appears complete or not at all.

Format: 8 bytes little-endian header size, a JSON header of name -> dtype, shape, data_offsets, then the data
(https://huggingface.co/docs/safetensors). The library's own writer needs all tensors in memory at once.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from types import TracebackType

import torch

from starfill.errors import SettingsError

DTYPES = {torch.float16: "F16", torch.int32: "I32"}
KEPT = (  # what is copied from the source, if it is there
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template*",
    "generation_config.json", "LICENSE*", "NOTICE*", "USE_POLICY*", "README*",
)  # fmt: skip

Entry = tuple[torch.dtype, tuple[int, ...]]


class TensorFile:
    """A safetensors file whose tensors' dtypes and shapes are known beforehand. They are written in any order."""

    def __init__(self, path: Path, entries: Mapping[str, Entry]) -> None:
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        self._entries, self._offsets, end = entries, dict[str, int](), 0
        for name, (dtype, shape) in entries.items():
            self._offsets[name], start = end, end
            end += size_of((dtype, shape))
            header[name] = {"dtype": DTYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        self._data = 8 + len(text)
        self._left = set(entries)
        self._file = path.open("wb")
        self._file.write(len(text).to_bytes(8, "little") + text)

    def write(self, name: str, tensor: torch.Tensor) -> None:
        """tensor: of the announced dtype and shape, on any device."""
        assert (tensor.dtype, tuple(tensor.shape)) == self._entries[name], name
        self._left.remove(name)
        self._file.seek(self._data + self._offsets[name])
        self._file.write(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()
        assert kind is not None or not self._left, f"never written: {sorted(self._left)}"


def size_of(entry: Entry) -> int:
    """In bytes."""
    dtype, shape = entry
    return dtype.itemsize * prod(shape)


def check_destination(folder: Path) -> None:
    """Raises SettingsError if the folder can't become a new checkpoint."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise SettingsError(f"{folder} exists and is not an empty folder: name a new one, or remove it first")


def check_room(folder: Path, needed: int) -> None:
    """needed: bytes. Raises SettingsError if the folder's disk has less."""
    parent = next(place for place in folder.absolute().parents if place.exists())
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise SettingsError(
            f"{folder} needs {needed / 1e9:.1f} GB and {parent} has {free / 1e9:.1f} GB free: free some, or name a"
            " folder on another disk"
        )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the wanted one. It takes the wanted one's place if all goes well, and is removed if not."""
    check_destination(folder)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.parent / f".{folder.name}.{os.getpid()}.part"
    part.mkdir()
    try:
        yield part
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def copy_companions(source: Path, folder: Path) -> None:
    """Copy tokenizer, generation settings, licence and card; never code, weights or what is in the folder already."""
    for pattern in KEPT:
        for file in sorted(source.glob(pattern)):
            if file.is_file() and file.suffix != ".py" and not (folder / file.name).exists():
                shutil.copyfile(file, folder / file.name)
