"""An answer that repeats itself: small models do that, until the token limit."""

from __future__ import annotations

LONGEST = 400  # characters of the piece that is repeated
LEAST = 100  # characters of all repetitions together; rows of numbers are shorter, or are in the source too
REPEATS = 4


def first_repetition_end(text: str, source: str = "") -> int | None:
    """The end of the first of the repeated pieces at the end of `text`; None if the text doesn't repeat itself.

    source: the code that the text is about. A repetition that is in the source too is allowed.
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
