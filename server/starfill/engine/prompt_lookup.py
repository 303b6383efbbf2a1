"""Proposing how an answer goes on from texts that it probably repeats; whether a proposal is right, the model decides.

Verifying k proposed tokens is one pass over k + 1 rows, see `generate`: each row's logits choose a token just as
without proposals, and the first that differs ends the pass. So a wrong proposal costs time, never an answer. Looking
the proposals up in a text that is there anyway is known as prompt lookup decoding.

How many tokens are proposed follows from two things that are measured while a model decodes: what passes of so many
rows take, and how often a token is right that stands behind so many that were. Where a proposal isn't worth its pass,
what it would have been is still compared with what the model says, so finding out costs nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

ROWS = (1, 2, 4, 8, 16)  # of passes whose time is measured; others are taken to need as much as the next of these
MOST = ROWS[-1] - 1  # tokens proposed at once
SAMPLES = 8  # the fastest of the last ones counts: what is slower was disturbed
ENOUGH = 3  # samples that make a time known
LONGEST = 8  # agreeing tokens; more say no more
WINDOW_GRAMS = (LONGEST, 4, 3, 2)  # so many last tokens are looked for in the prompt and the answer, the most first
DRAFT_GRAM = 3  # and as many, anywhere, in a draft;
NEAR = 8  # a single one is enough so near ahead of where the answer was last: behind a word that was replaced
MEMORY = 0.98  # what a trial weighs when the next one is made: the last 50 count


class Costs:
    """What a pass of so many rows takes, in seconds."""

    def __init__(self) -> None:
        self._samples = {rows: deque[float](maxlen=SAMPLES) for rows in ROWS}

    def learn(self, rows: int, seconds: float) -> None:
        if rows in self._samples:
            self._samples[rows].append(seconds)

    @property
    def reach(self) -> int:
        """The rows of the largest pass to try: twice as many as are known, so that finding out is never dear."""
        known = [rows for rows in ROWS if len(self._samples[rows]) >= ENOUGH]
        return min(2 * max(known, default=1), ROWS[-1])

    def of(self, rows: int) -> float:
        """An unknown time grows as the known ones before it do; twice the rows take twice as long at most."""
        seconds, growth = min(self._samples[1], default=1.0), 1.0
        for each in ROWS[1:]:
            if each >= 2 * rows:
                break
            if len(self._samples[each]) >= ENOUGH:
                growth = min(max(min(self._samples[each]) / max(seconds, 1e-9), 1.0), 2.0)
            seconds *= growth
        return seconds


class Chances:
    """How often a proposed token is right, by how many tokens before it agree (from 1 on)."""

    def __init__(self) -> None:
        # Until it is known, the rule of succession: what was right n times in a row is so once more.
        self._right = [2.0 * n / (n + 1) for n in range(LONGEST + 1)]
        self._tried = [2.0] * (LONGEST + 1)

    def of(self, agreeing: int) -> float:
        n = min(agreeing, LONGEST)
        return self._right[n] / self._tried[n]

    def learn(self, agreeing: int, right: bool) -> None:
        n = min(agreeing, LONGEST)
        self._right[n] = self._right[n] * MEMORY + right
        self._tried[n] = self._tried[n] * MEMORY + 1


@dataclass(frozen=True, slots=True)
class Learned:
    """What decoding with one model has taught; its passes' costs, and what drafts and windows are worth."""

    costs: Costs = field(default_factory=Costs)
    draft: Chances = field(default_factory=Chances)
    window: Chances = field(default_factory=Chances)


@dataclass(frozen=True, slots=True)
class Guess:
    """Tokens that may come next. agreeing: how many before them do. start: where they stand in their text."""

    text: str
    start: int
    agreeing: int
    chances: Chances

    @property
    def tokens(self) -> list[int]:
        return list(map(ord, self.text[self.start : self.start + MOST]))

    @property
    def chance(self) -> float:
        return self.chances.of(self.agreeing)


class Proposer:
    """Follows one answer through its draft, and through prompt and answer themselves: its window.

    Texts are kept as strings with a character for each token, since Python finds a string in a string quickly.
    """

    def __init__(self, prompt: Sequence[int], draft: Sequence[int], learned: Learned) -> None:
        self._window = as_text(prompt)
        self._prompt = len(prompt)
        self._draft = as_text(draft)
        self._learned = learned
        self._reached = 0  # in the draft: up to here, guesses have come true
        self._guess: Guess | None = None  # the last one, whether it was proposed or not

    def propose(self, answer: Sequence[int], most: int) -> list[int]:
        """At most `most` tokens that may follow the answer so far; none where guessing isn't worth it.

        Asked before each pass: what the answer has gained since says how good the last guess was.
        """
        new = answer[len(self._window) - self._prompt :]
        if self._guess is not None:
            self._learn(self._guess, new)
        self._window += as_text(new)
        guesses = [guess for guess in (self._in_draft(), self._in_window()) if guess is not None]
        self._guess = max(guesses, key=lambda guess: guess.chance, default=None)
        if self._guess is None:
            return []
        tokens = self._guess.tokens[: max(most, 0)]
        chances = [self._guess.chances.of(self._guess.agreeing + n) for n in range(len(tokens))]
        return tokens[: best_length(chances, self._learned.costs)]

    def _learn(self, guess: Guess, new: Sequence[int]) -> None:
        right = 0
        for token, true in zip(guess.tokens, new, strict=False):
            guess.chances.learn(guess.agreeing + right, token == true)
            if token != true:
                break
            right += 1
        if right and guess.text is self._draft:
            self._reached = guess.start + right

    def _in_draft(self) -> Guess | None:
        """Where the last tokens stand next after the place reached, else where they stood last before it."""
        draft, end, from_ = self._draft, self._window[-DRAFT_GRAM:], self._reached
        at = draft.find(end, max(from_ + 1 - len(end), 0)) if len(end) == DRAFT_GRAM else -1
        at = draft.rfind(end, 0, from_) if at < 0 and len(end) == DRAFT_GRAM else at
        start = at + len(end)
        if at < 0:
            at = draft.find(self._window[-1], from_, from_ + NEAR)
            start = at + 1
        return self._guess_at(draft, start, self._learned.draft) if at >= 0 and start < len(draft) else None

    def _in_window(self) -> Guess | None:
        """Where the longest run of last tokens stood last."""
        window = self._window
        for length in WINDOW_GRAMS:
            at = window.rfind(window[-length:], 0, len(window) - 1) if length < len(window) else -1
            if at >= 0:
                return self._guess_at(window, at + length, self._learned.window)
        return None

    def _guess_at(self, text: str, start: int, chances: Chances) -> Guess:
        window, agreeing = self._window, 1
        while agreeing < min(LONGEST, start) and text[start - agreeing - 1] == window[-agreeing - 1 :][:1]:
            agreeing += 1
        return Guess(text, start, agreeing, chances)


def best_length(chances: Sequence[float], costs: Costs) -> int:
    """How many tokens to propose so that a second brings the most tokens; a pass brings one in any case.

    chances: of each token, given that those before it are right.
    """
    best, most = 0, 1 / costs.of(1)
    expected = together = 1.0
    for count, chance in enumerate(chances[: costs.reach - 1], 1):
        together *= chance
        expected += together
        if (count + 1 in ROWS or count == len(chances)) and (rate := expected / costs.of(count + 1)) > most:
            best, most = count, rate
    return best


def as_text(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))
