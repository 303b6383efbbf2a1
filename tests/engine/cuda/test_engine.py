"""Jobs, as the server submits them, through the kernels of short passes: in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cuda_models import BIGCODE, LLAMA, random_model, some_ids
from starfill.engine.local_engine import LocalEngine
from starfill.engine.models.decoder import Decoder
from starfill.jobs import Job, ModelInfo, Result, Sampling

INFO = ModelInfo("random", "random", "cpu", "triton-fp16", 512, 64, 0, 0)


@pytest.fixture(params=[BIGCODE, LLAMA], ids=lambda fields: str(fields["model_type"]))
def model(request: pytest.FixtureRequest) -> Decoder:
    return random_model(request.param)


@pytest.fixture
def engine(model: Decoder) -> Iterator[LocalEngine]:
    engine = LocalEngine(model, INFO, 1 << 30)
    yield engine
    engine.close()


def answer(engine: LocalEngine, job: Job) -> Result:
    return engine.submit(job).future.result(120)


def cold(engine: LocalEngine, job: Job) -> Result:
    engine.release("cold")
    result = answer(engine, replace(job, key="cold"))
    engine.release("cold")
    return result


def test_typing_in_two_documents(engine: LocalEngine, model: Decoder) -> None:
    """Long passes, few rows behind them, deleting, and back to the other document."""
    assert model.steps is not None
    texts = {"a": some_ids(60, seed=5).tolist(), "b": some_ids(40, seed=6).tolist()}
    reused = []
    for document, deleted, typed in (("a", 0, 0), ("b", 0, 0), ("a", 0, 3), ("b", 2, 1), ("a", 0, 1)):
        ids = texts[document]
        del ids[len(ids) - deleted :]
        ids += some_ids(typed, seed=len(reused)).tolist()
        result = answer(engine, Job(document, tuple(ids), 3))
        reused.append(result.computed_tokens)
    assert reused == [60, 40, 3, 1, 1]
    final = Job("a", tuple(texts["a"]), 3)
    assert answer(engine, final).candidates == cold(engine, final).candidates


def test_candidates_are_those_that_each_would_be_alone(engine: LocalEngine) -> None:
    job = Job("a", tuple(some_ids(30).tolist()), 3, sampling=Sampling(1.0, 0.9, seed=7), candidates=3)
    together = answer(engine, job).candidates
    assert len(set(together)) > 1
    for number, candidate in enumerate(together):
        alone = replace(job, candidates=1, sampling=replace(job.sampling, seed=7 + number))
        assert answer(engine, alone).candidates == (candidate,)


def test_a_draft_changes_only_how_fast_it_comes(engine: LocalEngine) -> None:
    job = Job("a", tuple(some_ids(30).tolist()), 6)
    plain = answer(engine, job)
    drafted = answer(engine, replace(job, key="b", draft=plain.candidates[0]))
    assert drafted.candidates == plain.candidates
