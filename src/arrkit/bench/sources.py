"""Where a benchmark's own files are found, and how its official prompts are read out of a person's copy.

Nothing is fetched and nothing is run: prompts that stand in a Python file are read as the constants they are.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from arrkit.backends.spec import Spec
from arrkit.bench.model import Item
from arrkit.canonical import Json, digest
from arrkit.data.files import Files, LocalFiles, any_matching
from arrkit.errors import InputError, Problem

Literal = None | bool | int | float | str | Sequence["Literal"] | Mapping[str, "Literal"]
"""What a constant in a Python file may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a benchmark's files are published.

    ``name`` is the benchmark's, ``files`` says what they are ("prompts and questions"). ``url`` is where
    people get them, ``license`` their licence. ``hub`` is the dataset repository that has them, empty where
    none has; ``hub_file`` is the file of it that is enough, empty where all are wanted. ``folders`` are the
    places in a copy where they may lie, that of the repository first.
    """

    name: str
    files: str
    license: str
    url: str
    hub: str = ""
    hub_file: str = ""
    folders: tuple[str, ...] = ("",)


class Below:
    """The files under a folder of other :class:`~arrkit.data.files.Files`."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""

    @property
    def name(self) -> str:
        return f"{self._files.name}/{self._prefix}".rstrip("/")

    @property
    def revision(self) -> str:
        return self._files.revision

    def has(self, path: str) -> bool:
        return self._files.has(self._prefix + path)

    def names(self, prefix: str = "") -> list[str]:
        found = self._files.names(self._prefix + prefix)
        return [name.removeprefix(self._prefix) for name in found]

    def open(self, path: str) -> BinaryIO:
        return self._files.open(self._prefix + path)

    def stamp(self, path: str) -> str:
        return self._files.stamp(self._prefix + path)


def find_files(home: Home, needs: Sequence[str], *, data: str = "", revision: str = "") -> Files:
    """The benchmark's files: in the folder ``data``, else in the hub's cache on this machine.

    ``needs`` are patterns of files that must be there. Raises :class:`~arrkit.errors.InputError` that says
    what is missing, under which licence it is, and how to get it.
    """
    if data:
        folder = LocalFiles(data)
        if not folder.folder.is_dir():
            raise InputError(f"the folder {data} does not exist", hint=_get(home))
        return _among(folder, home, needs)
    if not home.hub:
        raise InputError(
            f"the {home.files} of {home.name} ({home.license}) are not on this machine", hint=_get(home)
        )
    from arrkit.data.hub import HubError, HubFiles

    try:
        files: Files = HubFiles(home.hub, revision)
    except HubError as error:
        raise InputError(f"{error} ({home.license})", hint=_get(home)) from None
    return _among(files, home, needs)


def _among(files: Files, home: Home, needs: Sequence[str]) -> Files:
    places = [Below(files, folder) for folder in home.folders]
    lacking = [[need for need in needs if not any_matching(place, need)] for place in places]
    for place, missing in zip(places, lacking, strict=True):
        if not missing:
            return place
    named = ", no ".join(sorted(lacking, key=lambda missing: len(missing))[0])
    raise InputError(
        f"{files.name} does not hold the {home.files} of {home.name}: there is no {named}", hint=_get(home)
    )


def _get(home: Home) -> str:
    if home.hub:
        wanted = f"{home.hub} {home.hub_file}".rstrip()
        return (
            f"hf download --repo-type dataset {wanted} fetches them ({home.license}); or name the folder "
            "of a copy: --data DIR"
        )
    return f"Get a copy of {home.url} ({home.license}) and name its folder: --data DIR"


def read_text(files: Files, path: str) -> str:
    """A text file in UTF-8. Raises :class:`~arrkit.errors.InputError`."""
    try:
        with files.open(path) as stream:
            return stream.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(Problem("the file is not UTF-8 text", f"{files.name}/{path}")) from None
    except OSError as error:
        raise InputError(f"cannot read {files.name}/{path}: {error.strerror or error}") from error


