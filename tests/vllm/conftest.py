from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
from vllm_server import MODEL, Server, build_model, served

from arrkit.backends.registry import make_judge
from arrkit.judge.transport import DecideRequest, Reply, Transport, TransportError, TransportRequest

# Read before any test runs: each test gets a bare environment.
PYTHON = os.environ.get("TEST_VLLM_PYTHON", "")
RUNNING = os.environ.get("TEST_VLLM_URL", "")

Ask = Callable[..., list[Reply | TransportError]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = pytest.mark.skip("needs a real vLLM: make test-vllm sets one up and runs these tests")
    for item in items:
        if item.get_closest_marker("vllm") is not None and not (PYTHON or RUNNING):
            item.add_marker(missing)


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The Python that has vLLM."""
    if not PYTHON:
        pytest.skip("starts a server of its own, and TEST_VLLM_PYTHON names no Python that has vLLM")
    # Not resolved: a virtual environment's python is a link, and its folder is what is meant.
    return Path(PYTHON).absolute()


@pytest.fixture(scope="session")
def vllm_model(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(vllm_python, tmp_path_factory.mktemp("vllm-model"))


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A vLLM server with the tiny model, for all tests; TEST_VLLM_URL names one that runs already."""
    if RUNNING:
        yield Server(RUNNING.removesuffix("/v1"))
        return
    python, model = request.getfixturevalue("vllm_python"), request.getfixturevalue("vllm_model")
    with served(python, model, tmp_path_factory.mktemp("vllm-server")) as running:
        yield running


@pytest.fixture
def spec(server: Server) -> Callable[..., str]:
    """The spec of the tiny judge: ``spec(temperature=1)``."""

    def make(**options: object) -> str:
        return f"vllm:{MODEL}?" + "&".join(
            f"{key}={value}" for key, value in {"base_url": server.base_url, **options}.items()
        )

    return make


@pytest.fixture
def ask(spec: Callable[..., str]) -> Ask:
    """Send requests at once, as many as there are: ``ask(request, other, temperature=1)``.

    What comes back, answers and errors, stands in their order.
    """

    def run(*requests: TransportRequest, **options: object) -> list[Reply | TransportError]:
        return asyncio.run(_ask_all(spec(**options), requests))

    return run


async def _ask_all(spec: str, requests: Sequence[TransportRequest]) -> list[Reply | TransportError]:
    transport = cast(Transport, make_judge(spec))

    async def one(request: TransportRequest) -> Reply | TransportError:
        try:
            if isinstance(request, DecideRequest):
                return await transport.decide(request)
            return await transport.generate(request)
        except TransportError as error:
            return error

    try:
        return await asyncio.gather(*map(one, requests))
    finally:
        await transport.aclose()
