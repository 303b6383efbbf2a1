"""The texts of the status line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HINTS = (
    ("Tab", "accept"),
    ("^→", "word"),
    ("Esc", "dismiss"),
    ("F2", "actions"),
    ("^E", "explain"),
    ("^S", "save"),
    ("^Q", "quit"),
)


def plain(sentence: str) -> str:
    """Without our name, which is on the screen anyway."""
    return sentence.removeprefix("Starfill: ")


def state(report: Mapping[str, Any]) -> str:
    """`starfill/status` in a few words: "ready: bundled on cpu"."""
    words = str(report["state"])
    if report.get("progress") is not None:
        words += f" {round(100 * report['progress'])} %"
    if report["message"]:
        return f"{words}: {report['message']}"
    return f"{words}: {report['model']} on {report['device']}" if report["model"] else words


def work(value: Mapping[str, Any], title: str, stoppable: bool) -> str:
    """Work-done progress in a few words: "explain: 12 tokens (Esc stops it)"."""
    percentage = f"{value['percentage']} %" if value.get("percentage") is not None else ""
    details = " ".join(filter(None, (percentage, value.get("message"))))
    return (f"{plain(title)}: {details}" if details else plain(title)) + (" (Esc stops it)" if stoppable else "")


def how(figures: Mapping[str, Any]) -> str:
    """How the last suggestion was made, from `starfill/lastCompletion`."""
    if figures["source"] == "reuse":
        return "typed through: no model call"
    if figures["source"] == "none" or figures["reason"]:
        return f"no suggestion: {figures['reason']}"
    if figures["source"] == "prepared":
        return "prepared while you were not typing: no model call"
    first, whole = figures["prefillMs"], figures["totalMs"]
    tokens = f"{figures['computedTokens']} computed, {figures['cachedTokens']} cached tokens"
    return f"first token {first:.0f} ms, whole {whole:.0f} ms: {tokens}"
