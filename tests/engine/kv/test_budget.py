"""What KV states may take where no setting says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from engine.toy import INFO, Toy, answer, prompt
from starfill.engine.kv import budget
from starfill.engine.kv.kv_cache import KVShape
from starfill.engine.local_engine import LocalEngine
from starfill.engine.scheduler import Scheduler
from starfill.jobs import Job
from starfill.util.machine_memory import Memory

CPU, FIRST, SECOND = torch.device("cpu"), torch.device("cuda", 0), torch.device("cuda", 1)
MIB, GIB = 1 << 20, 1 << 30
WIZARD = 40 * 2 * 40 * 128 * 2  # bytes a token of a 13B with a key head for each query head: 800 KiB
FREE = {FIRST: 12 * GIB, SECOND: 4 * GIB}


def shape(per_token: int, device: torch.device = CPU, devices: tuple[torch.device, ...] = ()) -> KVShape:
    made = KVShape(1, 1, per_token // 4, torch.float16, device, devices)
    assert made.bytes_per_token == per_token
    return made


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 GiB are free, and two GPUs there."""
    monkeypatch.setattr(budget, "system_memory", lambda: Memory(64 * GIB, 16 * GIB))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (FREE[device], 80 * GIB))


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([shape(1024)], 512 * MIB),  # a small model needs less, but what was usual stays
        ([shape(20 * 1024)], 640 * MIB),  # eight documents of 4096 tokens
        ([shape(20 * 1024), shape(20 * 1024)], 1280 * MIB),
        ([shape(WIZARD)], 4 * GIB),  # would be 25: a quarter of what is free
        ([shape(WIZARD, SECOND)], 2 * GIB),
        ([shape(WIZARD, FIRST, (FIRST, SECOND))], 8 * GIB),
        ([shape(20 * 1024, FIRST)], 640 * MIB),
        ([], 512 * MIB),
    ],
)
def test_what_suits_models_and_machine(shapes: list[KVShape], expected: int) -> None:
    assert budget.automatic(shapes) == expected


def test_where_nothing_is_free_some_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "system_memory", lambda: Memory(GIB, 100 * MIB))
    assert budget.automatic([shape(WIZARD)]) == 512 * MIB


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    scheduler.close()


def test_each_model_that_is_loaded_counts(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "LEAST", 0)
    first = LocalEngine(Toy(), INFO, None, scheduler)
    one = 8 * 4096 * first.served.model.kv_shape.bytes_per_token
    assert first.cache_bytes == one
    second = LocalEngine(Toy(1), INFO, None, scheduler)
    assert (first.cache_bytes, second.cache_bytes) == (2 * one, 2 * one)
    second.resize(1000)
    assert first.cache_bytes == 1000
    first.resize(None)
    assert second.cache_bytes == 2 * one
    second.close()
    assert first.cache_bytes == one


def test_what_was_lowered_stays_until_the_setting_changes(scheduler: Scheduler) -> None:
    """A GPU's memory ran out, and then some other setting is changed."""
    engine = LocalEngine(Toy(), INFO, None, scheduler)
    scheduler.with_cache(lambda slots: setattr(slots, "budget", 1000))
    engine.resize(None)
    assert engine.cache_bytes == 1000
    engine.resize(5000)
    assert engine.cache_bytes == 5000
    engine.resize(None)
    assert engine.cache_bytes == 512 * MIB


def test_a_document_stays_warm_without_a_setting(scheduler: Scheduler) -> None:
    engine = LocalEngine(Toy(), INFO, None, scheduler)
    for document in range(8):
        answer(engine, Job(document, prompt(200, document), 1))
    assert [answer(engine, Job(document, prompt(200, document), 1)).computed_tokens for document in range(8)] == [1] * 8
