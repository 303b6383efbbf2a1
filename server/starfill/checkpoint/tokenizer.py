"""`tokenizer.json`, loaded with the tokenizers library, with two guarantees that everything else relies on.

Text never becomes a special token: these, and the merges that lead to them, are removed from the tokenizer that
encodes, so `<fim_middle>` in a user's file is just characters. And encoding is incremental: what stays the same from
one keystroke to the next is not encoded again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as HfTokenizer

from starfill.checkpoint.boundaries import boundaries
from starfill.checkpoint.config import read_json
from starfill.checkpoint.incremental import Incremental
from starfill.checkpoint.tokenizer_json import byte_spelled, for_text, put_first, special_tokens, writes_a_space_first
from starfill.errors import CheckpointError

CACHED_PIECES = 1 << 13  # about 600 bytes each
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # sentencepiece's byte fallback


class CheckpointTokenizer:
    """Byte-level (GPT-2) or sentencepiece-style (Llama) BPE of one checkpoint.

    token_bytes[id] is the token's UTF-8 bytes, b"" for special tokens and unused ids. `special` maps the text of each
    special token to its id. put_first: the special tokens that the file says begin a sequence.
    """

    def __init__(self, raw: Mapping[str, Any], source: Path, vocab_size: int = 0) -> None:
        try:
            special = special_tokens(raw)
            self._tokenizer: Any = HfTokenizer.from_str(json.dumps(for_text(raw, special)))
            vocab = self._tokenizer.get_vocab(with_added_tokens=True)
            self.put_first = put_first(raw)
            self._dummy_space = writes_a_space_first(raw)
            exact = boundaries(raw, [token for token in vocab if token not in special])
            spelled = byte_spelled(raw)
        except Exception as error:  # the library raises a bare Exception for anything that it can't parse
            raise CheckpointError(f"{source} can't be used ({error}): copy it again from the model's page") from None
        # A fine-tune may have a padding token for which its model has no row.
        self.special = {token: id for token, id in special.items() if id < vocab_size or not vocab_size}
        self.token_bytes = _token_bytes(vocab, self.special, spelled, vocab_size)
        if len(self.token_bytes) > vocab_size > 0:
            raise CheckpointError(
                f"{source} has {len(self.token_bytes)} tokens but config.json says vocab_size {vocab_size}:"
                " they belong to different models, copy both from the same page"
            )
        self._pieces = None if exact is None else Incremental(exact, lru_cache(CACHED_PIECES)(self.encode_whole))

    @classmethod
    def from_folder(cls, folder: Path, vocab_size: int) -> CheckpointTokenizer:
        """vocab_size: the model's, often rounded up from the tokenizer's; the ids in between stand for no text.

        Raises CheckpointError if `tokenizer.json` is missing, can't be used, or belongs to a larger vocabulary.
        """
        source = folder / "tokenizer.json"
        if not source.exists() and (folder / "tokenizer.model").exists():
            raise CheckpointError(
                f"{folder} has its tokenizer only as tokenizer.model: write the tokenizer.json that Starfill reads with"
                f" python -c \"from transformers import AutoTokenizer as A; A.from_pretrained('{folder}')"
                f".save_pretrained('{folder}')\" (needs the packages sentencepiece and protobuf)"
            )
        return cls(read_json(source), source, vocab_size)

    def encode(self, text: str, *, start: bool = False) -> list[int]:
        """Token ids of `text`, never a special one.

        start: the text begins a sequence, which a sentencepiece vocabulary was trained to see with a space before it.
        """
        if start and text and self._dummy_space:
            text = " " + text
        return list(self.encode_whole(text)) if self._pieces is None else self._pieces.encode(text)

    @property
    def in_pieces(self) -> bool:
        """Whether `encode` encodes text in pieces and caches them; False if that isn't proven to give the same ids."""
        return self._pieces is not None

    def encode_whole(self, text: str) -> tuple[int, ...]:
        """Like `encode`, but nothing is cached."""
        # A lone surrogate (half of a pair that an editor sent) has no UTF-8 form. The model sees "?" in its place.
        text = text.encode("utf-8", "replace").decode("utf-8") if _has_surrogate(text) else text
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def _byte_alphabet() -> dict[str, int]:
    """The bytes for which byte-level BPE (GPT-2) writes printable characters, by these characters."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _token_bytes(
    vocab: Mapping[str, int], special: Mapping[str, int], spelled: frozenset[str], size: int
) -> Sequence[bytes]:
    """spelled: see `byte_spelled`."""
    alphabet = _byte_alphabet()
    table = [b""] * max([size, *(id + 1 for id in (*vocab.values(), *special.values()))])
    for token, id in vocab.items():
        if token in special:
            continue
        if token in spelled and all(char in alphabet for char in token):
            table[id] = bytes(alphabet[char] for char in token)
        elif spelled:
            table[id] = token.encode("utf-8", "replace")
        elif byte := _BYTE.fullmatch(token):
            table[id] = bytes([int(byte[1], 16)])
        else:
            table[id] = token.replace("▁", " ").encode("utf-8", "replace")
    return table
