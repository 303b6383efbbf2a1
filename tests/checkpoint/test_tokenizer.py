"""The tokenizer of the bundled model: text never becomes a special token, and lines encode as the whole does."""

from __future__ import annotations

import random

import pytest
from tokenizers import Tokenizer as HfTokenizer

from starfill.app import BUNDLED
from starfill.checkpoint.tokenizer import Tokenizer

PIECES = [
    "def f(x):", "\n", "\n\n", "\r\n", "\r", "    ", "\t", " ", "  \n", "return", " x1234 ", "'s", "don't", "é",
    "日本語", "🎉", "\x0c", "\x85", "\u2028", "\xa0", "…)", "0", "_a", "<fim_middle>", "<|endoftext|>", "<fim_prefix>",
    "#!",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_folder(BUNDLED, 0)


def random_text(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(40)))


def test_encoding_line_by_line_is_encoding_the_whole(tokenizer: Tokenizer) -> None:
    whole = HfTokenizer.from_file(str(BUNDLED / "tokenizer.json"))
    whole.encode_special_tokens = True
    rng = random.Random(1)
    for _ in range(3000):
        text = random_text(rng)
        assert tokenizer.encode(text) == whole.encode(text, add_special_tokens=False).ids, repr(text)


def test_bytes_of_the_tokens_are_the_text(tokenizer: Tokenizer) -> None:
    rng = random.Random(2)
    for _ in range(500):
        text = random_text(rng)
        assert b"".join(tokenizer.token_bytes[id] for id in tokenizer.encode(text)) == text.encode()


def test_text_never_becomes_a_special_token(tokenizer: Tokenizer) -> None:
    special = set(tokenizer.special.values())
    for text in tokenizer.special:
        for around in ("{}", "a{}b", "\n{}\n", "{0}{0}"):
            assert not special & set(tokenizer.encode(around.format(text)))


def test_a_lone_surrogate_is_one_character(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("a\ud83db") == tokenizer.encode("a?b")


def test_the_special_tokens_are_those_of_starcoder(tokenizer: Tokenizer) -> None:
    names = ("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>")
    assert [tokenizer.special[name] for name in names] == [0, 1, 2, 3]
    assert all(tokenizer.token_bytes[id] == b"" for id in tokenizer.special.values())
