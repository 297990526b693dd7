"""What a user installs: the wheel, built from the source distribution, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

# One build serves all: the tests of a group run in one process.
pytestmark = pytest.mark.xdist_group("wheel")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, repository) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, repository, cwd=folder)
    assert list(folder.glob("arrkit-*.tar.gz"))
    [wheel] = folder.glob("arrkit-*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(tmp_path_factory, wheel) -> Path:
    """The bin folder of a fresh environment with the wheel; it sees our dependencies, not our source."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    binaries = folder / ("Scripts" if os.name == "nt" else "bin")
    install = ("install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check", wheel)
    run(sys.executable, "-m", "pip", "--python", binaries / "python", *install, cwd=folder)
    [packages] = folder.rglob("site-packages")
    # A .pth file adds the folder itself; the .pth files in it, such as the one of our editable install, are
    # not followed.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return binaries


def test_the_wheel_carries_schemas_rubrics_and_types_and_no_tests(wheel, repository):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("schemas", "rubrics"):
        ours = {f"arrkit/{path.relative_to(repository)}" for path in (repository / folder).glob("*.json")}
        assert ours
        assert ours <= names
    assert "arrkit/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "src/")) or "test_" in name]


def test_arrkit_is_imported_from_the_wheel(environment, tmp_path):
    code = "import arrkit.errors; print(arrkit.errors.__file__)"
    assert Path(run(environment / "python", "-c", code, cwd=tmp_path).strip()).is_relative_to(
        environment.parent
    )


def test_a_command_that_needs_schemas_and_rubrics_works(environment, tmp_path):
    listed = run(environment / "arrkit", "rubric", "list", cwd=tmp_path)
    assert "t2i-general" in listed
    assert "edit-general" in listed
    run(environment / "arrkit", "rubric", "verify", "t2i-general", cwd=tmp_path)


def test_the_plugins_that_ship_are_ready(environment, tmp_path):
    listed = run(environment / "python", "-m", "arrkit", "backends", "--json", cwd=tmp_path)
    assert '"shapes"' in listed
    assert "broken" not in listed
