"""Stand-in tokenizers: right in kind (byte-level BPE, or sentencepiece-like BPE), made up in their words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BUNDLED = Path(__file__).parents[2] / "server" / "starfill" / "bundled" / "model"
WORDS = (
    *("def", "return", "self", "class", "import", "from", "if", "else", "for", "in", "None", "True", "False", "not"),
    *(
        "is",
        "and",
        "or",
        "the",
        "a",
        "of",
        "to",
        "name",
        "value",
        "list",
        "str",
        "int",
        "len",
        "range",
        "print",
        "with",
    ),
)


def byte_level(vocab_size: int) -> dict[str, Any]:
    """The bundled model's tokenizer, or the first tokens of it, filled up with tokens that no text encodes to."""
    raw: dict[str, Any] = json.loads((BUNDLED / "tokenizer.json").read_text(encoding="utf-8"))
    model = raw["model"]
    vocab = {token: id for token, id in model["vocab"].items() if id < vocab_size}
    model["merges"] = [m for m in model["merges"] if all(t in vocab for t in (*_pair(m), "".join(_pair(m))))]
    taken = set(vocab.values())
    model["vocab"] = vocab | {f"Filler{id}": id for id in range(vocab_size) if id not in taken}
    return raw


def _pair(merge: str | list[str]) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else merge


def sentencepiece(vocab_size: int, special: Mapping[str, int]) -> dict[str, Any]:
    """As llama's tokenizer.json: `▁` for a space, one in front of the text, bytes for what has no piece, `<s>` first.

    Vocabulary: `<unk>`, `<s>`, `</s>`, 256 bytes, printable ASCII, words with their prefixes, fillers. special: further
    special tokens, at the ids given.
    """
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", *(chr(code) for code in range(33, 127))]
    merges = []
    for word in WORDS:
        for spelled in (f"▁{word}", word):
            for end in range(2, len(spelled) + 1):
                merges.append([spelled[: end - 1], spelled[end - 1]])
                pieces.append(spelled[:end])
    pieces = list(dict.fromkeys(pieces))
    ids = [id for id in range(vocab_size) if id not in special.values()]
    if len(pieces) > len(ids):
        raise ValueError(f"vocab_size {vocab_size} is too small: sentencepiece stand-ins have {len(pieces)} tokens")
    vocab = {piece: ids[place] for place, piece in enumerate(pieces)}
    vocab |= {f"Filler{id}": id for id in ids[len(pieces) :]} | dict(special)
    known = [[left, right] for left, right in map(tuple, dict.fromkeys(map(tuple, merges)))]
    added = {"<unk>": 0, "<s>": 1, "</s>": 2, **special}
    first = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(content, id) for content, id in sorted(added.items(), key=lambda item: item[1])],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [first, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocab,
            "merges": known,
        },
    }


def _added(content: str, id: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": id, "content": content, **flags, "special": True}
