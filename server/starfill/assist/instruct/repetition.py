"""A model that goes round in circles: small ones do, and would until the token limit."""

from __future__ import annotations

LONGEST = 400  # characters of a round
LEAST = 100  # characters that are nothing but rounds; rows of numbers are shorter, or stand in the source too
ROUNDS = 4


def first_round(text: str, source: str = "") -> int | None:
    """Where the first round ends, of those that `text` ends with; None where it goes somewhere.

    source: what the text is about; what goes round in there too may do so.
    """
    for length in range(1, min(LONGEST, len(text) // ROUNDS) + 1):
        least = max(ROUNDS * length, LEAST)
        if least > len(text) or text[-length:] != text[-2 * length : -length]:
            continue
        start = len(text) - length
        while start > 0 and text[start - 1] == text[start - 1 + length]:
            start -= 1
        if len(text) - start >= least and text[-ROUNDS * length :] not in source:
            return start + length
    return None
