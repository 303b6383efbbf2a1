"""A restarted engine continues where the last one stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from engine.kv.saving import PLENTY, URI, Clock, everything, files
from engine.toy import INFO, Toy, all_whole, answer, prompt
from starfill.engine.kv.disk_store import DiskStore, UnsavedState, entries
from starfill.engine.kv.disk_writer import PAUSE
from starfill.engine.local_engine import LocalEngine
from starfill.engine.scheduler import Scheduler
from starfill.jobs import Job

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
