"""Text that arrives in pieces, as token ids."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote.opened import BUNDLED
from starfill.checkpoint.tokenizer import CheckpointTokenizer
from starfill.jobs import Finish, Job, never
from starfill.remote.apis.api import AnswerPart
from starfill.remote.encoding import PromptEncoder
from starfill.remote.stream import FINER, AnswerStream

OWN = CheckpointTokenizer.from_folder(BUNDLED, 0)
SPELLER = PromptEncoder(OWN, False, None)


def answer(begins="", on_token=never, most=64, before=b""):
    """begins: what it must begin with; before: the part of it that is an unfinished character of the prompt."""
    job = Job("a", OWN.encode("x"), most, on_token=on_token, begins=tuple(OWN.encode(begins)))
    return AnswerStream(job, 0, SPELLER, before + SPELLER.bytes(job.begins))


def feed(answer, *texts, finish=None):
    """Whether each of them was the last that is wanted."""
    wanted = [answer.take(AnswerPart(text)) for text in texts]
    return [*wanted, answer.take(AnswerPart("", finish))] if finish else wanted


def text(answer):
    return b"".join(OWN.token_bytes[id] for id in answer.ids).decode()


@pytest.mark.parametrize(("finish", "meant"), [("stop", Finish.STOP), ("length", Finish.LENGTH)])
def test_pieces_add_up(finish, meant):
    found = answer()
    assert feed(found, "ret", "urn", "", " a\n", finish=finish) == [False] * 5
    assert (text(found), found.finish, found.pieces, found.ended) == ("return a\n", meant, 3, True)


@pytest.mark.parametrize(
    "texts", [("return x",), ("ret", "urn x"), ("r", "e", "t", "urn x"), ("re", "t", "", "urn x"), ("ret", "", "urn x")]
)
def test_the_begin_is_found_across_pieces(texts):
    found = answer("ret")
    feed(found, *texts, finish="stop")
    assert (text(found), found.prefix_mismatch) == ("return x", False)
    assert tuple(found.ids[: len(OWN.encode("ret"))]) == tuple(OWN.encode("ret"))


@pytest.mark.parametrize("texts", [("x",), ("re", "x"), ("r", "ex"), (" ret",), ("RET",)])
def test_an_answer_that_goes_astray_is_left_at_once(texts):
    found = answer("ret")
    assert feed(found, *texts) == [False] * (len(texts) - 1) + [True]
    assert (found.prefix_mismatch, found.ids, found.finish) == (True, [], None)


@pytest.mark.parametrize("texts", [(), ("re",), ("r", "e")])
def test_an_answer_that_ends_before_it_has_begun(texts):
    found = answer("ret")
    assert not any(feed(found, *texts, finish="stop"))
    assert (found.prefix_mismatch, found.ids) == (True, [])
    found.begin()
    assert feed(found, "urn", finish="stop") == [False, False]
    assert (text(found), found.prefix_mismatch, found.finish) == ("return", False, Finish.STOP)


def test_the_unfinished_character_of_a_prompt_is_no_part_of_the_answer():
    found = answer(before="漢".encode()[:1] + "漢".encode()[1:])
    feed(found, "漢", "字", finish="stop")
    assert text(found) == "字"


def test_the_asker_ends_it():
    seen = []
    found = answer("re", on_token=lambda candidate, id: seen.append((candidate, id)) or len(seen) == 4)
    assert feed(found, "return", " a + b + c + d + e")[-1] is True
    assert found.finish is Finish.STOP
    assert [id for _, id in seen] == found.ids
    assert len(found.ids) == 4
    assert found.take(AnswerPart(" more"))
    assert len(found.ids) == 4


def test_what_was_put_in_may_be_enough():
    found = answer("return", on_token=lambda candidate, id: True)
    assert feed(found, "x") == [True]
    found.begin()
    assert (found.finish, len(found.ids)) == (Finish.STOP, 1)
    assert feed(found, "anything") == [True]


def test_an_engine_that_does_not_stop():
    found = answer(most=2)
    pieces = 0
    while not found.take(AnswerPart(" word")):
        pieces += 1
        assert pieces < 100
    assert (len(found.ids), found.finish) == (FINER * 2, Finish.LENGTH)


def test_what_comes_after_the_end():
    found = answer()
    assert feed(found, "a", finish="stop") == [False, False]
    assert not found.take(AnswerPart("", None, 7, 3))  # what it has cost
    assert found.take(AnswerPart("b"))  # it goes on: nobody waits for that
    assert (text(found), found.finish) == ("a", Finish.STOP)


def test_halves_of_characters():
    found = answer("x")
    feed(found, "x\ud83d", "\udc00", finish="stop")
    assert text(found) == "x??"


@settings(deadline=None)
@given(st.text(), st.text(), st.data())
def test_any_answer_in_any_pieces(begin, rest, data):
    whole = begin + rest
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces = [whole[one:other] for one, other in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found = answer(begin, most=1000)
    assert not any(feed(found, *pieces, finish="stop"))
    assert (text(found), found.prefix_mismatch) == (whole, False)
