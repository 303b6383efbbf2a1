"""Prompt lookup decoding: proposes how an answer goes on, from texts that it probably repeats.

The model decides whether a proposal is right. Verifying k proposed tokens is one pass over k + 1 rows, see `generate`:
each row's logits choose a token just as without proposals, and the first that differs ends the pass. So a wrong
proposal costs time, but never changes an answer.

How many tokens are proposed follows from two measurements while a model decodes: how long passes of so many rows take,
and how often a proposed token is right, given how many before it agreed. Where a proposal isn't worth its pass, it is
still compared with what the model says, so these measurements cost nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

# numbers of rows whose passes are timed; other passes are taken to need as long as the next larger ones
ROWS = (1, 2, 4, 8, 16)
MOST = ROWS[-1] - 1  # tokens proposed at once
SAMPLES = 8  # the fastest of so many last passes counts: slower ones were disturbed
ENOUGH = 3  # samples that are enough to know a time
LONGEST = 8  # agreeing tokens; more don't matter
# the numbers of last tokens that are searched for in prompt and answer, longest first
WINDOW_GRAMS = (LONGEST, 4, 3, 2)
DRAFT_GRAM = 3  # the same for a draft, in which the whole text is searched
NEAR = 8  # a single token is enough if it is this near behind the last match: a word was replaced
MEMORY = 0.98  # the weight of a trial when the next one is made: about the last 50 count


class Costs:
    """Seconds that a pass of so many rows takes."""

    def __init__(self) -> None:
        self._samples = {rows: deque[float](maxlen=SAMPLES) for rows in ROWS}

    def learn(self, rows: int, seconds: float) -> None:
        if rows in self._samples:
            self._samples[rows].append(seconds)

    @property
    def longest_pass(self) -> int:
        """The rows of the largest pass to try: twice as many as are known, so that trying never costs much."""
        known = [rows for rows in ROWS if len(self._samples[rows]) >= ENOUGH]
        return min(2 * max(known, default=1), ROWS[-1])

    def of(self, rows: int) -> float:
        """An unknown time grows like the known ones before it; twice the rows take at most twice as long."""
        seconds, growth = min(self._samples[1], default=1.0), 1.0
        for each in ROWS[1:]:
            if each >= 2 * rows:
                break
            if len(self._samples[each]) >= ENOUGH:
                growth = min(max(min(self._samples[each]) / max(seconds, 1e-9), 1.0), 2.0)
            seconds *= growth
        return seconds


class Chances:
    """How often a proposed token is right, by the number of tokens before it that agree (from 1 on)."""

    def __init__(self) -> None:
        # The rule of succession until it is known: what was right n times in a row will be right again.
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
    """What decoding with one model has shown: the costs of its passes, and how often drafts and windows are right."""

    costs: Costs = field(default_factory=Costs)
    draft: Chances = field(default_factory=Chances)
    window: Chances = field(default_factory=Chances)


@dataclass(frozen=True, slots=True)
class Guess:
    """Tokens that may come next. agreeing: the number of tokens before them that agree. start: their place in their
    text.
    """

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

    Texts are stored as strings with one character for each token, since Python finds a string in a string quickly.
    """

    def __init__(self, prompt: Sequence[int], draft: Sequence[int], learned: Learned) -> None:
        self._window = as_text(prompt)
        self._prompt = len(prompt)
        self._draft = as_text(draft)
        self._learned = learned
        self._reached = 0  # in the draft: up to here, guesses were right
        self._guess: Guess | None = None  # the last guess, whether it was proposed or not

    def propose(self, answer: Sequence[int], most: int) -> list[int]:
        """At most `most` tokens that may follow the answer so far; none if guessing isn't worth it.

        Called before each pass: what was added to the answer since then shows how good the last guess was.
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
        """The next place after the last match where the last tokens stand; if there is none, the last place before
        it.
        """
        draft, end, from_ = self._draft, self._window[-DRAFT_GRAM:], self._reached
        at = draft.find(end, max(from_ + 1 - len(end), 0)) if len(end) == DRAFT_GRAM else -1
        at = draft.rfind(end, 0, from_) if at < 0 and len(end) == DRAFT_GRAM else at
        start = at + len(end)
        if at < 0:
            at = draft.find(self._window[-1], from_, from_ + NEAR)
            start = at + 1
        return self._guess_at(draft, start, self._learned.draft) if at >= 0 and start < len(draft) else None

    def _in_window(self) -> Guess | None:
        """The last place where the longest possible run of last tokens stands."""
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
    """How many tokens to propose for the most tokens per second. A pass yields at least one.

    chances: that each token is right, given that those before it are.
    """
    best, most = 0, 1 / costs.of(1)
    expected = together = 1.0
    for count, chance in enumerate(chances[: costs.longest_pass - 1], 1):
        together *= chance
        expected += together
        if (count + 1 in ROWS or count == len(chances)) and (rate := expected / costs.of(count + 1)) > most:
            best, most = count, rate
    return best


def as_text(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))
