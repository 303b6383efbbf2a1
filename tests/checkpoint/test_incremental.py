"""Encoding again after an edit is encoding the whole, and costs what changed."""

from __future__ import annotations

import inspect
import random
import re
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkpoint.test_tokenizer import KINDS, PIECES
from starfill.checkpoint.incremental import KEPT, SHORT, Incremental
from tiny_tokenizers import load

CODE = inspect.getsource(textwrap)
LINE_ENDS = re.compile(r"(?<=\S)(?=[\r\n])")
TOKENIZERS = {kind: load(raw) for kind, raw in KINDS.items()}
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_incremental_is_whole(kind: str, data: st.DataObject) -> None:
    """Any edits, one after the other, in texts long enough to be remembered."""
    tokenizer = TOKENIZERS[kind]
    assert tokenizer.in_pieces
    text = data.draw(texts) + CODE[: 2 * SHORT] + data.draw(texts) + CODE[900 : 900 + 2 * SHORT] + data.draw(texts)
    for _ in range(4):
        start = data.draw(st.integers(0, len(text)))
        end = min(start + data.draw(st.sampled_from([0, 0, 1, 2, 40])), len(text))
        text = text[:start] + data.draw(texts) + text[end:]
        assert tokenizer.encode(text) == list(tokenizer.encode_whole(text))


class Counting:
    """Each character is a token; counts the characters of the pieces that it was asked to encode."""

    def __init__(self) -> None:
        self.characters = 0

    def __call__(self, piece: str) -> list[int]:
        self.characters += len(piece)
        return list(map(ord, piece))


@pytest.mark.parametrize("offset", [0, 3000, len(CODE)])
@pytest.mark.parametrize("inserted", ["x", "\n", "    y = 1\n", ""])
def test_an_edit_costs_its_lines(offset: int, inserted: str) -> None:
    encode = Counting()
    incremental = Incremental(LINE_ENDS, encode)
    incremental.encode(CODE)
    assert encode.characters == len(CODE)
    encode.characters = 0
    text = CODE[:offset] + inserted + CODE[offset + (not inserted) :]
    assert incremental.encode(text) == list(map(ord, text))
    assert encode.characters < 300


def test_windows_of_several_documents_are_remembered() -> None:
    encode = Counting()
    incremental = Incremental(LINE_ENDS, encode)
    documents = [
        f"# {number} {'=' * 40}\n" + CODE[number * 500 :] + f"\n# the end of {number}" for number in range(KEPT)
    ]
    for text in documents:
        incremental.encode(text)
    encode.characters = 0
    for text in documents:
        assert incremental.encode(text + "x") == list(map(ord, text + "x"))
    assert encode.characters < 100 * KEPT


def test_an_answer_is_the_callers_own() -> None:
    incremental = Incremental(LINE_ENDS, Counting())
    incremental.encode(CODE).clear()
    assert incremental.encode(CODE) == list(map(ord, CODE))


def test_random_edits_of_a_long_text() -> None:
    rng = random.Random(3)
    incremental, text = Incremental(LINE_ENDS, Counting()), CODE
    for _ in range(300):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(PIECES) + text[at + rng.choice((0, 0, 1, 300)) :]
        text += CODE[:500] * (len(text) < 4 * SHORT)
        assert incremental.encode(text) == list(map(ord, text))
