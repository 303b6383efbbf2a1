"""What of an unfinished answer is shown, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfill.assist.instruct.answer_stream import REPORT_INTERVAL, Listener, end_of, final_part

STOPS = ("\n### Instruction:", "\n--", "##")


@pytest.mark.parametrize(
    ("text", "end", "stays"),
    [
        ("Returns 1.", None, "Returns 1."),
        ("Returns 1.\n", None, "Returns 1."),
        ("Returns 1.\n-", None, "Returns 1."),
        ("Returns 1.\n- a", None, "Returns 1.\n- a"),
        ("Returns 1.\n--", 10, "Returns 1.\n--"),
        ("a ## b\n--", 2, "a ## b\n--"),
        ("a #", None, "a "),
        ("", None, ""),
    ],
)
def test_stops(text: str, end: int | None, stays: str) -> None:
    assert end_of(text, STOPS) == end
    assert final_part(text, STOPS) == stays
    assert final_part(text, ()) == text and end_of(text, ()) is None


@given(st.text("a#\n-", max_size=20))
def test_what_is_shown_never_has_to_be_taken_back(text: str) -> None:
    whole = text[: end_of(text, STOPS)]
    for length in range(len(text)):
        so_far = text[:length]
        assert whole.startswith(final_part(so_far[: end_of(so_far, STOPS)], STOPS))


class Timers:
    """The calls that are to be made later: when the test says so."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        assert seconds == REPORT_INTERVAL
        self._calls.append(call)

    def end(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            call()


def test_a_fast_model_does_not_flood_the_event_loop() -> None:
    token_bytes = [bytes([byte]) for byte in range(256)]
    seen: list[tuple[str, int]] = []
    answer = "".join(Random(0).choices("acdefghi", k=20_000))

    async def script() -> None:
        timers = Timers()
        listener = Listener(token_bytes, STOPS, lambda *shown: seen.append(shown), earlier=5, call_later=timers)
        await asyncio.to_thread(lambda: [listener.on_token(0, token) for token in answer.encode()])
        assert len(seen) == 1
        timers.end()
        assert seen[-1] == (answer, 20_005)  # also when no token follows
        timers.end()
        assert len(seen) == 2
        listener.on_token(0, ord("b"))
        listener.close()
        listener.on_token(0, ord("b"))
        await asyncio.sleep(0)
        timers.end()
        assert "b" not in seen[-1][0]

    asyncio.run(script())


def test_what_may_be_the_beginning_of_a_stop_is_held_back() -> None:
    seen: list[str] = []

    async def script() -> None:
        timers = Timers()
        listener = Listener([b" \na ", b"#", b"b"], STOPS, lambda text, tokens: seen.append(text), call_later=timers)
        for token in range(3):
            listener.on_token(0, token)
            await asyncio.sleep(0)
            timers.end()

    asyncio.run(script())
    assert list(dict.fromkeys(seen)) == ["a ", "a #b"]


def test_a_stop_text_ends_the_answer_wherever_tokens_are_cut() -> None:
    async def script(pieces: list[str]) -> list[bool]:
        listener = Listener([piece.encode() for piece in pieces], STOPS, lambda *_: None)
        return [listener.on_token(0, token) for token in range(len(pieces))]

    assert asyncio.run(script(["a\n", "-", "- b"])) == [False, False, True]
    assert asyncio.run(script(["a ", "#", "#"])) == [False, False, True]
    assert asyncio.run(script(["a", "\n### Instruction: more"])) == [False, True]


def test_a_token_after_the_loop_has_closed_does_no_harm() -> None:
    async def script() -> Listener:
        return Listener([b"a"], STOPS, lambda *_: None)

    assert asyncio.run(script()).on_token(0, 0) is False
