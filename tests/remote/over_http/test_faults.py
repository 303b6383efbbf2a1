"""An engine that fails: a sentence in bounded time, never half an answer, and recovery by itself."""

import pytest

from remote.fake_engine import Fault
from remote.opened import KINDS, PATIENCE, wait_for
from starfill.errors import EngineError
from starfill.jobs import Finish, Priority

HTML = "<!doctype html><title>Sign in</title>"
MANY = "a b c d e f g h i j k l m n o p"

FAULTS = [
    (Fault(401, body="{}"), r"wants another key \(401\)"),
    (Fault(403, body="{}"), r"wants another key \(403\)"),
    (Fault(302, headers={"Location": "http://127.0.0.1:1/"}), r"sends elsewhere \(302\)"),
    (Fault(404, body='{"message": "no such model"}'), r"refuses the request \(404\): no such model"),
    (Fault(422, body='{"error": "Input validation error", "error_type": "validation"}'), r"\(422\): Input validation"),
    (Fault(429, body='{"detail": "slowly"}', headers={"Retry-After": "7"}), r"is busy \(429\): slowly"),
    (Fault(429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), r"is busy \(429\): no reason given"),
    (Fault(500, body="Internal Server Error"), r"refuses the request \(500\): Internal Server Error"),
    (Fault(500, body="x" * 100_000), r"\(500\): x{200}$"),
    (Fault(500, body="[" * 100_000), r"\(500\): \[{200}$"),
    (Fault(502, body=HTML, content_type="text/html"), r"is busy \(502\)"),
    (Fault(503, body='{"error": {"message": "Loading model"}}'), r"is busy \(503\): Loading model"),
    (Fault(body=HTML, content_type="text/html"), "answers with what is no stream"),
    (Fault(body='{"choices": [{"text": "whole", "finish_reason": "stop"}]}'), "answers with what is no stream"),
    (Fault(body="data: oh", content_type="text/event-stream"), "has broken off its answer|what is no completion"),
    (Fault(body="data: oh\n\n", content_type="text/event-stream"), "what is no completion"),
    *(
        (Fault(after=after, event=event), sentence)
        for after in (0, 3)
        for event, sentence in [
            ("garbage", "what is no completion"),
            ("{", "what is no completion"),
            ("[]", "what is no completion"),
            ("null", "what is no completion"),
            ("{}", "what is no completion"),
            ("[" * 50_000, "what is no completion"),
            ('{"choices": 5, "token": 5, "content": 5}', "what is no completion"),
            ('{"choices": [{"text": 5}], "token": {"text": 5}, "content": 5, "stop": false}', "what is no completion"),
            ('{"error": {"message": "CUDA out of memory", "code": 500}}', "has failed: CUDA out of memory"),
            ('{"error": "Request failed during generation", "error_type": "generation"}', "has failed: Request failed"),
            ('{"x": "' + "y" * (2 << 20) + '"}', "no stream|no completion|broken off"),
        ]
    ),
    (Fault(cut=True), "has broken off its answer"),
    (Fault(cut=True, after=3), "has broken off its answer"),
    (Fault(silent=True), "takes too long to answer"),
    (Fault(silent=True, after=3), "takes too long to answer"),
    (Fault(silent=True, pings=True), "takes too long to answer"),
    (Fault(silent=True, pings=True, after=3), "takes too long to answer"),
    (Fault(silent=True, blanks=True), "takes too long to answer"),
]


def named(value):
    if not isinstance(value, Fault):
        return ""
    words = [name for name in ("cut", "silent", "pings", "blanks") if getattr(value, name)]
    return "-".join([str(value.status), *words, str(value.after), value.event[:12], value.body[:12]])


