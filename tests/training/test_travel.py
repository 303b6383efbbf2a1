"""Packing into small pieces and back."""

import os
from pathlib import Path

import pytest

from travel import pack, unpack


@pytest.mark.parametrize("compress", [True, False])
def test_pieces_come_back_as_they_were(compress: bool, tmp_path: Path) -> None:
    folder, file = tmp_path / "model", tmp_path / "log.jsonl"
    folder.mkdir()
    (folder / "weights").write_bytes(os.urandom(5000))
    file.write_text("line\n" * 1000)
    names = pack(tmp_path / "out", [folder, file], compress, piece=1000)
    assert len(names) > 4
    assert all((tmp_path / "out" / name).stat().st_size <= 1000 for name in names)
    unpack(tmp_path / "out", tmp_path / "back")
    for path in (folder / "weights", file):
        assert (tmp_path / "back" / path.relative_to(tmp_path)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("harm", [lambda p: p.unlink(), lambda p: p.write_bytes(b"x")])
def test_a_missing_or_damaged_piece_is_named(harm, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a").write_bytes(os.urandom(3000))
    pack(tmp_path / "out", [tmp_path / "a"], compress=False, piece=1000)
    harm(tmp_path / "out" / "001")
    with pytest.raises(SystemExit, match="001 is missing or damaged"):
        unpack(tmp_path / "out", tmp_path / "back")
