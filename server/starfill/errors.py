"""The few errors a user can see. Each message is one sentence that names the file or field and what to do.

    StarfillError
    ├── CheckpointError    a checkpoint folder or one of its files can't be used
    │   └── NotPulledError     it is a repository that was not downloaded, or not completely
    ├── SettingsError      a setting or a command-line argument can't be used
    └── RequestError       a request can't be served (a position outside the document, an unreadable file)

The command line prints the message and exits with 2; the language server shows it and stays up.
"""


class StarfillError(Exception):
    """Base class: `str(error)` is the sentence to show."""


class CheckpointError(StarfillError):
    """A checkpoint that can't be used; the message names the file or tensor and the remedy."""


class NotPulledError(CheckpointError):
    """A repository that is not on this machine; the message has the command that downloads it."""

    def __init__(self, message: str, repository: str) -> None:
        super().__init__(message)
        self.repository = repository


class SettingsError(StarfillError):
    """A setting or argument that can't be used; the message names the field and what is allowed."""


class RequestError(StarfillError):
    """A request that can't be served; the message names the document or position."""
