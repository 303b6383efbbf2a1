"""The figures: pass@k, exact match, edit similarity."""

from __future__ import annotations

from math import prod


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that of `k` samples, drawn from `samples` of which `passed` are good, at least one is good.

    The unbiased estimator of the Codex paper (arXiv 2107.03374, equation 1), 1 - C(n - c, k) / C(n, k), as a product
    that doesn't overflow. Needs k <= samples.
    """
    assert 0 <= passed <= samples and 1 <= k <= samples
    if samples - passed < k:
        return 1.0
    return 1.0 - prod(1.0 - k / n for n in range(samples - passed + 1, samples + 1))


def exact_match(answer: str, expected: str) -> bool:
    """Whether both texts are the same, apart from white space at the end."""
    return answer.rstrip() == expected.rstrip()


def edit_similarity(answer: str, expected: str) -> float:
    """1 - Levenshtein distance / length of the longer text, from 0 to 1, without white space at the end."""
    answer, expected = answer.rstrip(), expected.rstrip()
    longest = max(len(answer), len(expected))
    return 1.0 - levenshtein(answer, expected) / longest if longest else 1.0


def levenshtein(a: str, b: str) -> int:
    """The smallest number of characters to insert, delete or replace to turn `a` into `b`."""
    above = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (left != right)))
        above = row
    return above[-1]
