"""The result of a completion request, with its figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from starfill.text.position import Edit
from starfill.util.json_names import json_name


@dataclass(frozen=True, slots=True)
class Figures:
    """What a request cost and why. reason: why nothing is shown, else None. Times in milliseconds.

    source: "prepared": computed in idle time; "reuse": the rest of a suggestion that is typed through.
    model, device: the model that answered; the device of a remote engine is its address.
    prompt_tokens = cached_tokens + computed_tokens for a request that was completed; all 0 when no model was asked.
    """

    reason: str | None = None
    layout: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    computed_tokens: int = 0
    generated_tokens: int = 0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    total_ms: float = 0.0
    source: Literal["model", "prepared", "reuse", "none"] = "none"
    model: str = ""
    device: str = ""

    def as_json(self) -> dict[str, str | int | float | None]:
        """With the protocol's names, in camelCase."""
        return {json_name(name): value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Completion:
    """The edits to offer, the likeliest first, for exactly this version of the document.

    superseded: a newer request for the document came in, so there are no edits.
    """

    uri: str
    version: int
    items: tuple[Edit, ...]
    figures: Figures
    superseded: bool = False
