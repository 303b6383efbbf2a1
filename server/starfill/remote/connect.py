"""Connecting to an engine: what it is, and whether its tokenizer cuts text as ours does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starfill.errors import EngineError
from starfill.jobs import ModelInfo
from starfill.remote.address import Address
from starfill.remote.apis.api import Api, Described
from starfill.remote.discovery import describe
from starfill.remote.encoding import PromptEncoder, Vocabulary
from starfill.remote.engine import RemoteEngine
from starfill.remote.http import Connection
from starfill.remote.network_thread import Network

PROBE = "def mean(values: list[float]) -> float:\n    return sum(values) / len(values)  # naïve\n"
UNKNOWN_CONTEXT = 4096  # tokens, if the engine doesn't report its own


@dataclass(frozen=True, slots=True)
class ConnectedEngine:
    """An engine that has answered. It must be turned into a `RemoteEngine`, or closed."""

    network: Network
    connection: Connection
    api: Api
    described: Described

    def agrees(self, vocabulary: Vocabulary) -> bool | None:
        """Whether our tokenizer's ids are the same tokens there; None if the engine can't be asked."""
        ids = vocabulary.encode(PROBE)
        if any(not vocabulary.token_bytes[id] for id in ids):
            return False
        asked = self.connection.post("/detokenize", {"model": self.described.model, "tokens": ids})
        try:
            found: Mapping[str, Any] | None = self.network.run(asked).result()
        except EngineError:
            return None
        text = (found or {}).get("content", (found or {}).get("prompt"))
        return text.lstrip(" ") == PROBE if isinstance(text, str) else None

    def engine(self, vocabulary: Vocabulary, takes_ids: bool, bos: int | None) -> RemoteEngine:
        """takes_ids: whether ids of this vocabulary may be sent. bos: see `PromptEncoder`."""
        described, address = self.described, self.connection.address
        info = ModelInfo(
            name=described.known_as if described.model.startswith("/") else described.model,
            architecture=self.api.name,
            device=address.origin,
            kernel="token ids" if takes_ids else "text",
            context_length=described.context_length or UNKNOWN_CONTEXT,
            vocab_size=len(vocabulary.token_bytes),
            kv_bytes_per_token=0,
            weight_bytes=0,
        )
        encoder = PromptEncoder(vocabulary, takes_ids, bos)
        return RemoteEngine(self.network, self.connection, self.api, described.model, encoder, info, described.slots)

    def close(self) -> None:
        self.network.run(self.connection.close()).result()
        self.network.close()


def connect(address: Address, key: str, kind: str, model: str) -> ConnectedEngine:
    """Blocks until the engine has described itself. Raises EngineError; SettingsError for a model or kind that it
    doesn't have.
    """
    network = Network()

    async def ask() -> tuple[Connection, Api, Described]:
        connection = Connection(address, key)
        try:
            return connection, *await describe(connection, kind, model)
        except BaseException:
            await connection.close()
            raise

    try:
        return ConnectedEngine(network, *network.run(ask()).result())
    except BaseException:
        network.close()
        raise
