"""The few errors that a user can see. Each message is one sentence that names the file or field and the remedy.

    StarfillError
    ├── CheckpointError    a checkpoint folder or one of its files can't be used
    │   └── NotPulledError     it is a repository that was not downloaded, or not completely
    ├── SettingsError      a setting or a command-line argument can't be used
    ├── EngineError        a serving engine can't be reached, or has failed; or a GPU's memory isn't enough
    ├── ConsentError       it is on another machine, and the user hasn't agreed to send code there
    └── RequestError       a request can't be served (a position outside the document, an unreadable file)

The command line prints the message and exits with 2. The language server shows it and stays up.
"""


class StarfillError(Exception):
    """Base class: `str(error)` is the sentence to show."""


class CheckpointError(StarfillError):
    """A checkpoint that can't be used. The message names the file or tensor and the remedy."""


class NotPulledError(CheckpointError):
    """A repository that is not on this machine. The message has the command that downloads it."""

    def __init__(self, message: str, repository: str) -> None:
        super().__init__(message)
        self.repository = repository


class SettingsError(StarfillError):
    """A setting or argument that can't be used. The message names the field and what is allowed."""


class RequestError(StarfillError):
    """A request that can't be served. The message names the document or position."""


class EngineError(StarfillError):
    """A serving engine has failed: the message names its address and what it said. Or the local one: it names the
    remedy.

    again: the next request would probably fail too. later: seconds after which the engine wants to be asked again, 0 if
    it doesn't say.
    """

    def __init__(self, message: str, *, again: bool = False, later: float = 0.0) -> None:
        super().__init__(message)
        self.again, self.later = again, later


class ConsentError(StarfillError):
    """The engine is on another machine, to which the user hasn't agreed to send code. The message has the command for
    that.
    """

    def __init__(self, message: str, origin: str) -> None:
        super().__init__(message)
        self.origin = origin
