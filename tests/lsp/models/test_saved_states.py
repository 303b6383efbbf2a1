"""State that survives the server: the real process with the bundled model, started again and again."""

from __future__ import annotations

import inspect
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lsp.client import Client
from lsp.params import replace
from lsp.warm import WarmPython
from starfill.cli.main import main

STARFILL = [sys.executable, "-m", "starfill", "serve", "--stdio"]
URI, OTHER, SECRET = (f"file:///work/{name}.py" for name in ("saved", "other", "secret"))
LINES = inspect.getsource(inspect).split("\n")[300:400]
TEXT = "\n".join(LINES)
LINE = 50
LIMIT = 100_000_000

Start = Callable[..., Client]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def start(warm_with_torch: WarmPython) -> Iterator[Start]:
    with ExitStack() as stack:

        def ready(**options: Any) -> Client:
            options = {"savedStateBytes": LIMIT, **options}
            client = stack.enter_context(Client.start(STARFILL, options=options, popen=warm_with_torch.popen))
            client.wait_for_state("ready", 60)
            return client

        yield ready


def complete(client: Client, uri: str = URI, text: str = TEXT) -> dict[str, Any]:
    """The figures of a completion at the end of a line in the middle, and the items."""
    client.open(uri, text)
    items = client.inline(uri, LINE, len(text.split("\n")[LINE]))
    return client.last(uri) | {"texts": [item["insertText"] for item in items]}


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def states(*arguments: str) -> str:
    """What `starfill models states` prints."""
    return CliRunner().invoke(main, ["models", "states", *arguments], catch_exceptions=False).output


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the folder of the test isn't the user's")
def test_the_first_request_after_a_restart_computes_few_tokens(start: Start, home: Path) -> None:
    first = start()
    complete(first)
    end = len(LINES[LINE])
    first.change(URI, replace((LINE, end), (LINE, end), "#"))
    first.inline(URI, LINE, end + 1)
    first.change(URI, replace((LINE, end), (LINE, end + 1), ""))
    assert first.shutdown() == 0
    (file,) = files(home)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == stat.S_IMODE(file.parent.parent.stat().st_mode) == 0o700
    assert URI in states()

    second = start()
    warm = complete(second)
    assert warm["source"] == "model" and warm["promptTokens"] > 300
    assert warm["computedTokens"] <= 16
    second.close(URI)
    cold = complete(second)
    assert cold["computedTokens"] == cold["promptTokens"] == warm["promptTokens"]
    assert cold["texts"] == warm["texts"]
    assert second.shutdown() == 0

    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    third = start()
    damaged = complete(third)
    assert damaged["computedTokens"] == damaged["promptTokens"]
    assert not file.exists()
    assert third.shutdown() == 0
    assert file.exists()
    assert "freed" in states("--clear")
    assert not files(home) and "0.0 MB" in states()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the folder of the test isn't the user's")
def test_excluded_files_are_never_saved(start: Start, home: Path) -> None:
    client = start(excludedGlobs=["secret*"])
    assert complete(client, SECRET)["source"] == "none"
    complete(client, URI)
    complete(client, OTHER, TEXT[1000:])
    settings = {"starfill": {"savedStateBytes": LIMIT, "excludedGlobs": ["saved.py", "secret*"]}}
    client.notify("workspace/didChangeConfiguration", {"settings": settings})
    client.inline(OTHER, 3, 0)
    assert client.shutdown() == 0
    (file,) = files(home)
    assert OTHER.encode() in file.read_bytes()


def test_the_process_ends_soon_while_generating(start: Start) -> None:
    client = start(maxNewTokens=256, multiLine="always")
    client.open(URI, TEXT)
    client.ask_inline(URI, 0, 0)
    client.wait_for_state("busy")
    assert client.process is not None
    client.process.stdin.close()
    client.exit_code()
