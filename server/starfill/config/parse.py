"""Settings from decoded JSON.

Never fails: for a wrong value or an unknown name there is one sentence, and the default is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from starfill.config.checks import Allowed, ValidEntries, hint, shown
from starfill.config.settings import Settings
from starfill.util.json_names import json_name

FIELDS: dict[str, Field[Any]] = {item.metadata["json_name"] or json_name(item.name): item for item in fields(Settings)}
SECTIONS = {name.partition(".")[0] for name in FIELDS if "." in name}


def flat(raw: Mapping[Any, Any]) -> dict[str, Any]:
    """Settings with the names of FIELDS. In JSON, sections may be objects: {"instruct": {"model": ...}}."""
    found: dict[str, Any] = {}
    for name, value in raw.items():
        if name in SECTIONS and isinstance(value, Mapping):
            found |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            found[str(name)] = value
    return found


def parse(raw: object) -> tuple[Settings, list[str]]:
    """Settings from decoded JSON, and a sentence for each thing that is wrong with them. null means the default."""
    if not isinstance(raw, Mapping):
        return Settings(), [f"The settings are {shown(raw)}, but must be an object; the defaults are used."]
    values: dict[str, Any] = {}
    problems = []
    for name, value in flat(raw).items():
        item = FIELDS.get(name)
        if item is None:
            if value is not None or name not in SECTIONS:
                problems.append(f'There is no setting "starfill.{name}": {_meant(name)}')
        elif value is not None:
            allowed: Allowed = item.metadata["allowed"]
            try:
                values[item.name] = allowed.check(value)
            except (ValueError, TypeError, OverflowError):
                problems.append(
                    f'The setting "starfill.{name}" is {shown(value)}, but must be {allowed.words}; '
                    f"its default {shown(item.default)} is used."
                )
                continue
            if isinstance(values[item.name], ValidEntries):
                problems += values[item.name].problems
                values[item.name] = values[item.name].entries
    return Settings(**values), problems


def _meant(name: str) -> str:
    of_section = [each for each in FIELDS if each.startswith(f"{name}.")]
    return f'did you mean "{of_section[0]}"?' if of_section else hint(name, FIELDS)
