"""Conversion between our values and lsprotocol's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lsprotocol import types

from starfill.lsp.client.capabilities import Capabilities
from starfill.text.document import Change, Document
from starfill.text.position import Edit, Encoding, Position, Range, Span

ACCEPTED = "starfill.accepted"  # the editor runs this command after it has inserted a suggestion
_NO_WORD = re.compile(r"\W")
_LABEL_LENGTH = 60  # characters


def document_from(item: types.TextDocumentItem) -> Document:
    return Document.open(item.uri, item.language_id, item.version, item.text)


def position_from(position: types.Position) -> Position:
    return Position(position.line, position.character)


def range_from(where: types.Range) -> Range:
    return Range(position_from(where.start), position_from(where.end))


def span_from(document: Document, where: types.Range, encoding: Encoding) -> Span:
    start, end = sorted(document.offset_at(position_from(at), encoding) for at in (where.start, where.end))
    return Span(start, end)


def changes_from(changes: Sequence[types.TextDocumentContentChangeEvent]) -> list[Change]:
    return [
        (range_from(change.range), change.text)
        if isinstance(change, types.TextDocumentContentChangePartial)
        else (None, change.text)
        for change in changes
    ]


def range_to(document: Document, start: int, end: int, encoding: Encoding) -> types.Range:
    first, last = document.position_at(start, encoding), document.position_at(end, encoding)
    return types.Range(types.Position(first.line, first.character), types.Position(last.line, last.character))


def inline_item(document: Document, edit: Edit, encoding: Encoding) -> types.InlineCompletionItem:
    accepted = types.Command(title="Starfill: suggestion accepted", command=ACCEPTED, arguments=[document.uri])
    where = range_to(document, edit.start, edit.end, encoding)
    return types.InlineCompletionItem(insert_text=edit.text, range=where, command=accepted)


def completion_item(
    document: Document, offset: int, edit: Edit, encoding: Encoding, capabilities: Capabilities
) -> types.CompletionItem:
    """A suggestion for a popup. It replaces the word before the cursor too, since editors filter items by that word."""
    before = document.slice(document.line_start(document.line_of(offset)), offset)
    start = min(edit.start, offset - len(_NO_WORD.split(before)[-1]))
    text = document.slice(start, edit.start) + edit.text
    details = capabilities.label_details
    several = len(text.splitlines()) > 1
    first = text.strip().splitlines()[0].rstrip()
    return types.CompletionItem(
        label=first[:_LABEL_LENGTH] + ("…" if several or len(first) > _LABEL_LENGTH else ""),
        label_details=types.CompletionItemLabelDetails(description="Starfill") if details else None,
        detail=None if details else "Starfill",
        documentation=text if several else None,
        kind=types.CompletionItemKind.Text,
        sort_text="\uffff",
        filter_text=document.slice(start, offset) or None,
        text_edit=types.TextEdit(range_to(document, start, edit.end, encoding), text),
        insert_text_format=types.InsertTextFormat.PlainText,
        insert_text_mode=types.InsertTextMode.AsIs if capabilities.as_is else None,
        command=types.Command(title="Starfill: suggestion accepted", command=ACCEPTED, arguments=[document.uri]),
    )
