"""The real server around a scripted backend: what the model does depends on its name and on the document's first line.

python scripted_server.py            over stdio
python scripted_server.py HOST PORT  over TCP

What takes long ends with the signal SIGUSR1, one for each: see `asking.go_on`.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter

from scripted import PAUSE  # stands beside this file
from scripted_models import BUSY, GO_ON, ScriptedAssistant, ScriptedInstructor, last

from starfill.errors import CheckpointError, ConsentError, EngineError, NotPulledError, SettingsError
from starfill.lsp.code_actions import preview, runner
from starfill.lsp.models import model_loader, status
from starfill.lsp.models.backend import ModelChoice


class ScriptedBackend:
    """Models named hub/... have to be pulled first, engines with https have to be allowed."""

    def __init__(self):
        self.pulled = set()
        self.allowed = set()
        self.asked = Counter()

    def reach(self, url):
        if url.startswith("https:") and url not in self.allowed:
            raise ConsentError(f"{url} is another machine: run `starfill engine allow {url}`", url)
        self.asked[url] += 1
        print(f"asking {url}")
        match url.rpartition("/")[2]:
            case "gone":
                raise EngineError(f"{url} can't be reached (refused)")
            case "late" if self.asked[url] < 4:
                raise EngineError(f"{url} can't be reached (refused)")
            case "late-and-wrong":
                kind = EngineError if self.asked[url] < 4 else SettingsError
                raise kind(f"{url} has {self.asked[url]} models")

    def allow(self, origin):
        if origin.endswith("/readonly"):
            raise SettingsError("What you allow can't be kept.")
        print(f"allowing {origin}")
        self.allowed.add(origin)

    def load(self, settings, report):
        report(0.0, "Looking around")
        if settings.completes_remotely:
            self.reach(settings.engine_url)
            return ScriptedAssistant(settings)
        name = settings.model.removesuffix(":main")
        if name.startswith("hub/") and name not in self.pulled:
            raise NotPulledError(f"{name} was not pulled: run `starfill models pull {name}`", name)
        match settings.model:
            case "missing":
                raise CheckpointError("The folder missing has no config.json: name a checkpoint folder.")
            case "crash":
                raise RuntimeError("boom")
            case "slow":
                last()
            case "forever":
                threading.Thread(target=threading.Event().wait).start()
                threading.Event().wait()
            case "talkative":
                last()
                for step in range(1000):
                    if step == 500:
                        last()
                    report(step / 1000, "Reading")
        report(1.0, "Done")
        return ScriptedAssistant(settings)

    def load_instructor(self, settings, report, beside):
        name = settings.instruct_model
        print(f"loading instructor {name!r} beside {beside.info.name if beside else None}")
        report(0.0, "Looking around")
        if settings.acts_remotely:
            self.reach(settings.engine_url)
            return ScriptedInstructor(settings)
        match name:
            case "missing":
                raise CheckpointError("The folder missing has no config.json: name a checkpoint folder.")
            case "crash":
                raise RuntimeError("boom")
            case "slow":
                last()
        return ScriptedInstructor(settings)

    def models(self):
        here = [ModelChoice(name, "here", 7_300_000_000) for name in sorted(self.pulled)]
        return [ModelChoice("bundled", "bundled", 7_000_000), *here, ModelChoice("hub/known:branch", "known", None)]

    def download_size(self, repository):
        print(f"asked about {repository}")
        if repository == "hub/gone":
            raise CheckpointError("The hub has no repository hub/gone.")
        return "7.3 GB"

    def pull(self, repository, report, stopped):
        print(f"pulling {repository}")
        match repository:
            case "hub/slow" | "hub/coder":
                last()
            case "hub/broken":
                last()
                raise CheckpointError("The hub can't be reached.")
            case "hub/crash":
                last()
                raise RuntimeError("boom")
            case "hub/endless":
                while not stopped():
                    report(0.5, "3.6 GB of 7.3 GB")
                    time.sleep(0.01)
                print("noticed the stop")
                raise CheckpointError("stopped")
            case "hub/stuck":
                threading.Event().wait()
        for step in range(10):
            report(step / 10, f"{step} of 10")
        self.pulled.add(repository)


if __name__ == "__main__":
    from starfill.lsp.transport import serve_stdio, serve_tcp

    model_loader.RETRY_AFTER = 0.05
    runner.COUNTING = preview.PAUSE = PAUSE
    assert max(model_loader.RETRY_AFTER, status.SOON) < BUSY
    signal.signal(signal.SIGUSR1, lambda *_: GO_ON.set())
    if len(sys.argv) > 1:
        serve_tcp(ScriptedBackend(), sys.argv[1], int(sys.argv[2]))
    serve_stdio(ScriptedBackend())
