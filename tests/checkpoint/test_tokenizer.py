"""Tokenizers of every kind: text never becomes a special token, and encoding in pieces is encoding the whole."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as HfTokenizer

from starfill.assist.completion.token_healing import MAX_DROPPED, TokenIndex, allowed_after, drop
from starfill.assist.prompts.detokenizer import Detokenizer
from starfill.checkpoint import tokenizer as module
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.config.folders import BUNDLED
from starfill.errors import CheckpointError
from tiny_tokenizers import byte_level, load, reference, sentencepiece

PIECES = [
    "def f(x):", "\n", "\n\n", "\r\n", "\r", "    ", "\t", " ", "  \n", "return", " x1234 ", "'s", "don't", "é",
    "日本語", "🎉", "\x0c", "\x85", "\u2028", "\xa0", "…)", "0", "_a", "<fim_middle>", "<|endoftext|>", "<fim_prefix>",
    "#!", "e\u0301", "\u0301", "▁", "▁<PRE>", "<s>", ")", ";", "\x1c", "\x0b", "</s>", " <PRE>", "<0x41>", "don", "'S",
]  # fmt: skip
SPECIAL = ("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>")
LLAMA = ("<s>", "</s>", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>")
KINDS = {
    "bundled": (BUNDLED / "tokenizer.json").read_text(encoding="utf-8"),
    **{kind: byte_level(SPECIAL, kind) for kind in ("gpt2", "digits", "qwen", "deepseek")},
    **{kind: sentencepiece(LLAMA, kind) for kind in ("prepend", "metaspace", "gemma")},
}
SPACE_FIRST = ("prepend", "metaspace")


def random_text(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(40)))


def whole(kind: str) -> HfTokenizer:
    """The library's own, without the space that it puts before a text."""
    raw = json.loads(KINDS[kind])
    if kind == "prepend":
        raw["normalizer"]["normalizers"].pop(0)
    if kind == "metaspace":
        raw["pre_tokenizer"]["prepend_scheme"] = "never"
    return reference(raw)


