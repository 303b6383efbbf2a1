"""A serving engine in the editor: the user is asked once, and a no holds."""

from __future__ import annotations

import asyncio

import pytest

from lsp.asking import messages
from lsp.models.consenting import (
    ASK,
    HERE,
    ORIGIN,
    SENTENCE,
    URI,
    configure,
    engine,
    no_such_method,
    pick,
    questions,
    states,
    wait_for_question,
)
from lsp.params import silence
from starfill.errors import ConsentError
from starfill.lsp.models.consent import EngineConsents


def test_an_engine_that_is_allowed_is_used(start):
    client = start(options=engine(ORIGIN), answers={ASK: pick("Allow")})
    status = client.wait_for_state("ready")
    assert (status["model"], status["device"]) == ("away", ORIGIN)
    (question,) = questions(client)
    assert ORIGIN in question["message"] and "code around your cursor" in question["message"]
    assert "not encrypted" not in question["message"]
    assert [each["title"] for each in question["actions"]] == [f"Allow {ORIGIN}", "Not now"]
    loading = ("loading", "Asking the engine")
    before, after = [("starting", ""), loading, ("error", SENTENCE)], [("ready", "")]
    assert states(client) in ([*before, loading, *after], [*before, *after])  # the next try may notice the yes first
    client.wait_for_log(f"asking {ORIGIN}")
    assert client.log.index(f"allowing {ORIGIN}") < client.log.index(f"asking {ORIGIN}")
    assert messages(client) == []
    client.open(URI, "x = ")
    assert len(client.inline(URI, 0, 4)) == 1
    last = client.last(URI)
    assert (last["model"], last["device"]) == ("away", ORIGIN)


@pytest.mark.parametrize("answer", ["Not now", "is closed"])
def test_a_no_holds_until_the_server_ends(start, answer):
    client = start(options=engine(ORIGIN), answers={ASK: pick(answer)})
    wait_for_question(client)
    assert client.wait_for_state("error")["message"] == SENTENCE
    client.open(URI, "x = ")
    assert client.inline(URI, 0, 4) == [] and client.last(URI)["reason"] == SENTENCE
    configure(client, maxNewTokens=12, engine={"url": ORIGIN})
    configure(client, engine={"url": ""})
    assert client.wait_for_state("ready")["model"] == "bundled"
    configure(client, engine={"url": ORIGIN})
    assert client.wait_for_state("error")["message"] == SENTENCE
    assert len(questions(client)) == 1 and messages(client) == [] and f"asking {ORIGIN}" not in client.log


def test_a_client_that_can_not_ask_is_told_the_command_once(start):
    client = start(options=engine(ORIGIN), answers={ASK: no_such_method})
    assert client.wait_for("window/showMessage") == {"type": 1, "message": f"Starfill: {SENTENCE}"}
    configure(client, engine={"url": ""})
    client.wait_for_state("ready")
    configure(client, engine={"url": ORIGIN})
    assert client.wait_for_state("error")["message"] == SENTENCE
    assert len(messages(client)) == 1 and f"asking {ORIGIN}" not in client.log


def test_other_settings_while_the_question_is_open(start):
    client = start(options=engine(ORIGIN), answers={ASK: silence})
    identifier = wait_for_question(client)
    configure(client, engine={"url": HERE})
    assert client.wait_for_state("ready")["device"] == HERE
    client.send({"id": identifier, "result": {"title": f"Allow {ORIGIN}"}})
    client.wait_for_log(f"allowing {ORIGIN}")
    assert client.wait_for_state("ready")["device"] == HERE and f"asking {ORIGIN}" not in client.log
    configure(client, engine={"url": ORIGIN})
    client.wait_for("starfill/status", lambda status: (status["state"], status["device"]) == ("ready", ORIGIN))
    assert len(questions(client)) == 1


def test_the_answer_may_come_after_settings_that_change_nothing_of_it(start):
    client = start(options=engine(ORIGIN), answers={ASK: silence})
    identifier = wait_for_question(client)
    configure(client, maxNewTokens=12, engine={"url": ORIGIN})
    client.send({"id": identifier, "result": {"title": f"Allow {ORIGIN}"}})
    assert client.wait_for_state("ready")["device"] == ORIGIN
    assert len(questions(client)) == 1


def test_what_can_not_be_kept_is_said_and_not_used(start):
    client = start(options=engine("https://engine.example.com/readonly"), answers={ASK: pick("Allow")})
    assert client.wait_for("window/showMessage")["message"] == "Starfill: What you allow can't be kept."
    assert client.wait_for_state("error") and f"asking {ORIGIN}" not in client.log


def test_without_encryption_the_question_says_so(start):
    class Asked:
        message = ""

        async def window_show_message_request_async(self, params):
            self.message = params.message

    client = Asked()
    consents = EngineConsents(client, None)
    assert asyncio.run(consents.agreed(ConsentError("", "http://10.0.0.1:8000"))) is False
    assert "The connection is not encrypted." in client.message
