"""Asks the user whether code may be sent to an engine on another machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lsprotocol import types

from starfill.errors import ConsentError, StarfillError
from starfill.lsp.client.messages import show_message
from starfill.lsp.client.questions import choice
from starfill.lsp.models.backend import Backend
from starfill.util.daemon_thread import in_daemon_thread

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer


class EngineConsents:
    """Asks once for each origin, whoever needs it. A no holds until the server ends."""

    def __init__(self, client: LanguageServer, backend: Backend) -> None:
        self._client, self._backend = client, backend
        self._asked: dict[str, asyncio.Task[bool | None]] = {}

    async def agreed(self, needed: ConsentError) -> bool | None:
        """Whether the engine may be used from now on; None if the client can't ask. Until then nothing is sent."""
        if needed.origin not in self._asked:
            self._asked[needed.origin] = asyncio.create_task(self._ask(needed.origin))
        return await asyncio.shield(self._asked[needed.origin])

    async def _ask(self, origin: str) -> bool | None:
        encrypted = "" if origin.startswith("https:") else " The connection is not encrypted."
        agreed = await choice(
            self._client,
            f"Starfill: the settings name the engine {origin}, on another machine. Send the code around your cursor, "
            f"and what you select for an action, to it?{encrypted}",
            f"Allow {origin}",
        )
        if not agreed:
            return agreed
        try:
            await asyncio.wrap_future(in_daemon_thread(lambda: self._backend.allow(origin)))
        except StarfillError as error:
            show_message(self._client, types.MessageType.Error, str(error))
            return False
        del self._asked[origin]  # whoever needed the engine doesn't any more
        return True
