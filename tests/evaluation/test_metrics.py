"""pass@k against enumerating every draw; edit distance against its definition."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfill.evaluation.metrics import edit_similarity, exact_match, levenshtein, pass_at_k


@given(st.data())
def test_pass_at_k_is_the_share_of_draws_with_a_pass(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 9))
    passed, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    draws = list(combinations([True] * passed + [False] * (n - passed), k))
    assert pass_at_k(n, passed, k) == pytest.approx(float(Fraction(sum(map(any, draws)), len(draws))))


def test_pass_at_k_of_many_samples() -> None:
    assert pass_at_k(200, 0, 100) == 0
    assert pass_at_k(200, 1, 1) == pytest.approx(1 / 200)
    assert pass_at_k(200, 100, 101) == 1
    assert 0.9 < pass_at_k(2000, 100, 100) < 1


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_levenshtein(a: str, b: str) -> None:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        replaced = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, replaced)

    assert levenshtein(a, b) == distance(len(a), len(b))


def test_similarity_and_match_leave_space_at_the_end_out() -> None:
    assert exact_match("x = 1 \n", "x = 1")
    assert not exact_match(" x = 1", "x = 1")
    assert edit_similarity("", "") == edit_similarity("ab \n", "ab") == 1
    assert edit_similarity("abcd", "abxd") == 0.75
    assert edit_similarity("", "abc") == 0
