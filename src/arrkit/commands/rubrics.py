"""``rubric merge``, ``export`` and ``import``: rubric files from rubric files."""

from __future__ import annotations

from arrkit.canonical import refuse_existing, write_atomic
from arrkit.commands.judges import choose_judge
from arrkit.commands.options import ExportOptions, ImportOptions, JudgingOptions, MergeOptions
from arrkit.concurrency import run_sync
from arrkit.judge.session import JudgeSession
from arrkit.rubric.files import read_rubric, write_rubric
from arrkit.rubric.folding import fold_with_judge
from arrkit.rubric.library import read_text
from arrkit.rubric.merge import merge_rubrics as merge_files
from arrkit.rubric.model import Rubric, slug
from arrkit.rubric.text import export_text, import_text


def merge_rubrics(options: MergeOptions) -> Rubric:
    """Merge rubrics of one task into a file: exact duplicates fold, near-duplicates where a judge is named.

    Raises:
        InputError: fewer than two rubrics, different tasks, an id with two meanings, or an output file that
            exists already.
        RunError: the judge could not say which criteria are alike.
    """
    refuse_existing(options.out, force=options.force)
    rubrics = [read_rubric(name) for name in options.rubrics]
    merged = merge_files(rubrics, options.name or slug(options.out.stem), sources=options.rubrics)
    if options.judge:
        merged = _folded(merged, options.judge)
    write_rubric(merged, options.out, force=options.force)
    return merged


def _folded(rubric: Rubric, spec: str) -> Rubric:
    async def fold(session: JudgeSession) -> Rubric:
        try:
            return await fold_with_judge(rubric, session)
        finally:
            await session.judge.aclose()

    with choose_judge(spec, JudgingOptions()).at_work() as bench:
        return run_sync(fold(bench.session))


def export_rubric(options: ExportOptions) -> str:
    """The rubric in another tool's format; also written to ``out`` where that is given."""
    text = export_text(read_rubric(options.rubric))
    if options.out is not None:
        refuse_existing(options.out, force=options.force)
        write_atomic(options.out, text)
    return text


def import_rubric(options: ImportOptions) -> Rubric:
    """Read another tool's rubric text and write it as a rubric file, sealed, with provenance ``import``."""
    refuse_existing(options.out, force=options.force)
    rubric = import_text(
        read_text(options.text),
        name=options.name or slug(options.text.stem),
        task=options.task,
        source=str(options.text),
    )
    write_rubric(rubric, options.out, force=options.force)
    return rubric
