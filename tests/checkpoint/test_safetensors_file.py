"""Our reader of safetensors files against the library's writer, and against damaged files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from starfill.checkpoint.safetensors_file import DTYPES, map_tensor, read_header
from starfill.errors import CheckpointError

shapes = st.lists(st.integers(0, 5), max_size=3).map(tuple)


@settings(max_examples=60, deadline=None)
@given(tensors=st.dictionaries(st.text("abc.é", min_size=1), st.tuples(st.sampled_from(list(DTYPES)), shapes)))
def test_what_the_library_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, tuple[str, tuple[int, ...]]]
) -> None:
    written = {
        name: (torch.randn(shape) * 50).to(DTYPES[dtype]) for name, (dtype, shape) in tensors.items() if name.strip(".")
    }
    path = tmp_path_factory.mktemp("file") / "a.safetensors"
    save_file(written, path, metadata={"format": "pt"})
    header = read_header(path)
    assert set(header) == set(written)
    for name, tensor in written.items():
        read = map_tensor(header[name])
        assert (read.dtype, read.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(read, tensor)
        assert header[name].nbytes == tensor.nbytes


def file_of(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str = "F32", shape: tuple[int, ...] = (2,), offsets: tuple[int, int] = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_a_tensor_at_an_odd_place(tmp_path: Path) -> None:
    expected = torch.tensor([1.5, -2.0])
    for padding in range(8):
        header = json.dumps({"x": entry()}).encode() + b" " * padding
        path = file_of(tmp_path / f"{padding}.safetensors", header, expected.numpy().tobytes())
        assert torch.equal(map_tensor(read_header(path)["x"]), expected)


def test_writing_to_a_mapped_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.ones(5000)}, path)
    before = path.read_bytes()
    map_tensor(read_header(path)["x"]).zero_()
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="needs files with holes")
def test_a_file_larger_than_the_memory(tmp_path: Path) -> None:
    huge, small = 1 << 40, 8192
    header = {"huge": entry("U8", (huge,), (0, huge)), "x": entry("F32", (small // 4,), (huge, huge + small))}
    path = file_of(tmp_path / "a.safetensors", header)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + huge + small)
    assert map_tensor(read_header(path)["x"]).eq(0).all()


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", "Expecting value"),
        (b"[1]", ""),
        (b"{", "Expecting"),
        (b"\xff\xfe", ""),
        ({"x": 5}, ""),
        ({"x": {"dtype": "F32", "shape": [2]}}, "data_offsets"),
        ({"x": entry(offsets=(0, 80))}, "its header speaks of"),
        ({"x": entry(offsets=(8, 0))}, "its header speaks of"),
        ({"x": entry(offsets=(-8, 0))}, "its header speaks of"),
        ({"x": entry(shape=(3,))}, "F32 [3] in 8 bytes"),
        ({"x": entry(dtype="F16")}, "F16 [2] in 8 bytes"),
    ],
)
def test_a_damaged_header_is_named(tmp_path: Path, header: Any, words: str) -> None:
    path = file_of(tmp_path / "bad.safetensors", header, bytes(8))
    with pytest.raises(CheckpointError) as caught:
        read_header(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path} is truncated or no safetensors file (")
    assert words in sentence and sentence.endswith("): download it again")
    assert "\n" not in sentence


def test_a_header_of_impossible_length(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(CheckpointError, match="a header of 18446744073709551615 bytes"):
        read_header(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="truncated"):
        read_header(path)
