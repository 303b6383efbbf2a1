"""An answer that repeats itself: small models do that, until the token limit."""

from __future__ import annotations

LONGEST = 400  # characters that are repeated
LEAST = 100  # characters of repetition in all; rows of numbers are shorter, or stand in the source too
REPEATS = 4


def first_repetition_end(text: str, source: str = "") -> int | None:
    """Where the first of the repeated pieces at the end of `text` ends; None where the text doesn't repeat itself.

    source: the code that the text is about; a repetition that stands in it too is none.
    """
    for length in range(1, min(LONGEST, len(text) // REPEATS) + 1):
        least = max(REPEATS * length, LEAST)
        if least > len(text) or text[-length:] != text[-2 * length : -length]:
            continue
        start = len(text) - length
        while start > 0 and text[start - 1] == text[start - 1 + length]:
            start -= 1
        if len(text) - start >= least and text[-REPEATS * length :] not in source:
            return start + length
    return None
