"""Downloading a checkpoint from the hub: what exists, which files are needed, and their download.

This file and `transfer.py` are all of Starfill that contacts the hub. Only `models pull` and a user's yes lead here.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starfill import __version__
from starfill.checkpoint.failures import sentences, unknown_revision
from starfill.checkpoint.files import BESIDE, PICKLES, lacking, weight_files
from starfill.checkpoint.hub import Repository, amount, cache_folder
from starfill.checkpoint.transfer import RemoteFile, fetch
from starfill.errors import CheckpointError

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo

PATIENCE = 20  # seconds for the hub to answer a question
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # git's hash of a small file, the SHA-256 of a large one

OnBytes = Callable[[int, str], None]
"""How many bytes of a plan are here, and which file comes now."""
ShouldStop = Callable[[], bool]
"""Whether to stop; asked every few seconds, from the thread that downloads."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pull downloads: a commit's files, small ones first, so that weights come last."""

    repository: Repository
    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def nbytes(self) -> int:
        return sum(file.nbytes for file in self.files)

    @property
    def done(self) -> int:
        """Bytes that are on this machine already, also from an interrupted download."""
        return sum(file.here for file in self.files)


def plan(repository: Repository) -> Plan:
    """Ask the hub what there is to download. Only small JSON files are read for that, which say which weights to take.

    Raises CheckpointError with the remedy: no such repository or revision, no access, no network, only pickles.
    """
    api = _api()
    with sentences(repository, api.endpoint), unknown_revision(repository, api):
        info = api.model_info(repository.id, revision=repository.revision, files_metadata=True, timeout=PATIENCE)
    files = _files(info, repository)
    if (lack := lacking(files)) is not None:
        raise CheckpointError(
            f"{repository} has no {lack}, so it is no checkpoint that Starfill can run: choose another repository or"
            " branch"
        )

    def read(name: str) -> Mapping[str, Any]:
        with sentences(repository, api.endpoint):
            fetch(files[name], api.endpoint, lambda nbytes: None)
            raw = json.loads(files[name].path.read_text(encoding="utf-8"))
        return raw if isinstance(raw, Mapping) else {}

    weights = weight_files(files, read, repository)
    if not weights:
        raise _no_weights(info, repository)
    for name in weights:
        if name not in files:
            raise CheckpointError(f"{repository} lacks {name}, a part of its weights: choose another branch")
    wanted = (*(name for name in BESIDE if name in files), *weights)
    return Plan(repository, str(info.sha), tuple(files[name] for name in wanted))


def pull(plan: Plan, report: OnBytes = lambda *_: None, stopped: ShouldStop = lambda: False) -> Path:
    """Download what is missing and return the folder. A call after an interruption continues the download.

    Raises CheckpointError with the remedy, also if `stopped` returns True. Two pulls of one file wait for each other.
    """
    api, repository = _api(), plan.repository
    _check_space(plan)
    done = plan.done
    with sentences(repository, api.endpoint):
        if not repository.ref.exists():
            _write_ref(plan)  # an incomplete download is listed by its branch's name too
        for file in plan.files:
            report(done, file.name)

            def count(nbytes: int, file: RemoteFile = file) -> None:
                nonlocal done
                if stopped():
                    raise CheckpointError(
                        f"The download of {repository} was stopped; what is here is kept, and `starfill models pull"
                        f" {repository}` goes on from there"
                    )
                done += nbytes
                report(done, file.name)

            fetch(file, api.endpoint, count)
        _write_ref(plan)
    return repository.folder / "snapshots" / plan.commit


def _api() -> HfApi:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # documented

    constants.HF_HUB_DISABLE_TELEMETRY = True  # the library read the variable of that name when it was imported
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        disable_progress_bars()
    return HfApi(library_name="starfill", library_version=__version__)


def _files(info: ModelInfo, repository: Repository) -> dict[str, RemoteFile]:
    """The files that may belong to a checkpoint, by name: those in the top folder, and of the right kinds."""
    if not _COMMIT.fullmatch(str(info.sha)):
        raise _not_understood(repository, "commit", info.sha)
    files = {}
    for sibling in info.siblings or ():
        name = sibling.rfilename
        if name not in BESIDE and not re.fullmatch(r"[\w.-]+\.safetensors(\.index\.json)?", name):
            continue
        etag = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
        nbytes = sibling.lfs.size if sibling.lfs else sibling.size
        if nbytes is None or etag is None or not _ETAG.fullmatch(etag):
            raise _not_understood(repository, f"checksum or size of {name}", etag)
        files[name] = RemoteFile(repository, str(info.sha), name, nbytes, etag)
    return files


def _not_understood(repository: Repository, what: str, value: object) -> CheckpointError:
    return CheckpointError(f"The hub's answer for {repository} has no valid {what} ({value}): check HF_ENDPOINT")


def _no_weights(info: ModelInfo, repository: Repository) -> CheckpointError:
    pickles = sorted(each.rfilename for each in info.siblings or () if each.rfilename.endswith(PICKLES))
    if pickles:
        return CheckpointError(
            f"{repository} has its weights as pickles only ({pickles[0]}), which can run code when they are loaded, so"
            " nothing was downloaded: choose a repository or branch with safetensors"
        )
    return CheckpointError(f"{repository} holds no safetensors weights: choose another repository or branch")


def _check_space(plan: Plan) -> None:
    folder = next(path for path in (cache_folder(), *cache_folder().parents) if path.exists())
    needed, free = plan.nbytes - plan.done, shutil.disk_usage(folder).free
    if needed > free:
        raise CheckpointError(
            f"{plan.repository} needs {amount(needed)} in {cache_folder()}, where {amount(free)} are free:"
            " make room there, or let HF_HOME name a folder on another disk"
        )


def _write_ref(plan: Plan) -> None:
    """Store which commit a branch or tag is."""
    ref = plan.repository.ref
    if plan.repository.revision != plan.commit:
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(plan.commit, encoding="utf-8")
