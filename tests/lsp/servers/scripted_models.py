"""An assistant and an instructor that do what the document's first line says."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

from starfill.assist.completion.assistant import SUPERSEDED
from starfill.assist.completion.result import Completion, Figures
from starfill.assist.instruct.actions import Action, Placement
from starfill.assist.instruct.outcome import AnswerCost, Instruction, Outcome
from starfill.config.settings import Settings
from starfill.errors import EngineError, RequestError
from starfill.jobs import ModelInfo
from starfill.text.diff import line_edits
from starfill.text.document import Document
from starfill.text.position import Edit, Span

GATES: dict[str, asyncio.Event] = {}  # by document: opened by the command starfill.accepted


NOTES: list[str] = []  # what happened to the assistant and the instructor


GO_ON = threading.Event()  # set by the signal


BUSY = 0.1  # seconds: what the server does on its own after some time, it has done then


def last() -> None:
    """Takes long, on a thread of its own."""
    GO_ON.wait()
    GO_ON.clear()


class ScriptedAssistant:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        here = ModelInfo(Path(settings.model).name, "gpt_bigcode", "cpu", "scripted", 2048, 512, 1024, 1_000_000)
        away = replace(here, name="away", architecture="vllm", device=settings.engine_url)
        self.info = away if settings.completes_remotely else here
        self.substitute = here if settings.engine_latency_budget_ms else None
        self.told: Callable[[str | None], None] = lambda trouble: None
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.cursors: dict[str, int] = {}  # after the last change of each document

    @property
    def problem(self) -> str | None:
        return "It knows no SPM." if self.settings.layout == "spm" else None

    async def complete(
        self,
        document: Document,
        offset: int,
        *,
        automatic: bool = True,
        candidates: int | None = None,
    ) -> Completion:
        uri = document.uri
        if (older := self.waiting.pop(uri, None)) and not older.done():
            older.set_result(None)
        try:
            items, reason = await self.act(document, offset, automatic)
        except asyncio.CancelledError:
            NOTES.append(f"cancelled {uri}")
            raise
        source = "model" if items else "none"
        figures = Figures(reason, "spm", 10, 7, 3, 5, prefill_ms=1.5, decode_ms=2.5, total_ms=4.5, source=source)
        figures = replace(figures, model=self.info.name, device=self.info.device)
        return Completion(uri, document.version, items, figures, superseded=reason == SUPERSEDED)

    async def act(self, document: Document, offset: int, automatic: bool) -> tuple[tuple[Edit, ...], str | None]:
        """The first word of the document says what to do; the default is to insert a number."""
        line = document.line_of(offset)
        match document.line_text(0).split(" ")[0]:
            case "#text":
                return (Edit(offset, offset, document.text),), None
            case "#offset":
                return (Edit(offset, offset, str(offset)),), None
            case "#cursor":
                return (Edit(offset, offset, str(self.cursors.get(document.uri))),), None
            case "#line":  # replaces the rest of the line
                return (Edit(offset, document.line_end(line), f"the rest, {automatic=}"),), None
            case "#lines":
                return (Edit(offset, offset, "range(10):\n        print()"),), None
            case "#quoted":  # replaces an auto-closed quote
                return (Edit(offset, offset + 1, "text'"),), None
            case "#all":
                return (Edit(0, len(document), "everything"), Edit(offset, offset, "here")), None
            case "#two":
                return (Edit(offset, offset, "one"), Edit(offset, offset, "two")), None
            case "#cpu":  # seconds of the processor so far
                return (Edit(offset, offset, str(time.process_time())),), None
            case "#notes":
                return (Edit(offset, offset, "\n".join(NOTES)),), None
            case "#settings":
                return (Edit(offset, offset, repr(self.settings)),), None
            case "#wait":
                self.waiting[document.uri] = asyncio.get_running_loop().create_future()
                await self.waiting[document.uri]
                return (), SUPERSEDED
            case "#gate":
                await GATES.setdefault(document.uri, asyncio.Event()).wait()
            case "#busy":
                await asyncio.sleep(BUSY)
                return (), "only slept"
            case "#block":  # like a model that can't be interrupted, in a thread that Python would wait for
                await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
            case "#error":
                raise RequestError("The request can't be served.")
            case "#crash":
                raise RuntimeError("boom")
            case "#print":
                print("printed by Python")
                os.write(1, b"printed below Python\n")
            case "#trouble":  # as an engine elsewhere tells it, on a thread of its own
                threading.Thread(target=self.told, args=(document.line_text(0).removeprefix("#trouble "),)).start()
            case "#recovered":
                threading.Thread(target=self.told, args=(None,)).start()
            case "#failure":
                raise EngineError("The engine can't be reached.")
            case "#nothing":
                return (), "there is nothing to say"
        return (Edit(offset, offset, "42"),), None

    def changed(self, document: Document, offset: int) -> None:
        self.cursors[document.uri] = offset

    def watch(self, on_trouble: Callable[[str | None], None]) -> None:
        self.told = on_trouble

    def accepted(self, uri: str) -> None:
        NOTES.append(f"accepted {uri}")
        GATES.setdefault(uri, asyncio.Event()).set()

    def forget(self, uri: str) -> None:
        NOTES.append(f"forgot {uri}")

    def configure(self, settings: Settings) -> None:
        NOTES.append(f"configured max_new_tokens={settings.max_new_tokens}")
        self.settings = settings

    def close(self) -> None:
        print(f"closed {self.settings.model}")


class ScriptedInstructor:
    """The first word of the document says what it does; the default is to write "new" for "old" in whole lines."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        name = "away" if settings.acts_remotely else Path(settings.instruct_model or settings.model).name
        self.info = ModelInfo(name, "gpt_bigcode", "cpu", "scripted", 2048, 512, 1024, 1_000_000)

    def refusal(self, document: Document, selection: Span, action: Action) -> str | None:
        return "too long: select less code" if selection.end - selection.start > 1000 else None

    async def instruct(self, request: Instruction, on_text: Callable[[str, int], None]) -> Outcome:
        document, action = request.document, request.action
        NOTES.append(f"asked {action.name} {action.wording(request.problem)!r} {request.selection}")
        word = document.line_text(0).split(" ")[0]
        try:
            if word == "#gate":
                on_text("Half of", 2)
                await GATES.setdefault(document.uri, asyncio.Event()).wait()
            elif word == "#endless":
                for number in count(1):
                    on_text("word " * number, number)
                    await asyncio.sleep(0.01)
            elif word == "#refuse":
                raise RequestError("The answer was cut off by the token limit.")
            elif word == "#crash":
                raise RuntimeError("boom")
        except asyncio.CancelledError:
            NOTES.append(f"stopped {action.name}")
            raise
        first = document.line_of(request.selection.start)
        last = document.line_of(max(request.selection.start, request.selection.end - 1))
        span = Span(document.line_start(first), document.line_end(last))
        text, edits = self.answer(request, span)
        for number, _ in enumerate(words := text.split(" "), 1):
            on_text(" ".join(words[:number]), number)
            await asyncio.sleep(0)
        warning = "does not parse" if word == "#broken" else None
        return Outcome(request, span, text, edits, warning, AnswerCost(9, 5, 4, 7, 7, 1, 1.0, 1.0, 2.0))

    def answer(self, request: Instruction, span: Span) -> tuple[str, tuple[Edit, ...]]:
        old = request.document.slice(span.start, span.end)
        match request.action.placement:
            case Placement.SHOW:
                return f"It adds **two** numbers: {request.action.instruction}", ()
            case Placement.TESTS:
                return "def test_it():\n    assert True\n", ()
            case Placement.BEFORE:
                return "before\n", (Edit(span.start, span.start, "before\n"),)
            case Placement.AFTER:
                return "\nafter", (Edit(span.end, span.end, "\nafter"),)
        new = old.replace("old", "new")
        return new, line_edits(old, new, span.start)

    def configure(self, settings: Settings) -> None:
        NOTES.append(f"instructor configured {settings.max_new_tokens}")

    def forget(self, uri: str) -> None:
        NOTES.append(f"instructor forgot {uri}")

    def close(self) -> None:
        print(f"closed instructor {self.info.name}")
