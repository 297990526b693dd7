"""The ``rpo`` commands from outside: in this process, or in others, which can be killed."""

from __future__ import annotations

import gc
import socket
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forked import Forked, Nursery
from typer.testing import CliRunner, Result

EXAMPLE = Path(__file__).resolve().parents[1] / "plugins" / "arrkit-example"

SHAPES = ("a red circle", "two blue squares", "a star above a circle", "three green triangles")


@pytest.fixture(scope="package", autouse=True)
def _small_heap() -> Iterator[None]:
    """Policies collect garbage when they let a model go: among all that tests import that takes its time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test, with ``prompts.txt`` for the embedded policy in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (tmp_path / "prompts.txt").write_text("".join(f"{text}\n" for text in SHAPES))
    return tmp_path


@pytest.fixture
def arrkit() -> Callable[..., Result]:
    """The command line in this process: ``arrkit("rpo", "train", ...)``."""
    from arrkit.cli.app import app

    def run(*arguments: str | Path, **variables: str) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], env=variables)

    return run


@pytest.fixture
def vivid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The judge of the example package, found by its entry point as if the package were installed."""
    points = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"]
    info = tmp_path / "site" / "arrkit_example-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: arrkit-example\nVersion: 0.1.0\n")
    lines = [f"[{group}]\n{name} = {value}" for group in points for name, value in points[group].items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(EXAMPLE / "src"))
    monkeypatch.syspath_prepend(str(info.parent))
    return "vivid?margin=0"


@pytest.fixture(scope="package")
def nursery() -> Iterator[Nursery]:
    """See :mod:`forked`."""
    opened = Nursery()
    yield opened
    opened.close()


@pytest.fixture
def fork(tmp_path: Path, nursery: Nursery) -> Iterator[Callable[..., Forked]]:
    """Run a command in a process of its own: ``fork("rpo", "train", ..., RANK="1")``.

    ``before`` is Python that is executed there first, to break something. What still runs at the end of the
    test is killed.
    """
    started: list[Forked] = []

    def run(*arguments: str | Path, before: str = "", **variables: str) -> Forked:
        said = tmp_path / f"said-{len(started)}.txt"
        started.append(
            nursery.start([str(each) for each in arguments], said, before=before, variables=variables)
        )
        return started[-1]

    yield run
    for each in started:
        each.kill()


@pytest.fixture
def fork_two(fork: Callable[..., Forked]) -> Callable[..., list[Forked]]:
    """Run a command in two processes, as torchrun starts them."""

    def run(*arguments: str | Path, before: str = "") -> list[Forked]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return [fork(*arguments, before=before, RANK=rank, LOCAL_RANK=rank, **common) for rank in ("0", "1")]

    return run
