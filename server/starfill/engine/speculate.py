"""Proposing how an answer goes on from a text that it probably repeats; whether a proposal is right, the model decides.

Verifying k proposed tokens is one pass over k + 1 rows, see `generate`: each row's logits choose a token just as
without proposals, and the first that differs ends the pass. So a wrong proposal costs time, never an answer. Looking
the proposals up in a text that is there anyway is known as prompt lookup decoding.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

# How many tokens to propose. On 2 cores, int4 products of r rows take about 0.45 r times as long as one row (1.8 at 4
# rows, 3.7 at 8): what they can gain per token is reached at 4 rows already. More rows save what a pass costs besides
# (most of it in a small model), and they are lost when the first token is wrong. So: few, until they prove right.
LEAST, MOST = 3, 15
GRAM = 3  # the last tokens that must agree for a place anywhere in the draft
NEAR = 8  # tokens; a single one is enough this near ahead of where the answer was last: behind a word that was replaced


class Proposer:
    """Follows an answer through its draft."""

    def __init__(self, draft: Sequence[int]) -> None:
        self._draft = tuple(draft)
        self._after_token: dict[int, list[int]] = {}  # -> the places behind it, ascending
        self._after_gram: dict[tuple[int, ...], list[int]] = {}
        for end in range(1, len(self._draft) + 1):
            self._after_token.setdefault(self._draft[end - 1], []).append(end)
            if end >= GRAM:
                self._after_gram.setdefault(self._draft[end - GRAM : end], []).append(end)
        self._reached = 0  # up to here, proposals have come true
        self._length = LEAST
        self._start = 0  # of the last proposal in the draft,
        self._proposed = 0  # its length,
        self._known = 0  # and how long the answer was then

    def propose(self, answer: Sequence[int], most: int) -> Sequence[int]:
        """At most `most` tokens that may follow the answer so far; none where it has left the draft.

        Asked before each pass: what the answer has gained since says how good the last proposal was.
        """
        if self._proposed:
            self._learn(right=len(answer) - self._known - 1)  # a pass's last token is the model's own
        self._start = self._place(answer)
        proposal = self._draft[self._start : self._start + min(self._length, most)]
        self._proposed, self._known = len(proposal), len(answer)
        return proposal

    def _learn(self, right: int) -> None:
        if right:
            self._reached = self._start + right
        self._length = min(2 * self._length, MOST) if right == self._proposed else max(self._length // 2, LEAST)

    def _place(self, answer: Sequence[int]) -> int:
        """Where the answer goes on in the draft; the draft's end when it stands nowhere.

        Behind its last tokens: where they stand next after the place reached, else where they stood last before it.
        """
        places = self._after_gram.get(tuple(answer[-GRAM:]), [])
        if places:
            return places[min(bisect_right(places, self._reached), len(places) - 1)]
        places = self._after_token.get(answer[-1], [])
        ahead = bisect_right(places, self._reached)
        if ahead < len(places) and places[ahead] <= self._reached + NEAR:
            return places[ahead]
        return len(self._draft)
