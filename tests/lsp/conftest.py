from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from lsp.client import Client
from lsp.servers.scripted import COMMAND, IMPORTS
from lsp.warm import WarmPython

REAL = ("starfill.app.backend", "starfill.cli.main", "starfill.lsp.transport", "torch", "transformers", "tokenizers")
"""What the real server imports until its model is ready."""


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmPython]:
    """Starts scripted servers."""
    with WarmPython(*IMPORTS) as warm:
        yield warm


@pytest.fixture(scope="session")
def warm_with_torch() -> Iterator[WarmPython]:
    """Starts real servers."""
    with WarmPython(*REAL) as warm:
        yield warm


@pytest.fixture
def start(warm: WarmPython) -> Iterator[Callable[..., Client]]:
    """Start a scripted server: as `Client.start`, without the command."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(Client.start(COMMAND, *args, popen=warm.popen, **kwargs))


@pytest.fixture(scope="module")
def ready(warm: WarmPython) -> Iterator[Client]:
    """A scripted server for a whole module, with its model loaded."""
    with Client.start(COMMAND, popen=warm.popen) as client:
        client.wait_for_state("ready")
        yield client
