"""One client of the OpenAI SDK: its life, its limits, and every failure as a ``TransportError``."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import httpx2
import openai

from arrkit.backends.judges.bodies import json_body
from arrkit.backends.judges.endpoint import Endpoint
from arrkit.backends.judges.errors import from_exception, from_status
from arrkit.canonical import Json
from arrkit.judge.transport import ErrorKind, TransportError

Result = TypeVar("Result")

CONNECT_SECONDS = 5.0
# More connections than any sensible --concurrency, and all of them kept: the SDK's own 100 would make a
# client of 256 lanes open most of its connections anew for each request.
_LIMITS = httpx2.Limits(max_connections=1024, max_keepalive_connections=512)


@cache
def _authorities() -> ssl.SSLContext:
    """The certificates that are trusted; reading them takes 40 ms, which every client would pay anew."""
    return httpx2.create_ssl_context()


@dataclass(frozen=True, slots=True)
class Answered:
    """A JSON object that came back, with the request's id and the seconds it took (None: unknown)."""

    body: Mapping[str, Json]
    request_id: str
    seconds: float | None


class Wire:
    """Requests to one endpoint. The client is made in the running loop, at the first request.

    The SDK's own retries are off: what a failure calls for is decided once, above all transports.
    ``timeout`` bounds the whole of one request in seconds, so that a body that drips forever ends too.
    """

    def __init__(
        self, base_url: str, key: str, endpoint: Endpoint, *, timeout: float, account: bool = False
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.endpoint = endpoint
        self._key = key
        self._timeout = timeout
        self._account = account
        self._client: openai.AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def client(self) -> openai.AsyncOpenAI:
        """The SDK's client of the running loop."""
        loop = asyncio.get_running_loop()
        # Connections belong to the loop they were opened in; those of a loop that ended are gone with it.
        if self._client is None or self._loop is not loop:
            timeout = httpx2.Timeout(self._timeout, connect=CONNECT_SECONDS)
            self._client = openai.AsyncOpenAI(
                api_key=self._key,
                base_url=self.base_url,
                max_retries=0,
                timeout=timeout,
                http_client=openai.DefaultAsyncHttpxClient(
                    limits=_LIMITS, timeout=timeout, verify=_authorities()
                ),
            )
            if not self._account:
                # The ids of the user's OpenAI account, read from the environment, are no one else's business.
                self._client.organization = None
                self._client.project = None
            self._loop = loop
        return self._client

    async def post(self, path: str, body: Mapping[str, Json], texts: Sequence[str] = ()) -> Answered:
        """POST ``body`` and read the JSON object that comes back; errors do not repeat ``texts``."""
        started = time.monotonic()
        response = await self.call(
            lambda client: client.post(path, content=json_body(body), cast_to=httpx2.Response), texts
        )
        return self._read(response, time.monotonic() - started, texts)

    async def get(self, path: str) -> Answered:
        started = time.monotonic()
        response = await self.call(lambda client: client.get(path, cast_to=httpx2.Response))
        return self._read(response, time.monotonic() - started)

    async def call(
        self,
        ask: Callable[[openai.AsyncOpenAI], Awaitable[Result]],
        texts: Sequence[str] = (),
        *,
        patience: float = 1.0,
    ) -> Result:
        """Whatever ``ask`` does with the client; ``patience`` multiplies the time it may take."""
        try:
            client = self.client
            async with asyncio.timeout(self._timeout * patience + CONNECT_SECONDS):
                return await ask(client)
        except TransportError:
            raise
        except Exception as error:
            # "from None": the SDK's exceptions hold the request, with its key and all it says.
            raise from_exception(error, self.endpoint, texts) from None

    async def aclose(self) -> None:
        """Close the connections. The next request would open new ones."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    def _read(self, response: httpx2.Response, seconds: float, texts: Sequence[str] = ()) -> Answered:
        request_id = response.headers.get("x-request-id", "")
        try:
            body = json.loads(response.content)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise TransportError(
                ErrorKind.TRANSIENT,
                f"{self.endpoint.host} sent something that is not a JSON object",
                status=response.status_code,
                request_id=request_id,
            )
        # Routers in front of several providers report a provider's failure with HTTP 200.
        failure = body.get("error")
        if failure and "status" not in body:
            status = failure.get("code") if isinstance(failure, dict) else None
            raise from_status(
                status if isinstance(status, int) and 400 <= status < 600 else 500,
                failure,
                self.endpoint,
                headers=response.headers,
                request_id=request_id,
                texts=texts,
            )
        return Answered(body, request_id, seconds)
