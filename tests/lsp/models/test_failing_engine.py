"""An engine that can't be reached, or fails: a state, never a popup with each key."""

from __future__ import annotations

import pytest

from lsp.asking import messages
from lsp.models.consenting import HERE, URI, configure, engine, states


def test_an_engine_that_is_not_there_is_said_once_and_found_later(start):
    client = start(options=engine(f"{HERE}/late"))
    sentence = f"{HERE}/late can't be reached (refused)"
    assert client.wait_for_state("ready")["device"] == f"{HERE}/late"
    assert states(client) == [("starting", ""), ("loading", "Asking the engine"), ("error", sentence), ("ready", "")]
    assert messages(client) == [f"Starfill: {sentence}"]
    titles = [each["value"].get("title") for each in client.all("$/progress")]
    assert titles.count("Starfill: asking the engine") <= 1  # none where it was over too soon to be shown


def test_what_is_wrong_in_another_way_then_is_said_too(start):
    client = start(options=engine(f"{HERE}/late-and-wrong"))
    client.wait(lambda: len(messages(client)) == 2, "a second message")
    assert [message.rpartition(" has ")[2] for message in messages(client)] == ["1 models", "4 models"]


def test_retries_end_with_other_settings(start):
    client = start(options=engine(f"{HERE}/gone"))
    client.wait(lambda: client.log.count("asking") > 3, "some attempts")
    configure(client, model="other", engine={"url": ""})
    assert client.wait_for_state("ready")["model"] == "other"
    before = client.log.count("asking")
    client.open(URI, "#busy")
    client.inline(URI, 0, 0)  # takes four times as long as until the next attempt
    assert client.log.count("asking") == before
    assert client.shutdown() == 0


@pytest.mark.parametrize("budget", [0, 250])
def test_trouble_is_a_state_and_ends_by_itself(start, budget):
    client = start(options=engine(HERE, latencyBudgetMs=budget))
    client.wait_for_state("ready")
    client.open(URI, "#trouble it is gone")
    client.inline(URI, 0, 0)
    told = client.wait_for("starfill/status", lambda status: "it is gone" in status["message"])
    if budget:
        sentence = "bundled on this machine suggests instead: it is gone"
        expected = {"state": "ready", "message": sentence, "model": "bundled", "device": "cpu"}
    else:
        expected = {"state": "error", "message": "it is gone", "model": "away", "device": HERE}
    assert told == expected | {"progress": None}
    client.open("file:///b.py", "#recovered")
    client.inline("file:///b.py", 0, 0)
    client.wait_for("starfill/status", lambda _: client.all("starfill/status")[-1]["message"] == "")
    assert client.wait_for_state("ready")["device"] == HERE
    assert messages(client) == []


def test_a_completion_that_fails_is_a_reason_and_no_popup(start):
    client = start(options=engine(HERE))
    client.wait_for_state("ready")
    client.open(URI, "#failure")
    assert client.inline(URI, 0, 0) == []
    assert client.last(URI)["reason"] == "The engine can't be reached."
    assert messages(client) == []
