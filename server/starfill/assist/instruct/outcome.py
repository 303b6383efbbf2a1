"""An instruction, and its outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from starfill.assist.instruct.actions import Action
from starfill.text.document import Document
from starfill.text.position import Edit, Span
from starfill.util.json_names import json_name


@dataclass(frozen=True, slots=True)
class Instruction:
    """selection: empty for the code around the cursor. problem: the text of a diagnostic, for "fix"; see
    `problem_text`.
    """

    document: Document
    selection: Span
    action: Action
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AnswerCost:
    """The cost of an answer. Times in milliseconds.

    prompt_tokens = cached_tokens + computed_tokens, of the first sample; everything else counts all samples.
    steps: passes of the model in decode. samples: 2 if the first one did not parse.
    """

    prompt_tokens: int
    cached_tokens: int
    computed_tokens: int
    generated_tokens: int
    steps: int
    samples: int
    prefill_ms: float
    decode_ms: float
    total_ms: float

    def as_json(self) -> dict[str, int | float]:
        """With the protocol's names, in camelCase."""
        return {json_name(name): value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to show or to change, for exactly this version of the document.

    span: the whole lines that the instruction is about. text: the explanation, or the code as it would stand in the
        document.
    edits: ascending; () if the text is only shown, or becomes a file of tests.
    warning: what the user should know before accepting it, or None.
    """

    instruction: Instruction
    span: Span
    text: str
    edits: tuple[Edit, ...]
    warning: str | None
    figures: AnswerCost
