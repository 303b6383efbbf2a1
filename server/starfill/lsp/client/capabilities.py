"""What the client can do, as far as Starfill needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from lsprotocol import types
from pygls.capabilities import get_capability


@dataclass(frozen=True, slots=True)
class Capabilities:
    """inline: shows suggestions as inline completions. label_details, as_is: items of its completion list may have
    details beside their label, and may say that their indentation is to be kept.
    literals: code actions may be more than commands. lazy: asks for an action's edit when the user chooses the action.
    disabled: shows why an action is disabled. tags: knows the tag LLMGenerated.
    versions: edits may name the version that they are for. creates: edits may create files. annotations: edits may ask
        to be confirmed. shows: can be asked to show a document. virtual: also one that only the server has.
    """

    inline: bool
    label_details: bool
    as_is: bool
    literals: bool
    lazy: bool
    disabled: bool
    tags: bool
    versions: bool
    creates: bool
    annotations: bool
    shows: bool
    virtual: bool

    @classmethod
    def of(cls, capabilities: types.ClientCapabilities) -> Capabilities:
        def has(name: str) -> bool:
            return get_capability(capabilities, name) not in (None, False)

        action, edit = "text_document.code_action.", "workspace.workspace_edit."
        resolved = get_capability(capabilities, "text_document.code_action.resolve_support.properties", ())
        tags = get_capability(capabilities, "text_document.code_action.tag_support.value_set", ())
        operations = get_capability(capabilities, "workspace.workspace_edit.resource_operations", ())
        annotations = has(edit + "change_annotation_support")
        shows = get_capability(capabilities, "window.show_document.support", False)
        item = "text_document.completion.completion_item."
        modes = get_capability(capabilities, item + "insert_text_mode_support.value_set", ())
        literals = has(action + "code_action_literal_support")
        return cls(
            inline=get_capability(capabilities, "text_document.inline_completion") is not None,
            label_details=has(item + "label_details_support"),
            as_is=types.InsertTextMode.AsIs in (modes or ()),
            literals=literals,
            lazy=literals and has(action + "data_support") and "edit" in resolved,
            disabled=has(action + "disabled_support"),
            tags=types.CodeActionTag.LlmGenerated in tags,
            # Neovim 0.12 declares only that it accepts what documentChanges may contain.
            versions=has(edit + "document_changes") or bool(operations) or annotations,
            creates=types.ResourceOperationKind.Create in operations,
            annotations=annotations,
            shows=bool(shows),
            virtual=bool(shows) and has("workspace.text_document_content"),
        )
