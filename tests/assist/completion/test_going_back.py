"""Going back to a place visited before: the same prompt, and its state still there. The bundled model, in process."""

from __future__ import annotations

import argparse
import asyncio
import inspect
from collections.abc import Iterator

import pytest

from starfill.app.backend import LocalBackend
from starfill.assist.completion.assistant import Assistant
from starfill.assist.completion.result import Figures
from starfill.config.settings import Settings
from starfill.text.document import Document

DOCUMENT = Document.open("file:///places.py", "python", 0, inspect.getsource(argparse))
TYPED = "\n    found = []\n    for"


@pytest.fixture(scope="module")
def loaded() -> Iterator[Assistant]:
    assistant = LocalBackend().load(Settings(max_new_tokens=8, context_tokens=512))
    yield assistant
    assistant.close()


def look(assistant: Assistant, document: Document, offset: int) -> Figures:
    """The figures of asking the model there."""
    assistant.accepted(document.uri)  # so that nothing is typed through
    return asyncio.run(assistant.complete(document, offset, candidates=1)).figures


@pytest.mark.parametrize("layout", ["spm", "anchored-psm"])
def test_a_jump_back_computes_next_to_nothing(loaded: Assistant, layout: str) -> None:
    """Each way leads through another place, with edits; where nothing was edited, nothing is computed again."""
    settings = Settings(max_new_tokens=8, context_tokens=512, layout=layout)  # type: ignore[arg-type]
    loaded.forget(DOCUMENT.uri)
    loaded.configure(settings)
    document = DOCUMENT
    here, there, third = (document.line_end(document.line_count * part // 4) for part in (1, 2, 3))
    first = look(loaded, document, here)
    assert first.computed_tokens > 300
    for char in TYPED:
        document = document.replaced(here, here, char)
        here += 1
        assert look(loaded, document, here).computed_tokens <= 4
    there, third = there + len(TYPED), third + len(TYPED)
    for place in (there, third):
        assert look(loaded, document, place).computed_tokens > 100
    document = document.replaced(third, third, "x")
    assert look(loaded, document, third + 1).computed_tokens <= 4
    for place in (here, there, third + 1, here, there):
        assert look(loaded, document, place).computed_tokens <= 4
    edited = document.replaced(here - 100, here - 99, "#")
    assert look(loaded, edited, here).computed_tokens > 15
