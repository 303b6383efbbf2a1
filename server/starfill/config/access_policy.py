"""May a document be read? This is the only place that decides; it is asked where text enters, asserted where it
leaves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from starfill.config.settings import Settings


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """The limits of the settings `enabledLanguages` and `excludedGlobs`.

    languages: identifiers; "*" means all. excluded: globs as in .gitignore.
    """

    languages: tuple[str, ...]
    excluded: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> AccessPolicy:
        return cls(settings.enabled_languages, settings.excluded_globs)

    def refusal(self, uri: str, language_id: str) -> str | None:
        """Why a document may not be read; None if it may."""
        if "*" not in self.languages and language_id not in self.languages:
            return f'Starfill is off for the language "{language_id}": the setting enabledLanguages does not list it'
        glob = self._excluding(uri)
        if glob is not None:
            return f'Starfill is off for {_path(uri)}: the setting excludedGlobs lists "{glob}"'
        return None

    def keeps(self, uri: str) -> bool:
        """Whether a document's state may be saved on disk."""
        return self._excluding(uri) is None

    def _excluding(self, uri: str) -> str | None:
        """The first glob that excludes a document."""
        path = _path(uri)
        return next((glob for glob in self.excluded if _glob(glob).match(path)), None)


def _path(uri: str) -> str:
    return unquote(urlsplit(uri).path)


@lru_cache(maxsize=256)
def _glob(glob: str) -> re.Pattern[str]:
    """As in .gitignore: `*` and `?` stay within a name, `**` crosses folders, a matched folder excludes everything in
    it.

    A glob that begins with a slash is matched from the root, any other one from any folder.
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
