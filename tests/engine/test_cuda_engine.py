"""On an NVIDIA GPU: jobs, as the server submits them, with little memory and with enough."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from checkpoints.random_checkpoint import Layout
from gpu.cases import CASES
from gpu.random_source import Built, build
from starfill.engine.kv.kv_cache import KVCache
from starfill.engine.local_engine import LocalEngine
from starfill.errors import EngineError
from starfill.jobs import Job, Result, Sampling

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU: make test-cuda"),
]
DEVICE = torch.device("cuda")
PLENTY = 8 * 2**30  # bytes for KV states
NEAR = 0.03  # of the logits' spread: what two ways of rounding may differ by
MakeEngine = Callable[..., LocalEngine]


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    """Two layers of a real model: 41 kB of KV state a token."""
    made = build("llama", CASES["codellama-13b"].shape.with_layers(2), Layout(4, 128, True), DEVICE, torch.float16)
    yield made
    del made
    torch.cuda.empty_cache()


@pytest.fixture
def make_engine(built: Built) -> Iterator[MakeEngine]:
    engines: list[LocalEngine] = []

    def make(cache_bytes: int = PLENTY) -> LocalEngine:
        engines.append(LocalEngine(built.model, built.info, cache_bytes))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def prompt(length: int, seed: int = 0) -> list[int]:
    return random.Random(seed).choices(range(32000), k=length)


def answer(engine: LocalEngine, job: Job) -> Result:
    return engine.submit(job).future.result(60)


@torch.inference_mode()
def check(built: Built, job: Job, result: Result) -> None:
    """Each token is the best one in the eyes of one cold pass over prompt and answer, or as good as.

    Nothing else may compute with the model meanwhile.
    """
    model = built.model
    for ids in result.candidates:
        assert ids
        cache = KVCache(model.kv_shape)
        logits = model(torch.tensor([*job.ids, *ids], device=DEVICE), cache, last=len(ids) + 1)[:-1]
        chosen = logits.gather(1, torch.tensor(ids, device=DEVICE)[:, None])[:, 0]
        assert (logits.amax(1) - chosen).max() < NEAR * logits.std()


def test_warm_answers_are_those_of_a_cold_pass(built: Built, make_engine: MakeEngine) -> None:
    """Typing, deleting and jumping in a document."""
    engine, rng, ids = make_engine(), random.Random(1), prompt(600)
    reused = 0
    for number in range(40):
        kind = rng.choice(["type", "type", "delete", "change", "jump"])
        if kind == "type":
            ids = [*ids, *prompt(rng.randrange(1, 30), seed=number)]
        elif kind == "delete":
            ids = ids[: -rng.randrange(1, 20)]
        elif kind == "change":
            ids[rng.randrange(len(ids))] = 7
        else:
            ids = [*ids[: len(ids) // 2], *prompt(60, seed=number)]
        job = Job("a", tuple(ids), 6)
        result = answer(engine, job)
        reused += result.cached_tokens > 0
        check(built, job, result)
    assert reused > 25


def test_a_seed_gives_the_same_answer_again(make_engine: MakeEngine) -> None:
    job = Job("a", prompt(300), 12, sampling=Sampling(1.0, 0.95, seed=4), candidates=4)
    first = answer(make_engine(), job)
    assert answer(make_engine(), job).candidates == first.candidates
    assert len(set(first.candidates)) > 1
    alone = answer(make_engine(), replace(job, candidates=1, sampling=replace(job.sampling, seed=6)))
    assert alone.candidates[0] == first.candidates[2]


def test_two_streams_of_documents(built: Built, make_engine: MakeEngine) -> None:
    engine = make_engine()

    def typing(seed: int) -> list[tuple[Job, Result]]:
        ids, done = prompt(800, seed), []
        for number in range(15):
            ids += prompt(2, seed + number)
            job = Job(f"document {seed}", tuple(ids), 4)
            done.append((job, answer(engine, job)))
        return done

    with ThreadPoolExecutor(2) as threads:
        streams = list(threads.map(typing, (0, 100)))
    for job, result in (pair for stream in streams for pair in stream):
        check(built, job, result)


def test_documents_leave_the_device_and_come_back(built: Built, make_engine: MakeEngine) -> None:
    state = 2000 * built.info.kv_bytes_per_token
    engine = make_engine(2 * state)
    jobs = [Job(f"document {n}", prompt(2000, seed=n), 4) for n in range(5)]
    for job in jobs:
        check(built, job, answer(engine, job))
    caches = engine.scheduler.with_cache(lambda slots: [slot.cache for slot in slots])
    parked = [cache for cache in caches if cache.parked]
    assert len(caches) == len(jobs) and len(parked) >= 2
    assert all(layer.device.type == "cpu" for cache in parked for layer in cache.storage)
    for job in jobs:
        again = answer(engine, job)
        assert again.cached_tokens == len(job.ids) - 1
        check(built, job, again)


def allow(nbytes: int) -> None:
    """No more than so many bytes besides what torch holds now."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(DEVICE).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + nbytes) / total)


def test_memory_that_runs_out_is_made_and_told(built: Built, make_engine: MakeEngine) -> None:
    engine, told = make_engine(), []
    engine.watch(told.append)
    jobs = [Job(f"document {n}", prompt(6000, seed=n), 4) for n in range(8)]  # 246 MB each, and more as it grows
    answer(engine, Job("first", prompt(20), 4))
    allow(1200 * 2**20)
    results = [(job, answer(engine, job)) for job in [*jobs, jobs[0]]]
    assert len([text for text in told if text]) == 1
    torch.cuda.set_per_process_memory_fraction(1.0)
    for job, result in results:
        check(built, job, result)


def test_a_prompt_that_never_fits_fails_alone(built: Built, make_engine: MakeEngine) -> None:
    engine = make_engine()
    small = Job("small", prompt(100), 4)
    answer(engine, small)
    allow(100 * 2**20)
    with pytest.raises(EngineError):
        answer(engine, Job("large", prompt(12000), 4))
    check(built, small, answer(engine, small))


def test_a_token_costs_one_wait(make_engine: MakeEngine) -> None:
    """As torch counts them: whatever makes the host wait for the device."""
    engine, tokens = make_engine(), 24
    job = Job("a", prompt(200), tokens, sampling=Sampling(1.0, seed=2))
    answer(engine, job)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = answer(engine, job)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [each for each in caught if "synchroniz" in str(each.message)]
    assert result.steps == tokens - 1
    assert len(waits) <= tokens + 4
