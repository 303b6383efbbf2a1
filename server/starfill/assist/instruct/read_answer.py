"""From an answer to an explanation, or to edits of the document."""

from __future__ import annotations

from dataclasses import dataclass

from starfill.assist.instruct.actions import Placement
from starfill.assist.instruct.answer import code_in
from starfill.assist.instruct.instruction_request import InstructionRequest
from starfill.assist.instruct.repetition import first_repetition_end
from starfill.assist.instruct.rewrite import fitted
from starfill.code.syntax import parses
from starfill.errors import RequestError
from starfill.text.diff import line_edits
from starfill.text.document import Document
from starfill.text.position import Edit

REPEATED = "the model began to repeat itself, so nothing is changed: try less code, or a larger model"


@dataclass(frozen=True, slots=True)
class Reading:
    """parses: whether the document does after the edits; None if nobody can tell. edits: () if the text is only shown.

    refusal: why the answer can't be used; another sample may be better.
    """

    text: str
    edits: tuple[Edit, ...] = ()
    parses: bool | None = None
    warning: str | None = None
    refusal: str | None = None

    @property
    def is_good(self) -> bool:
        return self.refusal is None and self.parses is not False


def read(asked: InstructionRequest, answer: str, cut_off: bool) -> Reading:
    """Read an answer, and parse the document with it. Raises RequestError if it can't be used and a second sample would
    be no better.

    cut_off: the token limit ended the answer.
    """
    placement = asked.instruction.action.placement
    repetition_end = first_repetition_end(answer, asked.code)
    if placement is Placement.SHOW:
        return _explanation(asked, answer, cut_off, repetition_end)
    if repetition_end is not None:
        return Reading(answer, refusal=REPEATED)
    if cut_off:
        raise RequestError(
            f"the answer was not finished after {asked.max_new_tokens} tokens, so nothing is changed: try less code"
        )
    document, span = asked.instruction.document, asked.span
    code = code_in(answer, document.language_id)
    if code is None:
        raise RequestError("the model's answer has no code in it, so nothing is changed")
    if placement is Placement.TESTS:
        text = code.strip("\n") + "\n"
        alone = Document.open(document.uri, document.language_id, 0, "")
        return Reading(text, parses=parses(alone, (Edit(0, 0, text),)))
    text = fitted(code, document, span)
    if placement is Placement.REPLACE:
        edits = line_edits(document.slice(span.start, span.end), text, span.start)
        if not edits:
            raise RequestError("the model suggests no change: its answer equals the selection")
    else:
        text = text.rstrip("\r\n")
        above = placement is Placement.BEFORE
        at, inserted = (span.start, text + document.eol) if above else (span.end, document.eol + text)
        edits = (Edit(at, at, inserted),)
    return Reading(text, edits, parses(document, edits))


def _explanation(asked: InstructionRequest, answer: str, cut_off: bool, repetition_end: int | None) -> Reading:
    text = answer[:repetition_end].strip()
    if not text:
        return Reading("", refusal="the model's answer is empty")
    if repetition_end is not None:
        return Reading(text, warning="ends where the model began to repeat itself")
    return Reading(text, warning=f"was cut off after {asked.max_new_tokens} tokens" if cut_off else None)
