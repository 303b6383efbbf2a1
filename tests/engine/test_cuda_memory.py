"""On an NVIDIA GPU: what leaves its memory, comes back, and what happens when it runs out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from engine.toy import INFO, PLENTY, Toy, alone, answer, eager, prompt
from starfill.engine.chunking import ChunkSize
from starfill.engine.kv.kv_cache import BLOCK, KVCache, KVShape
from starfill.engine.local_engine import LocalEngine
from starfill.errors import EngineError
from starfill.jobs import Job

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU: make test-cuda"),
]
DEVICE = torch.device("cuda")


def test_a_gpu_gets_its_memory_back_and_then_the_state() -> None:
    cache = KVCache(KVShape(8, 2, 64, torch.float16, DEVICE))
    cache.reserve(1000)
    for layer in range(8):
        cache.write(layer, *torch.randn(2, 2, 1000, 64, device=DEVICE))
    cache.advance(1000)
    expected = cache.layers()
    held = torch.cuda.memory_allocated()
    cache.park()
    assert torch.cuda.memory_allocated() == held - cache.nbytes
    assert all(storage.is_pinned() for storage in cache.storage) and holds(cache, expected)
    assert holds(cache.fork(300), [layer[:, :, :300] for layer in expected])
    for more in (0, 500):
        cache.reserve(more)
        assert all(storage.is_cuda for storage in cache.storage) and holds(cache, expected)
        cache.park()


def holds(cache: KVCache, expected: Sequence[torch.Tensor]) -> bool:
    return all(map(torch.equal, cache.layers(), expected))


def test_a_gpu_whose_memory_runs_out() -> None:
    """Fewer states fit than documents are open; each is 16 MiB large."""
    model = Toy()
    model.kv_shape = KVShape(64, 1, 256, torch.float32, DEVICE)
    told: list[str | None] = []
    torch.cuda.empty_cache()
    room = torch.cuda.memory_reserved() + 5 * model.kv_shape.bytes_per_token * BLOCK
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
    engine = LocalEngine(model, INFO, PLENTY, chunk_size=ChunkSize(on_device=True, learned=eager()))
    try:
        engine.watch(told.append)
        for turn in range(3):
            for document in range(12):
                job = Job(document, [*prompt(100, document), *[1] * turn], 5)
                result = answer(engine, job)
                assert result.candidates == alone(job) and (result.computed_tokens == 1 or not turn)
        assert len(told) == 1
        with pytest.raises(EngineError):
            answer(engine, Job("large", prompt(100), 8, candidates=8))
        assert answer(engine, Job("small", prompt(100), 8)).candidates == alone(Job("small", prompt(100), 8))
    finally:
        engine.close()
        torch.cuda.set_per_process_memory_fraction(1.0)
