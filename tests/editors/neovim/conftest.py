"""A minute of typing goes on while the other tests run. It begins only where it is waited for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from editors.neovim.typist import Typist

WAYS = {"builtin": "", "own": "inline = 'own'"}


@pytest.fixture(scope="package")
def typists(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Typist]]:
    typists: dict[str, Typist] = {}
    try:
        for name, options in WAYS.items():
            typists[name] = Typist(tmp_path_factory.mktemp("typist"), options)
        yield typists
    finally:
        for typist in typists.values():
            typist.nvim.kill()


@pytest.fixture(scope="package", autouse=True)
def _begin(request: pytest.FixtureRequest) -> None:
    if any("typists" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("typists")
