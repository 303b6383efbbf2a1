"""The statistics of a session's suggestions: numbers and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from starfill.text.document import Document
from starfill.text.position import Edit
from starfill.util.json_names import json_name


@dataclass(slots=True)
class Counts:
    """Requests, those that were answered with a suggestion, those accepted, and how many answers needed no
    computing.
    """

    asked: int = 0
    offered: int = 0
    accepted: int = 0
    accepted_characters: int = 0
    reused: int = 0

    def as_json(self) -> dict[str, int]:
        return {json_name(name): value for name, value in asdict(self).items()}


@dataclass(slots=True)
class Statistics:
    counts: Counts = field(default_factory=Counts)
    _offered: dict[str, Sequence[Edit]] = field(default_factory=dict)  # what each document was offered last

    def asked(self) -> None:
        self.counts.asked += 1

    def offered(self, uri: str, edits: Sequence[Edit], *, reused: bool) -> None:
        """edits: of the document as the editor has it; at least one."""
        self._offered[uri] = edits
        self.counts.offered += 1
        self.counts.reused += reused

    def accepted(self, uri: str, document: Document | None) -> None:
        """An offer was accepted. It is counted once. document: its present version, which shows which of several edits
        it was.
        """
        edits = self._offered.pop(uri, ())
        if not edits:
            return
        chosen = next((edit for edit in edits if document is not None and _stands(edit, document)), edits[0])
        self.counts.accepted += 1
        self.counts.accepted_characters += len(chosen.text)

    def closed(self, uri: str) -> None:
        self._offered.pop(uri, None)


def _stands(edit: Edit, document: Document) -> bool:
    return document.slice(edit.start, edit.start + len(edit.text)) == edit.text
