"""The network: a pool of connections to one engine. Whatever goes wrong becomes one sentence."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2

from starfill import __version__
from starfill.errors import EngineError
from starfill.remote.address import Address

CONNECT = 3.0  # seconds
TYPING = 10.0  # seconds without a byte of a completion, after which nobody waits for it any more
ASKING = 120.0  # the same for an action, which may wait for others' requests on a busy engine
DESCRIBING = 10.0  # seconds for an engine to describe itself
MAX_BYTES = 1 << 20  # bytes of an answer or an event
SHOWN = 200  # characters of an engine's error message
RETRY_LATER = 429, 502, 503, 504  # the engine is busy or starting

WRONG = ': "starfill.engine.url" or "starfill.engine.kind" may be wrong'

Json = Mapping[str, Any]


class Connection:
    """To be used on one event loop. Raises EngineError with the sentence to show.

    key: sent as a bearer token; "" for none. Nothing here logs it.
    """

    def __init__(self, address: Address, key: str = "") -> None:
        self.address, self._key = address, key
        headers = {"User-Agent": f"starfill/{__version__}"} | ({"Authorization": f"Bearer {key}"} if key else {})
        with _as_engine_errors(address):
            self._client = httpx2.AsyncClient(
                base_url=address.base,
                headers=headers,
                timeout=httpx2.Timeout(TYPING, connect=CONNECT),
                verify=_certificates(address),
                limits=httpx2.Limits(max_keepalive_connections=8, keepalive_expiry=60.0),
                trust_env=not address.loopback,  # a company's proxy can't reach this machine
            )

    async def get(self, path: str) -> Json | None:
        """The JSON object at a path; None if there is none (404 and the like)."""
        return await self._object("GET", path, None)

    async def post(self, path: str, body: Json) -> Json | None:
        """The JSON object in the answer; None as for `get`."""
        return await self._object("POST", path, body)

    async def _object(self, method: str, path: str, body: Json | None) -> Json | None:
        timeout = httpx2.Timeout(DESCRIBING, connect=CONNECT)
        with _as_engine_errors(self.address):
            response = await self._client.request(method, path, json=body, timeout=timeout)
            if response.status_code in (401, 403, 429) or response.status_code >= 500:
                raise _refused(self.address, response, self._key)
            if not response.is_success:
                return None
            try:
                found = response.json()
            except (ValueError, RecursionError):
                return None
            return found if isinstance(found, dict) else None

    @asynccontextmanager
    async def stream(
        self, path: str, body: Json, patience: float, session: str
    ) -> AsyncIterator[AsyncGenerator[Json, None]]:
        """The events of a streamed answer. Leaving early closes the connection, so that the engine stops.

        session: tells a router which requests belong together.
        """
        with _as_engine_errors(self.address):
            async with self._client.stream(
                "POST",
                path,
                json=body,
                headers={"X-Session-ID": session},
                timeout=httpx2.Timeout(patience, connect=CONNECT),
            ) as response:
                if not response.is_success:
                    await response.aread()
                    raise _refused(self.address, response, self._key)
                yield _events(self.address, response, self._key)

    async def close(self) -> None:
        await self._client.aclose()


async def _events(address: Address, response: httpx2.Response, key: str) -> AsyncGenerator[Json, None]:
    async for event in httpx2.EventSource(response, max_event_size=MAX_BYTES):
        if event.data == "[DONE]":
            continue  # read to the end, or the connection couldn't be reused
        try:
            found = json.loads(event.data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise garbled(address)
        if found.get("error"):
            raise EngineError(f"{address.base} has failed: {_error_text(found, key)}")
        yield found


@contextmanager
def _as_engine_errors(address: Address) -> Iterator[None]:
    """Turns the library's errors into EngineError with a sentence."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
        raise EngineError(f"{address.base} {_what(error)}", again=True) from error


def garbled(address: Address) -> EngineError:
    return EngineError(f"{address.base} answers with what is no completion{WRONG}", again=True)


def _what(error: Exception) -> str:
    if isinstance(error, httpx2.InvalidURL):
        return f"can't be asked{WRONG}"
    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
        return f"can't be reached ({_cause(error)})"
    if isinstance(error, httpx2.TimeoutException):
        return "takes too long to answer"
    if isinstance(error, httpx2.SSEError):
        return f"answers with what is no stream{WRONG}"
    return "has broken off its answer"


def _cause(error: Exception) -> str:
    return "no answer" if isinstance(error, httpx2.TimeoutException) else str(error) or "no connection"


def _refused(address: Address, response: httpx2.Response, key: str) -> EngineError:
    status = response.status_code
    if status in (401, 403):
        return EngineError(
            f"{address.base} wants another key ({status}): set the variable that starfill.engine.apiKeyEnv names",
            again=True,
        )
    if 300 <= status < 400:
        return EngineError(f"{address.base} sends elsewhere ({status}): write the address that it means", again=True)
    said = _error_text(_json(response), key)
    if status in RETRY_LATER:
        return EngineError(f"{address.base} is busy ({status}): {said}", again=True, later=_retry_after(response))
    again = status >= 500 or status in (404, 405)  # otherwise the fault may be in this request alone
    return EngineError(f"{address.base} refuses the request ({status}): {said}", again=again)


def _json(response: httpx2.Response) -> object:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return response.text


def _error_text(found: object, key: str) -> str:
    """What an engine says of a failure, however it wraps it. Some repeat the key, which is removed."""
    while isinstance(found, dict):
        found = next((found[name] for name in ("error", "message", "detail") if found.get(name)), "")
    text = str(found).replace(key, "…") if key else str(found)
    return " ".join(text.split())[:SHOWN] or "no reason given"


def _retry_after(response: httpx2.Response) -> float:
    """Seconds; 0 if the answer doesn't say."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else 0.0


def _certificates(address: Address) -> ssl.SSLContext | bool:
    """The machine's certificates; none without encryption: reading them takes longer than connecting."""
    return True if address.encrypted or not address.loopback else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
