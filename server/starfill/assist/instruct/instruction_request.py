"""What the model is asked for an instruction, and whether question and answer fit into its context."""

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

# tokens of question and answer if the setting doesn't say; more than a completion's: nobody waits for it while typing
USUAL_CONTEXT = 8192
LONGEST = 512  # tokens of an explanation, of tests, or of code to insert
REWRITE = 128  # tokens of a rewrite, in addition to twice those of the code
ESTIMATED = 4096  # characters that are encoded for the estimate, in 5 ms
SHORTEST = 64  # tokens; it isn't worth asking for an answer that must be shorter


@dataclass(frozen=True, slots=True)
class ContextBudget:
    """context: the number of tokens for a question and its answer. remedy: how the user can get more."""

    context: int
    remedy: str

    @classmethod
    def of(cls, info: ModelInfo, settings: Settings) -> ContextBudget:
        wanted = settings.context_tokens or USUAL_CONTEXT
        if info.context_length <= wanted:
            return cls(info.context_length, "a model with a longer context (the setting instruct.model)")
        return cls(wanted, f"a larger contextTokens (the model allows {info.context_length})")

    def refusal(self, code: int, action: Action, around: int | None = None) -> str | None:
        """Why code of so many tokens is too long; None if it isn't.

        code: the number of its tokens. around: the number of the question's other tokens; None if it isn't known yet,
        and `code` is only a lower bound.
        """
        least = min_answer_tokens(action.placement, code)
        question = code + (around or 0)
        if question + least <= self.context:
            return None
        more = " or more" if around is None else ""
        return (
            f"too long: the question takes {question} tokens{more} and its answer another {least}, but there is room"
            f" for {self.context}: select less code, or choose {self.remedy}"
        )


def least_tokens(document: Document, span: Span, tokenizer: Tokenizer) -> int:
    """A lower bound for the tokens of that code, estimated from its beginning."""
    beginning = given(document, Span(span.start, min(span.end, span.start + ESTIMATED)))
    return max(len(tokenizer.encode(beginning)) - 1, (span.end - span.start) // CHARS_PER_TOKEN)


def min_answer_tokens(placement: Placement, code: int) -> int:
    """The number of tokens that an answer must have room for. A rewrite mostly repeats the code, with a few words
    more.
    """
    return code + SHORTEST if placement is Placement.REPLACE else SHORTEST


def max_answer_tokens(placement: Placement, code: int) -> int:
    """The number of tokens after which an answer is cut off: a small model may repeat itself for ever."""
    return 2 * code + REWRITE if placement is Placement.REPLACE else LONGEST


@dataclass(frozen=True, slots=True)
class InstructionRequest:
    """What the model is asked. code: the text at `span`, which the question is about. draft: what the answer is likely
    to repeat.
    """

    instruction: Instruction
    span: Span
    code: str
    ids: tuple[int, ...]
    max_new_tokens: int
    draft: tuple[int, ...]


def instruction_request(
    instruction: Instruction, tokenizer: Tokenizer, dialect: Dialect, budget: ContextBudget
) -> InstructionRequest:
    """The request for an instruction. Parses the document if nothing is selected. Raises RequestError if it can't be
    asked.
    """
    span = _span(instruction)
    refused = budget.refusal(least_tokens(instruction.document, span, tokenizer), instruction.action)
    if refused is not None:  # encoding so much code would take seconds
        raise RequestError(refused)
    code = given(instruction.document, span)
    language = fence_name(instruction.document.language_id)
    action = instruction.action
    ids = instruction_ids(tokenizer, dialect, action.wording(instruction.problem), code, language)
    block = tuple(tokenizer.encode(fenced(code, language)))
    refused = budget.refusal(len(block), action, around=max(0, len(ids) - len(block)))
    if refused is not None:
        raise RequestError(refused)
    return InstructionRequest(
        instruction=instruction,
        span=span,
        code=code,
        ids=ids,
        max_new_tokens=min(budget.context - len(ids), max_answer_tokens(action.placement, len(block))),
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
