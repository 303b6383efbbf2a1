"""Steps as graphs, with a capture that keeps the work instead: which is replayed, on what, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from cuda_models import BIGCODE, LLAMA, random_cache, random_model, same, some_ids
from starfill.engine.kv.kv_cache import BLOCK, KVCache, KVShape
from starfill.engine.models.cuda_graphs import HEIGHTS, Graphs
from starfill.engine.models.cuda_steps import Table
from starfill.engine.models.decoder import Decoder

KV = KVShape(2, 1, 16, torch.float16, torch.device("cpu"))
VOCABULARY = 5
SMALL = LLAMA | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1}


class Recorder:
    """A step that notes its tables and answers each row's id and position; a capture of it that notes its replays."""

    def __init__(self) -> None:
        self.tables: list[list[list[int]]] = []
        self.reaches: list[int] = []
        self.captured = 0

    def step(self, table: Table, logits: torch.Tensor) -> None:
        self.tables.append(table.numbers.tolist())
        self.reaches.append(table.furthest)
        logits[:] = torch.arange(VOCABULARY) + table.ids[:, None] * 1000 + table.positions[:, None] * 10

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1
        return work


def answer(id: int, position: int) -> torch.Tensor:
    return torch.arange(VOCABULARY) + id * 1000.0 + position * 10


def cache_of(length: int) -> KVCache:
    cache = KVCache(KV)
    cache.reserve(length + 16)
    cache.advance(length)
    return cache


def test_the_numbers_of_a_sequence_and_of_padding() -> None:
    seen = Recorder()
    graphs = Graphs(KV, VOCABULARY, 9000, seen.capture)
    cache = cache_of(300)
    logits = graphs(seen.step, torch.tensor([7, 8, 9]), [cache], last=2)
    ids, positions, capacities, *addresses = seen.tables[-1]
    dump = addresses[0][-1]
    assert dump not in cache.addresses()
    assert ids == [7, 8, 9, 0]
    assert positions == [300, 301, 302, 0]
    assert capacities == [cache.capacity] * 3 + [BLOCK]
    assert addresses == [[address] * 3 + [dump] for address in cache.addresses()]
    assert torch.equal(logits, torch.stack([answer(8, 301), answer(9, 302)]))
    before, *_ = seen.tables  # what ran before the capture touched no document
    assert before == [[0] * 4, [0] * 4, [BLOCK] * 4, [dump] * 4, [dump] * 4]


def test_the_numbers_of_several_sequences() -> None:
    seen = Recorder()
    graphs = Graphs(KV, VOCABULARY, 9000, seen.capture)
    caches = [cache_of(length) for length in (1500, 3)]
    logits = graphs(seen.step, torch.tensor([7, 8]), caches, last=2)
    _, positions, capacities, *addresses = seen.tables[-1]
    assert positions == [1500, 3]
    assert capacities == [cache.capacity for cache in caches]
    assert addresses == [list(pair) for pair in zip(*(cache.addresses() for cache in caches), strict=True)]
    assert torch.equal(logits, torch.stack([answer(7, 1500), answer(8, 3)]))


@pytest.mark.parametrize(
    ("rows", "length", "height", "reach"),
    [
        (1, 0, 1, 1024),
        (1, 1023, 1, 1024),
        (1, 1024, 1, 4096),
        (3, 1022, 4, 4096),
        (16, 8984, 16, 9000),
        (9, 5000, 16, 9000),
    ],
)
def test_which_graph_a_step_takes(rows: int, length: int, height: int, reach: int) -> None:
    seen = Recorder()
    Graphs(KV, VOCABULARY, 9000, seen.capture)(seen.step, some_ids(rows), [cache_of(length)], last=1)
    assert len(seen.tables[-1][0]) == height
    assert seen.reaches[-1] == reach


def test_a_short_context_has_one_reach() -> None:
    seen = Recorder()
    Graphs(KV, VOCABULARY, 512, seen.capture)(seen.step, some_ids(1), [cache_of(511)], last=1)
    assert seen.reaches[-1] == 512


def test_a_graph_is_captured_once() -> None:
    seen = Recorder()
    graphs = Graphs(KV, VOCABULARY, 9000, seen.capture)
    for length in (0, 5, 900):
        graphs(seen.step, some_ids(1), [cache_of(length)], last=1)
    assert seen.captured == 1
    graphs(seen.step, some_ids(1), [cache_of(1024)], last=1)
    graphs(seen.step, some_ids(2), [cache_of(0)], last=1)
    assert seen.captured == 3


