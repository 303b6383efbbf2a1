"""Tokenizers of each published kind, trained on the spot on a few kilobytes: small vocabularies, real merges."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as HfTokenizer

from starfill.checkpoint.tokenizer import CheckpointTokenizer

TEXT = inspect.getsource(textwrap) + "\nx = 'é 漢字 é naïve'\n\n\n\n    y = {'a': [1, 22, 333]}\n" * 5
TEXT += "x\n  \ny\n    \nz\n\n  \n" * 40  # so that there are tokens like "\n  \n"
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
Raw = dict[str, Any]


@lru_cache
def byte_level(special: Sequence[str], split: str = "gpt2", size: int = 600) -> str:
    """tokenizer.json of byte-level BPE. split: "gpt2", "digits" (StarCoder), "qwen" or "deepseek"."""
    own = split in ("gpt2", "digits")
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=own)
    before: dict[str, list[Any]] = {
        "gpt2": [],
        "digits": [pre_tokenizers.Digits(individual_digits=True)],
        "qwen": [pre_tokenizers.Split(Regex(QWEN), "isolated")],
        "deepseek": [
            pre_tokenizers.Split(Regex("[\r\n]"), "isolated"),
            pre_tokenizers.Split(Regex(r"\s?\p{L}+"), "isolated"),
            pre_tokenizers.Split(Regex(r"\s?\p{P}+"), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ],
    }
    tokenizer = HfTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before[split], byte]) if before[split] else byte
    tokenizer.decoder = decoders.ByteLevel()
    if split == "qwen":
        tokenizer.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return str(tokenizer.to_str())


@lru_cache
def sentencepiece(special: Sequence[str], style: str = "prepend", size: int = 600) -> str:
    """tokenizer.json of sentencepiece-style BPE with byte fallback. style: "prepend", "metaspace" or "gemma"."""
    tokenizer = HfTokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "never", split=True)  # a merge never goes over a space
    tokens = ["<unk>", *special]
    trainer = trainers.BpeTrainer(
        vocab_size=size + 256, special_tokens=[*tokens, *BYTES], show_progress=False, max_token_length=12
    )
    lines = [line for line in TEXT.splitlines() if line.isascii()]
    tokenizer.train_from_iterator(lines, trainer)
    replace = normalizers.Replace(" ", "▁")
    if style == "prepend":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace])
        tokenizer.pre_tokenizer = None
    elif style == "gemma":
        tokenizer.normalizer = replace
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
    raw = json.loads(tokenizer.to_str())
    raw["added_tokens"] = [token for token in raw["added_tokens"] if token["content"] in tokens]
    return json.dumps(raw)


def load(raw: str | Raw) -> CheckpointTokenizer:
    return CheckpointTokenizer(json.loads(raw) if isinstance(raw, str) else raw, Path("tokenizer.json"))


def reference(raw: str | Raw) -> HfTokenizer:
    """The same in the tokenizers library, which must not take special tokens out of a text either."""
    tokenizer = HfTokenizer.from_str(raw if isinstance(raw, str) else json.dumps(raw))
    tokenizer.encode_special_tokens = True
    return tokenizer


def written(tokenizer: CheckpointTokenizer, ids: Sequence[int]) -> str:
    """The text of ids, special tokens between «»."""
    names = {id: f"«{text}»".encode() for text, id in tokenizer.special.items()}
    return b"".join(names.get(id, tokenizer.token_bytes[id]) for id in ids).decode()
