"""vLLM: a cancelled request stops, and a keystroke finds its prompt in the prefix cache, as its own metrics have it."""

from __future__ import annotations

import asyncio
import re
import statistics
import urllib.request
from collections.abc import Iterator
from functools import partial

import pytest

from engines import asking, serving
from engines.serving import VLLM, Engine, Models
from latency.summary import WARM
from load.process import Running
from starfill.app.backend import LocalBackend
from starfill.assist.completion.assistant import Assistant
from traces import trace

pytestmark = [pytest.mark.engines, pytest.mark.parametrize("engine", [VLLM], ids=["vllm"], indirect=True)]

FREE = 0.1  # seconds after which a cancelled request must have stopped
AGAIN = 0.9  # of the prompt of a warm keystroke: it keeps whole blocks, here of 32 tokens
PATIENCE = 60.0


@pytest.fixture
def running(engine: tuple[Engine, Running]) -> Running:
    return engine[1]


@pytest.fixture
def assistant(running: Running, models: Models) -> Iterator[Assistant]:
    opened = LocalBackend().load(serving.settings(VLLM, models, running))
    assert isinstance(opened, Assistant)
    yield opened
    opened.close()


def test_cancelling_frees_the_engine(running: Running, assistant: Assistant) -> None:
    took = asking.freed(assistant, partial(_metric, running, "num_requests_running"))
    assert statistics.median(took) < FREE


def test_a_keystroke_finds_its_prompt_in_the_prefix_cache(running: Running, assistant: Assistant) -> None:
    played = trace.mixed(trace.sources(3, 80), asks=90)

    async def type_it() -> list[float]:
        shares, before = [], _cached(running)
        async for event, done in asking.typed(played, assistant):
            after = _cached(running)
            hits, tokens = after[0] - before[0], after[1] - before[1]
            if event.kind in WARM and done.figures.source == "model":
                shares.append(hits / tokens)
            before = after
        return shares

    shares = asyncio.run(type_it())
    print(f"{len(shares)} keystrokes, {statistics.mean(shares):.1%} of the prompt cached, at least {min(shares):.1%}")
    assert len(shares) > 30
    assert statistics.median(shares) >= AGAIN


def _cached(running: Running) -> tuple[float, float]:
    """Tokens of all prompts so far: found in the cache, and looked for."""
    return _metric(running, "prefix_cache_hits_total"), _metric(running, "prefix_cache_queries_total")


def _metric(running: Running, name: str) -> float:
    with urllib.request.urlopen(f"{running.url}/metrics", timeout=10) as response:
        found = re.search(rf"^vllm:{name}{{.*}} (\S+)$", response.read().decode(), re.MULTILINE)
    assert found, name
    return float(found[1])
