"""The promise of the KV state, on the real model and real edits: it changes how fast an answer comes, never which."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from starfill.app.backend import LocalBackend
from starfill.assist.completion.assistant import Assistant
from starfill.config.settings import Settings
from starfill.engine.local_engine import LocalEngine
from starfill.jobs import Engine, Job, ModelInfo, Ticket, never
from starfill.text.document import Document

SOURCE = Path(inspect.__file__).read_text(encoding="utf-8")[20_000:32_000]
EDITS = 40  # for each layout


class Twice:
    """Answers each job warm, and checks that another engine, which has kept nothing, gives the same tokens."""

    def __init__(self, engine: Engine, cold: Engine) -> None:
        self._engine, self._cold = engine, cold
        self.asked = self.reused = 0

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    def submit(self, job: Job) -> Ticket:
        ticket = self._engine.submit(job)
        warm = ticket.future.result(60)
        cold = self._cold.submit(replace(job, on_token=never, draft=())).future.result(60)
        self._cold.release(job.key)
        assert cold.cached_tokens == 0
        (answer,), (expected,) = warm.candidates, cold.candidates
        assert answer == expected[: len(answer)], job.ids
        self.asked += 1
        self.reused += warm.cached_tokens > 0
        return ticket

    def release(self, key: Hashable) -> None:
        self._engine.release(key)

    @property
    def cache_bytes(self) -> int:
        return self._engine.cache_bytes

    def resize(self, cache_bytes: int | None) -> None:
        self._engine.resize(cache_bytes)

    def persist(self, nbytes: int, keeps: Callable[[str], bool]) -> None:
        self._engine.persist(nbytes, keeps)

    def watch(self, on_trouble: Callable[[str | None], None]) -> None:
        self._engine.watch(on_trouble)

    def close(self) -> None:
        self._engine.close()


@pytest.fixture(scope="module")
def loaded() -> Iterator[Assistant]:
    assistant = LocalBackend().load(Settings())
    yield assistant
    assistant.close()


@pytest.fixture(scope="module")
def cold(loaded: Assistant) -> Iterator[Engine]:
    """The same model with nothing kept."""
    assert isinstance(loaded.engine, LocalEngine)
    engine = LocalEngine(loaded.engine.served.model, loaded.info, 0)
    yield engine
    engine.close()


@pytest.mark.parametrize("layout", ["anchored-psm", "psm", "spm"])
def test_random_edits(loaded: Assistant, cold: Engine, layout: str) -> None:
    twice = Twice(loaded.engine, cold)
    assistant = Assistant(twice, loaded.tokenizer, loaded.dialect, Settings(layout=layout, max_new_tokens=8))  # type: ignore[arg-type]
    rng = random.Random(layout)
    text, cursor = SOURCE, len(SOURCE) // 2

    async def session() -> None:
        nonlocal text, cursor
        for version in range(EDITS):
            text, cursor = edited(text, cursor, rng)
            document = Document.open("file:///a.py", "python", version, text)
            await assistant.complete(document, cursor)

    asyncio.run(session())
    assert twice.asked > EDITS / 2
    assert twice.reused > twice.asked / 2


def edited(text: str, cursor: int, rng: random.Random) -> tuple[str, int]:
    """What people do: type on, delete back, press Enter, jump, paste, undo somewhere else."""
    kind = rng.choices(["type", "back", "enter", "jump", "paste", "above"], [60, 12, 8, 8, 6, 6])[0]
    if kind == "back":
        length = min(cursor, rng.randrange(1, 6))
        return text[: cursor - length] + text[cursor:], cursor - length
    if kind == "jump":
        return text, rng.randrange(len(text))
    if kind == "above":
        at = rng.randrange(max(1, cursor - 3000), cursor + 1) if cursor else 0
        return text[:at] + "# noted\n" + text[at:], cursor + 8
    start = rng.randrange(len(SOURCE) - 200)
    inserted = {"type": rng.choice('aei_ =(.)"x1:'), "enter": "\n    ", "paste": SOURCE[start : start + 150]}[kind]
    return text[:cursor] + inserted + text[cursor:], cursor + len(inserted)
