"""Which models are loaded for completions and for actions."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from engine.toy import INFO
from remote.fake_engine import FakeEngine
from starfill.app.backend import LocalBackend
from starfill.assist.completion.assistant import Assistant
from starfill.assist.completion.fallback import FallbackAssistant
from starfill.assist.instruct.actions import ACTIONS
from starfill.assist.instruct.outcome import Instruction, Outcome
from starfill.checkpoint import weights
from starfill.checkpoint.safetensors_file import Tensor
from starfill.config.settings import Settings
from starfill.engine.loading import coresidency
from starfill.errors import CheckpointError, ConsentError, EngineError, NotPulledError
from starfill.text.document import Document
from starfill.text.position import Span
from starfill.util.machine_memory import Memory

CODE = """\
def count(folder):
    names = []
    for name in os.listdir(folder):
        names.append(name)
    return len(names)
"""
DOCUMENT = Document.open("file:///a.py", "python", 0, CODE)


@pytest.fixture(scope="module")
def assistant() -> Iterator[Assistant]:
    loaded = LocalBackend().load(Settings())
    assert isinstance(loaded, Assistant)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def other(make_checkpoint: MakeCheckpoint) -> Path:
    return make_checkpoint(Layout(4, 32))


def complete(assistant: Assistant) -> int:
    completion = asyncio.run(assistant.complete(DOCUMENT, CODE.index("len"), candidates=1))
    return completion.figures.generated_tokens


def computing() -> int:
    return [thread.name for thread in threading.enumerate()].count("engine")


def explain(backend: LocalBackend, settings: Settings, beside: Assistant | None) -> Outcome:
    """Load an instructor, ask it and close it."""
    instructor = backend.load_instructor(settings, beside=beside)
    try:
        return asyncio.run(instructor.instruct(Instruction(DOCUMENT, Span(0, 0), ACTIONS["explain"])))
    finally:
        instructor.close()


def test_a_checkpoint_is_parsed_once_while_it_loads(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    read_text, header = Path.read_text, weights.read_header

    def noted(path: Path, **how: str) -> str:
        read.append(path.name)
        return read_text(path, **how)

    def noted_header(path: Path) -> dict[str, Tensor]:
        read.append(path.name)
        return header(path)

    monkeypatch.setattr(Path, "read_text", noted)
    monkeypatch.setattr(weights, "read_header", noted_header)
    backend = LocalBackend()
    backend.open(Settings(model=str(other)), beside=replace(INFO, weight_bytes=0)).close()
    headers = [file.name for file in other.glob("*.safetensors")]
    assert [read.count(name) for name in ("config.json", *headers)] == [1] * (1 + len(headers))


@pytest.mark.parametrize("model", ["", "bundled"])
def test_one_model_does_both(assistant: Assistant, model: str) -> None:
    outcome = explain(LocalBackend(), Settings(instruct_model=model), assistant)
    assert outcome.text and outcome.figures.generated_tokens > 0
    assistant.forget(DOCUMENT.uri)
    assert complete(assistant) > 0  # its engine is still open


def test_a_second_action_on_the_same_code_finds_it_computed(assistant: Assistant) -> None:
    instructor = LocalBackend().load_instructor(Settings(), beside=assistant)
    review = replace(ACTIONS["explain"], name="review", instruction="What could go wrong here?")
    for action in (ACTIONS["explain"], review):
        figures = asyncio.run(instructor.instruct(Instruction(DOCUMENT, Span(0, 0), action))).figures
    assert figures.prompt_tokens > 60
    assert 5 < figures.computed_tokens < 20, "the instruction and what ends the prompt"
    instructor.close()


def test_without_an_assistant_the_model_is_loaded_alone() -> None:
    assert explain(LocalBackend(), Settings(), None).text


def test_a_model_of_its_own_shares_the_thread_that_computes(assistant: Assistant, other: Path) -> None:
    before = computing()
    instructor = LocalBackend().load_instructor(Settings(instruct_model=str(other)), beside=assistant)
    assert instructor.info.name == other.name and assistant.info.name == "bundled"
    assert computing() == before
    instructor.close()
    assistant.forget(DOCUMENT.uri)
    assert complete(assistant) > 0


def test_a_model_that_is_not_here() -> None:
    with pytest.raises(NotPulledError, match="pull"):
        LocalBackend().load_instructor(Settings(instruct_model="someone/something"))


def test_a_second_model_has_to_fit_beside_the_first(
    assistant: Assistant, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(instruct_model=str(other))
    monkeypatch.setattr(coresidency, "system_memory", lambda: Memory(10**9, 100 * 10**6))
    monkeypatch.setattr(coresidency, "anonymous_memory", lambda: 50 * 10**6)
    with pytest.raises(CheckpointError, match="beside bundled there are") as caught:
        LocalBackend().load_instructor(settings, beside=assistant)
    assert str(other) in str(caught.value) and "instruct.model" in str(caught.value)
    LocalBackend().load_instructor(settings).close()  # nothing is loaded, so the system decides
    monkeypatch.setattr(coresidency, "anonymous_memory", lambda: 10**9)  # what the process holds, it may go on holding
    LocalBackend().load_instructor(settings, beside=assistant).close()
    with pytest.raises(CheckpointError, match="there are 100 MB"):
        LocalBackend().open(Settings(model=str(other)), beside=replace(assistant.info, weight_bytes=10**9))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
def test_anonymous_memory() -> None:
    """In a process of its own: this one's threads and allocators take and return memory when they like."""
    grown = subprocess.run([sys.executable, "-c", HOLDING], capture_output=True, text=True, check=True).stdout
    assert 0.9 < int(grown) / 50_000_000 < 1.1


