"""What editing costs in tokens, with the bundled model: after each layout's own rules, little is computed again."""

from __future__ import annotations

import asyncio
import inspect
import textwrap
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

import pytest

from starfill.app.backend import LocalBackend
from starfill.assist.completion.assistant import Assistant
from starfill.assist.completion.result import Figures
from starfill.config.settings import Settings
from starfill.jobs import Engine, Job, ModelInfo, Priority, Ticket
from starfill.text.document import Document
from starfill.text.position import Edit

LINES = inspect.getsource(textwrap).splitlines(keepends=True)[:160]
BEFORE, AFTER = "".join(LINES[:120]), "".join(LINES[120:])
FEW = 4  # tokens: the one typed, and what healing takes back
APPENDING: tuple[str, ...] = ("anchored-psm", "spm", "prefix")


@pytest.fixture(scope="module")
def assistant() -> Iterator[Assistant]:
    assistant = LocalBackend().load(Settings())
    yield assistant
    assistant.close()


@dataclass
class Editor:
    """Asks after every edit, as an editor does; `costs` are the tokens computed, 0 where the model wasn't asked."""

    assistant: Assistant
    document: Document
    offset: int
    costs: list[int]
    figures: Figures | None = None
    shown: tuple[Edit, ...] = ()

    async def edit(self, start: int, end: int, text: str, cursor: int | None = None) -> None:
        self.document = self.document.replaced(start, end, text, self.document.version + 1)
        self.offset = start + len(text) if cursor is None else cursor
        await self.look()

    async def look(self) -> None:
        completion = await self.assistant.complete(self.document, self.offset)
        self.figures, self.shown = completion.figures, completion.items
        self.costs.append(self.figures.computed_tokens)

    async def type(self, text: str) -> None:
        for char in text:
            await self.edit(self.offset, self.offset, char)

    async def accept(self) -> None:
        (edit,) = self.shown
        self.assistant.accepted(self.document.uri)
        await self.edit(edit.start, edit.end, edit.text)


def session(assistant: Assistant, layout: str, text: str = BEFORE) -> Editor:
    assistant.configure(Settings(layout=layout))
    uri = f"file:///{layout}.py"
    assistant.forget(uri)
    return Editor(assistant, Document.open(uri, "python", 1, text + AFTER), len(text), [])


async def undo(editor: Editor, to: Document, offset: int) -> None:
    editor.document, editor.offset = to, offset
    await editor.look()


@pytest.mark.parametrize("layout", APPENDING)
def test_typing_and_undoing_it(assistant: Assistant, layout: str) -> None:
    async def script() -> None:
        editor = session(assistant, layout)
        await editor.look()
        assert editor.costs.pop() > 300
        before = editor.document, editor.offset
        await editor.type("    for zebra in self.walk(7):\n        print(")
        await undo(editor, *before)
        await editor.type("    x")
        assert max(editor.costs) <= FEW

    asyncio.run(asyncio.wait_for(script(), 60))


@pytest.mark.parametrize("layout", APPENDING)
def test_accepting_and_undoing_it(assistant: Assistant, layout: str) -> None:
    async def script() -> None:
        editor = session(
            assistant, layout, BEFORE + "\n\ndef load(path):\n    with open(path) as file:\n        return "
        )
        await editor.look()
        editor.costs.clear()
        before = editor.document, editor.offset
        assert editor.shown
        await editor.accept()
        assert editor.costs[-1] <= FEW
        await editor.type("\n")
        await undo(editor, *before)
        assert max(editor.costs) <= FEW
        text = editor.shown[0].text
        for char in text[:-1]:
            await editor.type(char)
            assert editor.figures is not None and editor.figures.source == "reuse"
        await editor.type(text[-1])
        assert max(editor.costs) <= FEW

    asyncio.run(asyncio.wait_for(script(), 60))


@pytest.mark.parametrize("layout", APPENDING)
def test_brackets_that_the_editor_closes(assistant: Assistant, layout: str) -> None:
    async def script() -> None:
        editor = session(assistant, layout)
        await editor.look()
        editor.costs.clear()
        await editor.type("    zebra = walk")
        for pair in ("()", "[]", '""'):
            await editor.edit(editor.offset, editor.offset, pair, cursor=editor.offset + 1)
            await editor.type("q7")
        for _ in range(3):
            editor.offset += 1  # steps over a closer
            await editor.look()
        await editor.edit(editor.offset, editor.offset, " {}", cursor=editor.offset + 2)
        await editor.edit(editor.offset, editor.offset, "\n        \n    ", cursor=editor.offset + 9)
        await editor.type("q7")
        assert max(editor.costs) <= FEW

    asyncio.run(asyncio.wait_for(script(), 60))


def test_in_plain_psm_only_the_suffix_is_computed_again(assistant: Assistant) -> None:
    async def script() -> None:
        editor = session(assistant, "psm")
        await editor.look()
        whole = editor.costs.pop()
        suffix = len(assistant.tokenizer.encode(AFTER))
        before = editor.document, editor.offset
        await editor.type("    zebra")
        await undo(editor, *before)
        assert max(editor.costs) <= suffix + FEW + 2 < whole

    asyncio.run(asyncio.wait_for(script(), 60))


class Ahead:
    """An engine, and the tickets of the suggestions that it computes ahead."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.tickets: asyncio.Queue[Ticket] = asyncio.Queue()

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    def submit(self, job: Job) -> Ticket:
        ticket = self._engine.submit(job)
        if job.priority is Priority.IDLE and job.max_new_tokens:
            self.tickets.put_nowait(ticket)
        return ticket

    def release(self, key: Hashable) -> None:
        self._engine.release(key)

    @property
    def cache_bytes(self) -> int:
        return self._engine.cache_bytes

    def resize(self, cache_bytes: int | None) -> None:
        self._engine.resize(cache_bytes)

    def persist(self, nbytes: int, keeps: Callable[[str], bool]) -> None:
        self._engine.persist(nbytes, keeps)

    def watch(self, on_trouble: Callable[[str | None], None]) -> None:
        self._engine.watch(on_trouble)

    def close(self) -> None:
        pass


def test_what_is_prepared_is_what_the_model_would_say(assistant: Assistant) -> None:
    """Accepting one suggestion after the other: the next is there already, and the same as from an empty cache."""
    loaded = assistant

    async def script() -> None:
        engine = Ahead(loaded.engine)
        assistant = Assistant(engine, loaded.tokenizer, loaded.dialect, Settings())
        text = "import json\n\n\ndef load(path):\n    with open(path) as file:\n        return json."
        editor = session(assistant, "spm", text)
        await editor.look()
        for _ in range(2):
            await asyncio.wrap_future((await engine.tickets.get()).future)
            await editor.accept()
            assert editor.figures is not None and editor.figures.source == "prepared"
            warm = editor.shown, editor.figures.reason
            assistant.forget(editor.document.uri)
            await editor.look()
            assert (editor.shown, editor.figures.reason) == warm and editor.figures.cached_tokens < 10
            if not editor.shown:
                break
        assistant.close()

    asyncio.run(asyncio.wait_for(script(), 60))
