"""Jobs that end before their answer: the engine is to stop at once, and every job gets its one result."""

import threading

import pytest

from remote.fake_engine import FakeEngine, Fault
from remote.opened import KINDS, PATIENCE, open_at, wait_for
from starfill.jobs import Finish, Priority

LONG = "a word and another one " * 400


def busy(fake, opened, kind="vllm", pace=0.01):
    engine = fake(kind, answer=lambda prompt: LONG, pace=pace)
    return engine, opened(engine)


@pytest.mark.parametrize("kind", KINDS)
def test_cancelling_frees_the_engine(kind, fake, opened):
    engine, found = busy(fake, opened, kind)
    for number in range(5):
        ticket = found.engine.submit(found.job(most=400))
        wait_for(lambda: engine.streams == 1)
        ticket.cancel()
        result = ticket.future.result(PATIENCE)
        wait_for(lambda count=number: engine.given_up == count + 1)  # it hasn't come to the answer's end
        assert result.finish == (Finish.CANCELLED,)
        ticket.cancel()


@pytest.mark.parametrize("after", [0, 3])
def test_cancelling_while_nothing_comes(after, fake, opened):
    engine, found = busy(fake, opened)
    engine.always = Fault(silent=True, after=after)
    pieces = []
    ticket = found.engine.submit(found.job(on_token=lambda candidate, id: bool(pieces.append(id))))
    wait_for(lambda: engine.streams == 1 and (not after or pieces))
    ticket.cancel()
    result = ticket.future.result(PATIENCE)
    assert result.finish == (Finish.CANCELLED,)
    assert list(result.candidates[0]) == pieces
    wait_for(lambda: engine.given_up)


def test_cancelling_all_candidates(fake, opened):
    engine, found = busy(fake, opened)
    ticket = found.engine.submit(found.job(candidates=4, most=400))
    wait_for(lambda: engine.streams == 4)
    ticket.cancel()
    assert ticket.future.result(PATIENCE).finish == (Finish.CANCELLED,) * 4
    wait_for(lambda: engine.streams == 0)


def test_cancelling_before_it_was_sent(fake, opened):
    engine, found = busy(fake, opened)
    ticket = found.engine.submit(found.job())
    ticket.cancel()
    assert ticket.future.result(PATIENCE).finish == (Finish.CANCELLED,)
    engine.answer = lambda prompt: "answer"
    assert found.answer() == "answer"


def test_a_newer_job_supersedes_the_older_one(fake, opened):
    engine, found = busy(fake, opened)
    tickets = [found.engine.submit(found.job(f"x{number} = ", most=400)) for number in range(20)]
    other = found.engine.submit(found.job(key="file:///b.py", most=400))
    finishes = [ticket.future.result(PATIENCE).finish for ticket in tickets[:-1]]
    assert finishes == [(Finish.SUPERSEDED,)] * 19
    wait_for(lambda: engine.streams == 2)
    assert not other.future.done()
    assert not tickets[-1].future.done()


def test_closing_a_document_ends_its_job(fake, opened):
    engine, found = busy(fake, opened)
    one = found.engine.submit(found.job(most=400))
    other = found.engine.submit(found.job(key="file:///b.py", most=400))
    wait_for(lambda: engine.streams == 2)
    found.engine.release("file:///a.py")
    found.engine.release("file:///never seen")
    assert one.future.result(PATIENCE).finish == (Finish.CANCELLED,)
    wait_for(lambda: engine.streams == 1)
    assert not other.future.done()


def test_an_ended_answer_frees_the_engine(fake, opened):
    engine, found = busy(fake, opened)
    assert found.ask(most=400, on_token=lambda candidate, id: True).finish == (Finish.STOP,)
    wait_for(lambda: engine.streams == 0)
    assert engine.given_up == 1


def test_cutting_short_says_nothing_of_the_engine(fake, opened):
    engine, found = busy(fake, opened)
    told = []
    found.engine.watch(told.append)
    for _ in range(5):
        found.engine.submit(found.job(most=400))
    wait_for(lambda: engine.streams == 1)
    engine.answer = lambda prompt: "answer"
    assert found.answer() == "answer"
    assert told == []


def test_closing_ends_all_jobs(fake):
    engine = fake("vllm", answer=lambda prompt: LONG, pace=0.01)
    found = open_at(engine.url)
    tickets = [found.engine.submit(found.job(key=key, most=400)) for key in (1, 2, 3, 1, 2, 3, 1)]
    wait_for(lambda: engine.streams == 3)
    found.engine.close()
    finishes = [ticket.future.result(0).finish[0] for ticket in tickets]
    assert finishes == [Finish.SUPERSEDED] * 4 + [Finish.CANCELLED] * 3
    wait_for(lambda: engine.streams == 0)
    late = found.engine.submit(found.job())
    assert late.future.result(0).finish == (Finish.CANCELLED,)
    late.cancel()
    found.engine.release(1)
    found.engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "network"]


def test_closing_while_others_submit():
    with FakeEngine("vllm") as engine:
        for _ in range(5):
            found = open_at(engine.url)
            tickets = []

            def submit(found=found, tickets=tickets):
                for number in range(200):
                    tickets.append(found.engine.submit(found.job(key=number, most=4)))

            thread = threading.Thread(target=submit)
            thread.start()
            wait_for(lambda tickets=tickets: len(tickets) > 20)
            found.engine.close()
            thread.join()
            assert all(ticket.future.done() for ticket in tickets)


def test_closing_while_the_engine_is_gone(fake):
    engine = fake("vllm")
    found = open_at(engine.url)
    engine.stop()
    with pytest.raises(Exception, match="can't be reached"):
        found.ask()
    found.engine.close()
    engine.start()


def test_actions_wait_longer_than_completions(fake, opened, monkeypatch):
    monkeypatch.setattr("starfill.remote.candidate_streams.TYPING", 0.05)
    engine = fake("vllm", answer=lambda prompt: "answer", pace=0.2)
    found = opened(engine)
    assert found.answer(priority=Priority.INSTRUCTION) == "answer"
    with pytest.raises(Exception, match="takes too long to answer"):
        found.ask()
