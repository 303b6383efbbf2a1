"""The engine over the network: what is asked, and what a result says."""

from dataclasses import replace

import pytest

from remote.fake_engine import Fault
from remote.opened import BUNDLED, KINDS, wait_for
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.errors import EngineError
from starfill.jobs import Finish, Priority, Sampling

OWN = CheckpointTokenizer.from_folder(BUNDLED, 0)
IDS = ("vllm", "sglang", "llama.cpp")  # kinds that take token ids
FORCED = IDS  # kinds that can be told how an answer begins
ANSWER = "return a + b  # naïve 漢字 🎉\n"


def text_of(prompt):
    """A prompt as text, however it was sent."""
    return prompt if isinstance(prompt, str) else b"".join(OWN.token_bytes[id] for id in prompt).decode()


def own(fake, kind, **more):
    """An engine with the bundled model."""
    engine = fake(kind, "starfill-bundled", **more)
    engine.detokenize = text_of
    return engine


@pytest.fixture(params=[*((kind, "") for kind in KINDS), *((kind, "bundled") for kind in IDS)], ids="-".join)
def both(request, fake, opened):
    """Each kind, and with ids where it takes them: a function from more of the fake to (fake, opened)."""
    kind, tokenizer = request.param

    def make(**more):
        engine = own(fake, kind, **more)
        return engine, opened(engine, engine_tokenizer=tokenizer)

    return make


def test_the_ids_of_an_answer_are_its_text(both):
    engine, found = both(answer=lambda prompt: ANSWER)
    result = found.ask("def add(a, b):\n    ")
    assert found.text(result.candidates[0]) == ANSWER
    assert result.finish == (Finish.STOP,)
    assert result.generated_tokens == len(result.candidates[0])
    assert result.steps == len(list(engine.pieces("")))
    assert result.prefill_ms > 0
    (asked,) = engine.asked
    assert text_of(asked.prompt) == "def add(a, b):\n    "
    assert isinstance(asked.prompt, str) is (found.engine.info.kernel == "text")


def test_what_the_engine_says_of_its_cache(both):
    engine, found = both()
    result = found.ask("x = ")
    prompt, cached = {"tgi": (7, 0)}.get(engine.kind, (7, 3))
    assert (result.prompt_tokens, result.cached_tokens, result.computed_tokens) == (prompt, cached, prompt - cached)


def test_an_answer_of_the_greatest_length(both):
    _, found = both(answer=lambda prompt: "a b c d e f g h i j k l m n o p")
    result = found.ask(most=2)
    assert result.finish == (Finish.LENGTH,)


def test_an_empty_answer(both):
    _, found = both(answer=lambda prompt: "")
    result = found.ask()
    assert (result.candidates, result.finish) == (((),), (Finish.STOP,))


def test_healing_with_a_free_answer_that_begins_right(both):
    engine, found = both(answer=lambda prompt: "return x")
    result = found.ask("    ", begins="ret")
    assert found.text(result.candidates[0]) == "return x"
    assert len(engine.asked) == 1
    assert text_of(engine.asked[0].prompt) == "    "


def test_healing_with_one_that_does_not(both):
    def answer(prompt):
        return "urn x" if text_of(prompt).endswith("ret") else "yield x"

    engine, found = both(answer=answer)
    got = found.answer("    ", begins="ret")
    prompts = [text_of(asked.prompt) for asked in engine.asked]
    if engine.kind in FORCED:
        assert (got, prompts) == ("retyield x", ["    "])  # as it was forced
    else:
        assert (got, prompts) == ("return x", ["    ", "    ret"])


@pytest.mark.parametrize("half", ['"', "\\", "\n\t", "🎉", "'a\"\\b\n", "<fim_mid"])
def test_healing_of_anything(half, both):
    engine, found = both(answer=lambda prompt: "!")
    assert found.answer("x = ", begins=half) == f"{half}!"
    assert len(engine.asked) == (1 if engine.kind in FORCED else 2)


def test_healing_with_an_older_vllm(fake, opened):
    """It knows nothing of what an answer should match, so it is asked again."""
    engine = fake("vllm", answer=lambda prompt: "urn x" if text_of(prompt).endswith("ret") else "yield x")
    engine.passes_over = True
    found = opened(engine)
    assert found.answer("    ", begins="ret") == "return x"
    assert len(engine.asked) == 2


