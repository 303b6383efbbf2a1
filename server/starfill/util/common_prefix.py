"""What two sequences have in common at their beginning."""

from __future__ import annotations

from collections.abc import Sequence


def common_prefix(a: Sequence[object], b: Sequence[object]) -> int:
    """The number of leading characters of two texts, or items of two lists or tuples, that are the same."""
    if not isinstance(a, str):
        a, b = tuple(a), tuple(b)  # slices of a list and of a tuple never equal each other
    low, high = 0, min(len(a), len(b))
    while low < high:  # comparing slices runs in C, unlike a loop over items
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