@pytest.mark.parametrize("kind", KINDS)
def test_encoding_in_pieces_is_encoding_the_whole(kind: str) -> None:
    tokenizer, library = load(KINDS[kind]), whole(kind)
    assert tokenizer.in_pieces  # or there would be nothing to test
    rng = random.Random(1)
    for _ in range(1500):
        text = random_text(rng)
        assert tokenizer.encode(text) == library.encode(text, add_special_tokens=False).ids, repr(text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_begins_a_sequence(kind: str) -> None:
    tokenizer, library = load(KINDS[kind]), reference(KINDS[kind])
    rng = random.Random(3)
    for _ in range(300):
        text = random_text(rng)
        if kind == "metaspace" and text.startswith((" ", "▁")):
            continue  # the library leaves this space out, sentencepiece itself doesn't
        assert tokenizer.encode(text, start=True) == library.encode(text, add_special_tokens=False).ids, repr(text)
    assert tokenizer.encode("", start=True) == []
    assert (tokenizer.encode("x", start=True) == tokenizer.encode(" x")) is (kind in SPACE_FIRST)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_the_tokens_are_the_text(kind: str) -> None:
    tokenizer = load(KINDS[kind])
    rng = random.Random(2)
    for _ in range(300):
        text = random_text(rng)
        if kind == "qwen":
            text = text.replace("\u0301", "")  # Qwen composes characters first
        expected = text if kind in ("bundled", "gpt2", "digits", "qwen", "deepseek") else text.replace("▁", " ")
        ids = tokenizer.encode(text)
        assert b"".join(tokenizer.token_bytes[id] for id in ids) == expected.encode()
        detokenizer = Detokenizer(tokenizer.token_bytes)
        assert "".join(detokenizer.feed(id) for id in ids) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_text_never_becomes_a_special_token(kind: str) -> None:
    tokenizer = load(KINDS[kind])
    special = set(tokenizer.special.values())
    assert len(special) >= 4
    for text in tokenizer.special:
        for around in ("{}", "a{}b", "\n{}\n", "{0}{0}", " {}"):
            assert not special & set(tokenizer.encode(around.format(text)))
            assert not special & set(tokenizer.encode(around.format(text.replace("▁", " "))))


def test_merges_that_lead_to_a_special_token_are_not_followed() -> None:
    raw = json.loads(KINDS["prepend"])
    vocab = raw["model"]["vocab"]
    parts = ["▁<", "▁<P", "▁<PR", "▁<PRE"]
    vocab |= {part: len(vocab) + number for number, part in enumerate(parts)}
    steps = ["▁", "<", "P", "R", "E", ">"]
    known = ["▁", *parts, "▁<PRE>"]
    raw["model"]["merges"] = [[known[n], steps[n + 1]] for n in range(5)] + raw["model"]["merges"]
    raw["added_tokens"] = [token for token in raw["added_tokens"] if token["content"] != "▁<PRE>"]
    assert reference(raw).encode("a <PRE>").ids[-1] == vocab["▁<PRE>"]  # the library would
    tokenizer = load(raw)
    assert tokenizer.special["▁<PRE>"] == vocab["▁<PRE>"]
    assert [tokenizer.token_bytes[id] for id in tokenizer.encode("a <PRE>")] == [b"a", b" <PRE", b">"]


def test_added_tokens_that_are_text_stay_text() -> None:
    raw = json.loads(KINDS["gemma"])
    size = len(raw["model"]["vocab"])
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    raw["added_tokens"] += [
        {"id": size, "content": "\n\n", **plain},
        {"id": size + 1, "content": "<h1>", **plain},
        {"id": size + 2, "content": "<|fim_prefix|>", **plain},
        {"id": size + 3, "content": "<｜fim▁hole｜>", **plain},
    ]
    tokenizer, library = load(raw), reference(raw)
    assert {"<|fim_prefix|>", "<｜fim▁hole｜>"} <= tokenizer.special.keys()
    assert not {"\n\n", "<h1>"} & tokenizer.special.keys()
    text = "x\n\n<h1>a</h1>\n\n\n    y"
    ids = tokenizer.encode(text)
    assert ids == library.encode(text).ids and {size, size + 1} <= set(ids)
    assert b"".join(tokenizer.token_bytes[id] for id in ids) == text.encode()
    assert not {size + 2, size + 3} & set(tokenizer.encode("<|fim_prefix|><｜fim▁hole｜>"))


UNPROVEN = [
    ("gpt2", {"normalizer": {"type": "NFKC"}}),
    ("qwen", {"normalizer": {"type": "Lowercase"}}),
    ("gemma", {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]}}),
    ("gemma", {"pre_tokenizer": {"type": "Whitespace"}}),
    ("gemma", {"model": "a token with a line end in it"}),
]


def test_added_words_of_a_byte_level_vocabulary_are_not_spelled_in_bytes() -> None:
    raw = json.loads(KINDS["deepseek"])
    size = len(raw["model"]["vocab"])
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    del raw["model"]["vocab"]["õ"]  # the byte 0xF5, which no text contains
    raw["added_tokens"].append({"id": size, "content": "õ", **flags})  # as DeepSeek-Coder has it
    tokenizer = load(raw)
    assert tokenizer.encode("a õ")[-1] == size and tokenizer.token_bytes[size] == "õ".encode()


