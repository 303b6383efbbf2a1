"""Fakes that end with the test, and engines that are opened over them as the server does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from remote.fake_engine import FakeEngine
from remote.opened import Opened, open_at
from starfill.checkpoint import hub
from starfill.engine.remote import connection, engine


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration and a cache of this test's own: no consent and no pulled tokenizer of the machine counts."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(hub, "cache_folder", lambda: tmp_path / "hub", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


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
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As always, but time-outs are short enough for a test."""
    for name, seconds in {"TYPING": 1.0, "ASKING": 1.5, "WHOLE": 2.5}.items():
        monkeypatch.setattr(engine, name, seconds)
    monkeypatch.setattr(connection, "DESCRIBING", 1.0)
