"""The first code of a sandboxed process: it gives up everything that the foreign code mustn't have.

Reads one JSON object from stdin: {"parts": sources, run one after the other in one module, "token", "scratch",
"memory", "cpu", "file", "site": folders of installed packages}. Writes one line of JSON to what was stdout: {"token":
the same, only if all parts ran to their end, "error", "enforced"}. It knows nothing else of Starfill, and imports
little, since it starts for each sample.
"""

from __future__ import annotations

import builtins
import fcntl
import json
import os
import random
import resource
import sys
import types
from pathlib import Path
from typing import Any

from starfill.evaluation.sandbox import kernel, python_rules

ERROR_CHARS = 300
FILES = 64  # files that may be open at a time


def main() -> None:
    order = json.loads(sys.stdin.buffer.read())
    answer_fd = _hide_streams()
    enforced = _confine(order)
    token = order.pop("token")  # from now on only in this frame
    error = _run(order["parts"], order["site"])
    answer = {"token": token if error is None else None, "error": error, "enforced": enforced}
    os.write(answer_fd, json.dumps(answer).encode())
    os._exit(0)  # threads that the code left behind end here


def _hide_streams() -> int:
    """Make stdin, stdout and stderr /dev/null. Returns a descriptor of the old stdout, which isn't easily guessed."""
    answer_fd = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, random.SystemRandom().randrange(FILES // 2, FILES))
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    return answer_fd


def _confine(order: dict[str, Any]) -> list[str]:
    """Set all limits. Returns those that are in force, in words."""
    enforced = [
        words
        for name, value, words in (
            ("RLIMIT_AS", order["memory"], f"memory {order['memory'] // 2**20} MiB"),
            ("RLIMIT_CPU", order["cpu"], f"CPU time {order['cpu']} s"),
            ("RLIMIT_FSIZE", order["file"], f"file size {order['file'] // 2**20} MiB"),
            ("RLIMIT_NOFILE", 2 * FILES, "open files"),
            ("RLIMIT_CORE", 0, "no core dumps"),
        )
        if _limit(name, value)
    ]
    scratch = Path(order["scratch"])
    rules = []
    if kernel.write_only_below(scratch):
        enforced.append("writes only in a scratch folder (Landlock)")
    else:
        rules.append(python_rules.changes_outside(scratch))
        enforced.append("writes only in a scratch folder (in Python only)")
    if kernel.refuse_calls():
        enforced.append("no processes, no network (seccomp)")
    else:
        _limit("RLIMIT_NPROC", 1)
        rules.append(python_rules.calls)
        enforced.append("no processes, no network (in Python only)")
    if rules:
        python_rules.refuse(rules)
    return enforced


def _limit(name: str, value: int) -> bool:
    """Set a limit for good. False if the system doesn't have it."""
    try:
        resource.setrlimit(getattr(resource, name), (value, value))
    except (AttributeError, OSError, ValueError):
        return False
    return True


def _run(parts: list[str], site: list[str]) -> str | None:
    """Run the parts. None if all ran to their end, else what stopped them."""
    module = types.ModuleType("solution")  # not __main__, so that a sample's main part doesn't run
    sys.modules["solution"] = module
    sys.path[:] = [*(path for path in sys.path if path != sys.path[0]), *site]
    sys.argv = [""]
    try:
        for number, part in enumerate(parts):
            exec(builtins.compile(part, f"<part {number}>", "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: the code may raise anything
        return _shown(error)
    return None


def _shown(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:ERROR_CHARS]
    except BaseException:  # the text of an error is foreign code too
        return "an error that can't be shown"
