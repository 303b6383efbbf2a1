"""What the model is asked for a request, and whether there is room for the question and its answer."""

from __future__ import annotations

from dataclasses import dataclass

from starfill.assist.completion.context_window import CHARS_PER_TOKEN
from starfill.assist.instruct.actions import Action, Placement
from starfill.assist.instruct.outcome import Instruction
from starfill.assist.instruct.prompt import fenced, instruction_ids
from starfill.assist.instruct.rewrite import given
from starfill.assist.instruct.target import target
from starfill.assist.prompts.family import Dialect
from starfill.assist.prompts.tokenizer import Tokenizer
from starfill.code.languages import LANGUAGES, fence_name
from starfill.config.settings import Settings
from starfill.errors import RequestError
from starfill.jobs import ModelInfo
from starfill.text.document import Document
from starfill.text.position import Span

USUAL_CONTEXT = 8192  # tokens of question and answer, where the setting leaves it to us: asked for, not typed along
LONGEST = 512  # tokens of an explanation, of tests, of code to insert
REWRITE = 128  # tokens of a rewrite, besides twice those of the code
LOOK = 4096  # characters that are encoded for a quick look, which takes 5 ms
SHORTEST = 64  # tokens: an answer that may be shorter is not worth asking for


@dataclass(frozen=True, slots=True)
class ContextBudget:
    """context: tokens that a question and its answer have room for. remedy: what gives them more."""

    context: int
    remedy: str

    @classmethod
    def of(cls, info: ModelInfo, settings: Settings) -> ContextBudget:
        wanted = settings.context_tokens or USUAL_CONTEXT
        if info.context_length <= wanted:
            return cls(info.context_length, "a model with a longer context (the setting instruct.model)")
        return cls(wanted, f"a larger contextTokens (the model allows {info.context_length})")

    def refusal(self, code: int, action: Action, around: int | None = None) -> str | None:
        """Why so much code is too long, or None.

        code: its tokens. around: tokens of the question besides; None where it isn't known yet and `code` is only what
        there is at least.
        """
        least = shortest(action.placement, code)
        question = code + (around or 0)
        if question + least <= self.context:
            return None
        more = " or more" if around is None else ""
        return (
            f"too long: the question takes {question} tokens{more} and its answer another {least}, but there is room"
            f" for {self.context}: select less code, or choose {self.remedy}"
        )


def least_tokens(document: Document, span: Span, tokenizer: Tokenizer) -> int:
    """How many tokens that code is at least, from a quick look at its beginning."""
    beginning = given(document, Span(span.start, min(span.end, span.start + LOOK)))
    return max(len(tokenizer.encode(beginning)) - 1, (span.end - span.start) // CHARS_PER_TOKEN)


def shortest(placement: Placement, code: int) -> int:
    """Tokens that an answer has to have room for. A rewrite mostly repeats the code, and says a little more."""
    return code + SHORTEST if placement is Placement.REPLACE else SHORTEST


def longest(placement: Placement, code: int) -> int:
    """Tokens after which an answer is given up: a small model may repeat itself for ever."""
    return 2 * code + REWRITE if placement is Placement.REPLACE else LONGEST


@dataclass(frozen=True, slots=True)
class InstructionRequest:
    """What the model is asked. code: what it is about; it stands at `span`. draft: what the answer probably repeats."""

    instruction: Instruction
    span: Span
    code: str
    ids: tuple[int, ...]
    max_new_tokens: int
    draft: tuple[int, ...]


def instruction_request(
    instruction: Instruction, tokenizer: Tokenizer, dialect: Dialect, room: ContextBudget
) -> InstructionRequest:
    """Parses the document where nothing is selected. Raises RequestError where nothing can be asked."""
    span = _span(instruction)
    refused = room.refusal(least_tokens(instruction.document, span, tokenizer), instruction.action)
    if refused is not None:  # encoding it would take seconds
        raise RequestError(refused)
    code = given(instruction.document, span)
    language = fence_name(instruction.document.language_id)
    action = instruction.action
    ids = instruction_ids(tokenizer, dialect, action.wording(instruction.problem), code, language)
    block = tuple(tokenizer.encode(fenced(code, language)))
    refused = room.refusal(len(block), action, around=max(0, len(ids) - len(block)))
    if refused is not None:
        raise RequestError(refused)
    return InstructionRequest(
        instruction=instruction,
        span=span,
        code=code,
        ids=ids,
        max_new_tokens=min(room.context - len(ids), longest(action.placement, len(block))),
        draft=block if action.placement is Placement.REPLACE else (),
    )


def _span(instruction: Instruction) -> Span:
    document, selection = instruction.document, instruction.selection
    if (span := target(document, selection)) is not None:
        return span
    if selection.start < selection.end:
        raise RequestError("there is only white space in the selection: select the code that it is about")
    if document.language_id not in LANGUAGES:
        raise RequestError(
            f'nothing is selected, and of the language "{document.language_id}" Starfill knows no functions: select the'
            " code that it is about"
        )
    line = document.line_of(selection.start) + 1
    raise RequestError(f"line {line} is in no function or class: select the code that it is about")
