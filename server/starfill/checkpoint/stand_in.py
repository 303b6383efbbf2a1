"""A tokenizer for a model whose own isn't here: texts are cut as the bundled model cuts them.

It serves an engine that is sent text: to count tokens (the model's own are usually longer, so prompts don't get too
long), to cut where a word begins, and to keep the user's text apart from control tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from starfill.checkpoint.config import read_json
from starfill.checkpoint.tokenizer import CheckpointTokenizer


def stand_in(folder: Path, controls: Iterable[str]) -> CheckpointTokenizer:
    """folder: of the model whose tokenizer is used. controls: control tokens that are added to it."""
    source = folder / "tokenizer.json"
    raw = read_json(source)
    added = list(raw["added_tokens"])
    first = max([*raw["model"]["vocab"].values(), *(token["id"] for token in added)]) + 1
    known = {token["content"] for token in added}
    for id, text in enumerate((text for text in dict.fromkeys(controls) if text not in known), first):
        added.append({"id": id, "content": text, "special": True, "normalized": False})
    return CheckpointTokenizer({**raw, "added_tokens": added}, source)
