"""The engines' fixtures: each is started once for a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines import serving
from engines.serving import LLAMA, Engine, Models
from load.process import Running


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    serving.needed(serving.has("gguf")(), "gguf")
    return Models.write(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def engine(
    request: pytest.FixtureRequest, models: Models, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, Running]]:
    engine: Engine = request.param
    serving.needed(engine.here(), engine.name)
    running = serving.start(engine, models, tmp_path_factory.mktemp("engine") / "log")
    yield engine, running
    running.kill()


@pytest.fixture
def llama(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    serving.needed(LLAMA.here(), LLAMA.name)
    running = serving.start(LLAMA, models, tmp_path_factory.mktemp("llama") / "log")
    yield running
    running.kill()
