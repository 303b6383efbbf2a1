"""Turning completions on and off for this session: everywhere, for a language, for a file.

The last command holds until the setting that it overrides is changed. No command lifts the limits that
`enabledLanguages` and `excludedGlobs` set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from starfill.config.access_policy import AccessPolicy
from starfill.config.checks import shown
from starfill.config.settings import Settings
from starfill.errors import RequestError

SET_ENABLED = "starfill.setEnabled"
ENABLED = "starfill.enabled"

Scope = Literal["all", "language", "file"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A file and its language; both "" if no file is open."""

    uri: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Enabled:
    """Whether completions are on everywhere, for a language and for a file. reason: why they are off, else ""."""

    all: bool
    language: bool
    file: bool
    reason: str

    def as_json(self) -> dict[str, bool | str]:
        return {
            "enabled": self.all and self.language and self.file,
            "all": self.all,
            "language": self.language,
            "file": self.file,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Switch:
    """A command to turn completions on or off. enabled: None to toggle."""

    scope: Scope
    uri: str
    enabled: bool | None


class Enablement:
    """The commands of this session. Where there was none, the settings hold."""

    def __init__(self) -> None:
        self._everywhere: bool | None = None
        self._languages: dict[str, bool] = {}
        self._files: dict[str, bool] = {}

    def switch(self, switch: Switch, subject: Subject, settings: Settings) -> None:
        """subject: the file and language of the switch's document. Raises RequestError if one is needed and there is
        none.
        """
        state = self.state(subject, settings)
        match switch.scope:
            case "all":
                self._everywhere = not state.all if switch.enabled is None else switch.enabled
            case "language":
                if not subject.language:
                    raise RequestError(
                        f'{SET_ENABLED}: the document "{switch.uri}" is not open, so it has no language.'
                    )
                self._languages[subject.language] = not state.language if switch.enabled is None else switch.enabled
            case "file":
                if not subject.uri:
                    raise RequestError(f'{SET_ENABLED} with the scope "file" needs a "uri".')
                self._files[subject.uri] = not state.file if switch.enabled is None else switch.enabled

    def configure(self, before: Settings, after: Settings) -> None:
        """The settings were changed."""
        if before.enabled != after.enabled:
            self._everywhere = None
        for language in {*before.disabled_languages} ^ {*after.disabled_languages}:
            self._languages.pop(language, None)

    def state(self, subject: Subject, settings: Settings) -> Enabled:
        policy = AccessPolicy.of(settings)
        limited = policy.refusal(subject.uri, subject.language) if subject.language else None
        everywhere = settings.enabled if self._everywhere is None else self._everywhere
        listed = subject.language in settings.disabled_languages
        language = self._languages.get(subject.language, not listed)
        file = self._files.get(subject.uri, True)
        if not everywhere:
            reason = self.paused(settings)
        elif limited is not None:
            reason = limited
        elif not language:
            reason = f'suggestions are turned off for the language "{subject.language}"'
            if subject.language not in self._languages:
                reason += ": the setting disabledLanguages lists it"
        else:
            reason = "" if file else "suggestions are turned off for this file"
        excluded = limited is not None and not policy.keeps(subject.uri)
        return Enabled(everywhere, language and (limited is None or excluded), file and not excluded, reason)

    def paused(self, settings: Settings) -> str:
        """Why completions are off everywhere; "" if they are not."""
        if self._everywhere is None:
            return "" if settings.enabled else "suggestions are turned off: the setting enabled is false"
        return "" if self._everywhere else "suggestions are turned off"


def switch_from(arguments: Sequence[Any]) -> Switch:
    """The switch in a command's arguments. Raises RequestError, with a sentence, if they can't be understood."""
    raw = _object(SET_ENABLED, arguments)
    scope, enabled = raw.get("scope"), raw.get("enabled")
    if scope not in get_args(Scope):
        raise RequestError(f'"scope" of {SET_ENABLED} must be "all", "language" or "file", but is {shown(scope)}.')
    if enabled is not None and not isinstance(enabled, bool):
        raise RequestError(f'"enabled" of {SET_ENABLED} must be true, false or null, but is {shown(enabled)}.')
    return Switch(cast(Scope, scope), _uri(SET_ENABLED, raw), enabled)


def uri_from(arguments: Sequence[Any]) -> str:
    """The document that `starfill.enabled` asks about, "" for none. Raises RequestError like `switch_from`."""
    return _uri(ENABLED, _object(ENABLED, arguments))


def _object(command: str, arguments: Sequence[Any]) -> Mapping[str, Any]:
    if len(arguments) != 1 or not isinstance(arguments[0], Mapping):
        raise RequestError(f"{command} takes one argument, an object, but got {shown(list(arguments))}.")
    return arguments[0]


def _uri(command: str, raw: Mapping[str, Any]) -> str:
    uri = raw.get("uri")
    if uri is not None and not isinstance(uri, str):
        raise RequestError(f'"uri" of {command} must be a text, but is {shown(uri)}.')
    return uri or ""