def read_jsonl(files: Files, path: str) -> list[tuple[str, Mapping[str, Json]]]:
    """The objects of a JSONL file, each with its place for messages; blank lines are passed over.

    Raises :class:`~arrkit.errors.InputError` for a line that is no object.
    """
    rows: list[tuple[str, Mapping[str, Json]]] = []
    for line, text in enumerate(read_text(files, path).split("\n"), start=1):
        if text.strip():
            rows.append((f"{files.name}/{path}:{line}", json_object(text, f"{files.name}/{path}:{line}")))
    return rows


def json_object(text: str, where: str) -> Mapping[str, Json]:
    """The JSON object that ``text`` is. Raises :class:`~arrkit.errors.InputError` naming ``where``."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(Problem(f"this is not JSON: {error}", where)) from None
    if not isinstance(value, dict):
        raise InputError(Problem("this is not a JSON object", where))
    return value


def texts_at(row: Mapping[str, Json], key: str, where: str) -> list[str]:
    """The list of texts under ``key``. Raises :class:`~arrkit.errors.InputError` where there is none."""
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(Problem(f'"{key}" is not a list of texts', where))
    return value


def text_at(row: Mapping[str, Json], key: str, where: str) -> str:
    """The text under ``key``. Raises :class:`~arrkit.errors.InputError` where there is none."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(Problem(f'"{key}" is not a text', where))
    return value


def canonical_name(spec: Spec) -> str:
    """The benchmark's name with the options that decide its numbers: not the folders it is read from."""
    kept = {key: value for key, value in spec.options.items() if key not in ("data", "prompt_dir")}
    return str(Spec(spec.name, spec.model, kept))


def items_digest(items: Sequence[Item]) -> str:
    """SHA-256 over what is painted and what is asked of it: ids, prompts, facts."""
    return digest([[item.id, item.prompt, dict(item.facts)] for item in items])


def official_file(folder: str, names: Sequence[str], home: Home) -> Path:
    """The first of ``names`` that stands in ``folder``: a copy of the benchmark's repository, or the part of
    it that holds the file. Raises :class:`~arrkit.errors.InputError`.
    """
    root = Path(folder).expanduser()
    for name in names:
        for path in (root / name, root / Path(name).name):
            if path.is_file():
                return path
    raise InputError(
        f"{folder} does not hold the official prompts of {home.name}: there is no {' or '.join(names)}",
        hint=f"Name your copy of {home.url}, or leave out --prompt-dir to ask in arrkit's own words.",
    )


def constants(path: Path) -> dict[str, Literal]:
    """The constants that a Python file assigns to names at its top level; the file is read, never run.

    A name in a constant stands for the constant assigned to it before. What is not constant is left out.
    Raises :class:`~arrkit.errors.InputError` for a file that is no Python.
    """
    tree = parsed(path)
    found: dict[str, Literal] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        else:
            continue
        try:
            value = _constant(node.value, found) if node.value is not None else None
        except (ValueError, RecursionError):
            continue
        found.update({target.id: value for target in targets if isinstance(target, ast.Name)})
    return found


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file. Raises :class:`~arrkit.errors.InputError`."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in someone else's string is none of ours
            return ast.parse(path.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(Problem(f"this is no Python file: {error}", str(path))) from None


def _constant(node: ast.expr, known: Mapping[str, Literal]) -> Literal:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bytes | complex) or node.value is Ellipsis:
            raise ValueError("no constant of a kind that is looked for")
        return node.value
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [_constant(each, known) for each in node.elts]
    if isinstance(node, ast.Dict):
        entries = {}
        for key, value in zip(node.keys, node.values, strict=True):
            name = None if key is None else _constant(key, known)
            if not isinstance(name, str):
                raise ValueError("a key that is no text")
            entries[name] = _constant(value, known)
        return entries
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _constant(node.left, known), _constant(node.right, known)
        if isinstance(left, str) and isinstance(right, str):
            return left + right
    raise ValueError("not a constant")