def test_healing_of_half_a_character(both):
    engine, found = both(answer=lambda prompt: "🎉'" if "🎉" not in text_of(prompt) else "'")
    ids = OWN.encode("x = '🎉")
    assert len(ids) > 5
    for cut in range(len(ids) - 3, len(ids)):
        half = replace(found.job(), ids=ids[:cut], begins=tuple(ids[cut:]))
        result = found.engine.submit(half).future.result(10)
        given, got = (b"".join(OWN.token_bytes[id] for id in each) for each in (ids[:cut], result.candidates[0]))
        assert given + got == "x = '🎉'".encode()
    assert all(text_of(asked.prompt) == "x = '" for asked in engine.asked)


def test_the_asker_ends_an_answer(both):
    _, found = both(answer=lambda prompt: "a b c d e f g h", pace=0.01)
    seen = []
    result = found.ask(on_token=lambda candidate, id: seen.append(id) or len(seen) == 3)
    assert (list(result.candidates[0]), result.finish) == (seen, (Finish.STOP,))
    assert len(seen) == 3


def test_candidates_are_asked_side_by_side(both):
    engine, found = both(answer=lambda prompt: "answer", pace=0.02)
    result = found.ask(candidates=3, sampling=Sampling(0.5, 0.9, 40))
    assert [found.text(each) for each in result.candidates] == ["answer"] * 3
    assert result.finish == (Finish.STOP,) * 3
    seeds = sorted(asked.body.get("parameters", asked.body)["seed"] for asked in engine.asked)
    assert seeds == [40, 41, 42]


def test_one_that_fails_ends_the_others(both):
    engine, found = both(answer=lambda prompt: "answer " * 50, pace=0.05)
    engine.faults.append(Fault(500, body="oh"))
    with pytest.raises(EngineError, match=r"\(500\): oh"):
        found.ask(candidates=3)
    wait_for(lambda: engine.streams == 0)


def test_the_prompt_ahead_is_never_sent(both):
    engine, found = both()
    result = found.ask(priority=Priority.IDLE)
    assert (result.candidates, result.finish) == (((),), (Finish.CANCELLED,))
    assert found.ask().finish == (Finish.STOP,)
    assert len(engine.asked) == 1


def test_one_connection_for_answers_that_end_by_themselves(both):
    engine, found = both(answer=lambda prompt: ANSWER)
    for _ in range(20):
        assert found.answer() == ANSWER
    assert len(engine.asked) == 20
    assert engine.connections == 1


def test_documents_are_told_apart_and_not_named(both):
    engine, found = both()
    keys = ["file:///secret/a.py", "file:///secret/b.py", ("instruct", "file:///secret/a.py")] * 2
    for key in keys:
        found.ask(key=key)
    sessions = [asked.headers["X-Session-ID"] for asked in engine.asked]
    assert sessions[:3] == sessions[3:]
    assert len(set(sessions)) == 3
    for asked in engine.asked:
        assert "secret" not in repr(asked.headers) + repr(asked.body)


def test_sessions_say_nothing_to_the_next_one(fake, opened):
    engine = fake("vllm")
    opened(engine).ask()
    opened(engine).ask()
    assert len({asked.headers["X-Session-ID"] for asked in engine.asked}) == 2


def test_a_document_keeps_its_slot(fake, opened):
    engine = own(fake, "llama.cpp")  # with four of them
    found = opened(engine)
    for key in ("a", "b", "c", "d", "a", "b"):
        found.ask(key=key)
    slots = [asked.body["id_slot"] for asked in engine.asked]
    assert slots[4:] == slots[:2]
    assert sorted(slots[:4]) == [0, 1, 2, 3]
    found.engine.release("a")
    found.ask(key="a")
    assert engine.asked[-1].body["id_slot"] in range(4)


@pytest.mark.parametrize("ids", [[], [5] * 4096, [5] * 5000])
def test_jobs_that_can_not_be(ids, fake, opened):
    found = opened(fake("vllm"))
    with pytest.raises(ValueError, match="1 to 4095 prompt tokens"):
        found.engine.submit(replace(found.job(), ids=ids))
