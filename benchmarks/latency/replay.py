"""Plays a trace through several systems, which take turns round by round, one of them active at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from peers.peer import Answer, Ask, Peer, Prompt
from starfill.text.document import Document
from starfill.text.position import Encoding, Position
from traces.trace import Trace
from traces.typist import Change, Event, Place, end_of, inverse


class Planner(Protocol):
    def plan(self, document: Document, offset: int, previous: Any) -> tuple[Prompt, Any]: ...

    def count(self, text: str) -> int: ...


class Settle(Protocol):
    def __call__(self, pid: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Limit:
    """What a slow system is asked: the last `asks` completions of a round, no prompts above `longest` tokens."""

    asks: int = 1_000_000
    longest: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion of one system; see Answer. round, place: which event of the trace asked for it."""

    trace: str
    peer: str
    round: int
    place: int
    kind: str
    first_ms: float
    whole_ms: float
    prompt: int
    computed: int
    generated: int
    steps: int
    prefill_ms: float | None
    source: str

    def as_json(self) -> dict[str, Any]:
        return {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(self).items()}


@dataclass(slots=True)
class Editor:
    """The documents as they are, and the prompts that follow from them."""

    planner: Planner
    documents: list[Document]
    anchors: dict[str, Any] = field(default_factory=dict)
    offered: Change | None = None  # what the first system has just suggested
    undo: Change | None = None

    def as_played(self, event: Event) -> Event:
        """Accepting inserts what was suggested, if anything was, and undoing takes that back."""
        if event.kind == "accept" and self.offered is not None:
            self.undo = inverse(self.documents[event.document].text.split("\n"), self.offered)
            return replace(event, change=self.offered, cursor=end_of(self.offered))
        if event.kind == "undo" and self.undo is not None:
            event, self.undo = replace(event, change=self.undo), None
        return event

    def apply(self, event: Event) -> None:
        if event.change is not None:
            start, end, text = event.change
            document = self.documents[event.document]
            places = self._offset(document, start), self._offset(document, end)
            self.documents[event.document] = document.replaced(*places, text, document.version + 1)

    def ask(self, event: Event, cursor: Place, tokens: int) -> tuple[Ask, Any]:
        """And the anchor to `keep` if the model is asked."""
        document = self.documents[event.document]
        previous = self.anchors.get(document.uri)
        prompt, anchor = self.planner.plan(document, self._offset(document, cursor), previous)
        accepted = event.change is not None and event.change is self.offered
        return Ask(event.document, event.change, cursor, prompt, tokens, accepted), anchor

    def keep(self, ask: Ask, answer: Answer, anchor: Any) -> int:
        """What the first system has answered; tokens of its answer."""
        self.offered = answer.suggestion
        if answer.source != "reuse":
            self.anchors[self.documents[ask.document].uri] = anchor
        return answer.generated or (self.planner.count(answer.suggestion.text) if answer.suggestion else 1)

    @staticmethod
    def _offset(document: Document, place: Place) -> int:
        return document.offset_at(Position(*place), Encoding.UTF32)


def play(
    name: str,
    trace: Trace,
    peers: Sequence[Peer],
    planner: Planner,
    settle: Settle,
    tokens: int,
    limits: dict[str, Limit],
    pauses: float = 0.0,
) -> list[Sample]:
    """The first system decides: what it suggests is what gets accepted, and the others answer with as many tokens.

    Where it needs no model, because a suggestion is being typed through, the others aren't asked: the plugins that use
    them keep suggestions too. tokens: of an answer, where the first system doesn't decide it. pauses: by how much the
    pauses of a person are multiplied.
    """
    uris = [f"file:///{name}/document{number}.py" for number in range(len(trace.texts))]
    opened = [Document.open(uri, "python", 1, text) for uri, text in zip(uris, trace.texts, strict=True)]
    editor = Editor(planner, opened)
    samples: list[Sample] = []
    for peer in peers:
        peer.open(uris, trace.texts)
    for number, events in enumerate(trace.rounds):
        played = _lead(peers[0], events, editor, tokens, pauses)
        answers = {place: answer for place, (_, _, answer) in enumerate(played) if answer is not None}
        for peer in peers:
            if peer is not peers[0]:
                answers = _follow(peer, played, limits.get(peer.name, Limit()), pauses)
            settle(peer.pid)
            for place, answer in answers.items():
                samples.append(_sample(name, peer.name, number, place, events[place].kind, answer))
    return samples


Played = tuple[Event, Ask | None, Answer | None]


def _lead(peer: Peer, events: Sequence[Event], editor: Editor, tokens: int, pauses: float) -> list[Played]:
    """The events as they happened, with what the others are to be asked and what this system answered."""
    played: list[Played] = []
    for written in events:
        time.sleep(pauses * written.pause)
        event = editor.as_played(written)
        editor.apply(event)
        if event.cursor is None:
            assert event.change is not None
            peer.edit(event.document, event.change)
            played.append((event, None, None))
            continue
        ask, anchor = editor.ask(event, event.cursor, tokens)
        answer = peer.complete(ask)
        made = editor.keep(ask, answer, anchor)
        played.append((event, None if answer.source == "reuse" else replace(ask, tokens=made), answer))
    return played


def _follow(peer: Peer, played: Sequence[Played], limit: Limit, pauses: float) -> dict[int, Answer]:
    """The answers by place in the round."""
    possible = [i for i, (_, ask, _) in enumerate(played) if ask is not None and len(ask.prompt.ids) <= limit.longest]
    chosen = set(possible[-limit.asks :])
    answers = {}
    for place, (event, ask, _) in enumerate(played):
        if ask is not None and place in chosen:
            time.sleep(pauses * event.pause)
            answers[place] = peer.complete(ask)
        elif event.change is not None:
            peer.edit(event.document, event.change)
    return answers


def _sample(trace: str, peer: str, number: int, place: int, kind: str, answer: Answer) -> Sample:
    return Sample(
        trace,
        peer,
        number,
        place,
        kind,
        answer.first_ms,
        answer.whole_ms,
        answer.prompt,
        answer.computed,
        answer.generated,
        answer.steps,
        answer.prefill_ms,
        answer.source,
    )
