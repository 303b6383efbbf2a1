"""pygls' server, with our session for the handlers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from lsprotocol import types
from pygls.exceptions import FeatureRequestError
from pygls.lsp.server import LanguageServer

from starfill import __version__
from starfill.lsp.models.backend import Backend
from starfill.lsp.protocol import Protocol
from starfill.lsp.session import Session

logger = logging.getLogger(__name__)


class Server(LanguageServer):
    """Lives on one event loop, for one client."""

    protocol: Protocol

    def __init__(
        self, backend: Backend, fixed: Mapping[str, Any], notebooks: types.NotebookDocumentSyncOptions
    ) -> None:
        super().__init__("starfill", __version__, protocol_cls=Protocol, notebook_document_sync=notebooks)
        self.session = Session(self, backend, fixed)
        self.exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def leave(self, code: int) -> None:
        """End the process soon, with this exit code."""
        if not self.exit_code.done():
            self.exit_code.set_result(code)

    def report_server_error(self, error: Exception, source: object) -> None:
        """Log an error, where pygls would show it in the editor. An error of a request is in the log and in the answer
        already.
        """
        if source is not FeatureRequestError:
            logger.error("A notification could not be handled: %s", error, exc_info=error)
