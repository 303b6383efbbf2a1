"""The names of fields in JSON."""

from __future__ import annotations


def json_name(name: str) -> str:
    """The name of a field in JSON: camelCase."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
