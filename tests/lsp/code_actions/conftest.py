from collections.abc import Iterator

import pytest

from lsp.client import Client
from lsp.profiles import ANSWERS, FULL, MEDIUM, MINIMAL
from lsp.servers.scripted import COMMAND
from lsp.warm import WarmPython

OWN = [
    {"title": "Say hello", "instruction": "Say hello."},
    {"title": "Note", "instruction": "Add a note.", "placement": "insert-before", "languages": ["lua"]},
    {"title": "Mend", "instruction": "Mend it.", "kind": "quickfix"},
    {"title": "Review", "instruction": "Review this.", "kind": "source", "placement": "show"},
]


def ready_client(warm: WarmPython, profile: dict[str, object], **options: object) -> Client:
    settings = {"excludedGlobs": ["**/*.env"], "instructions": OWN, **options}
    client = Client.start(COMMAND, profile, settings, answers=ANSWERS, popen=warm.popen)
    client.wait_for_state("ready")
    return client


@pytest.fixture(scope="session")
def full(warm: WarmPython) -> Iterator[Client]:
    with ready_client(warm, FULL) as client:
        yield client


@pytest.fixture(scope="session")
def medium(warm: WarmPython) -> Iterator[Client]:
    with ready_client(warm, MEDIUM) as client:
        yield client


@pytest.fixture(scope="session")
def minimal(warm: WarmPython) -> Iterator[Client]:
    with ready_client(warm, MINIMAL) as client:
        yield client
