"""Repositories of the hub as names, and which of them are on this machine. Nothing here uses the network.

The cache is the hub library's own, laid out as its documentation says: `models--OWNER--NAME/` with `blobs/ETAG`,
`snapshots/COMMIT/FILE` (links to blobs) and `refs/REVISION` (a file that contains a commit).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starfill.checkpoint import files
from starfill.errors import CheckpointError, NotPulledError

MAIN = "main"
_NAME = r"[A-Za-z0-9_](?:[\w.-]{0,94}\w)?"
_REPOSITORY = re.compile(rf"(?P<owner>{_NAME})/(?P<name>{_NAME})(?::(?P<revision>[^\s:\\]+))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """A repository at a branch, tag or commit, written OWNER/NAME[:REVISION]. Without a revision it is `main`."""

    id: str
    revision: str = MAIN

    @classmethod
    def parse(cls, text: str) -> Repository | None:
        """None for anything that is no such name: paths of all kinds, also Windows paths with a drive letter."""
        match = _REPOSITORY.fullmatch(text)
        if match is None or "--" in match["owner"] or "--" in match["name"] or ".." in text:
            return None
        return cls(f"{match['owner']}/{match['name']}", match["revision"] or MAIN)

    @classmethod
    def named(cls, text: str) -> Repository:
        """Raises CheckpointError if `parse` returns None."""
        repository = cls.parse(text)
        if repository is None:
            raise CheckpointError(f"{text} names no repository: write OWNER/NAME, or OWNER/NAME:REVISION for a branch")
        return repository

    def __str__(self) -> str:
        return self.id if self.revision == MAIN else f"{self.id}:{self.revision}"

    @property
    def folder(self) -> Path:
        return cache_folder() / "--".join(("models", *self.id.split("/")))

    @property
    def ref(self) -> Path:
        return self.folder / "refs" / self.revision

    @property
    def snapshot(self) -> Path | None:
        """The folder with the files of this revision that were pulled; None if there is none."""
        try:
            commit = self.ref.read_text(encoding="utf-8").strip()
        except OSError:
            commit = self.revision
        folder = self.folder / "snapshots" / commit
        return folder if folder.is_dir() else None


@dataclass(frozen=True, slots=True)
class Pulled:
    """A revision in the cache. lacking: what is missing for it to be complete, None if it is."""

    repository: Repository
    path: Path
    nbytes: int
    lacking: str | None


def cache_folder() -> Path:
    """The cache of the hub library; HF_HOME and HF_HUB_CACHE move it."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def resolve(model: str) -> Path:
    """The folder of a model that is given as a path, or as a repository that was pulled. Never uses the network.

    A path is returned as it is, even if it doesn't exist: whoever reads the folder reports that. Raises NotPulledError,
    with the command to run, for a repository that isn't here, or not completely.
    """
    path = Path(model).expanduser()
    repository = Repository.parse(model)
    if repository is None or os.path.exists(path):  # noqa: PTH110 - never fails, whatever the name
        return path
    snapshot = repository.snapshot
    if snapshot is None:
        raise NotPulledError(
            f"{model} is neither a folder here nor a model that was pulled: run `starfill models pull {repository}` to"
            " download it, or give the path of a checkpoint folder",
            str(repository),
        )
    lack = lacking(snapshot)
    if lack is not None:
        raise NotPulledError(
            f"{model} is incomplete on this machine, {lack} is missing: run `starfill models pull {repository}` again",
            str(repository),
        )
    return snapshot


def shown(model: str) -> str:
    """A short name: the repository's, or the folder's."""
    path = Path(model).expanduser()
    repository = Repository.parse(model)
    return path.name if repository is None or os.path.exists(path) else str(repository)  # noqa: PTH110


def amount(nbytes: int) -> str:
    """Bytes for people: "7.3 GB", "12.5 MB". Decimal, like the hub's pages and disks."""
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.1f} MB"


def lacking(folder: Path) -> str | None:
    """The first thing that is missing for a complete checkpoint; None if nothing is."""
    names = {path.name for path in folder.iterdir() if path.exists()}  # a link to a missing blob doesn't exist
    if (lack := files.lacking(names)) is not None:
        return lack
    try:
        weights = files.weight_files(names, lambda name: _read(folder / name), folder)
    except CheckpointError:
        return None  # loading it will report the surplus weights
    return next((name for name in weights or ("a .safetensors file",) if name not in names), None)


def pulled() -> list[Pulled]:
    """All revisions of models in the cache, by name, also those that other programs put there."""
    found = []
    for folder in sorted(cache_folder().glob("models--*--*")):
        id = folder.name.removeprefix("models--").replace("--", "/", 1)
        commits = dict(_refs(folder / "refs"))
        for snapshot in sorted(folder.glob("snapshots/*")):
            names = [revision for revision, commit in commits.items() if commit == snapshot.name] or [snapshot.name]
            nbytes = sum(file.stat().st_size for file in snapshot.rglob("*") if file.is_file())
            lack = lacking(snapshot)
            found += [Pulled(Repository(id, revision), snapshot, nbytes, lack) for revision in names]
    return sorted(found, key=lambda each: each.repository)


def remove(repository: Repository) -> int:
    """Delete a revision from the cache, except for files that other revisions share. Returns the number of bytes freed.

    Raises CheckpointError if it isn't there.
    """
    from huggingface_hub import scan_cache_dir

    snapshot = repository.snapshot
    if snapshot is None:
        raise CheckpointError(f"{repository} is not on this machine: `starfill models list` shows what is")
    deletion = scan_cache_dir(cache_folder()).delete_revisions(snapshot.name)
    deletion.execute()
    return deletion.expected_freed_size


def _refs(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file.read_text(encoding="utf-8").strip()


def _read(path: Path) -> Mapping[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raw = None
    if not isinstance(raw, Mapping):
        raise CheckpointError(f"{path} can't be read as a JSON object: download it again")
    return raw
