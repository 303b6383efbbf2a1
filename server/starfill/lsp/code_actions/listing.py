"""The list of code actions for a place. Pure: no model is asked, and only a few lines are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from lsprotocol import types

from starfill.assist.instruct.actions import QUICKFIX, Action, Placement, problem_text
from starfill.lsp.client import convert
from starfill.lsp.client.capabilities import Capabilities
from starfill.lsp.code_actions.request import INSTRUCT, ActionRequest
from starfill.lsp.documents.editor import Snapshot
from starfill.text.document import Document

KINDS = (
    types.CodeActionKind.QuickFix,
    types.CodeActionKind.Refactor,
    types.CodeActionKind.RefactorRewrite,
    types.CodeActionKind.Source,
)
"""What is announced. `source` is for the user's own actions."""

LAZY = (Placement.REPLACE, Placement.BEFORE, Placement.AFTER)
"""Placements whose actions are edits of their document and nothing else: the editor may ask for them by resolving."""

_MESSAGE_LENGTH = 60  # characters of a diagnostic's message in a title
_LINE_LENGTH = 200  # characters of the line that a diagnostic is on; lines of generated code may be very long


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Where and in which situation the list is asked for."""

    snapshot: Snapshot
    range: types.Range
    context: types.CodeActionContext

    @property
    def is_idle(self) -> bool:
        """Whether the editor only wants to know if it should show a light bulb: nothing is selected, and the user
        hasn't asked.
        """
        return self.is_automatic and self.range.start == self.range.end

    @property
    def is_automatic(self) -> bool:
        return self.context.trigger_kind == types.CodeActionTriggerKind.Automatic


def listing(
    asked: ListRequest, actions: Sequence[Action], reason: Callable[[Action], str | None]
) -> list[types.CodeAction | types.Command]:
    """The actions to offer. reason: why an action can't be used now, which is shown to a user who has asked."""
    capabilities = asked.snapshot.capabilities
    offered: list[types.CodeAction | types.Command] = []
    for title, action, request, diagnostic in chain.from_iterable(_offers(asked, each) for each in actions):
        why_not = reason(action)
        if why_not is not None and (not capabilities.disabled or asked.is_automatic):
            continue
        if capabilities.literals:
            offered.append(_code_action(title, action, request, diagnostic, why_not, capabilities))
        else:
            offered.append(_command(title, request))
    return offered


def is_within(kind: str, wanted: str) -> bool:
    """Whether a kind is the wanted one or below it. All kinds are below ""."""
    return wanted in ("", kind) or kind.startswith(f"{wanted}.")


Offer = tuple[str, Action, ActionRequest, types.Diagnostic | None]
"""Title, action, what is to be done, and the diagnostic that it is about."""


def _offers(asked: ListRequest, action: Action) -> Iterator[Offer]:
    """None, one, or for a quick fix one for each diagnostic."""
    only = asked.context.only
    if only and not any(is_within(action.kind, wanted) for wanted in only):
        return
    document, where = asked.snapshot.document, convert.range_from(asked.range)
    if not is_within(action.kind, QUICKFIX):
        if not asked.is_idle:
            yield action.title, action, ActionRequest(document.uri, where, action.name, version=document.version), None
        return
    for diagnostic in asked.context.diagnostics:
        request = ActionRequest(
            document.uri,
            where if where.start.line != where.end.line else convert.range_from(diagnostic.range),
            action.name,
            problem=_problem(document, diagnostic),
            version=document.version,
        )
        yield f"{action.title}: {_shortened(diagnostic.message)}", action, request, diagnostic


def _problem(document: Document, diagnostic: types.Diagnostic) -> str:
    line = diagnostic.range.start.line
    return problem_text(
        diagnostic.message,
        diagnostic.source or "",
        "" if diagnostic.code is None else str(diagnostic.code),
        document.line_text(line)[:_LINE_LENGTH] if line < document.line_count else "",
    )


def _shortened(message: str) -> str:
    words = " ".join(message[: 4 * _MESSAGE_LENGTH].split())
    return words if len(words) <= _MESSAGE_LENGTH else words[: _MESSAGE_LENGTH - 1].rstrip() + "…"


def _command(title: str, request: ActionRequest) -> types.Command:
    return types.Command(title=title, command=INSTRUCT, arguments=[request.as_json()])


def _code_action(
    title: str,
    action: Action,
    request: ActionRequest,
    diagnostic: types.Diagnostic | None,
    reason: str | None,
    capabilities: Capabilities,
) -> types.CodeAction:
    lazy = capabilities.lazy and action.placement in LAZY
    return types.CodeAction(
        title=title,
        kind=action.kind,
        diagnostics=[diagnostic] if diagnostic else None,
        disabled=types.CodeActionDisabled(reason) if reason else None,
        data=request.as_json() if lazy else None,
        command=None if lazy else _command(title, request),
        tags=[types.CodeActionTag.LlmGenerated] if capabilities.tags else None,
    )
