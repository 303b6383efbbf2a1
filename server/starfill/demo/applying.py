"""Applying the server's edits to the text."""

from __future__ import annotations

from textual.widgets import TextArea

from starfill.demo.client import Json, location


def edits_in(edit: Json) -> tuple[str, int | None, list[Json]]:
    """The URI, version and text edits of a workspace edit for one document."""
    (change,) = edit["documentChanges"]
    return change["textDocument"]["uri"], change["textDocument"]["version"], change["edits"]


def apply(edits: list[Json], editor: TextArea) -> None:
    """Apply all edits as one replacement, so that one undo reverts them."""
    edits = sorted(edits, key=lambda each: location(each["range"]["start"]))
    start = at = location(edits[0]["range"]["start"])
    text = ""
    for each in edits:
        text += editor.get_text_range(at, location(each["range"]["start"])) + each["newText"]
        at = location(each["range"]["end"])
    editor.replace(text, start, at)
    editor.move_cursor(editor.cursor_location)  # the old selection means nothing in the new text
