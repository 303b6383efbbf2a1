from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from checkpoints.random_checkpoint import Layout
from conftest import MakeCheckpoint
from hub.server import FakeHub

Files = dict[str, bytes]


@pytest.fixture(scope="session")
def checkpoint(make_checkpoint: MakeCheckpoint) -> Files:
    """The files of a tiny GPTQ checkpoint."""
    return {path.name: path.read_bytes() for path in make_checkpoint(Layout(4, 32)).iterdir()}


UNSET = ("HF_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
def environment(hub: FakeHub, tmp_path: Path) -> dict[str, str]:
    """For a process of its own: nothing but the hub library's variables tells it of `hub`."""
    inherited = {name: value for name, value in os.environ.items() if name not in UNSET}
    homes = {"HF_HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return inherited | homes | {"HF_ENDPOINT": hub.endpoint}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def use_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Let the library in this process use an endpoint, and a cache, home and token of this test alone."""
    from huggingface_hub import constants, file_download

    def use(endpoint: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        # Before 1.0 it was taken over by name.
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "home" / "token"))
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2**16)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
        for name in UNSET:
            monkeypatch.delenv(name, raising=False)

    return use


@pytest.fixture
def cache(hub: FakeHub, use_hub: Callable[[str], None], tmp_path: Path) -> Path:
    """The cache folder, with the library in this process using `hub`."""
    use_hub(hub.endpoint)
    return tmp_path / "home" / "hub"
