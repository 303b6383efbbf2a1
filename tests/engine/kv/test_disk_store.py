"""KV states on disk: what is written, what of it is used again, and what never is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kv.saving import IDS, NOW, SHAPE, URI, everything, files, state, states
from starfill.engine.kv.disk_store import ABANDONED, AGE, PARTIAL, DiskStore, clear, entries
from starfill.engine.kv.kv_cache import KVShape


def test_what_is_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    written = state(URI, IDS)
    states(tmp_path).save([written])
    slot = states(tmp_path).load([*IDS, 1, 2], 0, SHAPE)
    assert slot is not None and slot.ids == IDS and slot.cache.length == 50
    assert all(torch.equal(a, b) for a, b in zip(slot.cache.layers(), written.layers, strict=True))


def test_it_is_private(tmp_path: Path) -> None:
    root = tmp_path / "states"
    states(root).save([state(URI, IDS)])
    for path in (root, *root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_only_what_begins_alike_is_found(tmp_path: Path) -> None:
    states(tmp_path).save([state(URI, IDS), state("file:///b.py", [*IDS[:20], *range(60, 100)])])
    saved = states(tmp_path)
    assert saved.load([7, *IDS], 0, SHAPE) is None
    assert saved.load(IDS, 50, SHAPE) is None
    slot = saved.load([*IDS[:40], 99], 39, SHAPE)
    assert slot is not None and slot.ids == IDS
    assert saved.load(IDS, 20, SHAPE) is None  # it was handed out; the other one shares 20
    assert saved.load(IDS, 19, SHAPE) is not None


def test_of_another_model_nothing_is_found(tmp_path: Path) -> None:
    states(tmp_path).save([state(URI, IDS)])
    assert states(tmp_path, model="another").load(IDS, 0, SHAPE) is None
    assert len(files(tmp_path)) == 1


def test_another_shape_is_removed(tmp_path: Path) -> None:
    states(tmp_path).save([state(URI, IDS)])
    assert states(tmp_path).load(IDS, 0, KVShape(2, 2, 4, torch.float32, torch.device("cpu"))) is None
    assert not files(tmp_path)


def test_a_document_has_one_file(tmp_path: Path) -> None:
    saved = states(tmp_path)
    for length in (30, 50, 40):
        saved.save([state(URI, IDS[:length])])
    assert [len(entry.ids) for entry in entries(tmp_path)] == [40]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_removed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever happens to it, the state that comes back is the one that was written, or there is none."""
    root, written = tmp_path_factory.mktemp("states"), state(URI, IDS)
    states(root).save([written])
    (file,) = files(root)
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    file.write_bytes(content)
    os.utime(file, (NOW, NOW))
    slot = states(root).load(IDS, 0, SHAPE)
    if slot is not None:
        assert slot.ids == IDS
        assert all(torch.equal(a, b) for a, b in zip(slot.cache.layers(), written.layers, strict=True))
    elif files(root):  # as good as new, but for other words: a document of another name, say
        assert not entries(root) or entries(root)[0].ids != written.ids


def test_the_least_recently_used_go_beyond_the_limit(tmp_path: Path) -> None:
    saved = states(tmp_path)
    saved.save([state(f"file:///{number}.py", [number, *IDS]) for number in range(5)])
    size = files(tmp_path)[0].stat().st_size
    kept = states(tmp_path, limit=3 * size + 10)
    assert {entry.document for entry in entries(tmp_path)} == {f"file:///{number}.py" for number in range(3)}
    kept.save([state("file:///new.py", IDS)])
    assert {entry.document for entry in entries(tmp_path)} == {"file:///new.py", "file:///0.py", "file:///1.py"}
    states(tmp_path, limit=size - 1)
    assert not files(tmp_path)


def test_a_state_beyond_the_limit_is_not_written(tmp_path: Path) -> None:
    saved = states(tmp_path, limit=1000)
    saved.save([state(URI, IDS)])
    assert not files(tmp_path)


@pytest.mark.parametrize("age", [AGE - 10, AGE + 10])
def test_old_states_are_removed(tmp_path: Path, age: float) -> None:
    states(tmp_path).save([state(URI, IDS)])
    DiskStore(tmp_path, "model", 0, everything, lambda: NOW + age).expire()
    assert len(files(tmp_path)) == (age < AGE)


def test_use_keeps_a_state_young(tmp_path: Path) -> None:
    states(tmp_path).save([state(URI, IDS)])
    assert states(tmp_path).load(IDS, 0, SHAPE) is not None
    assert entries(tmp_path)[0].used != NOW  # the time of the file system


@pytest.mark.parametrize("age", [ABANDONED - 10, ABANDONED + 10])
def test_files_without_an_end_are_removed_once_nobody_writes_them(tmp_path: Path, age: float) -> None:
    states(tmp_path).save([state(URI, IDS)])
    partial = tmp_path / "model" / f"{PARTIAL}x"
    partial.write_bytes(b"x")
    os.utime(partial, (NOW - age, NOW - age))
    states(tmp_path)
    assert partial.exists() == (age < ABANDONED)
    assert len(entries(tmp_path)) == 1


def test_excluded_documents_are_removed(tmp_path: Path) -> None:
    states(tmp_path).save([state(URI, IDS), state("file:///secret.env", IDS)])
    states(tmp_path, model="another", keeps=lambda document: not document.endswith(".env"))
    assert [entry.document for entry in entries(tmp_path)] == [URI]


def test_clear_says_what_it_freed(tmp_path: Path) -> None:
    root = tmp_path / "states"
    assert clear(root) == 0
    states(root).save([state(URI, IDS)])
    assert clear(root) > 2 * 2 * 50 * 4 * 4
    assert not root.exists()


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "states").write_text("a file")
    states(tmp_path / "states").save([state(URI, IDS)])
