"""Which lines of a model's answer are sentences, and which may be code. In doubt, code."""

from __future__ import annotations

import re

_MARK = re.compile(r"\A(?:[-*•]|\d+[.)]|>)\s+")
_QUOTED = re.compile(r"`[^`]+`|“[^”]*”|\"[\w ,.'-]+\"")
_ASIDE = re.compile(r"(?<=\s)\([^()]*\)")
_CODE = re.compile(r"[={}\[\]();<>\\|@$_^&%+#~/]|\w::?\w|->|--|\"{3}|'{3}|\w\.\w|,\Z")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_END = (".", ":", "!", "?", "…", "。", "：", "！", "？")
_ALONE = frozenset(
    {"example", "examples", "explanation", "note", "notes", "output", "usage", "sure", "certainly", "here"}
)
_TELLING = frozenset(
    {
        *("the", "this", "that", "these", "which", "it", "its", "it's", "of", "to", "an", "are", "be", "can", "will"),
        *("you", "your", "here", "here's", "has", "have", "i", "we", "now", "when", "because", "should", "would"),
    }
)


def is_sentence(line: str) -> bool:
    """Whether a line reads like a sentence or a part of one, and contains nothing that only code has."""
    text = _MARK.sub("", line.strip()).replace("**", "")
    text = _ASIDE.sub("", _QUOTED.sub("Name", text)).strip()
    if not text or _CODE.search(text):
        return False
    words = [word.lower() for word in _WORD.findall(text)]
    if text.endswith(_END) and text[0].isupper() and not text.isupper():
        return len(words) > 1 or bool(_ALONE.intersection(words)) or text[-1] == "!"
    if text.endswith(_END) and not text[0].isascii():
        return True  # a script without capital letters
    return len(words) >= (4 if text[0].isupper() else 7) and len(_TELLING.intersection(words)) >= 2


def is_prose(paragraph: list[str]) -> bool:
    """Whether the lines are sentences that run on from line to line."""
    return is_sentence(" ".join(line.strip() for line in paragraph))


def without_beginning(lines: list[str]) -> list[str]:
    """Without the sentences and blank lines at the beginning."""
    while lines:
        end = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
        if end == 0 or not is_prose(lines[:end]):
            if lines[0].strip() and not is_sentence(lines[0]):
                break
            end = 1
        lines = lines[end:]
    return lines


def without_end(lines: list[str]) -> list[str]:
    """Without the unindented sentences and the blank lines at the end."""
    while lines:
        if not lines[-1].strip():
            lines = lines[:-1]
            continue
        start = next((at + 1 for at in range(len(lines) - 1, -1, -1) if not lines[at].strip()), 0)
        if not lines[start][0].isspace() and is_prose(lines[start:]):
            lines = lines[:start]
        elif not lines[-1][0].isspace() and is_sentence(lines[-1]):
            lines = lines[:-1]
        else:
            break
    return lines
