"""The settings, from three sources: initializationOptions, what the client pushes, and its answers to our requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from starfill.config.parse import FIELDS, flat, parse
from starfill.config.settings import Settings
from starfill.lsp.client.questions import ask
from starfill.util.supersede import NewestWins, until_superseded

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)

SECTION = "starfill"
PATIENCE = 2  # seconds for the client to answer; without an answer the known settings are used


class Configuration:
    """A later source overrides an earlier one, setting by setting; null leaves a setting alone. `apply` gets the
    result.
    """

    def __init__(self, client: LanguageServer, apply: Callable[[Settings], None], fixed: Mapping[str, Any]) -> None:
        """fixed: settings that the server was started with. Nothing overrides them."""
        self._client, self._apply, self._fixed = client, apply, fixed
        self._initial: Any = {}
        self._pushed: Any = {}
        self._reported: set[str] = set()
        self._refreshes: NewestWins[str, None] = NewestWins()

    def initial(self, options: Any) -> None:
        """initializationOptions: either the settings themselves, or an object with the settings under "starfill"."""
        self._initial = options[SECTION] if _has_section(options) else {} if options is None else options

    async def pushed(self, settings: Any) -> None:
        """didChangeConfiguration: settings in the same form as the initial ones, or only the news that some changed."""
        if _has_section(settings):
            self._pushed = settings[SECTION]
        elif isinstance(settings, Mapping) and flat(settings).keys() & FIELDS.keys():
            self._pushed = settings
        await self.refresh()

    async def refresh(self) -> None:
        """Ask the client for its settings if it can be asked, then apply what holds now and report what is wrong with
        it.
        """
        pulled: Any = {}
        if get_capability(self._client.client_capabilities, "workspace.configuration", False):
            request = self._refreshes.begin(SECTION, None)
            pulled = await until_superseded(request, asyncio.ensure_future(self._pull()))
            if not self._refreshes.end(SECTION, request):
                return  # a newer change follows
        settings, problems = self._parse(pulled)
        for problem in problems:
            if problem not in self._reported:
                warning = types.ShowMessageParams(types.MessageType.Warning, f"Starfill: {problem}")
                self._client.window_show_message(warning)
        self._reported = set(problems)
        self._apply(settings)

    def _parse(self, pulled: Any) -> tuple[Settings, list[str]]:
        merged: dict[str, Any] = {}
        for source in (self._initial, self._pushed, pulled, self._fixed):
            if not isinstance(source, Mapping):
                return parse(source)
            merged |= {name: value for name, value in flat(source).items() if value is not None}
        return parse(merged)

    async def _pull(self) -> Any:
        asked = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
        try:
            answer = await ask(self._client.workspace_configuration_async(asked), PATIENCE)
        except JsonRpcException as error:
            logger.warning("The client did not tell its settings: %s", error)
            return {}
        return answer[0] if answer and answer[0] is not None else {}

    def watch(self) -> None:
        """Register for changes, with a client that wants us to."""
        capability = "workspace.did_change_configuration.dynamic_registration"
        if get_capability(self._client.client_capabilities, capability, False):
            options = types.DidChangeConfigurationRegistrationOptions(section=SECTION)
            watch = types.Registration("starfill-settings", types.WORKSPACE_DID_CHANGE_CONFIGURATION, options)
            self._client.client_register_capability(types.RegistrationParams([watch]))


def _has_section(settings: Any) -> bool:
    return isinstance(settings, Mapping) and settings.get(SECTION) is not None
