"""A run folder that tells an interrupted or failed user how to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from arrkit.canonical import Json
from arrkit.errors import RunError
from arrkit.judge.calls.health import RESUME
from arrkit.runs.folder import RunFolder


@contextmanager
def open_run(
    command: str, identity: Mapping[str, Json], path: Path | None, *, force: bool = False
) -> Iterator[RunFolder]:
    """Open the folder of a run; what stops it once there are answers carries a note on where these are."""
    with RunFolder(command, identity, path=path, force=force) as run:
        try:
            yield run
        except (KeyboardInterrupt, RunError) as stop:
            if run.journal.path.stat().st_size and getattr(stop, "resumable", True):
                how = "" if RESUME in str(stop) else " Run the same command again to go on from there."
                stop.add_note(f"All answers so far are in {run.path}.{how}")
            raise


@contextmanager
def going_on(path: Path) -> Iterator[None]:
    """What stops the work in ``path`` carries a note that the same command goes on, if it has none."""
    try:
        yield
    except (KeyboardInterrupt, RunError) as stop:
        if path.exists() and getattr(stop, "resumable", True) and not getattr(stop, "__notes__", ()):
            how = "" if RESUME in str(stop) else " Run the same command again to go on from there."
            stop.add_note(f"All that is done so far is in {path}.{how}")
        raise
