"""One client of the google-genai SDK: its life, its limits, and every failure as a ``TransportError``."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import httpx2
from google import genai
from google.genai import types
from google.genai.client import AsyncClient

from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.gemini_errors import from_exception
from arrkit.canonical import Json
from arrkit.judge.transport import ErrorKind, TransportError

Result = TypeVar("Result")

API_VERSION = "v1beta"
"""Where the newest models and the decision endpoint are; the SDK's own default is v1."""

_CONNECT_SECONDS = 5.0
# How many requests may be under way is the caller's to limit, not the connection pool's.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=100)

# The SDK warns there when two variables hold keys, and says which it takes; it takes the one it is given.
logging.getLogger("google_genai").addHandler(logging.NullHandler())


class GeminiWire:
    """Sends through the SDK. Safe for concurrent calls from one event loop, and for one loop after another.

    Args:
        base_url: the endpoint, without an API version.
        timeout: seconds that one request may take altogether.
    """

    def __init__(self, base_url: str, key: str, endpoint: Endpoint, *, timeout: float) -> None:
        self.base_url = base_url
        self.endpoint = endpoint
        self._key = key
        self._timeout = timeout
        self._client: AsyncClient | None = None
        self._http: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def client(self) -> AsyncClient:
        """The SDK's client. A new event loop gets a new one: connections belong to their loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Made here, so that the SDK takes neither aiohttp, with which it sends some requests twice, nor a
            # pool of its own. Both kinds of client share what is slow to make.
            context: ssl.SSLContext | bool = self.base_url.startswith("https")
            if context:
                context = httpx2.create_ssl_context()
            self._http = httpx2.AsyncClient(
                limits=_LIMITS,
                verify=context,
                follow_redirects=True,
                event_hooks={"request": [_connect_soon]},
            )
            self._client = genai.Client(
                # Said outright, or variables of the environment would send the pictures elsewhere.
                vertexai=False,
                api_key=self._key,
                http_options=types.HttpOptions(
                    base_url=self.base_url,
                    api_version=API_VERSION,
                    timeout=int(self._timeout * 1000),
                    # One attempt: the decision endpoint makes five where nothing is said.
                    retry_options=types.HttpRetryOptions(attempts=1),
                    httpx_async_client=self._http,
                    httpx_client=httpx2.Client(verify=context),
                ),
            ).aio
            self._loop = loop
        return self._client

    async def call(
        self,
        ask: Callable[[AsyncClient], Awaitable[Result]],
        texts: Sequence[str] = (),
        *,
        patience: float = 1.0,
    ) -> Result:
        """Whatever ``ask`` does with the client; ``patience`` multiplies the time it may take.

        ``texts`` are kept out of error messages. Raises ``TransportError``.
        """
        try:
            client = self.client
            async with asyncio.timeout(self._timeout * patience + _CONNECT_SECONDS):
                return await ask(client)
        except TransportError:
            raise
        except Exception as error:
            # "from None": the SDK's exceptions hold the request, with its key and all it says.
            raise from_exception(error, self.endpoint, texts) from None

    def read(self, body: str | bytes | None) -> Mapping[str, Json]:
        """The JSON object in an answer's body; raises ``TransportError`` where there is none."""
        try:
            read = json.loads(body or "")
        except ValueError:
            read = None
        if not isinstance(read, dict):
            raise TransportError(
                ErrorKind.TRANSIENT, f"{self.endpoint.host} sent something that is not a JSON object"
            )
        return read

    async def aclose(self) -> None:
        """Close the connections. The next request would open new ones."""
        http, self._http, self._client = self._http, None, None
        if http is not None and self._loop is asyncio.get_running_loop():
            await http.aclose()


async def _connect_soon(request: httpx2.Request) -> None:
    # The SDK has one timeout for everything; a host that is not there should be known of sooner.
    timeout = request.extensions.get("timeout")
    if isinstance(timeout, dict):
        timeout["connect"] = min(_CONNECT_SECONDS, timeout.get("connect") or _CONNECT_SECONDS)
