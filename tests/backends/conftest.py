from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

_NUMBERS = itertools.count()

Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution that exists for one test: ``install("acme", {group: {name: code}})``.

    ``code`` is the source of a module that defines ``it``. Each gets a module name of its own, since Python
    keeps what it has imported. Returns the module of the last one.
    """

    def install(distribution: str, groups: Mapping[str, Mapping[str, str]], *, version: str = "1.0") -> str:
        site = tmp_path / distribution
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines, module = [], ""
        for group, plugins in groups.items():
            lines.append(f"[{group}]")
            for name, code in plugins.items():
                module = f"plugin_of_a_test_{next(_NUMBERS)}"
                (site / f"{module}.py").write_text(code)
                lines.append(f"{name} = {module}:it")
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(site)
        return module

    return install
