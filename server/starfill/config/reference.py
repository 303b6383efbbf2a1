"""The settings as documentation.

`python -m starfill.config.reference` prints the table of docs/settings.md, with `--json` the schema for an editor.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from starfill.config.checks import Allowed, shown
from starfill.config.parse import FIELDS


def table() -> str:
    """The settings as a Markdown table."""
    rows = [["Setting", "Default", "Allowed", "Meaning"], ["---"] * 4]
    for name, item in FIELDS.items():
        allowed: Allowed = item.metadata["allowed"]
        rows.append([f"`{name}`", f"`{shown(item.default)}`", allowed.words, item.metadata["description"]])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def schema() -> dict[str, Any]:
    """The settings in JSON Schema, by their full names: what an editor's own settings page is made from."""
    return {
        f"starfill.{name}": {
            **item.metadata["allowed"].schema,
            "default": item.default,
            "description": item.metadata["description"],
        }
        for name, item in FIELDS.items()
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2, ensure_ascii=False) if sys.argv[1:] == ["--json"] else table())
