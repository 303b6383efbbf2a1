"""The address of a serving engine, and whether it is this machine."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starfill.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Address:
    """base: the URL without a slash at its end and without the API's own path. origin: scheme, host and port."""

    base: str
    origin: str
    encrypted: bool
    loopback: bool

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises SettingsError, with a sentence, for anything that is no URL of an engine."""
        try:
            url = url.strip()
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _wrong(url, "can't be read as one") from None
        if not url.isprintable() or " " in url:
            raise _wrong(url, "can't be read as one")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _wrong(url, "is none")
        if ":" not in parts.hostname and not all(0 < len(label) < 64 for label in parts.hostname.split(".")):
            raise _wrong(url, "names no server")  # a resolver would raise an error for it
        if "@" in parts.netloc:
            raise _secret("a user or a password")
        if parts.query or parts.fragment:
            raise _secret("a query")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        origin = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
        path = parts.path.rstrip("/").removesuffix("/v1")
        return cls(origin + path, origin, parts.scheme == "https", _is_loopback(parts.hostname))


def _is_loopback(host: str) -> bool:
    """Decided by name or number only: a name server may change what it says of another name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _secret(what: str) -> SettingsError:
    """The URL isn't shown, since that part of it is where secrets stand."""
    return SettingsError(
        f'The setting "starfill.engine.url" holds {what}, which logs would show: take it out, and name the variable '
        'with the key in "starfill.engine.apiKeyEnv"'
    )


def _wrong(url: str, what: str) -> SettingsError:
    if "@" in url:
        return _secret("a user or a password")
    if "?" in url:
        return _secret("a query")
    return SettingsError(
        f'The setting "starfill.engine.url" is "{url}", which {what}: write the address of the server, like '
        "http://127.0.0.1:8000 or https://engine.example.com"
    )
