"""The protocol's definition of lines and positions, written for plainness: the always-there oracle of the documents."""

import re

from starfill.text.position import Encoding, Position, Range

WIDTHS = {
    Encoding.UTF8: lambda char: len(char.encode("utf-8", "surrogatepass")),
    Encoding.UTF16: lambda char: 2 if ord(char) > 0xFFFF else 1,
    Encoding.UTF32: lambda char: 1,
}


def lines(text: str) -> list[tuple[int, int]]:
    """(start, end) of each line, without its line end."""
    starts, ends = [0], []
    for match in re.finditer(r"\r\n|\r|\n", text):
        ends.append(match.start())
        starts.append(match.end())
    return list(zip(starts, [*ends, len(text)], strict=True))


def offset_at(text: str, position: Position, encoding: Encoding) -> int:
    rows = lines(text)
    if position.line >= len(rows):
        return len(text)
    start, end = rows[position.line]
    used = 0
    for offset in range(start, end):
        used += WIDTHS[encoding](text[offset])
        if used > position.character:
            return offset
    return end


def position_at(text: str, offset: int, encoding: Encoding) -> Position:
    rows = lines(text)
    line = max(index for index, (start, _) in enumerate(rows) if start <= offset)
    start, end = rows[line]
    return Position(line, sum(WIDTHS[encoding](char) for char in text[start : min(offset, end)]))


def edited(text: str, where: Range | None, new: str, encoding: Encoding) -> str:
    if where is None:
        result = new
    else:
        start, end = sorted((offset_at(text, where.start, encoding), offset_at(text, where.end, encoding)))
        result = text[:start] + new + text[end:]
    return result.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
