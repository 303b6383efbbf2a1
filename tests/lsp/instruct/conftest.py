from collections.abc import Iterator

import pytest

from lsp.client import Client
from lsp.profiles import ANSWERS, FULL, MEDIUM, MINIMAL
from lsp.scripted import COMMAND

OWN = [
    {"title": "Say hello", "instruction": "Say hello."},
    {"title": "Note", "instruction": "Add a note.", "placement": "insert-before", "languages": ["lua"]},
    {"title": "Mend", "instruction": "Mend it.", "kind": "quickfix"},
    {"title": "Review", "instruction": "Review this.", "kind": "source", "placement": "show"},
]


def ready_client(profile: dict[str, object], **options: object) -> Client:
    settings = {"excludedGlobs": ["**/*.env"], "instructions": OWN, **options}
    client = Client.start(COMMAND, profile, settings, answers=ANSWERS)
    client.wait_for_state("ready")
    return client


@pytest.fixture(scope="session")
def full() -> Iterator[Client]:
    with ready_client(FULL) as client:
        yield client


@pytest.fixture(scope="session")
def medium() -> Iterator[Client]:
    with ready_client(MEDIUM) as client:
        yield client


@pytest.fixture(scope="session")
def minimal() -> Iterator[Client]:
    with ready_client(MINIMAL) as client:
        yield client
