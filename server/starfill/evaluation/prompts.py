"""The prompts of the benchmarks: an instruction, the beginning of a function, or a gap in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from starfill.assist.completion.fim_prompt import Setup, plan
from starfill.assist.completion.token_healing import MAX_DROPPED
from starfill.assist.instruct.prompt import instruction_ids
from starfill.assist.prompts.family import Dialect
from starfill.config.choices import Layout
from starfill.errors import RequestError
from starfill.evaluation.ask import AnsweringModel, Question
from starfill.text.document import Document

# WizardCoder's prompt for HumanEval (src/humaneval_gen.py of its repository).
SCRIPT = "Create a Python script for this problem:\n{prompt}"
# A function that is continued ends before the next top-level line of these kinds (Codex paper, arXiv 2107.03374, §2.2).
NEXT_PART = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n@", "\n```")
LINE_TOKENS = 64  # a line of code has fewer
FIM_CONTEXT = 2048  # tokens: as in an editor


def is_tuned(model: AnsweringModel) -> bool:
    """Whether the model was trained to follow instructions."""
    return model.dialect.instruct in model.dialect.family.instruct


def instruction(model: AnsweringModel, text: str, given: str, max_new_tokens: int, place: str) -> Question:
    """An instruction in the template of the model's family. Raises RequestError; its message begins with `place`."""
    ids = instruction_ids(model.tokenizer, model.dialect, text, given)
    return Question(_fitting(ids, model, place), max_new_tokens, end=before_any(model.dialect.instruct.stops))


def continuation(model: AnsweringModel, prompt: str, max_new_tokens: int, place: str) -> Question:
    """The beginning of a function, to be continued. Raises RequestError like `instruction`."""
    bos = [] if model.dialect.bos is None else [model.dialect.bos]
    # Without the line end: a model writes it in one token with the indentation that follows.
    ids = (*bos, *model.tokenizer.encode(prompt.rstrip(), start=True))
    return Question(_fitting(ids, model, place), max_new_tokens, end=before_any(NEXT_PART))


def gap(
    model: AnsweringModel,
    path: str,
    before: str,
    after: str,
    layout: Layout,
    healed: bool,
    end: Callable[[str], int | None],
) -> Question:
    """One line, or the rest of one, between two texts, in the language server's own prompt.

    path: of the file; "" if it has none. healed: with token healing, if the layout has it.
    """
    dialect = model.dialect if healed else _unhealed(model)
    context = min(model.engine.info.context_length, FIM_CONTEXT)
    setup = Setup(model.tokenizer, dialect, layout, context, answer=min(LINE_TOKENS, context // 2))
    document = Document.open(f"file:///{path}" if path else "untitled:gap.py", "python", 0, before + after)
    prompt, _ = plan(document, len(before), None, setup)
    room = setup.answer + (MAX_DROPPED if prompt.dropped else 0)
    return Question(prompt.ids, room, prompt.dropped, prompt.cut, end)


def _unhealed(model: AnsweringModel) -> Dialect:
    return replace(model.dialect, family=replace(model.dialect.family, healed=frozenset()))


def before_any(stops: Sequence[str]) -> Callable[[str], int | None]:
    """The end of an answer: before the first of some texts."""

    def end(text: str) -> int | None:
        return min((at for stop in stops if (at := text.find(stop)) >= 0), default=None)

    return end


def line_end(text: str) -> int | None:
    """The end of an answer: after its first line that isn't blank, with the line end."""
    start = len(text) - len(text.lstrip())
    return None if (at := text.find("\n", start)) < 0 else at + 1


def rest_of_line(text: str) -> int | None:
    """The end of an answer: before the first line end."""
    return None if (at := text.find("\n")) < 0 else at


def _fitting(ids: Sequence[int], model: AnsweringModel, place: str) -> tuple[int, ...]:
    room = model.engine.info.context_length
    if len(ids) >= room:
        raise RequestError(f"{place}: the prompt has {len(ids)} tokens, but the model has room for {room}: shorten it")
    return tuple(ids)
