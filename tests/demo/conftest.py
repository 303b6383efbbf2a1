from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.screen import Theatre


@pytest.fixture(scope="session")
def theatre() -> Iterator[Theatre]:
    theatre = Theatre()
    yield theatre
    theatre.close()
