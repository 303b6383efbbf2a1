"""Where a text can be cut so that its pieces encode exactly as the whole, which makes encoding incremental.

Proven for each kind of tokenizer. A tokenizer of another kind encodes whole texts, which is right and slower.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# GPT-2's pattern: no pre-token contains a line end and the non-space before it. (A pre-token may begin with one space
# before a word, but with no other white space.)
_BEFORE_LINE_END = re.compile(r"(?<=\S)(?=[\r\n])")
# Patterns in which a run of line ends goes with the text before it, and not with the text after it.
_AFTER_LINE_ENDS = re.compile(r"(?<=\n)(?=[ \t]*[^\s])")
_TAKES_LINE_ENDS = r"|\s*[\r\n]+|\s+(?!\S)|\s+"  # the end of the patterns of Llama 3 and Qwen 2
_MIXED = re.compile(r"[^\r\n][\r\n]|[\r\n][^\r\n]")
_ALONE = ("[\r\n]", r"[\r\n]")  # DeepSeek first splits every line end off


def boundaries(raw: Mapping[str, Any], vocab: Iterable[str]) -> re.Pattern[str] | None:
    """The pattern at which to split, or None. raw: tokenizer.json. vocab: all tokens that a text can become."""
    model, normalizer = raw.get("model") or {}, _steps(raw.get("normalizer"), "normalizers")
    before = _steps(raw.get("pre_tokenizer"), "pretokenizers")
    if model.get("type") != "BPE" or any(_MIXED.search(token["content"]) for token in raw.get("added_tokens") or ()):
        return None
    if before and before[-1].get("type") == "ByteLevel":
        return _of_byte_level(before, normalizer)
    # Sentencepiece may merge anything, so no token may contain a line end that follows something else.
    cuts_at_spaces = all(map(_cuts_at_spaces, before)) and all(map(_writes_spaces, normalizer))
    if cuts_at_spaces and model.get("byte_fallback") and not any(_MIXED.search(token) for token in vocab):
        return _BEFORE_LINE_END
    return None


def _steps(step: Mapping[str, Any] | None, key: str) -> list[Mapping[str, Any]]:
    return [] if step is None else list(step.get(key, [step]))


def _of_byte_level(steps: list[Mapping[str, Any]], normalizer: list[Mapping[str, Any]]) -> re.Pattern[str] | None:
    *before, last = steps
    if last.get("use_regex", True):
        exact = not normalizer and all(step.get("type") == "Digits" for step in before)
        return _BEFORE_LINE_END if exact else None
    if not before or before[0].get("type") != "Split" or before[0].get("behavior") != "Isolated":
        return None
    if any(step.get("type") != "NFC" for step in normalizer):  # NFC changes nothing across a line end
        return None
    pattern = before[0].get("pattern", {}).get("Regex", "")
    return _AFTER_LINE_ENDS if pattern in _ALONE or pattern.endswith(_TAKES_LINE_ENDS) else None


def _cuts_at_spaces(step: Mapping[str, Any]) -> bool:
    return step.get("type") == "Metaspace" or (step.get("type") == "Split" and step.get("pattern") == {"String": " "})


def _writes_spaces(step: Mapping[str, Any]) -> bool:
    """Whether a normalizer's step only replaces spaces by ▁."""
    return step.get("type") == "Prepend" or (step.get("type") == "Replace" and step.get("pattern") == {"String": " "})