def test_control_tokens_by_their_looks_and_names() -> None:
    raw = json.loads(KINDS["gemma"])
    size = len(raw["model"]["vocab"])
    texts = ["<start_of_turn>", "</tool_call>", "<step>", "[INST]", "<table>", "</b>", "<unused7>", "[x]", "a_b", "<>"]
    raw["added_tokens"] += [
        {"id": size + n, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": False}
        for n, text in enumerate(texts)
    ]  # fmt: skip
    assert load(raw).special.keys() - load(KINDS["gemma"]).special.keys() == set(texts[:4])


def test_a_special_token_beyond_the_vocabulary_is_left_out() -> None:
    raw = json.loads(sentencepiece((*LLAMA, "[PAD]")))
    size = len(raw["model"]["vocab"])
    del raw["model"]["vocab"]["[PAD]"]
    raw["added_tokens"][-1]["id"] = size
    assert raw["added_tokens"][-1]["content"] == "[PAD]"
    assert CheckpointTokenizer(raw, Path("t.json"), size + 1).special["[PAD]"] == size
    assert "[PAD]" not in CheckpointTokenizer(raw, Path("t.json"), size).special
    assert len(CheckpointTokenizer(raw, Path("t.json"), size).token_bytes) == size
    with pytest.raises(CheckpointError, match=r"config\.json says vocab_size"):
        CheckpointTokenizer(raw, Path("t.json"), size - 1)


@pytest.mark.parametrize(("kind", "change"), UNPROVEN)
def test_what_is_not_proven_encodes_whole(kind: str, change: dict[str, Any]) -> None:
    raw = json.loads(KINDS[kind])
    if "model" in change:
        raw["model"]["vocab"] |= {"\n": 9000, "f\n": 9001}
        raw["model"]["merges"].append(["f", "\n"])
    else:
        raw |= change
    tokenizer = load(raw)
    text = "def f\n\n  x"
    assert not tokenizer.in_pieces
    assert tokenizer.encode(text) == reference(raw).encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_changed_is_encoded_again(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []

    class Counting:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def encode(self, text: str, add_special_tokens: bool) -> Any:
            encoded.append(text)
            return self.inner.encode(text, add_special_tokens=add_special_tokens)

    class Library:
        @staticmethod
        def from_str(raw: str) -> Counting:
            return Counting(HfTokenizer.from_str(raw))

    monkeypatch.setattr(module, "HfTokenizer", Library)
    tokenizer = load(KINDS[kind])
    text = "".join(f"def f{number}(x):\n    return {number}\n\n\n" for number in range(200))
    tokenizer.encode(text)
    encoded.clear()
    tokenizer.encode(text + "    x")
    assert sum(map(len, encoded)) < 60


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["    return", "x = resul", "self.va", "f(", "    ", "x = 1\n", "é", " 日本", "x"])
def test_healing(kind: str, text: str) -> None:
    """What is dropped is the end of the text, and every allowed way begins with it."""
    tokenizer = load(KINDS[kind])
    ids = tokenizer.encode(text, start=True)
    kept, cut = drop(ids, text, tokenizer.token_bytes)
    dropped = b"".join(tokenizer.token_bytes[id] for id in cut)
    assert 1 <= len(ids) - len(kept) <= MAX_DROPPED
    data = b"".join(tokenizer.token_bytes[id] for id in ids)
    assert b"".join(tokenizer.token_bytes[id] for id in kept) + dropped == data and text.encode() in data
    index, rng = TokenIndex(tokenizer.token_bytes), random.Random(text)
    for _ in range(30):
        answer: list[int] = []
        allowed = allowed_after(index, dropped)
        while allowed and (choice := allowed(answer)) is not None:
            assert choice and not set(choice) & set(tokenizer.special.values())
            answer.append(rng.choice(list(choice)))
        assert b"".join(tokenizer.token_bytes[id] for id in answer).startswith(dropped)


@pytest.mark.parametrize("kind", ["prepend", "metaspace"])
def test_a_half_word_is_healed_together_with_its_space(kind: str) -> None:
    tokenizer = load(KINDS[kind])
    _, cut = drop(tokenizer.encode("    retur"), "    retur", tokenizer.token_bytes)
    dropped = b"".join(tokenizer.token_bytes[id] for id in cut)
    assert dropped == b" retur"
    tokens = {tokenizer.token_bytes[id] for id in TokenIndex(tokenizer.token_bytes).beginning(dropped)}
    assert b" return" in tokens and b" re" in tokens


def test_a_lone_surrogate_is_one_character() -> None:
    tokenizer = load(KINDS["bundled"])
    assert tokenizer.encode("a\ud83db") == tokenizer.encode("a?b")


def test_the_special_tokens_are_those_of_starcoder() -> None:
    tokenizer = CheckpointTokenizer.from_folder(BUNDLED, 0)
    names = ("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>")
    assert [tokenizer.special[name] for name in names] == [0, 1, 2, 3]
    assert all(tokenizer.token_bytes[id] == b"" for id in tokenizer.special.values())


def test_a_folder_with_only_tokenizer_model_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"\n")
    with pytest.raises(CheckpointError, match=r"only as tokenizer\.model: write .*save_pretrained"):
        CheckpointTokenizer.from_folder(tmp_path, 0)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing"):
        CheckpointTokenizer.from_folder(tmp_path.parent, 0)
