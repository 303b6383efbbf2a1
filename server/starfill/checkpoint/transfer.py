"""One file from the hub into the hub library's cache.

The library (2.4) discards what an interrupted download got, so a file of 9 GB would have to be downloaded again.
Therefore the file is written here: as `blobs/ETAG.starfill.incomplete`, until it is complete and its checksum right.
Transport, token, proxies and retries are the library's.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starfill import __version__
from starfill.checkpoint.failures import broken_off
from starfill.checkpoint.hub import Repository, cache_folder
from starfill.errors import CheckpointError

_BLOCK = 2**22  # bytes

Count = Callable[[int], None]
"""Told of new bytes, and of 0 while waiting; may raise to stop."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a commit. etag: git's SHA-1 of a small file, the SHA-256 of a large one."""

    repository: Repository
    commit: str
    name: str
    nbytes: int
    etag: str

    @property
    def path(self) -> Path:
        return self.repository.folder / "snapshots" / self.commit / self.name

    @property
    def blob(self) -> Path:
        return self.repository.folder / "blobs" / self.etag

    @property
    def partial(self) -> Path:
        return self.blob.with_name(f"{self.etag}.starfill.incomplete")

    @property
    def here(self) -> int:
        """Bytes that were downloaded already."""
        if self.path.exists() or self.blob.exists():
            return self.nbytes
        return min(self.partial.stat().st_size, self.nbytes) if self.partial.exists() else 0


def fetch(file: RemoteFile, endpoint: str, count: Count) -> None:
    """Download a file, unless it is here."""
    if file.path.exists():
        return
    with _locked(file, count):
        if not file.blob.exists():
            file.blob.parent.mkdir(parents=True, exist_ok=True)
            if file.partial.exists() and file.partial.stat().st_size > file.nbytes:
                file.partial.unlink()
            with _Partial(file.partial, count) as out:
                _download(file, endpoint, out)
            _verify(file)
            file.partial.replace(file.blob)
        _link(file)


def _download(file: RemoteFile, endpoint: str, out: _Partial) -> None:
    """Download everything that `out` doesn't contain yet. After an interruption it tries again, as long as each try
    gets some bytes.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented

    url = hf_hub_url(file.repository.id, file.name, revision=file.commit, endpoint=endpoint)
    headers = build_hf_headers(library_name="starfill", library_version=__version__)
    while True:
        before = out.tell()
        try:
            return http_get(url, out, resume_size=before, headers=headers, expected_size=file.nbytes)
        except HfHubHTTPError:
            raise
        except broken_off():
            if out.tell() <= before:
                raise


class _Partial(io.BufferedWriter):
    """The file of a download: it appends, reports each piece, and is stopped if the report raises."""

    def __init__(self, path: Path, count: Count) -> None:
        super().__init__(io.FileIO(path, "ab"))
        self._count = count

    def write(self, data: Any) -> int:
        written = super().write(data)
        self._count(written)
        return written


@contextmanager
def _locked(file: RemoteFile, count: Count) -> Iterator[None]:
    """Allow one download of a file at a time, with the lock that the library has for that."""
    from filelock import FileLock, Timeout

    path = cache_folder() / ".locks" / file.repository.folder.name / f"{file.etag}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            count(0)
        except NotImplementedError:
            break  # a file system without locks
    try:
        yield
    finally:
        lock.release()


def _verify(file: RemoteFile) -> None:
    """Compare with the checksum that the hub reports. A damaged file is deleted."""
    if len(file.etag) == 64:
        checksum = hashlib.sha256()
    else:
        checksum = hashlib.sha1(b"blob %d\0" % file.nbytes, usedforsecurity=False)
    with file.partial.open("rb") as data:
        while block := data.read(_BLOCK):
            checksum.update(block)
    if checksum.hexdigest() != file.etag:
        file.partial.unlink()
        raise CheckpointError(
            f"{file.name} of {file.repository} arrived damaged: run `starfill models pull {file.repository}` again"
        )


def _link(file: RemoteFile) -> None:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    file.path.unlink(missing_ok=True)  # a link whose blob was deleted
    try:
        file.path.symlink_to(os.path.relpath(file.blob, file.path.parent))
    except OSError:  # Windows, without the right to make links: the library moves the file then, and so do we
        file.blob.replace(file.path)
