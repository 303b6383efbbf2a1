"""Fakes that end with the test, and engines that are opened over them as the server does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from remote.fake_engine import FakeEngine, Fault
from remote.opened import Opened, open_at
from starfill.app import remote_engine
from starfill.checkpoint import hub
from starfill.checkpoint.stand_in import stand_in
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.remote import candidate_streams, engine, health, http


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration and a cache of this test's own: no consent and no pulled tokenizer of the machine counts."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(hub, "cache_folder", lambda: tmp_path / "hub", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled tokenizer is read once for each family's control tokens, and not for each engine that is opened."""
    monkeypatch.setattr(remote_engine, "stand_in", lambda folder, controls: stood_in(folder, tuple(controls)))


@cache
def stood_in(folder: Path, controls: tuple[str, ...]) -> CheckpointTokenizer:
    return stand_in(folder, controls)


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeEngine]]:
    """fake(kind, ...) -> a FakeEngine that is stopped after the test."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(FakeEngine(*args, **kwargs))


@pytest.fixture
def opened() -> Iterator[Callable[..., Opened]]:
    """opened(fake, **settings) -> the engine there, closed after the test."""
    with ExitStack() as stack:

        def open(fake: FakeEngine, **settings: Any) -> Opened:
            found = open_at(fake.url, **settings)
            stack.callback(found.engine.close)
            return found

        yield open


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], AbstractContextManager[object]]:
    """with impatience(fault): time-outs are short where that is silent, so that nothing else can run into them."""

    @contextmanager
    def impatient(fault: Fault) -> Iterator[None]:
        with monkeypatch.context() as patch:
            if fault.silent:
                patch.setattr(candidate_streams, "TYPING", 0.1)
                patch.setattr(candidate_streams, "ASKING", 0.15)
                patch.setattr(engine, "WHOLE", 0.25)
                patch.setattr(http, "DESCRIBING", 0.1)
            yield

    return impatient


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that has failed is asked again at once, or nearly."""
    monkeypatch.setattr(health, "FIRST", 0.05)
