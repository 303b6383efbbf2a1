"""The engines on other machines to which the user has agreed to send code: a private file, by origin."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable

from filelock import FileLock

from starfill.config import folders
from starfill.errors import SettingsError


def allowed() -> list[str]:
    """The origins (scheme, host and port), sorted. A file that can't be read allows none."""
    try:
        found = json.loads(folders.allowed_engines().read_text(encoding="utf-8"))["allowed"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return sorted({each for each in found if isinstance(each, str)}) if isinstance(found, list) else []


def allow(origin: str) -> None:
    """Raises SettingsError if the file can't be written."""
    _change(lambda before: {*before, origin})


def revoke(origin: str) -> bool:
    """Returns False if it wasn't allowed."""
    return origin in _change(lambda before: before - {origin})


def _change(changed: Callable[[set[str]], set[str]]) -> set[str]:
    """Change the file, and return the origins before. Processes that change it at the same moment wait for each
    other.
    """
    file = folders.allowed_engines()
    new = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock"), mode=0o600):
            before = set(allowed())
            with contextlib.suppress(FileNotFoundError):  # left by a process that was killed
                new.unlink()
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                json.dump({"allowed": sorted(changed(before))}, opened, indent=2)
            new.replace(file)
    except OSError as error:
        raise SettingsError(f"What you allow can't be kept: {file} can't be written ({error.strerror})") from None
    return before
