"""What every test stands on: no network, no home folder, no keys, no settings of the person who runs it."""

from __future__ import annotations

import ipaddress
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# One thread each: two test processes with a thread pool apiece are slower than two single threads on two
# cores. Set before the first test imports numpy, which reads it once.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_pool, "1")

# A deadline measures the machine's other tenants. In CI the examples are the same each time, so that a red
# build says something of the change; elsewhere they vary and may find what CI does not.
settings.register_profile("arrkit", deadline=None, database=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("arrkit")

_SECRET_ENDS = ("_API_KEY", "_TOKEN", "_SECRET", "_CREDENTIALS")
_SETTING_STARTS = ("ARRKIT_", "OPENAI_", "GEMINI_", "GOOGLE_", "HF_", "XDG_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("homes")
    return (root / f"home-{number}" for number in itertools.count())


# Its own MonkeyPatch, not the shared fixture: what a test patches is undone before this looks at it.
@pytest.fixture(autouse=True)
def _isolated(_homes: Iterator[Path]) -> Iterator[None]:
    """A fresh home and a bare environment for each test; subprocesses inherit both."""
    home = next(_homes)
    home.mkdir()
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().endswith(_SECRET_ENDS) or name.startswith(_SETTING_STARTS):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        for name, folder in (("CONFIG", ".config"), ("CACHE", ".cache"), ("DATA", ".local/share")):
            patch.setenv(f"XDG_{name}_HOME", str(home / folder))
        patch.setenv("COLUMNS", "100")
        patch.setenv("NO_COLOR", "1")
        patch.setenv("TERM", "dumb")
        patch.delenv("FORCE_COLOR", raising=False)
        patch.delenv("PYTHONPATH", raising=False)
        # A subprocess is out of reach of the socket guard: its way out ends at the discard port instead.
        for name in _PROXIES:
            for spelling in (name, name.upper()):
                patch.setenv(spelling, "http://127.0.0.1:9")
        for name in ("no_proxy", "NO_PROXY"):
            patch.setenv(name, "localhost,127.0.0.1,::1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        _guard_sockets(patch)
        yield
    assert Path.cwd() == before, "a test changed the working directory and did not go back"


def _guard_sockets(patch: pytest.MonkeyPatch) -> None:
    def guarded(name: str) -> None:
        original = getattr(socket.socket, name)

        def connect(self: socket.socket, address: object) -> object:
            if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
                _refuse_remote(str(address[0]))
            return original(self, address)

        patch.setattr(socket.socket, name, connect)

    for name in ("connect", "connect_ex"):
        guarded(name)
    look_up = socket.getaddrinfo

    def getaddrinfo(host: str | bytes | None, *rest: object, **options: object) -> object:
        _refuse_remote(host.decode() if isinstance(host, bytes) else host or "localhost")
        return look_up(host, *rest, **options)  # type: ignore[arg-type]

    patch.setattr(socket, "getaddrinfo", getaddrinfo)


def _refuse_remote(host: str) -> None:
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            return
    except ValueError:
        pass
    pytest.fail(f"a test tried to reach {host}: tests may talk to loopback only")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder of public data files that may stand beside the checkout; skips where it does not."""
    folder = REPOSITORY.parent / "shared" / "conformance"
    if not folder.is_dir():
        pytest.skip("no public data files stand at ../shared/conformance")
    return folder


@pytest.fixture(scope="session")
def example_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that tests/plugins/arrkit-example is really installed into; put it on PYTHONPATH."""
    site = tmp_path_factory.mktemp("example-site")
    install = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    install += ["--disable-pip-version-check", "--target", str(site)]
    package = REPOSITORY / "tests" / "plugins" / "arrkit-example"
    done = subprocess.run([sys.executable, *install, str(package)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run this Python in an empty folder: ``python("-c", code, VARIABLE="value")``."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run