@pytest.mark.parametrize("priority", [Priority.COMPLETION, Priority.INSTRUCTION])
@pytest.mark.parametrize(("fault", "sentence"), FAULTS, ids=named)
def test_each_fault_is_a_sentence_in_time(fault, sentence, priority, fake, opened, impatience):
    engine = fake("vllm", answer=lambda prompt: MANY)
    found = opened(engine)
    engine.faults.append(fault)
    raises = pytest.raises(EngineError, match=f"^{engine.url} .*({sentence})")
    with impatience(fault), raises as error:
        found.ask(priority=priority)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    wait_for(lambda: engine.streams == 0)
    assert found.answer(priority=Priority.INSTRUCTION) == MANY  # who asks for an action gets an attempt
    assert found.answer() == MANY


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut=True, after=2),
        Fault(event='{"error": "oh"}', after=2),
        Fault(event="{}", after=2),
        Fault(silent=True, after=2),
    ],
    ids=named,
)
def test_each_kind_fails_alike(kind, fault, fake, opened, impatience):
    engine = fake(kind, answer=lambda prompt: MANY)
    found = opened(engine)
    engine.faults.append(fault)
    with impatience(fault), pytest.raises(EngineError, match=f"^{engine.url} "):
        found.ask()


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_without_end(kind, fake, opened):
    engine = fake(kind, answer=lambda prompt: "word " * 3)
    found = opened(engine)
    engine.faults.append(Fault(endless=True))
    assert found.ask(most=4).finish == (Finish.LENGTH,)
    wait_for(lambda: engine.streams == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_stays_open_after_the_answer(kind, fake, opened):
    engine = fake(kind)
    found = opened(engine)
    engine.always = Fault(lingers=True)
    assert found.answer() == "answer"
    assert found.answer() == "answer"


def test_an_engine_that_asks_for_a_rest_gets_it(fake, opened):
    engine = fake("vllm")
    found = opened(engine)
    found.engine.health.clock = lambda: 100.0
    engine.faults.append(Fault(429, headers={"Retry-After": "60"}))
    with pytest.raises(EngineError, match="429"):
        found.ask()
    for _ in range(3):
        with pytest.raises(EngineError, match=r"is busy \(429\).*; it is asked again in 60 s$"):
            found.ask()
    assert len(engine.asked) == 1
    assert found.answer(priority=Priority.INSTRUCTION) == "answer"  # who asks for an action gets an attempt
    assert found.answer() == "answer"


def test_a_refusal_of_one_request_is_not_the_engines_failure(fake, opened):
    engine = fake("vllm")
    found = opened(engine)
    told = []
    found.engine.watch(told.append)
    engine.faults.append(Fault(400, body='{"message": "too long"}'))
    with pytest.raises(EngineError, match="too long"):
        found.ask()
    assert found.answer() == "answer"
    assert told == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_that_is_killed_and_started_again(kind, fake, opened, soon):
    engine = fake(kind, answer=lambda prompt: MANY, pace=0.02)
    found = opened(engine)
    told = []
    found.engine.watch(told.append)
    running = found.engine.submit(found.job())
    wait_for(lambda: engine.streams == 1)
    engine.stop()
    with pytest.raises(EngineError, match=r"has broken off|can't be reached"):
        running.future.result(PATIENCE)
    for _ in range(3):
        with pytest.raises(EngineError, match=r"it is asked again in \d+ s$|can't be reached"):
            found.ask()
    asked = len(engine.asked)
    assert told
    assert told[-1] is not None
    engine.start()
    wait_for(lambda: told[-1] is None)
    assert len(engine.asked) == asked  # nobody has typed meanwhile
    assert found.answer() == MANY


def test_an_engine_that_only_starts(fake, opened, soon):
    engine = fake("llama.cpp")
    found = opened(engine)
    told = []
    found.engine.watch(told.append)
    loading = Fault(503, body='{"error": {"message": "Loading model"}}')
    engine.instead["/health"] = engine.always = loading
    with pytest.raises(EngineError, match="Loading model"):
        found.ask()
    seen = engine.looked.count("/health")
    wait_for(lambda: engine.looked.count("/health") > seen)
    assert told[-1] is not None
    engine.instead.clear()
    engine.always = None
    wait_for(lambda: told[-1] is None)
    assert found.answer() == "answer"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_engine_that_is_there_but_never_works(status, fake, opened, soon):
    """Its trouble stays to be seen, and it isn't asked with every key."""
    engine = fake("vllm")
    found = opened(engine)
    told = []
    found.engine.watch(told.append)
    now = 100.0
    found.engine.health.clock = lambda: now
    engine.always = Fault(status)
    with pytest.raises(EngineError, match=str(status)):
        found.ask()
    wait_for(lambda: told[-1] is None)  # the probe has been answered
    for _ in range(4):
        with pytest.raises(EngineError, match=str(status)):
            found.ask()
    assert len(engine.asked) == 2
    assert told[-1] is not None
    engine.always = None
    now += found.engine.health.rest
    assert told[-1] is not None
    assert found.answer() == "answer"
    wait_for(lambda: told[-1] is None)


def test_an_asker_that_fails_is_not_the_engines_failure(fake, opened):
    found = opened(fake("vllm"))

    def on_token(candidate, id):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        found.ask(on_token=on_token)
    assert found.answer() == "answer"
