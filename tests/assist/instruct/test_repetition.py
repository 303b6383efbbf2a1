import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfill.assist.instruct.repetition import LEAST, REPEATS, first_repetition_end

LINE = "    value = value + 1\n"
TABLE = "0, 0, 0, 0,\n" * 20


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", None),
        ("def f():\n    return 1\n", None),
        ("def f():\n" + 3 * LINE, None),
        ("True for leap years" + 20 * ", False for now", "True for leap years, False for now"),
        ("def f():\n" + 10 * LINE, "def f():\n" + LINE.rstrip("\n")),
        ("def f():\n" + 10 * LINE + LINE[:7], "def f():\n" + LINE.rstrip("\n")),
        ("def f():\n" + 10 * LINE + "    return value\n", None),
        (200 * "=", "="),
        (50 * "=", None),
    ],
)
def test_first_round(text: str, kept: str | None) -> None:
    end = first_repetition_end(text)
    assert (None if end is None else text[:end]) == kept


def test_what_goes_round_in_the_source_may_go_round_in_the_answer() -> None:
    assert first_repetition_end("ZEROS = (\n" + TABLE) is not None
    assert first_repetition_end("ZEROS = (\n" + TABLE, "zeros = [\n" + TABLE + "]") is None


@given(st.text(max_size=30), st.text(min_size=1, max_size=60), st.integers(0, 59))
def test_rounds_are_found_wherever_the_last_one_breaks_off(before: str, unit: str, more: int) -> None:
    rounds = max(REPEATS, LEAST // len(unit) + 1)
    text = before + rounds * unit + unit[: more % len(unit)]
    end = first_repetition_end(text)
    assert end is not None
    assert end <= len(before) + len(unit)
    assert set(text[end:]) <= set(unit)
