"""Edits of our documents as the protocol's workspace edits: small, for one version, to be confirmed by the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsprotocol import types

from starfill.lsp.client import convert
from starfill.lsp.client.capabilities import Capabilities
from starfill.text.document import Document
from starfill.text.position import Edit, Encoding

_NOTE = "starfill"  # the id of the one annotation of an edit


@dataclass(frozen=True, slots=True)
class FileEdit:
    """What changes in one file. version: None if it isn't open. created: the file doesn't exist yet."""

    uri: str
    version: int | None
    edits: Sequence[types.TextEdit]
    created: bool = False


def document_edit(document: Document, edits: Sequence[Edit], encoding: Encoding) -> FileEdit:
    """Edits of an open document."""
    made = [types.TextEdit(convert.range_to(document, each.start, each.end, encoding), each.text) for each in edits]
    return FileEdit(document.uri, document.version, made)


def note(title: str, model: str, warning: str | None) -> types.ChangeAnnotation:
    """What the editor shows when it asks whether to apply the edit."""
    written = f"written by {model}"
    return types.ChangeAnnotation(
        title, needs_confirmation=True, description=f"{warning}; {written}" if warning else written
    )


def workspace_edit(
    file: FileEdit, annotation: types.ChangeAnnotation, capabilities: Capabilities
) -> types.WorkspaceEdit:
    """The edit in the form that this client accepts. `file.created` only for a client that can create files."""
    if not capabilities.versions:
        return types.WorkspaceEdit(changes={file.uri: file.edits})
    annotated = capabilities.annotations
    edits: list[types.TextEdit | types.AnnotatedTextEdit | types.SnippetTextEdit] = [
        types.AnnotatedTextEdit(_NOTE, each.range, each.new_text) if annotated else each for each in file.edits
    ]
    identifier = types.OptionalVersionedTextDocumentIdentifier(file.uri, file.version)
    changes: list[types.TextDocumentEdit | types.CreateFile | types.RenameFile | types.DeleteFile] = [
        types.TextDocumentEdit(identifier, edits)
    ]
    if file.created:
        options = types.CreateFileOptions(ignore_if_exists=True)
        changes.insert(0, types.CreateFile(file.uri, options=options, annotation_id=_NOTE if annotated else None))
    return types.WorkspaceEdit(document_changes=changes, change_annotations={_NOTE: annotation} if annotated else None)
