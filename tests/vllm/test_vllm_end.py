"""A server that asks for a key, says what it remembered, and then dies in the middle of its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from vllm_server import MODEL, served

from arrkit.backends.registry import make_judge
from arrkit.judge.transport import (
    ErrorKind,
    GenerateRequest,
    Reply,
    Sampling,
    TextPart,
    Transport,
    TransportError,
)

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]

KEY = "a-key-for-this-test"
SHORT = GenerateRequest("", (TextPart("Name a colour."),), sampling=Sampling(max_output_tokens=8))
LENGTHY = GenerateRequest("Judge by colour. " * 200, SHORT.parts, sampling=SHORT.sampling)
# Half a minute of writing: the server will not live that long.
LONG = GenerateRequest(
    "", (TextPart("Write a novel."),), sampling=Sampling(temperature=1.0, max_output_tokens=20_000)
)


@asynccontextmanager
async def closing(spec: str) -> AsyncIterator[Transport]:
    transport = cast(Transport, make_judge(spec))
    try:
        yield transport
    finally:
        await transport.aclose()


async def one(transport: Transport, request: GenerateRequest) -> Reply | TransportError:
    try:
        return await transport.generate(request)
    except TransportError as error:
        return error


def test_the_key_and_the_end(vllm_python, vllm_model, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("vllm-end")
    with served(vllm_python, vllm_model, folder, "--enable-prompt-tokens-details", key=KEY) as server:
        spec = f"vllm:{MODEL}?base_url={server.base_url}"

        async def without() -> None:
            async with closing(spec) as transport:
                error = await one(transport, SHORT)
            assert isinstance(error, TransportError), error
            assert (error.kind, error.status) == (ErrorKind.REJECTED, 401)
            assert error.remedy == "Set VLLM_API_KEY to a key that is valid there."

        async def until_the_end() -> None:
            async with closing(spec) as transport:
                replies = [await one(transport, LENGTHY) for _ in range(2)]
                first, second = (each.usage for each in replies if isinstance(each, Reply))
                assert first.cached_tokens in (0, None)
                assert second.input_tokens > second.cached_tokens > second.input_tokens / 2
                flying = [asyncio.create_task(one(transport, LONG)) for _ in range(3)]
                await asyncio.sleep(1.0)
                assert not any(task.done() for task in flying)
                server.kill()
                async with asyncio.timeout(10):
                    errors = [*await asyncio.gather(*flying), await one(transport, SHORT)]
            for error in errors:
                assert isinstance(error, TransportError), error
                assert error.kind is ErrorKind.TRANSIENT
                assert error.remedy == f"Start the server: vllm serve {MODEL}"
                assert KEY not in f"{error} {error.remedy}"

        asyncio.run(without())
        monkeypatch.setenv("VLLM_API_KEY", KEY)
        asyncio.run(until_the_end())
