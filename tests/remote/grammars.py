"""The literal text in a grammar or regular expression that an engine was sent."""

from __future__ import annotations

import re


def unquoted(grammar: str) -> str:
    """The text that a grammar of ours begins with, read as llama.cpp reads it."""
    if not (found := re.fullmatch(r'root ::= "((?:[^"\\]|\\.)*)" \.\*', grammar, re.DOTALL)):
        return ""
    meant = {"n": "\n", "r": "\r", "t": "\t"}

    def char(match: re.Match[str]) -> str:
        return chr(int(match[1], 16)) if match[1] else meant.get(match[2], match[2])

    return re.sub(r"\\(?:x([0-9A-Fa-f]{2})|(.))", char, found[1], flags=re.DOTALL)


def unescaped(regex: str) -> str:
    """The text that a regular expression of ours begins with."""
    meant = {"n": "\n", "r": "\r", "t": "\t"}
    text = regex.removesuffix("[\\s\\S]*")
    return re.sub(r"\\(.)", lambda found: meant.get(found[1], found[1]), text, flags=re.DOTALL)
