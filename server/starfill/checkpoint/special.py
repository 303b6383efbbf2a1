"""A checkpoint's special tokens, from its smaller files: which begins a text, which end one; and the chat template.

The chat template is only read as text. Nothing here or elsewhere runs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starfill.checkpoint.config import read_json
from starfill.checkpoint.tokenizer import CheckpointTokenizer


@dataclass(frozen=True, slots=True)
class Special:
    """bos: the token that the tokenizer itself puts first, if any. eos: ids that end a text.

    family: `starfill_family` in config.json, with which a checkpoint may name its family.
    """

    chat_template: str | None
    bos: str | None
    eos: frozenset[int]
    family: str | None


def read_special(folder: Path, tokenizer: CheckpointTokenizer, model: Mapping[str, Any] | None = None) -> Special:
    """From config.json, generation_config.json, tokenizer_config.json, special_tokens_map.json and chat_template.jinja.

    Each may be missing. model: the content of config.json, if it was read before. Raises CheckpointError for a file
    that isn't valid JSON.
    """
    model = _json(folder / "config.json") if model is None else model
    of_tokenizer = _json(folder / "tokenizer_config.json")
    names = _json(folder / "special_tokens_map.json") | of_tokenizer
    eos = {*_ids(model.get("eos_token_id")), *_ids(_json(folder / "generation_config.json").get("eos_token_id"))}
    if (end := _text(names.get("eos_token"))) in tokenizer.special:
        eos.add(tokenizer.special[end])
    bos = _text(names.get("bos_token"))
    puts_bos = of_tokenizer.get("add_bos_token")
    if puts_bos is None:
        puts_bos = bos in tokenizer.put_first
    family = model.get("starfill_family")
    return Special(
        chat_template=_chat_template(folder, of_tokenizer.get("chat_template")),
        bos=bos if puts_bos and bos in tokenizer.special else None,
        eos=frozenset(id for id in eos if 0 <= id < len(tokenizer.token_bytes)),
        family=None if family is None else str(family),
    )


def _chat_template(folder: Path, given: object) -> str | None:
    """The text of the chat template, or of all templates if there are several with names."""
    if isinstance(given, str):
        return given
    if isinstance(given, list):
        return "\n".join(json.dumps(each, ensure_ascii=False) for each in given)
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _text(token: object) -> str:
    """A token, given as its text or as an object with its `content`."""
    content = token.get("content") if isinstance(token, Mapping) else token
    return content if isinstance(content, str) else ""


def _ids(value: object) -> Iterable[int]:
    """Token ids, given as one or as a list."""
    values = value if isinstance(value, list) else [value]
    return [id for id in values if type(id) is int]
