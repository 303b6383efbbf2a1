"""pygls' protocol with our own documents, and with an answer to everything that is not a proper message."""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Generator
from typing import Any

import attrs
from cattrs import transform_error
from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcParseError,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import LanguageServerProtocol, lsp_method

from starfill.lsp.client.capabilities import Capabilities
from starfill.lsp.code_actions.preview import SCHEME
from starfill.lsp.code_actions.request import INSTRUCT

logger = logging.getLogger(__name__)

STATUS = "starfill/status"
LAST_COMPLETION = "starfill/lastCompletion"
STATISTICS = "starfill/statistics"
MODELS = "starfill.models"  # a command without arguments
PULL_MODEL = "starfill.pullModel"  # a command; its argument is OWNER/NAME[:REVISION]

# pygls' own handlers need O(file) for a change and end lines at form feeds; its `exit` waits for threads.
OURS = (
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
    types.NOTEBOOK_DOCUMENT_DID_OPEN,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE,
    types.EXIT,
)


@attrs.define
class LastCompletionParams:
    uri: str = attrs.field(validator=attrs.validators.instance_of(str))


@attrs.define
class LastCompletionRequest:
    id: int | str
    params: LastCompletionParams
    method: str = LAST_COMPLETION
    jsonrpc: str = "2.0"


class Protocol(LanguageServerProtocol):
    def _register_builtin_features(self) -> None:
        super()._register_builtin_features()  # type: ignore[no-untyped-call]
        for method in OURS:
            del self.fm.builtin_features[method]

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(self, params: types.InitializeParams) -> Generator[Any, Any, types.InitializeResult]:
        """An editor with inline completion isn't offered `textDocument/completion`, so that nothing is shown twice."""
        result = yield from super().lsp_initialize(params)
        offered = result.capabilities
        if params.capabilities.text_document and params.capabilities.text_document.inline_completion:
            offered.completion_provider = None
        if offered.workspace is not None and Capabilities.of(params.capabilities).virtual:
            offered.workspace.text_document_content = types.TextDocumentContentOptions([SCHEME])
        if offered.execute_command_provider is not None:
            offered.execute_command_provider.work_done_progress = True
        return result

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    def lsp_workspace__execute_command(self, params: types.ExecuteCommandParams) -> Generator[Any, Any, Any]:
        """Instructions get all of their parameters: pygls doesn't hand on the progress token."""
        if params.command == INSTRUCT:
            return (yield self.fm.commands[INSTRUCT], (params,), {})
        return (yield from super().lsp_workspace__execute_command(params))

    def rehearse(self) -> None:
        """Read a request for code actions and write an answer, both without effect.

        The library makes its converters on first use, which takes 40 ms, but a menu of actions must be there in 10.
        """
        nowhere = {"line": 0, "character": 0}
        where = {"start": nowhere, "end": nowhere}
        context = {"diagnostics": [{"range": where, "message": ""}], "only": [""], "triggerKind": 1}
        params = {"textDocument": {"uri": ""}, "range": where, "context": context}
        request = {"jsonrpc": self.VERSION, "id": 0, "method": types.TEXT_DOCUMENT_CODE_ACTION, "params": params}
        asked = self._converter.structure(request, types.CodeActionRequest).params
        action = types.CodeAction(
            "", diagnostics=asked.context.diagnostics, command=types.Command("", "", arguments=[{}])
        )
        self._converter.unstructure(types.CodeActionResponse(0, [action]))

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        return LastCompletionRequest if method == LAST_COMPLETION else super().get_message_type(method)

    @property
    def initialized(self) -> bool:
        return self._workspace is not None

    @property
    def exit_code(self) -> int:
        """The exit code of the process, as the protocol has it: 0 after `shutdown`, else 1."""
        return 0 if self._shutdown else 1

    def receive(self, body: bytes | None) -> None:
        """Handle the body of one message; None for bytes that were no message at all. Never raises."""
        if body is None:
            return self._refuse(None, JsonRpcParseError("Parse Error: bytes without a Content-Length header"))
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            return self._refuse(None, JsonRpcParseError(f"Parse Error: the body of a message is not JSON: {error}"))
        try:
            self._dispatch(message)
        except JsonRpcException as error:
            self._refuse(message, error)
        except Exception:
            logger.exception("A message could not be handled")
        return None

    def _dispatch(self, message: Any) -> None:
        """Pass a message to its handler. Raises JsonRpcException if that is impossible."""
        if not _is_message(message):
            raise JsonRpcInvalidRequest("Invalid Request: not a JSON-RPC 2.0 message")
        method = message.get("method")
        if method is not None and method != types.EXIT:
            if not self.initialized and method != types.INITIALIZE:
                raise JsonRpcServerNotInitialized(f"{method} was sent before initialize")
            if self.initialized and method == types.INITIALIZE:
                raise JsonRpcInvalidRequest("Invalid Request: initialize was sent twice")
            if self._shutdown:
                raise JsonRpcInvalidRequest(f"Invalid Request: {method} was sent after shutdown")
            if method not in self.fm.builtin_features | self.fm.features and method != types.CANCEL_REQUEST:
                raise JsonRpcMethodNotFound.of(method)
        try:
            structured = self.structure_message(message)
        except JsonRpcException as error:
            raise JsonRpcInvalidParams(f"Invalid Params of {method}: {_reason(error)}") from error
        self.handle_message(structured)

    def handle_message(self, message: Any) -> None:
        """Like pygls', which checks a message against `typing.Protocol`s; that takes 0.1 ms and more before Python
        3.12.
        """
        method = getattr(message, "method", None)
        if self._shutdown and method != types.EXIT:
            return
        run = contextvars.copy_context().run  # each handler has its own context
        if method is None:
            run(self._handle_response, message.id, getattr(message, "result", None), getattr(message, "error", None))
        elif hasattr(message, "id"):
            run(self._handle_request, message.id, method, message.params)
        else:
            run(self._handle_notification, method, message.params)

    def _refuse(self, message: Any, error: JsonRpcException) -> None:
        """Answer a message that can't be handled, unless it is a notification or a response. An unreadable id becomes
        null.
        """
        identifier = message.get("id") if isinstance(message, dict) else None
        if _is_message(message) and ("method" not in message or "id" not in message):
            if not message.get("method", "").startswith("$/"):
                logger.warning("A message was ignored: %s", error)
            return
        readable = isinstance(identifier, (str, int)) and not isinstance(identifier, bool)
        answer = {"code": error.code, "message": error.message}
        self._send_data({"jsonrpc": self.VERSION, "id": identifier if readable else None, "error": answer})


def _is_message(message: Any) -> bool:
    """Whether this is a request, a notification or a response."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return False
    identifier = message.get("id", 0)
    if not isinstance(identifier, (str, int)) or isinstance(identifier, bool):
        return "method" not in message and "error" in message and identifier is None
    return isinstance(message["method"], str) if "method" in message else "result" in message or "error" in message


def _reason(error: JsonRpcException) -> str:
    """The first error in the parameters, and its place."""
    if error.__cause__ is None:
        return str(error)
    return str(transform_error(error.__cause__)[0])
