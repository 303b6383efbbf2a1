"""Puts prompts to a model, several answers to a prompt in one batch, and reads the answers as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from starfill.assist.completion.token_healing import TokenIndex, allowed_after
from starfill.assist.prompts.detokenizer import Detokenizer, decode
from starfill.assist.prompts.family import Dialect
from starfill.assist.prompts.tokenizer import Tokenizer
from starfill.jobs import Engine, Finish, Job, Priority, Sampling

SEEDS = 1 << 20  # the difference between the seeds of two prompts: more samples than anyone draws


class AnsweringModel(Protocol):
    """An opened checkpoint; `app` provides it."""

    @property
    def engine(self) -> Engine: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def dialect(self) -> Dialect: ...


def goes_on(text: str) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt. dropped: bytes that the answer has to begin with and that aren't part of it (token healing); cut:
    their ids.

    end: where an unfinished answer ends, in characters; None while it may go on.
    """

    ids: tuple[int, ...]
    max_new_tokens: int
    dropped: bytes = b""
    cut: tuple[int, ...] = ()
    end: Callable[[str], int | None] = goes_on


@dataclass(frozen=True, slots=True)
class Answer:
    """cut_off: the token limit ended it. tokens: the number generated for it."""

    text: str
    cut_off: bool
    tokens: int


class Asker:
    """Asks one model. batch: how many answers are decoded together; it limits memory and changes no answer."""

    def __init__(self, model: AnsweringModel, sampling: Sampling, batch: int) -> None:
        self._model, self._sampling, self._batch = model, sampling, batch
        self._index = TokenIndex(model.tokenizer.token_bytes)

    def ask(self, question: Question, number: int, samples: Sequence[int]) -> Iterator[list[Answer]]:
        """The answers with the given sample numbers (consecutive ones), batch by batch. number: of the prompt.

        With a seed, sample k of prompt `number` is always the same, whatever else is asked.
        """
        for start in range(0, len(samples), self._batch):
            yield self._together(question, number, samples[start : start + self._batch])

    def _together(self, question: Question, number: int, samples: Sequence[int]) -> list[Answer]:
        token_bytes, skip = self._model.tokenizer.token_bytes, len(question.dropped)
        texts = [""] * len(samples)
        streams = [Detokenizer(token_bytes, skip) for _ in samples]

        def on_token(candidate: int, token: int) -> bool:
            piece = streams[candidate].feed(token)
            texts[candidate] += piece
            return bool(piece) and question.end(texts[candidate]) is not None

        seed = self._sampling.seed
        job = Job(
            key="evaluation",  # the same for all: neighbouring prompts often begin alike
            ids=question.ids,
            max_new_tokens=question.max_new_tokens,
            stop_ids=self._model.dialect.stop_ids,
            sampling=replace(self._sampling, seed=None if seed is None else seed + number * SEEDS + samples[0]),
            candidates=len(samples),
            priority=Priority.INSTRUCTION,
            on_token=on_token,
            allowed=allowed_after(self._index, question.dropped),
            begins=question.cut,
        )
        result = self._model.engine.submit(job).future.result()
        answers = []
        for ids, finish in zip(result.candidates, result.finish, strict=True):
            text = decode(token_bytes, ids, skip)
            answers.append(Answer(text[: question.end(text)], finish is Finish.LENGTH, len(ids)))
        return answers
