"""When KV states are written to disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.kv.saving import IDS, PLENTY, SHAPE, URI, Clock, everything
from starfill.engine.kv.disk_store import DiskStore, entries
from starfill.engine.kv.disk_writer import INTERVAL, PAUSE, DiskWriter
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.kv.prefix_cache import MAX_RECOMPUTED, PrefixCache, Slot


@pytest.fixture
def slots() -> PrefixCache:
    return PrefixCache(PLENTY)


@pytest.fixture
def saver(slots: PrefixCache, clock: Clock, tmp_path: Path) -> DiskWriter:
    saver = DiskWriter(slots, clock)
    saver.use("model", DiskStore(tmp_path, "key", PLENTY, lambda document: "secret" not in document, clock))
    return saver


def put(slots: PrefixCache, document: object, ids: list[int]) -> Slot:
    cache = KVCache(SHAPE)
    cache.reserve(len(ids))
    cache.advance(len(ids))
    slots.add(("model", document), slot := Slot(cache, ids))
    return slot


def save_all(saver: DiskWriter) -> int:
    """Let it write until it wants to wait; the number of files written."""
    written = 0
    while saver.seconds_until_due() == 0:
        saver.save_one()
        written += saver.seconds_until_due() is not None
        saver.finish(10)
    return written


def saved_documents(root: Path) -> list[str]:
    return sorted(entry.document for entry in entries(root))


def test_states_are_written_after_a_pause_and_only_changed_ones_again(
    saver: DiskWriter, slots: PrefixCache, clock: Clock, tmp_path: Path
) -> None:
    assert saver.seconds_until_due() is None
    slot = put(slots, URI, IDS)
    put(slots, "file:///b.py", IDS[1:])
    saver.touched()
    assert saver.seconds_until_due() == PAUSE
    clock.now += PAUSE
    assert save_all(saver) == 2
    assert saved_documents(tmp_path) == [URI, "file:///b.py"]
    assert saver.seconds_until_due() is None
    slot.trim(30)
    saver.touched()
    assert saver.seconds_until_due() == INTERVAL
    clock.now += INTERVAL
    assert save_all(saver) == 1
    assert [len(entry.ids) for entry in entries(tmp_path) if entry.document == URI] == [30]


def test_only_the_latest_state_of_a_document_and_of_nothing_else(
    saver: DiskWriter, slots: PrefixCache, clock: Clock, tmp_path: Path
) -> None:
    put(slots, URI, IDS)
    put(slots, URI, IDS[::-1])
    put(slots, ("instruct", URI), IDS)
    put(slots, "file:///secret.py", IDS)
    put(slots, "file:///short.py", IDS[:MAX_RECOMPUTED])
    saver.save_all("model")
    saver.finish(10)
    assert [entry.ids for entry in entries(tmp_path)] == [tuple(IDS[::-1])]


def test_closing_a_model_writes_the_latest_that_fit(slots: PrefixCache, clock: Clock, tmp_path: Path) -> None:
    saver = DiskWriter(slots, clock)
    saver.use("model", DiskStore(tmp_path, "key", 12_800, everything, clock))
    for number in range(8):
        put(slots, f"file:///{number}.py", [number, *IDS])
    saver.save_all("model")
    saver.finish(10)
    assert saved_documents(tmp_path) == [f"file:///{number}.py" for number in (5, 6, 7)]


def test_no_bytes_forget_what_is_there(saver: DiskWriter, slots: PrefixCache, clock: Clock, tmp_path: Path) -> None:
    put(slots, URI, IDS)
    saver.touched()
    clock.now += PAUSE
    assert save_all(saver) == 1
    saver.use("model", DiskStore(tmp_path, "key", 0, everything, clock))
    assert not tmp_path.exists()
    put(slots, URI, IDS)
    saver.touched()
    assert saver.seconds_until_due() is None


def test_what_goes_wrong_ends_the_saving_and_nothing_else(
    saver: DiskWriter, slots: PrefixCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> object:
        raise MemoryError

    put(slots, URI, IDS)
    monkeypatch.setattr(KVCache, "layers", broken)
    saver.touched()
    saver.save_one()
    assert "can't be saved" in caplog.text
    saver.touched()
    assert saver.seconds_until_due() is None
