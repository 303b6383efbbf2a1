"""Edits as the protocol's workspace edits: as small as they were made, for one version, asking to be confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsprotocol import types

from starfill.lsp.client import convert
from starfill.lsp.client.capabilities import Capabilities
from starfill.text.document import Document
from starfill.text.position import Edit, Encoding

_NOTE = "starfill"  # the one annotation of an edit


@dataclass(frozen=True, slots=True)
class FileEdit:
    """What is done to one file, in one step. version: None where it isn't open. created: it does not exist yet."""

    uri: str
    version: int | None
    edits: Sequence[types.TextEdit]
    created: bool = False


def document_edit(document: Document, edits: Sequence[Edit], encoding: Encoding) -> FileEdit:
    """Edits of an open document."""
    made = [types.TextEdit(convert.range_to(document, each.start, each.end, encoding), each.text) for each in edits]
    return FileEdit(document.uri, document.version, made)


def note(title: str, model: str, warning: str | None) -> types.ChangeAnnotation:
    """What the editor shows with the question whether to apply it."""
    written = f"written by {model}"
    return types.ChangeAnnotation(
        title, needs_confirmation=True, description=f"{warning}; {written}" if warning else written
    )


def workspace_edit(
    file: FileEdit, annotation: types.ChangeAnnotation, capabilities: Capabilities
) -> types.WorkspaceEdit:
    """The edit as this client can take it; `file.created` only for one that can create files."""
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
