"""`tokenizer.json`, loaded through the tokenizers library, with the two promises that the rest relies on.

Text never becomes a special token: the added tokens are taken out of the tokenizer that encodes, so `<fim_middle>` in
a user's file is so many characters. And encoding is incremental: what stays the same from one keystroke to the next is
not encoded again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as HfTokenizer

from starfill.checkpoint.config import read_json
from starfill.errors import CheckpointError

# With the GPT-2 pattern no pre-token spans a line end and the non-space before it, so chunks cut there encode exactly
# as the whole text does. (A pre-token may take in one space before a word, but no other white space.)
LINES = re.compile(r"(?<=\S)(?=[\r\n])")
CACHED_LINES = 1 << 16


class Tokenizer:
    """Byte-level or sentencepiece-style BPE of one checkpoint.

    token_bytes[id] is the token's UTF-8 bytes, b"" for special tokens and unused ids; `special` maps the text of each
    added special token to its id.
    """

    def __init__(self, raw: Mapping[str, Any], source: Path, vocab_size: int = 0) -> None:
        self.special: dict[str, int] = {token["content"]: token["id"] for token in raw.get("added_tokens") or ()}
        plain = {**raw, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        try:
            self._tokenizer: Any = HfTokenizer.from_str(json.dumps(plain))
        except Exception as error:  # the library raises a bare Exception for anything it can't parse
            raise CheckpointError(f"{source} can't be used ({error}): copy it again from the model's page") from None
        self.token_bytes = _token_bytes(self._tokenizer.get_vocab(with_added_tokens=False), self.special, vocab_size)
        if len(self.token_bytes) > vocab_size > 0:
            raise CheckpointError(
                f"{source} has {len(self.token_bytes)} tokens but config.json says vocab_size {vocab_size}:"
                " they belong to different models, copy both from the same page"
            )
        self._encode_line = lru_cache(CACHED_LINES)(self._encode)
        self._by_lines = _splits_like_gpt2(raw)

    @classmethod
    def from_folder(cls, folder: Path, vocab_size: int) -> Tokenizer:
        """vocab_size: the model's, often rounded up from the tokenizer's; the ids in between are no text.

        Raises CheckpointError when `tokenizer.json` is missing, can't be used, or belongs to a larger vocabulary.
        """
        source = folder / "tokenizer.json"
        return cls(read_json(source), source, vocab_size)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, never a special one."""
        if not self._by_lines:
            return list(self._encode(text))
        ids: list[int] = []
        for line in LINES.split(text):
            ids += self._encode_line(line)
        return ids

    def _encode(self, text: str) -> tuple[int, ...]:
        # A lone surrogate (half of a pair that an editor sent) has no UTF-8 form; the model sees '?' in its place.
        text = text.encode("utf-8", "replace").decode("utf-8") if _has_surrogate(text) else text
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def _splits_like_gpt2(raw: Mapping[str, Any]) -> bool:
    """Whether the pre-tokenizer is ByteLevel with its own pattern, alone or after splitting off digits."""
    pre = raw.get("pre_tokenizer") or {}
    parts = pre.get("pretokenizers", [pre])
    kinds = [part.get("type") for part in parts]
    return (
        kinds[-1:] == ["ByteLevel"]
        and all(kind == "Digits" for kind in kinds[:-1])
        and parts[-1].get("use_regex", True)
        and not parts[-1].get("add_prefix_space", False)
        and raw.get("normalizer") is None
    )


def _byte_alphabet() -> dict[str, int]:
    """The printable character that byte-level BPE (GPT-2) writes for each byte, inverted."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _token_bytes(vocab: Mapping[str, int], special: Mapping[str, int], size: int) -> Sequence[bytes]:
    alphabet = _byte_alphabet()
    table = [b""] * max([size, *(id + 1 for id in (*vocab.values(), *special.values()))])
    hidden = set(special.values())
    for token, id in vocab.items():
        if id in hidden:
            continue
        if re.fullmatch(r"<0x[0-9A-F]{2}>", token):  # sentencepiece's byte fallback
            table[id] = bytes([int(token[3:5], 16)])
        elif all(char in alphabet for char in token):
            table[id] = bytes(alphabet[char] for char in token)
        else:
            table[id] = token.replace("▁", " ").encode("utf-8", "replace")
    return table
