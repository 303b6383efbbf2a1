from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from lsp.client import Client
from lsp.scripted import COMMAND


@pytest.fixture
def start() -> Iterator[Callable[..., Client]]:
    """Start a scripted server: as `Client.start`, without the command."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(Client.start(COMMAND, *args, **kwargs))


@pytest.fixture(scope="module")
def ready() -> Iterator[Client]:
    """A scripted server for a whole module, with its model loaded."""
    with Client.start(COMMAND) as client:
        client.wait_for_state("ready")
        yield client
