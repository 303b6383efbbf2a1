from collections.abc import Sequence
from random import Random

import pytest

from assist.toy import ToyTokenizer
from starfill.assist.completion.token_healing import MAX_DROPPED, TokenIndex, allowed_after, drop
from starfill.assist.prompts.detokenizer import Detokenizer, decode

TOKENIZER = ToyTokenizer()
INDEX = TokenIndex(TOKENIZER.token_bytes)


def as_bytes(ids: Sequence[int]) -> bytes:
    return b"".join(TOKENIZER.token_bytes[id] for id in ids)


DROPPED = [
    ("    return", "return"),
    ("x = resul", "resul"),
    ("self.va", "va"),
    ("f(", "("),
    ("    ", "    "),
    ("x = 1\n", "\n"),
    ("x ", " "),
    ("é", "é"),
    ("x", "x"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "word"), DROPPED)
def test_only_the_last_word_is_dropped(text: str, word: str) -> None:
    ids = TOKENIZER.encode(text)
    kept, cut = drop(ids, text, TOKENIZER.token_bytes)
    dropped = as_bytes(cut)
    assert TOKENIZER.decode(kept) + dropped.decode() == text
    assert len(ids) - len(kept) <= MAX_DROPPED
    assert (" " + word).endswith(dropped.decode())
    assert dropped or not text


def test_a_character_of_several_tokens_may_be_cut_within() -> None:
    text = "x = '🦀"  # four bytes, four tokens
    kept, cut = drop(TOKENIZER.encode(text), text, TOKENIZER.token_bytes)
    assert len(cut) == MAX_DROPPED
    assert as_bytes((*kept, *cut)) == text.encode()


def test_allowed_are_the_tokens_that_begin_with_the_rest_and_those_it_begins_with() -> None:
    names = {TOKENIZER.token_bytes[id] for id in INDEX.beginning(b"ret")}
    assert names == {b"r", b"re", b"ret", b"return"}
    assert {TOKENIZER.token_bytes[id] for id in INDEX.beginning(b"\xff")} == {b"\xff"}


@pytest.mark.parametrize("text", ["retur", " ", "    ", "é", "漢", "🦀", "):", "\n", "x1", "\t"])
def test_every_allowed_path_begins_with_the_dropped_text(text: str) -> None:
    random, dropped = Random(text), text.encode()
    special = set(TOKENIZER.special.values())
    for _ in range(200):
        ids: list[int] = []
        allowed = allowed_after(INDEX, dropped)
        assert allowed is not None
        while (choice := allowed(ids)) is not None:
            assert choice and not special & set(choice) and len(set(choice)) == len(choice)
            ids.append(random.choice(choice))
        data = b"".join(TOKENIZER.token_bytes[id] for id in ids)
        assert data.startswith(dropped)
        assert not b"".join(TOKENIZER.token_bytes[id] for id in ids[:-1]).startswith(dropped)


def test_nothing_dropped_allows_everything() -> None:
    assert allowed_after(INDEX, b"") is None


@pytest.mark.parametrize("text", ["value", "é漢字😀🦀", "naïve ☕"])
@pytest.mark.parametrize("skip", [0, 1, 3])
def test_detokenizing_is_incremental(text: str, skip: int) -> None:
    ids = TOKENIZER.encode("x = " + text)
    skipped = "x = "[:skip]
    detokenizer = Detokenizer(TOKENIZER.token_bytes, skip)
    pieces = [detokenizer.feed(id) for id in ids]
    assert skipped + "".join(pieces) == "x = " + text
    assert "\ufffd" not in "".join(pieces)
    for end in range(len(ids)):
        assert "\ufffd" not in decode(TOKENIZER.token_bytes, ids[:end])
