"""What a user can set: one frozen dataclass, its JSON names, checks and documentation in one place.

`parse` never fails: a wrong value or an unknown name becomes one sentence, and the default is used.
`python -m starfill.settings` prints the table of the README.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlsplit

Device = Literal["auto", "cpu", "cuda"]
Layout = Literal["auto", "anchored-psm", "psm", "spm", "prefix"]
ModelFamily = Literal[
    "auto",
    "starfill",
    "starcoder",
    "starcoder2",
    "santacoder",
    "wizardcoder",
    "wizardcoder-python",
    "codellama",
    "codellama-70b",
    "llama",
    "deepseek-coder",
    "qwen2.5-coder",
    "codegemma",
    "granite",
    "codestral",
    "plain",
]
MultiLine = Literal["auto", "never", "always"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a value may be, in words and as a check that answers the value to use, or raises ValueError."""

    words: str
    check: Callable[[Any], Any]


def one_of(literal: Any) -> Allowed:
    values = get_args(literal)

    def check(value: Any) -> Any:
        if value not in values:
            raise ValueError
        return value

    return Allowed("one of " + ", ".join(f'"{value}"' for value in values), check)


def whole(low: int, high: int) -> Allowed:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
            raise ValueError
        if not low <= value <= high:
            raise ValueError
        return int(value)

    return Allowed(f"a whole number from {low} to {high}", check)


def number(low: float, high: float) -> Allowed:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError
        return float(value)

    return Allowed(f"a number from {low:g} to {high:g}", check)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError
    return tuple(_text(item) for item in value)


def about(allowed: Allowed, description: str) -> dict[str, Any]:
    return {"allowed": allowed, "description": description}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings; in JSON their names are camelCase, in the section `starfill`."""

    model: str = field(
        default="bundled",
        metadata=about(
            Allowed('"bundled", the path of a checkpoint folder or the name of a pulled repository', _text),
            "The model: the small one that comes with Starfill, or any GPTQ or safetensors checkpoint.",
        ),
    )
    device: Device = field(
        default="auto",
        metadata=about(one_of(Device), "Where the model runs; `auto` takes a GPU when there is one."),
    )
    family: ModelFamily = field(
        default="auto",
        metadata=about(
            one_of(ModelFamily),
            "How the model is spoken to: the prompts that its family was trained with; `auto` tells it from its files.",
        ),
    )
    layout: Layout = field(
        default="auto",
        metadata=about(one_of(Layout), "The order of a prompt's parts; `auto` takes the best one for the model."),
    )
    context_tokens: int = field(
        default=0,
        metadata=about(
            whole(0, 1_048_576),
            "The longest prompt, in tokens; 0 means as many as the model allows, up to 2048.",
        ),
    )
    max_new_tokens: int = field(default=64, metadata=about(whole(1, 4096), "The longest suggestion, in tokens."))
    multi_line: MultiLine = field(
        default="auto",
        metadata=about(
            one_of(MultiLine),
            "Whether a suggestion may have several lines; `auto` decides by where the cursor is.",
        ),
    )
    temperature: float = field(
        default=0.0,
        metadata=about(number(0, 2), "0 always takes the likeliest token; more makes suggestions more varied."),
    )
    top_p: float = field(
        default=0.95,
        metadata=about(number(0.01, 1), "With a temperature: draws from the likeliest tokens up to this probability."),
    )
    candidates: int = field(
        default=1,
        metadata=about(whole(1, 8), "How many different suggestions to compute, when asked for explicitly."),
    )
    cache_bytes: int = field(
        default=512 * 2**20,
        metadata=about(whole(0, 2**40), "Memory for the key/value state of open documents, in bytes."),
    )
    enabled_languages: tuple[str, ...] = field(
        default=("*",),
        metadata=about(Allowed("a list of language identifiers", _texts), 'Languages to complete; `"*"` means all.'),
    )
    excluded_globs: tuple[str, ...] = field(
        default=(),
        metadata=about(
            Allowed("a list of globs", _texts),
            'Files that are never looked at, like `"**/*.env"` or `"secrets"` (all in a folder of that name).',
        ),
    )

    def enabled_for(self, uri: str, language_id: str) -> str | None:
        """None when a document may be completed, else the reason why not."""
        if "*" not in self.enabled_languages and language_id not in self.enabled_languages:
            return f'Starfill is off for the language "{language_id}": the setting enabledLanguages does not list it'
        parts = urlsplit(uri)
        path = unquote(parts.path)
        for glob in self.excluded_globs:
            if _glob(glob).match(path):
                return f'Starfill is off for {path}: the setting excludedGlobs lists "{glob}"'
        return None


@lru_cache(maxsize=256)
def _glob(glob: str) -> re.Pattern[str]:
    """As in .gitignore: `*` and `?` stay within a name, `**` crosses folders, a matched folder takes all below it.

    A glob that begins with a slash is matched from the root, any other one from any folder on.
    """
    body = ""
    for part in re.findall(r"\*\*/|\*\*|\*|\?|.", glob.strip("/"), re.DOTALL):
        if part == "**/":
            body += "(?:.*/)?"
        elif part in ("**", "*", "?"):
            body += {"**": ".*", "*": "[^/]*", "?": "[^/]"}[part]
        else:
            body += re.escape(part)
    start = "/?" if glob.startswith("/") else "(?:.*/)?"
    return re.compile(f"{start}{body}(?:/.*)?\\Z", re.DOTALL)


def json_name(name: str) -> str:
    """The name of a field in JSON: camelCase."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _shown(value: Any) -> str:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=False, default=repr)


FIELDS: dict[str, Field[Any]] = {json_name(item.name): item for item in fields(Settings)}


def parse(raw: object) -> tuple[Settings, list[str]]:
    """Settings from decoded JSON, and a sentence for each thing that is wrong with it; null means the default."""
    if not isinstance(raw, Mapping):
        return Settings(), [f"The settings are {_shown(raw)}, but must be an object; the defaults are used."]
    values: dict[str, Any] = {}
    problems = []
    for name, value in raw.items():
        item = FIELDS.get(name)
        if item is None:
            close = get_close_matches(str(name), FIELDS, n=1)
            hint = f'did you mean "{close[0]}"?' if close else "known are " + ", ".join(FIELDS) + "."
            problems.append(f'There is no setting "starfill.{name}": {hint}')
        elif value is not None:
            allowed: Allowed = item.metadata["allowed"]
            try:
                values[item.name] = allowed.check(value)
            except (ValueError, TypeError, OverflowError):
                problems.append(
                    f'The setting "starfill.{name}" is {_shown(value)}, but must be {allowed.words}; '
                    f"its default {_shown(item.default)} is used."
                )
    return Settings(**values), problems


def table() -> str:
    """The settings as a Markdown table."""
    rows = [["Setting", "Default", "Allowed", "Meaning"], ["---"] * 4]
    for name, item in FIELDS.items():
        allowed: Allowed = item.metadata["allowed"]
        rows.append([f"`{name}`", f"`{_shown(item.default)}`", allowed.words, item.metadata["description"]])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    print(table())
