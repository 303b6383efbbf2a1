"""KV states on disk: what is written, what of it is used again, and what never is."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.toy import INFO, Toy, all_whole, answer, prompt
from starfill.engine.kv.disk_store import ABANDONED, AGE, PARTIAL, DiskStore, UnsavedState, clear, entries
from starfill.engine.kv.disk_writer import INTERVAL, PAUSE, DiskWriter
from starfill.engine.kv.kv_cache import KVCache, KVShape
from starfill.engine.kv.prefix_cache import MAX_RECOMPUTED, PrefixCache, Slot
from starfill.engine.local_engine import LocalEngine
from starfill.engine.scheduler import Scheduler
from starfill.jobs import Job

SHAPE = KVShape(2, 1, 4, torch.float32, torch.device("cpu"))
PLENTY = 1 << 30
NOW = 1_800_000_000.0
URI = "file:///a.py"


def everything(document: str) -> bool:
    return True


def state(document: str, ids: list[int]) -> UnsavedState:
    rng = torch.Generator().manual_seed(len(ids))
    return UnsavedState(document, tuple(ids), [torch.randn(2, 1, len(ids), 4, generator=rng) for _ in range(2)])


def states(root: Path, limit: int = PLENTY, model: str = "model", **more: object) -> DiskStore:
    """Opened, as a server does when it starts."""
    saved = DiskStore(root, model, limit, more.pop("keeps", everything), lambda: more.get("now", NOW))  # type: ignore[arg-type, return-value]
    saved.open()
    return saved


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


IDS = list(range(50))


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


# When states are written


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


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


# A server's life

Start = Callable[..., LocalEngine]


@pytest.fixture
def start(tmp_path: Path, clock: Clock) -> Iterator[Start]:
    engines: list[LocalEngine] = []

    def make(limit: int = PLENTY, keeps: Callable[[str], bool] = everything, model: str = "key") -> LocalEngine:
        engines.append(LocalEngine(Toy(), INFO, PLENTY, Scheduler(clock=clock), (tmp_path / "states", model)))
        engines[-1].persist(limit, keeps)
        return engines[-1]

    yield make
    for engine in engines:
        engine.scheduler.close()


def test_a_new_engine_goes_on_where_the_last_one_stopped(start: Start) -> None:
    first = start()
    before = answer(first, Job(URI, prompt(200), 5))
    first.close()
    second = start()
    after = answer(second, Job(URI, prompt(200), 5))
    assert after.candidates == before.candidates
    assert (after.cached_tokens, after.computed_tokens) == (199, 1)
    assert second.scheduler.with_cache(all_whole)
    elsewhere = answer(start(model="another"), Job(URI, prompt(200), 5))
    assert elsewhere.computed_tokens == 200


def test_a_text_that_has_changed_meanwhile_is_computed_from_there_on(start: Start) -> None:
    first = start()
    answer(first, Job(URI, prompt(200), 5))
    first.close()
    changed = [*prompt(200)[:150], *prompt(50, 1)]
    result = answer(start(), Job("file:///renamed.py", changed, 5))
    assert result.cached_tokens >= 150
    assert result.candidates == answer(start(0), Job(URI, changed, 5)).candidates


def test_without_the_setting_nothing_is_written(start: Start, tmp_path: Path) -> None:
    engine = start(0)
    answer(engine, Job(URI, prompt(200), 5))
    engine.close()
    assert not files(tmp_path)


def test_it_can_be_turned_off(start: Start, tmp_path: Path) -> None:
    engine = start()
    answer(engine, Job(URI, prompt(200), 5))
    engine.persist(0, everything)
    engine.close()
    assert not files(tmp_path)


def test_excluding_a_document_later_counts_for_its_state(start: Start, tmp_path: Path) -> None:
    engine = start()
    answer(engine, Job(URI, prompt(200), 5))
    engine.persist(PLENTY, lambda document: document != URI)
    engine.close()
    assert not files(tmp_path)


def test_idle_time_is_used(start: Start, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, saved = DiskStore.save, threading.Event()

    def save_and_tell(states: DiskStore, chosen: Sequence[UnsavedState]) -> None:
        save(states, chosen)
        saved.set()

    monkeypatch.setattr(DiskStore, "save", save_and_tell)
    engine = start()
    answer(engine, Job(URI, prompt(200), 5))
    assert not engine.scheduler.with_cache(lambda slots: saved.is_set())
    clock.now += PAUSE
    engine.scheduler.with_cache(lambda slots: None)  # it looks at the clock when it has nothing else to do
    assert saved.wait(30)
    assert [entry.document for entry in entries(tmp_path / "states")] == [URI]
    assert answer(engine, Job(URI, prompt(200), 5)).computed_tokens == 1  # it gave nothing away
