"""The key that an engine may require: from the environment or a private file, never from the settings."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from starfill.errors import SettingsError
from starfill.remote.address import Address


def api_key(address: Address, variable: str, file: str) -> str:
    """The key; "" if none is set. variable: name of an environment variable. file: a path.

    Raises SettingsError if the key isn't there, if others could read it, or if it would be sent unencrypted.
    """
    key = _from_environment(variable) if variable else _from_file(Path(file)) if file else ""
    if key and not address.encrypted and not address.loopback:
        raise SettingsError(
            f"{address.origin} is not encrypted, so everyone on the way could read the key: use https, or a tunnel to "
            "this machine"
        )
    return key


def _from_environment(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise SettingsError(
            f'The setting "starfill.engine.apiKeyEnv" names the environment variable {variable}, which is not set '
            "where the server runs: set it before the editor starts, or use starfill.engine.apiKeyFile"
        )
    return _checked(key, variable)


def _from_file(path: Path) -> str:
    try:
        path = path.expanduser()
        with path.open(encoding="utf-8") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read(4096)
    except (OSError, ValueError, RuntimeError) as error:
        # ValueError: a null character in the path. RuntimeError: the home of an unknown user.
        reason = error.strerror if isinstance(error, OSError) else error
        if isinstance(error, UnicodeDecodeError):
            reason = "it is no text"
        raise SettingsError(
            f'The key file {path} can\'t be read ({reason}): correct the setting "starfill.engine.apiKeyFile"'
        ) from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"Others on this machine may read the key in {path}: run `chmod 600 {path}`")
    if not text.strip():
        raise SettingsError(f"The key file {path} is empty: write the key into it")
    return _checked(text.strip(), str(path))


def _checked(key: str, source: str) -> str:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(f"The key in {source} has characters that no key has: it must be one word in one line")
    return key
