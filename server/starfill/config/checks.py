"""The allowed values of settings, in words and as a check."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

PlacementName = Literal["replace", "insert-before", "insert-after", "show"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """check returns the value to use, or raises ValueError. schema: the same in JSON Schema, as far as that can express
    it.
    """

    words: str
    check: Callable[[Any], Any]
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ValidEntries:
    """The valid entries of a list, and a sentence for each other one."""

    entries: tuple[Any, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnInstruction:
    """The user's own code action. kind: one of the protocol's. languages: identifiers; "*" means all."""

    title: str
    instruction: str
    kind: str = "refactor.rewrite"
    languages: tuple[str, ...] = ("*",)
    placement: PlacementName = "replace"


def one_of(literal: Any) -> Allowed:
    return one_of_values(*get_args(literal))


def one_of_values(*values: str) -> Allowed:
    def check(value: Any) -> Any:
        if value not in values:
            raise ValueError
        return value

    words = "one of " + ", ".join(f'"{value}"' for value in values)
    return Allowed(words, check, {"type": "string", "enum": list(values)})


def whole(low: int, high: int) -> Allowed:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
            raise ValueError
        if not low <= value <= high:
            raise ValueError
        return int(value)

    return Allowed(f"a whole number from {low} to {high}", check, {"type": "integer", "minimum": low, "maximum": high})


def number(low: float, high: float) -> Allowed:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError
        return float(value)

    return Allowed(f"a number from {low:g} to {high:g}", check, {"type": "number", "minimum": low, "maximum": high})


def yes_or_no() -> Allowed:
    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return Allowed("true or false", check, {"type": "boolean"})


def text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def text_or_nothing(value: Any) -> str:
    return "" if value == "" else text(value)


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError
    return tuple(text(item) for item in value)


TEXT: Mapping[str, Any] = {"type": "string"}
TEXTS: Mapping[str, Any] = {"type": "array", "items": TEXT}
_KIND = r"(?:quickfix|refactor|source)(?:\.\w+)*"


def _kind(value: Any) -> str:
    if not re.fullmatch(_KIND, text(value)):
        raise ValueError
    return text(value)


_INSTRUCTION = {
    "title": Allowed("text", text, TEXT),
    "instruction": Allowed("text", text, TEXT),
    "kind": Allowed(
        '"quickfix", "refactor", "source" or one below them like "refactor.rewrite"',
        _kind,
        {**TEXT, "pattern": f"^{_KIND}$"},
    ),
    "languages": Allowed("a list of language identifiers", texts, TEXTS),
    "placement": one_of(PlacementName),
}
_NEEDED = ("title", "instruction")
INSTRUCTIONS: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {name: allowed.schema for name, allowed in _INSTRUCTION.items()},
        "required": list(_NEEDED),
        "additionalProperties": False,
    },
}


def own_instructions(value: Any) -> ValidEntries:
    if not isinstance(value, (list, tuple)):
        raise ValueError
    entries: dict[str, OwnInstruction] = {}
    problems = []
    for index, raw in enumerate(value):
        try:
            entry = _own_instruction(f"starfill.instructions[{index}]", raw, entries)
        except ValueError as error:
            problems.append(f"{error} This instruction is left out.")
        else:
            entries[entry.title] = entry
    return ValidEntries(tuple(entries.values()), tuple(problems))


def _own_instruction(name: str, raw: Any, others: Container[str]) -> OwnInstruction:
    """An entry; null in it means the default. others: titles that are taken. Raises ValueError saying what is wrong
    with it.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f'The setting "{name}" is {shown(raw)}, but must be an object with "title" and "instruction".')
    values = {}
    for field, value in raw.items():
        if field not in _INSTRUCTION:
            raise ValueError(f'There is no setting "{name}.{field}": {hint(str(field), _INSTRUCTION)}')
        if value is None:
            continue
        allowed = _INSTRUCTION[field]
        try:
            values[field] = allowed.check(value)
        except (ValueError, TypeError):
            raise ValueError(f'The setting "{name}.{field}" is {shown(value)}, but must be {allowed.words}.') from None
    for field in _NEEDED:
        if field not in values:
            raise ValueError(f'The setting "{name}" has no "{field}".')
    if values["title"] in others:
        raise ValueError(f'The setting "{name}.title" is {shown(values["title"])}, which an earlier instruction has.')
    return OwnInstruction(**values)


def hint(name: str, known: Mapping[str, Any]) -> str:
    """What an unknown name probably means."""
    close = get_close_matches(name, known, n=1)
    return f'did you mean "{close[0]}"?' if close else "known are " + ", ".join(known) + "."


def shown(value: Any) -> str:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=False, default=repr)
