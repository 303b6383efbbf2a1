"""The real server over an engine that fails: each request is answered, and nobody is disturbed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from lsp.client import Client
from lsp.params import replace
from remote.fake_engine import FakeEngine, Fault
from remote.opened import wait_for

COMMAND = [sys.executable, str(Path(__file__).with_name("impatient_server.py")), "--stdio"]
URI = "file:///secret/place/code.py"
TEXT = "import os\n\n\ndef add(a, b):\n    return a\n"
ANSWER = " + b  # sum"
LETTERS = cycle("bcdefghijklmnopqrstuvwxyza")
Start = Callable[..., Client]


@pytest.fixture
def serve() -> Iterator[Start]:
    """serve(fake, **settings) -> a server over it."""
    with ExitStack() as stack:

        def start(fake: FakeEngine, **settings: Any) -> Client:
            options = {"engine": {"url": fake.url}} | settings
            return stack.enter_context(Client.start(COMMAND, options=options))

        yield start


def suggestion(client: Client, uri: str = URI, line: int = 4, character: int = 12) -> list[str]:
    return [item["insertText"] for item in client.inline(uri, line, character)]


def typed(client: Client) -> None:
    """Another letter in the place of the last one, so that nothing can be shown again that was shown before."""
    client.change(URI, replace((4, 11), (4, 12), next(LETTERS)))


def quiet(client: Client) -> bool:
    return not client.all("window/showMessage") and not [
        each for each in client.requests if each["method"] == "window/showMessageRequest"
    ]


@pytest.mark.parametrize("flat", [True, False])
def test_a_suggestion(flat: bool, fake: Callable[..., FakeEngine], serve: Start) -> None:
    engine = fake("vllm", answer=lambda prompt: ANSWER)
    client = serve(engine, **({"engine": None, "engine.url": engine.url} if flat else {}))
    status = client.wait_for_state("ready")
    assert (status["model"], status["device"]) == (engine.model, engine.url)
    client.open(URI, TEXT)
    assert suggestion(client) == [ANSWER]
    figures = client.last(URI)
    assert (figures["source"], figures["reason"]) == ("model", None)
    assert (figures["promptTokens"], figures["cachedTokens"]) == (7, 3)
    assert "secret" not in json.dumps([asked.headers for asked in engine.asked])
    assert quiet(client)


FAULTS = {
    "refused": (Fault(404, body='{"message": "no such model"}'), "no such model"),
    "unauthorized": (Fault(401), "wants another key (401)"),
    "elsewhere": (Fault(302, headers={"Location": "/x"}), "sends elsewhere (302)"),
    "busy": (Fault(429, body='{"detail": "slowly"}', headers={"Retry-After": "1"}), "is busy (429): slowly"),
    "failed": (Fault(500, body="oh"), "(500): oh"),
    "starting": (Fault(503, body="soon"), "is busy (503): soon"),
    "a page": (Fault(body="<html>", content_type="text/html"), "what is no stream"),
    "garbage": (Fault(event="garbage", after=1), "what is no completion"),
    "types": (Fault(event='{"choices": [{"text": 5}]}', after=1), "what is no completion"),
    "error": (Fault(event='{"error": {"message": "CUDA"}}', after=1), "has failed: CUDA"),
    "cut": (Fault(cut=True), "has broken off"),
    "cut later": (Fault(cut=True, after=2), "has broken off"),
    "silent": (Fault(silent=True), "takes too long"),
    "silent later": (Fault(silent=True, after=2), "takes too long"),
    "pings": (Fault(silent=True, pings=True), "takes too long"),
    "huge": (Fault(event='{"x": "' + "y" * (2 << 20) + '"}'), "answers with what is no"),
}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[FakeEngine, Client]]:
    with (
        FakeEngine("vllm", answer=lambda prompt: ANSWER) as engine,
        Client.start(COMMAND, options={"engine": {"url": engine.url}}) as client,
    ):
        client.wait_for_state("ready")
        client.open(URI, TEXT)
        yield engine, client


@pytest.mark.parametrize("fails", FAULTS)
def test_typing_while_the_engine_fails(fails: str, running: tuple[FakeEngine, Client]) -> None:
    fault, sentence = FAULTS[fails]
    engine, client = running
    engine.always = fault
    for _ in range(4):
        typed(client)
        assert suggestion(client) == []
        figures = client.last(URI)
        assert sentence in figures["reason"]
        assert engine.url in figures["reason"]
    engine.always = None
    client.wait_for_state("ready")

    def works() -> bool:
        typed(client)
        return suggestion(client) == [ANSWER]

    wait_for(works)
    client.wait_for_state("ready")
    assert quiet(client)


def test_an_engine_without_end_is_left(running: tuple[FakeEngine, Client]) -> None:
    engine, client = running
    engine.faults.append(Fault(endless=True))
    typed(client)
    suggestion(client)
    wait_for(lambda: engine.streams == 0)
    assert quiet(client)


def test_the_status_tells_that_it_is_gone_and_back(fake: Callable[..., FakeEngine], serve: Start) -> None:
    engine = fake("vllm", answer=lambda prompt: ANSWER)
    client = serve(engine)
    client.wait_for_state("ready")
    client.open(URI, TEXT)
    assert suggestion(client) == [ANSWER]
    engine.stop()
    typed(client)
    asked = [client.ask_inline(URI, 4, 12) for _ in range(5)]
    assert [client.answer(each)["items"] for each in asked] == [[]] * 5
    status = client.wait_for_state("error")
    assert "can't be reached" in status["message"] or "broken off" in status["message"]
    sent = len(engine.asked)
    engine.start()
    client.wait_for_state("ready")
    assert len(engine.asked) == sent  # nobody has typed
    assert suggestion(client) == [ANSWER]
    assert quiet(client)


def test_an_engine_that_is_started_after_the_editor(fake: Callable[..., FakeEngine], serve: Start) -> None:
    engine = fake("vllm", answer=lambda prompt: ANSWER)
    engine.stop()
    client = serve(engine)
    assert "can't be reached" in client.wait_for_state("error")["message"]
    client.open(URI, TEXT)
    assert suggestion(client) == []
    assert engine.url in client.last(URI)["reason"]
    shown = len(client.all("window/showMessage"))
    assert shown <= 1
    engine.start()
    client.wait_for_state("ready")
    assert suggestion(client) == [ANSWER]
    assert len(client.all("window/showMessage")) == shown


def test_killed_in_the_middle_of_an_answer(fake: Callable[..., FakeEngine], serve: Start) -> None:
    engine = fake("vllm", answer=lambda prompt: ANSWER, pace=0.1)
    client = serve(engine)
    client.wait_for_state("ready")
    client.open(URI, TEXT)
    asked = client.ask_inline(URI, 4, 12)
    wait_for(lambda: engine.streams == 1)
    engine.stop()
    assert client.answer(asked)["items"] == []
    client.wait_for_state("error")
    engine.start()
    client.wait_for_state("ready")
    engine.debounce = 0
    assert suggestion(client) == [ANSWER]
    assert quiet(client)


def test_a_newer_request_and_a_cancel_free_the_engine(fake: Callable[..., FakeEngine], serve: Start) -> None:
    engine = fake("vllm", answer=lambda prompt: "word " * 99, pace=0.05)
    client = serve(engine, multiLine="always")
    client.wait_for_state("ready")
    client.open(URI, TEXT)
    asked = []
    for number in range(3):
        typed(client)
        asked.append(client.ask_inline(URI, 4, 12))
        wait_for(lambda number=number: len(engine.asked) > number)  # type: ignore[misc]
    client.notify("$/cancelRequest", {"id": asked[-1]})
    for each in asked[:-1]:
        assert client.answer(each)["items"] == []
    wait_for(lambda: engine.streams == 0)
    assert engine.given_up == 3
    assert quiet(client)


@pytest.mark.parametrize(
    ("settings", "uri", "language"),
    [
        ({"excludedGlobs": ["secret"]}, URI, "python"),
        ({"excludedGlobs": ["**/*.env"]}, "file:///a/b/.env", "dotenv"),
        ({"enabledLanguages": ["go"]}, URI, "python"),
        ({"disabledLanguages": ["python"]}, URI, "python"),
        ({"enabled": False}, URI, "python"),
    ],
)
def test_nothing_is_sent_of_what_is_excluded(
    settings: dict[str, Any], uri: str, language: str, fake: Callable[..., FakeEngine], serve: Start
) -> None:
    engine = fake("vllm", answer=lambda prompt: ANSWER)
    client = serve(engine, **settings)
    client.wait_for_state("paused" if "enabled" in settings else "ready")
    client.open(uri, TEXT, language)
    for number in range(3):
        client.change(uri, replace((4, 12), (4, 12), str(number)))
        assert suggestion(client, uri) == []
    assert client.last(uri)["reason"]
    client.close(uri)
    assert client.shutdown() == 0
    assert engine.asked == []


def test_nothing_is_sent_before_something_is_asked(fake: Callable[..., FakeEngine], serve: Start) -> None:
    engine = fake("vllm", answer=lambda prompt: ANSWER)
    client = serve(engine)
    client.wait_for_state("ready")
    client.open(URI, TEXT)
    assert suggestion(client) == [ANSWER]
    sent = len(engine.asked)
    for _ in range(3):
        typed(client)  # what the local engine would compute ahead
        client.request("starfill/lastCompletion", {"uri": URI})
    time.sleep(0.2)  # longer than the pause after which something would be prepared
    assert len(engine.asked) == sent


def test_neither_torch_nor_transformers_is_imported(fake: Callable[..., FakeEngine]) -> None:
    engine = fake("vllm", answer=lambda prompt: ANSWER)
    code = """
import asyncio, sys
from starfill.app.backend import LocalBackend
from starfill.config.settings import Settings
from starfill.text.document import Document
import starfill.lsp.server, starfill.cli.main
assistant = LocalBackend().load(Settings(engine_url=sys.argv[1]))
document = Document.open("file:///a.py", "python", 1, "x = ")
print(len(asyncio.run(assistant.complete(document, 4)).items))
assistant.close()
print(*sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code, engine.url], capture_output=True, text=True, check=True)
    count, *modules = run.stdout.split()
    assert count == "1"
    assert "httpx2" in modules
    assert not {"torch", "transformers", "huggingface_hub.file_download"} & set(modules)
