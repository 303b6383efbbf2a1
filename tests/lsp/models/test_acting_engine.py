"""A serving engine for the actions alone."""

from __future__ import annotations

import pytest

from lsp.asking import ask_resolve, messages
from lsp.models.consenting import (
    ASK,
    HERE,
    ORIGIN,
    PROFILE,
    SENTENCE,
    URI,
    configure,
    engine,
    no_such_method,
    pick,
    questions,
    simplified,
    wait_for_question,
)
from lsp.params import silence
from lsp.profiles import ANSWERS


@pytest.fixture
def acting(start):
    """A client of a server whose completions are local and whose actions are an engine's."""

    def begin(answer, url=ORIGIN):
        client = start(PROFILE, engine(url, use="actions"), answers=ANSWERS | {ASK: answer})
        assert client.wait_for_state("ready")["model"] == "bundled"
        client.open(URI, "old = 1\n")
        return client

    return begin


def test_the_first_action_asks_and_goes_on(acting):
    client = acting(pick("Allow"))
    assert questions(client) == []
    for _ in range(2):
        assert simplified(client)["edit"]["changeAnnotations"]["starfill"]["description"] == "written by away"
    assert len(questions(client)) == 1
    assert client.wait_for_state("ready")["model"] == "bundled"


@pytest.mark.parametrize("answer", [pick("Not now"), no_such_method])
def test_a_refused_action_says_how_to_allow_it(acting, answer):
    client = acting(answer)
    for times in (1, 2):
        simplified_or_not = ask_resolve(client, "simplify", URI, (0, 0), (1, 0))
        assert "edit" not in client.answer(simplified_or_not)
        client.wait(lambda times=times: len(messages(client)) == times, "a message")
    assert all(SENTENCE in message for message in messages(client))
    assert len(questions(client)) == 1 and f"asking {ORIGIN}" not in client.log
    assert client.inline(URI, 0, 0)[0]["insertText"] == "42"


def test_an_action_goes_on_with_other_settings_while_the_question_is_open(acting):
    client = acting(silence)
    asked = ask_resolve(client, "simplify", URI, (0, 0), (1, 0))
    wait_for_question(client)
    configure(client, engine={"url": HERE, "use": "actions"})
    assert client.answer(asked)["edit"]["changeAnnotations"]["starfill"]["description"] == "written by away"
    assert f"asking {HERE}" in client.log and f"asking {ORIGIN}" not in client.log
