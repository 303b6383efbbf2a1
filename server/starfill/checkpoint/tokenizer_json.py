"""`tokenizer.json` as data: which of its tokens aren't text, and the same tokenizer for text only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Control tokens by their looks: between bars, or words with underscores in angle brackets, which no HTML tag has.
_CONTROL = re.compile(r"<[|｜].*[|｜]>|</?[a-z]+(?:_[a-z]+)+>", re.DOTALL)
# And by name: some conversions have Code Llama's only in the vocabulary.
_CONTROLS = ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>", "<step>", "[INST]", "[/INST]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]")


def special_tokens(raw: Mapping[str, Any]) -> dict[str, int]:
    """The added tokens that aren't text.

    A few tokenizers (Gemma, DeepSeek) add words and runs of white space, which are text. DeepSeek and Qwen don't mark
    all of their control tokens as special.
    """
    added = {token["content"]: token for token in raw.get("added_tokens") or ()}
    found = {text: token["id"] for text, token in added.items() if token.get("special") or _CONTROL.fullmatch(text)}
    vocab = (raw.get("model") or {}).get("vocab")
    known = (dict(vocab) if isinstance(vocab, Mapping) else {}) | {text: token["id"] for text, token in added.items()}
    return found | {token: known[token] for token in _CONTROLS if token in known}


def put_first(raw: Mapping[str, Any]) -> frozenset[str]:
    """The tokens that the post-processor puts before a single text."""
    post = raw.get("post_processor") or {}
    first = set()
    for part in post.get("processors", [post]):
        for item in part.get("single") or ():
            if "SpecialToken" not in item:
                break
            first.add(item["SpecialToken"]["id"])
    return frozenset(first)


def for_text(raw: Mapping[str, Any], special: Mapping[str, int]) -> dict[str, Any]:
    """The tokenizer without its special tokens, and without the space that it writes before a text."""
    model = dict(raw.get("model") or {})
    unknown = model.get("unk_token")
    added = [{**token, "special": False} for token in raw.get("added_tokens") or () if token["content"] not in special]
    if isinstance(model.get("vocab"), Mapping):
        vocab = {token: id for token, id in model["vocab"].items() if token not in special or token == unknown}
        # The library gives added tokens new numbers unless they are in the vocabulary.
        model["vocab"] = vocab | {token["content"]: token["id"] for token in added}
        model["merges"] = [merge for merge in model.get("merges") or () if _merged(merge) not in special]
    return {
        **raw,
        "model": model,
        "added_tokens": added,
        "normalizer": _without_prefix(raw.get("normalizer"), "normalizers"),
        "pre_tokenizer": _without_prefix(raw.get("pre_tokenizer"), "pretokenizers"),
        "post_processor": None,
        "truncation": None,
        "padding": None,
    }


def _merged(merge: str | Sequence[str]) -> str:
    """The token that a merge makes. A merge is written as a pair, or as one string with a space in between."""
    return merge.replace(" ", "", 1) if isinstance(merge, str) else "".join(merge)


def _parts(step: Mapping[str, Any] | None, key: str) -> list[Mapping[str, Any]]:
    """The steps of a normalizer or pre-tokenizer."""
    return [] if step is None else list(step.get(key, [step]))


def writes_a_space_first(raw: Mapping[str, Any]) -> bool:
    steps = [*_parts(raw.get("normalizer"), "normalizers"), *_parts(raw.get("pre_tokenizer"), "pretokenizers")]
    return any(
        step.get("type") == "Prepend" or (step.get("type") == "Metaspace" and step.get("prepend_scheme") != "never")
        for step in steps
    )


def _without_prefix(step: Mapping[str, Any] | None, key: str) -> dict[str, Any] | None:
    parts = [_spaceless(part) for part in _parts(step, key) if part.get("type") != "Prepend"]
    return {"type": "Sequence", key: parts} if parts else None


def _spaceless(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") == "Metaspace":
        return {**part, "prepend_scheme": "never", "add_prefix_space": False}
    return {**part, "add_prefix_space": False} if part.get("type") == "ByteLevel" else dict(part)


def byte_spelled(raw: Mapping[str, Any]) -> frozenset[str]:
    """The tokens that are written in byte-level BPE's alphabet: all but the added ones, or none."""
    steps = [*_parts(raw.get("pre_tokenizer"), "pretokenizers"), *_parts(raw.get("decoder"), "decoders")]
    if not any(step.get("type") == "ByteLevel" for step in steps):
        return frozenset()
    return frozenset(raw["model"]["vocab"]) - {token["content"] for token in raw.get("added_tokens") or ()}
