"""Writing safetensors files of any size: header first, then tensors at their places, or none of them (a sparse file).

The order of the tensors is that of the safetensors library (wide dtypes first, then by name), so that a file has the
same header, and the same size to the byte, as the one that the library would write.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from checkpoints.layout import Entry

DTYPES = {torch.int32: "I32", torch.float32: "F32", torch.float16: "F16"}
WIDTH = {"I32": 4, "F32": 4, "F16": 2}


def header(entries: Mapping[str, Entry], metadata: Mapping[str, str]) -> tuple[bytes, dict[str, int]]:
    """The file's first bytes (length, JSON, padding to 8 bytes) and where in the file each tensor starts."""
    raw: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    starts: dict[str, int] = {}
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: (-WIDTH[item[1].dtype], item[0])):
        starts[name], end = position, position + entry.nbytes
        raw[name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(raw, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    first = len(text).to_bytes(8, "little") + text
    return first, {name: len(first) + start for name, start in starts.items()}


def file_size(entries: Mapping[str, Entry], metadata: Mapping[str, str]) -> int:
    return len(header(entries, metadata)[0]) + sum(entry.nbytes for entry in entries.values())


def write_file(
    path: Path,
    entries: Mapping[str, Entry],
    metadata: Mapping[str, str],
    values: Iterable[Mapping[str, torch.Tensor]] = (),
) -> None:
    """Without values the file has its full size and only its header's disk blocks: enough for whoever reads headers."""
    first, starts = header(entries, metadata)
    with path.open("wb") as file:
        file.write(first)
        file.truncate(file_size(entries, metadata))
        for tensors in values:
            for name, tensor in tensors.items():
                assert Entry(DTYPES[tensor.dtype], tuple(tensor.shape)) == entries[name], name
                file.seek(starts.pop(name))
                file.write(tensor.contiguous().numpy().data)
    assert not values or not starts, f"no values for {sorted(starts)[:3]}"
