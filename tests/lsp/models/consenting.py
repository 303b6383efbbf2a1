"""Questions to the user whether an engine may be used, and answers to them."""

from __future__ import annotations

from itertools import groupby

from lsp.asking import ask_resolve
from lsp.connection import ResponseError
from lsp.profiles import FULL

URI = "file:///a.py"


ASK = "window/showMessageRequest"


ORIGIN = "https://engine.example.com"


SENTENCE = f"{ORIGIN} is another machine: run `starfill engine allow {ORIGIN}`"


HERE = "http://127.0.0.1:1"


PROFILE = FULL | {"workspace": FULL["workspace"] | {"configuration": False}}  # settings hold as soon as they are pushed


def pick(title):
    """Answers each question with the action that begins so, else as one who closes it."""
    return lambda params: next((each for each in params["actions"] if each["title"].startswith(title)), None)


def no_such_method(params):
    raise ResponseError({"code": -32601, "message": "no such method"})


def questions(client):
    return [each["params"] for each in list(client.requests) if each["method"] == ASK]


def wait_for_question(client, how_many=1):
    client.wait(lambda: len(questions(client)) == how_many, f"question {how_many}")
    return client.requests[-1]["id"]


def configure(client, **settings):
    client.notify("workspace/didChangeConfiguration", {"settings": {"starfill": settings}})


def states(client):
    """Without repetitions, and without the question whether what is computed takes long."""
    told = [(each["state"], each["message"]) for each in client.all("starfill/status") if each["state"] != "busy"]
    return [state for state, _ in groupby(told)]


def engine(url, **more):
    return {"engine": {"url": url, **more}}


def simplified(client):
    return client.answer(ask_resolve(client, "simplify", URI, (0, 0), (1, 0)))
