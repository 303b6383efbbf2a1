"""The common prefix of two sequences."""

from __future__ import annotations

from collections.abc import Sequence


def common_prefix(a: Sequence[object], b: Sequence[object]) -> int:
    """The number of leading characters (of texts) or items (of lists or tuples) that are equal."""
    if not isinstance(a, str):
        a, b = tuple(a), tuple(b)  # slices of a list and of a tuple are never equal
    low, high = 0, min(len(a), len(b))
    while low < high:  # comparing slices runs in C, a loop over items doesn't
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
