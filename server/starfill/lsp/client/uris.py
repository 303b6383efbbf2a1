"""URIs of documents as paths and names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pygls.uris import to_fs_path


def path_of(uri: str) -> Path | None:
    """The file that a URI names; None for what is in no file."""
    path = to_fs_path(uri)
    return Path(path) if path else None


def uri_name(uri: str) -> str:
    """The last part of a URI's path."""
    return unquote(urlsplit(uri).path).rsplit("/", 1)[-1]