HOLDING = """
from starfill.util.machine_memory import anonymous_memory
before = anonymous_memory()
held = bytearray(b"x") * 50_000_000
print(anonymous_memory() - before)
"""


def test_garbage_collections_leave_the_libraries_out(assistant: Assistant) -> None:
    """A full one would walk through all of torch, and a keystroke would wait for it."""
    frozen = gc.get_freeze_count()
    assert frozen > 10 * len(gc.get_objects())


# An engine elsewhere


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    engine = FakeEngine(model="starfill", answer=lambda prompt: "names)")
    yield engine
    engine.stop()


def both(url: str, **more: object) -> Settings:
    return replace(Settings(engine_url=url, engine_latency_budget_ms=60_000), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("use", "who"), [("all", "first"), ("completions", "second")])
def test_actions_share_what_is_there_for_them(fake: FakeEngine, use: str, who: str) -> None:
    settings = both(fake.url, engine_use=use)
    backend = LocalBackend()
    loaded = backend.load(settings)
    assert isinstance(loaded, FallbackAssistant) and loaded.remote is not None
    instructor = backend.load_instructor(settings, beside=loaded)
    shared = loaded.remote if who == "first" else loaded.local
    assert instructor.info is shared.info
    instructor.close()
    completion = asyncio.run(loaded.complete(DOCUMENT, CODE.index("len"), candidates=1))
    assert completion.figures.device == fake.url
    loaded.close()


@pytest.mark.parametrize("budget", [0, 60_000])
def test_an_engine_that_is_not_there(fake: FakeEngine, budget: int) -> None:
    """With a budget the model here suggests meanwhile."""
    fake.stop()
    settings = both(fake.url, engine_latency_budget_ms=budget)
    if not budget:
        with pytest.raises(EngineError, match="can't be reached"):
            LocalBackend().load(settings)
        return
    loaded = LocalBackend().load(settings)
    assert isinstance(loaded, FallbackAssistant) and loaded.remote is None and loaded.info.name == "bundled"
    with pytest.raises(EngineError, match="can't be reached"):
        LocalBackend().load_instructor(settings, beside=loaded)
    assert asyncio.run(loaded.complete(DOCUMENT, CODE.index("len"), candidates=1)).figures.model == "bundled"
    loaded.close()


def test_neither_is_left_open_where_one_of_them_can_not_be_had(fake: FakeEngine) -> None:
    def networks() -> int:
        return [thread.name for thread in threading.enumerate()].count("network")

    before = networks()
    with pytest.raises(NotPulledError):
        LocalBackend().load(both(fake.url, model="someone/something"))
    with pytest.raises(ConsentError):
        LocalBackend().load(both("https://engine.example.com"))
    assert networks() == before


def test_actions_alone_may_go_elsewhere(fake: FakeEngine) -> None:
    settings = Settings(engine_url=fake.url, engine_use="actions")
    loaded = LocalBackend().load(settings)
    assert loaded.info.name == "bundled" and fake.looked == []
    instructor = LocalBackend().load_instructor(settings, beside=loaded)
    assert instructor.info.device == fake.url
    instructor.close()
    assert isinstance(loaded, Assistant) and complete(loaded) > 0 and fake.asked == []
    loaded.close()