def test_all_are_captured_beforehand() -> None:
    seen, told = Recorder(), []
    graphs = Graphs(KV, VOCABULARY, 9000, seen.capture)
    graphs.prepare(seen.step, lambda done, doing: told.append((done, doing)))
    assert seen.captured == len(told) == 3 * len(HEIGHTS)
    assert (seen.reaches[0], len(seen.tables[0][0])) == (9000, 16)
    assert told[3] == (1.0, "preparing the GPU, 3 of 15")
    for rows in range(1, 17):
        graphs(seen.step, some_ids(rows), [cache_of(20)], last=1)
    assert seen.captured == 15


def test_where_memory_ran_out_the_rest_is_captured_when_it_is_used() -> None:
    seen = Recorder()

    def capture(work: Callable[[], None]) -> Callable[[], None]:
        if seen.captured == 2:
            raise torch.OutOfMemoryError
        return seen.capture(work)

    graphs = Graphs(KV, VOCABULARY, 9000, capture)
    with pytest.raises(torch.OutOfMemoryError):
        graphs.prepare(seen.step, lambda *_: None)
    assert seen.captured == 2
    with pytest.raises(torch.OutOfMemoryError):
        graphs(seen.step, some_ids(1), [cache_of(0)], last=1)
    seen.captured = 5
    assert graphs(seen.step, some_ids(1), [cache_of(0)], last=1).shape == (1, VOCABULARY)


def test_logits_are_the_callers_to_keep() -> None:
    seen = Recorder()
    graphs = Graphs(KV, VOCABULARY, 9000, seen.capture)
    first = graphs(seen.step, torch.tensor([7]), [cache_of(3)], last=1)
    graphs(seen.step, torch.tensor([8]), [cache_of(4)], last=1)
    assert torch.equal(first[0], answer(7, 3))
    assert graphs(seen.step, torch.tensor([8]), [cache_of(4)], last=0).shape == (0, VOCABULARY)


def replayed(model: Decoder) -> Decoder:
    assert model.steps is not None
    seen = Recorder()
    model.steps = (model.steps[0], Graphs(model.kv_shape, model.vocab_size, model.context_length, seen.capture))
    return model


@torch.inference_mode()
@pytest.mark.parametrize("fields", [BIGCODE, SMALL], ids=lambda fields: str(fields["model_type"]))
def test_a_model_answers_the_same_to_the_bit(fields: dict[str, object]) -> None:
    eager, model = random_model(fields), replayed(random_model(fields))
    ids = some_ids(3)
    caches, others = ([random_cache(eager, length, seed=length) for length in (130, 5)] for _ in range(2))
    bystander = random_cache(eager, 200)
    untouched = bystander.fork()
    assert torch.equal(model(ids, others[0], last=3), eager(ids, caches[0], last=3))  # padded
    assert torch.equal(model(ids, others[1], last=1), eager(ids, caches[1], last=1))  # the same graph again
    assert torch.equal(model.step(ids[:2], others), eager.step(ids[:2], caches))
    assert all(map(same, caches, others))
    assert same(bystander, untouched)


def test_a_model_prepares_its_graphs() -> None:
    model = replayed(random_model(BIGCODE))
    heights: list[int] = []
    assert model.steps is not None
    model.steps = (lambda x, rotation, table, logits: heights.append(table.rows), model.steps[1])  # type: ignore[assignment]
    told: list[str] = []
    model.prepare(lambda done, doing: told.append(doing))
    assert heights == list(reversed(HEIGHTS))
    assert len(told) == len(heights)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(), RuntimeError("CUDA error: out of memory")])
def test_a_model_is_loaded_where_memory_runs_out_while_it_prepares(error: RuntimeError) -> None:
    model = random_model(BIGCODE)

    def fails(work: Callable[[], None]) -> Callable[[], None]:
        raise error

    assert model.steps is not None
    model.steps = (model.steps[0], Graphs(model.kv_shape, model.vocab_size, model.context_length, fails))
    told: list[str] = []
    model.prepare(lambda done, doing: told.append(doing))
    assert len(told) == 1
