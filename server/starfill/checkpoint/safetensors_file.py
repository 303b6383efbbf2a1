"""Reading safetensors files: first the header alone, then one tensor's bytes at a time, mapped.

The `safetensors` library maps a whole file, privately and for writing, whatever is read from it. Linux refuses that for
a file that is larger than the memory, though only one layer of a 35 GB file is needed at a time. Format: 8 bytes with
the header's length (little endian); the header in JSON, which has each tensor's dtype, shape and the offsets of its
bytes after the header; the tensors' bytes, little endian, row by row (github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from starfill.errors import CheckpointError

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
LONGEST_HEADER = 100_000_000  # bytes that the library accepts


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's entry in a file's header. dtype as safetensors writes it ("F16", "I32").

    start: of its bytes in the file. nbytes: their number.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    nbytes: int


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name. Raises CheckpointError if it is truncated or of another format."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            raw = json.loads(file.read(length))
        raw.pop("__metadata__", None)
        size = path.stat().st_size
        return {name: _entry(path, entry, 8 + length, size) for name, entry in raw.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({error}): download it again") from None


def _entry(path: Path, entry: Any, first: int, size: int) -> Tensor:
    dtype, shape = entry["dtype"], tuple(int(length) for length in entry["shape"])
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= size - first:
        raise ValueError(f"its header speaks of {first + end} bytes, it has {size}")
    if dtype in DTYPES and prod(shape) * DTYPES[dtype].itemsize != end - start:
        raise ValueError(f"{dtype} {list(shape)} in {end - start} bytes")
    return Tensor(path, dtype, shape, first + start, end - start)


def map_tensor(tensor: Tensor) -> torch.Tensor:
    """The tensor, mapped (not copied) as long as it is alive. Writing to it never changes the file."""
    dtype = DTYPES[tensor.dtype]
    if not tensor.nbytes:
        return torch.empty(tensor.shape, dtype=dtype)
    before = tensor.start % mmap.ALLOCATIONGRANULARITY
    with tensor.file.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), before + tensor.nbytes, access=mmap.ACCESS_COPY, offset=tensor.start - before)
    if before % dtype.itemsize:  # the format allows it, but the processor can't use it
        return torch.frombuffer(bytearray(mapped[before:]), dtype=dtype).view(tensor.shape)
    return torch.frombuffer(mapped, dtype=dtype, offset=before).view(tensor.shape)
