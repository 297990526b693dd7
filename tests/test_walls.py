"""Who may know whom. Imports are read from the source, module by module, wherever in a module they stand."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"

# The rubric room has two halves: the artifact (everything not named here), which a judge is shown, and
# learning one, which asks a judge.
LEARNING = r"arrkit\.rubric\.(?:(?:build|generate|verify|structure|folding|selection)\w*|sparse(?:\.\w+)?)"
ARTIFACT = rf"(?!{LEARNING}(\.|$))arrkit\.rubric\b.*"

# Modules right under the package, such as arrkit.errors. The package itself carries only the version.
FOUNDATION = (
    r"arrkit(\.(errors|canonical|serial|options|concurrency|progress|resources))?$",
    r"arrkit\.runs\b.*",
)
PROTOCOLS = (
    r"arrkit\.data\.(pairs|prompts)$",
    r"arrkit\.rubric\.model$",
    r"arrkit\.judge\.(protocol|transport|protocols\.requests|learning)$",
    r"arrkit\.rpo\.policy$",
)
JUDGING = (*FOUNDATION, r"arrkit\.data\b.*", ARTIFACT, r"arrkit\.judge\b.*")
LEARNS = (*JUDGING, r"arrkit\.rubric\b.*")

# (modules, what they may know): the first row that fits a module is its wall.
WALLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"arrkit\.__main__$", (r"arrkit\.cli\.app$",)),
    (r"arrkit$", (r"arrkit(?!\.cli\b).*",)),
    (r"arrkit\.cli\b.*", (r"arrkit\b.*",)),
    (r"arrkit\.commands\b.*", (r"arrkit(?!\.cli\b).*",)),
    (r"arrkit\.(errors|canonical|serial|options|concurrency|progress|resources)$", FOUNDATION[:1]),
    (r"arrkit\.runs\b.*", FOUNDATION),
    (r"arrkit\.data\b.*", (*FOUNDATION, r"arrkit\.data\b.*")),
    (LEARNING + "$", LEARNS),
    (ARTIFACT, (*FOUNDATION, r"arrkit\.data\b.*", ARTIFACT)),
    (r"arrkit\.judge\b.*", JUDGING),
    (
        r"arrkit\.backends\.datasets\b.*",
        (*FOUNDATION, r"arrkit\.data\b.*", r"arrkit\.backends\.(plugin|spec|datasets)\b.*"),
    ),
    (r"arrkit\.backends\b.*", (*FOUNDATION, *PROTOCOLS, r"arrkit\.backends\b.*")),
    (
        r"arrkit\.shapes\b.*",
        (
            *FOUNDATION,
            *PROTOCOLS,
            r"arrkit\.data\b.*",
            r"arrkit\.backends\.(plugin|spec)$",
            r"arrkit\.bench\.(model|cells)$",
            r"arrkit\.shapes\b.*",
        ),
    ),
    (r"arrkit\.rpo\b.*", (*LEARNS, r"arrkit\.rpo\b.*")),
    (r"arrkit\.bench\b.*", (*LEARNS, r"arrkit\.backends\.(plugin|spec)$", r"arrkit\.bench\b.*")),
)

HEAVY = ("torch", "diffusers", "transformers", "peft", "accelerate", "datasets", "openai", "google")
TORCH_FREE = ("rubric", "judge", "data", "runs", "commands", "cli")


def modules() -> dict[str, Path]:
    """Every module of arrkit by its dotted name."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a module imports; ``from x import y`` is ``x.y`` where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports inside arrkit are absolute"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in MODULES else str(node.module)


def trespasses(module: str, source: str) -> list[str]:
    """What ``module`` knows and may not know."""
    wall = next((allowed for pattern, allowed in WALLS if re.match(pattern, module)), None)
    assert wall is not None, f"{module} stands in no room: give it a wall in {Path(__file__).name}"
    known = {name for name in imports(ast.parse(source)) if name.split(".")[0] == "arrkit"}
    return sorted(name for name in known if not any(re.match(pattern, name) for pattern in wall))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_knows_only_whom_it_may(module):
    assert trespasses(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("arrkit.judge.stats", "import arrkit.cli.app"),
        ("arrkit.commands.evaluate", "from arrkit.cli import app"),
        ("arrkit.rubric.model", "from arrkit.judge.protocol import Judge"),
        ("arrkit.judge.session", "from arrkit.rubric.build import build_rubric"),
        ("arrkit.backends.registry", "from arrkit.judge.session import JudgeSession"),
        ("arrkit.shapes.render", "from arrkit.rubric.files import load_rubric"),
        ("arrkit.data.native", "def f():\n    from arrkit.rubric.model import Rubric"),
        ("arrkit.errors", "from arrkit.data.pairs import Task"),
    ],
)
def test_the_walls_stop_who_should_not_pass(module, line):
    assert trespasses(module, line) != []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("arrkit.judge.prompts", "from arrkit.rubric.model import Dimension"),
        ("arrkit.judge.prompts", "from arrkit.rubric import model"),
        ("arrkit.rubric.build", "from arrkit.judge.session import JudgeSession"),
        ("arrkit.shapes.plugin", "from arrkit.backends.plugin import JudgePlugin"),
    ],
)
def test_the_walls_have_doors(module, line):
    assert trespasses(module, line) == []


@pytest.mark.parametrize("room", TORCH_FREE)
def test_no_module_of_a_torch_free_room_names_torch(room):
    for module, path in MODULES.items():
        if module.startswith(f"arrkit.{room}"):
            named = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}
            assert not named & {"torch", "diffusers", "transformers", "peft", "accelerate"}, module


def test_importing_the_torch_free_rooms_does_not_import_torch(python):
    rooms = sorted(name for name in MODULES if name.split(".")[1:2] and name.split(".")[1] in TORCH_FREE)
    code = f"import importlib, sys\nfor name in {rooms}: importlib.import_module(name)\n"
    done = python("-c", code + "print('torch' in sys.modules)")
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["rubric", "build", "--help"], ["judge", "bias", "--help"]]
)
def test_help_imports_nothing_heavy(python, arguments):
    code = f"""
import json, sys
from arrkit.__main__ import main
sys.argv = ["arrkit", *{arguments}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})))
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"typer", "arrkit"} <= loaded
    assert not loaded & {*HEAVY, "numpy", "scipy", "sklearn", "PIL", "jsonschema", "yaml"}


def test_listing_plugins_imports_no_factory(python):
    code = """
import sys
from arrkit.backends.registry import list_plugins
assert any(listing.name == "shapes" for listing in list_plugins())
print(sorted({name.split(".")[0] for name in sys.modules}))
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    loaded = set(ast.literal_eval(done.stdout))
    assert not loaded & {*HEAVY, "numpy", "scipy", "sklearn", "PIL"}
