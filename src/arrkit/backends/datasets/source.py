"""Where the files of a public set come from: a folder, the hub's cache, or the hub itself."""

from __future__ import annotations

from collections.abc import Sequence

from arrkit.backends.plugin import DatasetPlugin
from arrkit.backends.spec import Spec
from arrkit.data.files import Files, LocalFiles, any_matching
from arrkit.data.hub import HubError, HubFiles, Trouble
from arrkit.errors import InputError, Problem

Needs = Sequence[str | tuple[str, ...]]
"""Patterns of files that must be there; of a tuple, one."""


def find_files(
    record: DatasetPlugin,
    spec: Spec,
    needs: Needs = (),
    *,
    data: str = "",
    revision: str = "",
    stream: bool = False,
    hub: str = "",
) -> Files:
    """The files of the set that ``spec`` names.

    With ``data`` they are in that folder, laid out as on the hub; else in the hub's cache, under the set's
    own repository (``hub``, by default that of the record) or one of its mirrors; else, with ``stream``, they
    are read from the hub in byte ranges. Raises :class:`~arrkit.errors.InputError` that says what is missing,
    how large the set is and how to get it.
    """
    if data:
        return _in_folder(record, spec, needs, data)
    repos = [hub or record.hub, *record.mirrors] if not hub or hub == record.hub else [hub]
    troubles = []
    for repo in repos:
        try:
            files = HubFiles(repo, revision)
        except HubError as error:
            troubles.append(error)
        else:
            if not (missing := lacking(files, needs)):
                return files
            troubles.append(HubError(repo, Trouble.NOT_CACHED, f"it lacks {missing[0]}"))
    if stream:
        for repo in repos[record.removed :] or repos:
            try:
                files = HubFiles(repo, revision, stream=True)
                if not (missing := lacking(files, needs)):
                    return files
                troubles.append(HubError(repo, Trouble.NOT_FOUND, f"it lacks {missing[0]}"))
            except HubError as error:
                troubles.append(error)
    raise InputError(_not_found(record, spec, repos, troubles))


def lacking(files: Files, needs: Needs) -> list[str]:
    """The needs that no file meets, in words."""
    found = []
    for need in needs:
        choices = (need,) if isinstance(need, str) else need
        if not any(any_matching(files, choice) for choice in choices):
            found.append(" or ".join(choices))
    return found


def _in_folder(record: DatasetPlugin, spec: Spec, needs: Needs, data: str) -> Files:
    files = LocalFiles(data)
    if not files.folder.is_dir():
        raise InputError(Problem(f"the folder {data} does not exist", _where(spec)))
    if missing := lacking(files, needs):
        raise InputError(
            Problem(
                f"{data} does not hold the files of the set: there is no {', no '.join(missing)}",
                _where(spec),
                f"Name the folder whose files are as on the hub ({record.hub})." if record.hub else "",
            )
        )
    return files


def _not_found(
    record: DatasetPlugin, spec: Spec, repos: Sequence[str], troubles: Sequence[HubError]
) -> Problem:
    # The last trouble is that of the last attempt: the hub's own answer where it was asked.
    last = troubles[-1]
    facts = ", ".join(filter(None, (record.size, record.license)))
    what = f"{last}{f'; the set is {facts}' if facts else ''}"
    name = f"{spec.name}:{spec.model}" if spec.model else spec.name
    folder = "name a folder with its files: --data DIR"
    if last.trouble is Trouble.NO_LIBRARY:
        return Problem(what, _where(spec), f'pip install "arrkit[data]", or {folder}')
    if record.removed and len(repos) == 1:
        return Problem(
            f"{repos[0]} was removed from the hub{f' ({facts})' if facts else ''}",
            _where(spec),
            f"{folder[0].upper()}{folder[1:]}",
        )
    fetch = f"arrkit data pull {name}"
    if record.removed:
        what = f"{what}; {repos[0]} was removed from the hub, {' and '.join(repos[1:])} may still have it"
    if record.gated:
        first = f"Accept its terms at https://huggingface.co/datasets/{repos[0]}, set HF_TOKEN, then: {fetch}"
        return Problem(what, _where(spec), f"{first}. Or {folder}")
    return Problem(what, _where(spec), f"{fetch} fetches it; or {folder}")


def _where(spec: Spec) -> str:
    return f"dataset {spec.name}"
