"""Messages that the editor shows to its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer


def show_message(client: LanguageServer, kind: types.MessageType, sentence: str) -> None:
    client.window_show_message(types.ShowMessageParams(kind, f"Starfill: {sentence}"))
