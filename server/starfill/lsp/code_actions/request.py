"""What to do with which code: the data of a code action, and the argument of the command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starfill.assist.instruct.actions import Action, custom_action
from starfill.errors import RequestError
from starfill.text.document import Document
from starfill.text.position import Encoding, Position, Range, Span

INSTRUCT = "starfill.instruct"  # the command; its argument is a request as JSON
KNOWN = ("uri", "range", "action", "instruction", "problem", "version")
_SHAPE = f'{INSTRUCT} takes one argument, an object with "uri", "range" and "action" or "instruction"'


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """Either `action` (a name) or `instruction` (free text).

    problem: the text of a diagnostic. version: of the document that `range` refers to; None if it isn't known.
    """

    uri: str
    range: Range
    action: str = ""
    instruction: str = ""
    problem: str = ""
    version: int | None = None

    def as_json(self) -> dict[str, Any]:
        start, end = ({"line": at.line, "character": at.character} for at in (self.range.start, self.range.end))
        place = {"uri": self.uri, "range": {"start": start, "end": end}, "version": self.version}
        texts = {"action": self.action, "instruction": self.instruction, "problem": self.problem}
        return place | {name: text for name, text in texts.items() if text}

    def chosen(self, actions: Sequence[Action], language_id: str) -> Action:
        """The action that is meant. Raises RequestError if there is none of that name for this language."""
        if self.instruction:
            return custom_action(self.instruction)
        for action in actions:
            if action.name == self.action:
                return action
        known = ", ".join(action.name for action in actions)
        raise RequestError(
            f'There is no action "{self.action}" for the language "{language_id}"; the known ones are {known}.'
        )

    def selection(self, document: Document, encoding: Encoding) -> Span:
        """The range as offsets in that version of the document. Raises RequestError if there is no such line."""
        line = min(self.range.start.line, self.range.end.line)
        if line >= document.line_count:
            raise RequestError(f"Line {line} is outside of {self.uri}, which has {document.line_count} lines.")
        start, end = sorted(document.offset_at(at, encoding) for at in (self.range.start, self.range.end))
        return Span(start, end)


def request_from(arguments: Sequence[Any] | None) -> ActionRequest:
    """The request in a command's arguments. Raises RequestError, with a sentence, if there is none."""
    if not arguments or len(arguments) != 1:
        raise RequestError(f"{_SHAPE}; it got {len(arguments or ())} arguments.")
    (raw,) = arguments
    if not isinstance(raw, Mapping):
        raise RequestError(f"{_SHAPE}; it got {_shown(raw)}.")
    if unknown := [name for name in raw if name not in KNOWN]:
        raise RequestError(f'{INSTRUCT} knows no "{unknown[0]}"; it knows {", ".join(KNOWN)}.')
    request = ActionRequest(
        _text(raw, "uri", needed=True),
        _range(raw.get("range")),
        action=_text(raw, "action"),
        instruction=_text(raw, "instruction"),
        problem=_text(raw, "problem"),
        version=_version(raw.get("version")),
    )
    if bool(request.action) == bool(request.instruction):
        raise RequestError(f'{INSTRUCT} needs either "action" or "instruction".')
    return request


def _text(raw: Mapping[str, Any], name: str, needed: bool = False) -> str:
    text = raw.get(name)
    if not isinstance(text, str) and (needed or text is not None):
        raise RequestError(f'"{name}" of {INSTRUCT} must be a text, but is {_shown(text)}.')
    return (text or "").strip()


def _version(version: Any) -> int | None:
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise RequestError(f'"version" of {INSTRUCT} must be a whole number, but is {_shown(version)}.')
    return version


def _range(raw: Any) -> Range:
    try:
        start, end = (Position(_count(raw[at]["line"]), _count(raw[at]["character"])) for at in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        raise RequestError(
            f'"range" of {INSTRUCT} must have "start" and "end", each with a "line" and a "character" of 0 or more,'
            f" but is {_shown(raw)}."
        ) from None
    return Range(start, end)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _shown(value: Any) -> str:
    """A value as JSON, shortened if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else f"{text[:60]}…"
