"""What can go wrong between here and the hub: each failure is one sentence with the remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starfill.checkpoint.hub import Repository, cache_folder
from starfill.errors import CheckpointError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
_NAMES = 12  # branches to list
_FULL = (errno.ENOSPC, errno.EDQUOT)


def broken_off() -> tuple[type[BaseException], ...]:
    """The errors of a connection that can't be made or breaks off.

    The library's errors are derived from those of its transport: requests before 1.0, later httpx.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return OSError, HfHubHTTPError.__bases__[0]


@contextmanager
def sentences(repository: Repository, endpoint: str) -> Iterator[None]:
    """Raises CheckpointError for every way in which a question or a download can fail."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    hub = urlsplit(endpoint).netloc or endpoint
    again = f"run `starfill models pull {repository}` again"
    try:
        yield
        return
    except GatedRepoError:
        sentence = f"{repository.id} is gated: accept its terms on {endpoint}/{repository.id}, {_LOG_IN}, then {again}"
    except RepositoryNotFoundError:
        sentence = f"{hub} shows no repository {repository.id}: check the name, or if it is private {_LOG_IN}"
    except OfflineModeIsEnabled:
        sentence = f"{repository} can't be downloaded because HF_HUB_OFFLINE is set: unset it, then {again}"
    except HfHubHTTPError as error:
        sentence = _answer(error.response.status_code, repository, hub, again)
    except JSONDecodeError:
        sentence = f"{hub} answered something that is no hub's answer: check HF_ENDPOINT and the network, then {again}"
    except broken_off() as error:
        if isinstance(error, OSError) and (error.filename is not None or error.errno in _FULL):
            raise CheckpointError(
                f"{error.filename or cache_folder()} can't be written ({error.strerror}): make room or give the right"
                f" to write there, or let HF_HOME name another folder, then {again}"
            ) from None
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        sentence = f"{hub} can't be reached ({reason}): check the network and proxy settings, then {again}"
    raise CheckpointError(sentence)


def _answer(status: int, repository: Repository, hub: str, again: str) -> str:
    if status in (401, 403):
        return f"{hub} gives no access to {repository} ({status}): {_LOG_IN}, then {again}"
    if status == 429:
        return f"{hub} asks to wait (429, too many requests): {again} in some minutes"
    return f"{hub} failed to answer for {repository} ({status}): {again} later"


@contextmanager
def unknown_revision(repository: Repository, api: HfApi) -> Iterator[None]:
    """Raises CheckpointError, listing the branches that exist, if the revision doesn't."""
    from huggingface_hub.errors import RevisionNotFoundError

    try:
        yield
        return
    except RevisionNotFoundError:
        refs = api.list_repo_refs(repository.id)
    names = [ref.name for ref in (*refs.branches, *refs.tags)]
    listed = ", ".join(names[:_NAMES]) + (", …" if len(names) > _NAMES else "")
    raise CheckpointError(
        f"{repository.id} has no revision {repository.revision!r}: it has {listed}; write {repository.id}:REVISION"
    )
