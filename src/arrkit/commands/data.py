"""``data check`` and ``data convert``: look at preference pairs before a judge does."""

from __future__ import annotations

from pathlib import Path

from arrkit.backends.registry import make_dataset
from arrkit.commands.inputs import Limited
from arrkit.commands.options import CheckOptions, ConvertOptions
from arrkit.data.checking import CheckRules, PairCheck
from arrkit.data.native import check_pairs as check_file
from arrkit.data.native import open_pairs
from arrkit.data.pairs import PairDataset
from arrkit.data.write import write_pairs


def check_pairs(options: CheckOptions) -> PairCheck:
    """Check a file of preference pairs; raises :class:`~arrkit.errors.InputError` with all that is wrong."""
    return check_file(
        options.pairs,
        task=options.task,
        image_root=options.image_root,
        allow_remote=options.allow_remote,
        rules=CheckRules(strict=options.strict, thorough=True),
    )


def convert_pairs(options: ConvertOptions) -> Path:
    """Write pairs as JSONL with their images as PNG files beside it; the path of the JSONL file.

    Raises:
        InputError: the source cannot be read, or the target exists already.
    """
    source = Path(options.source)
    dataset: PairDataset = open_pairs(source) if source.exists() else make_dataset(options.source)
    return write_pairs(
        dataset if options.limit is None else Limited(dataset, options.limit),
        options.out,
        force=options.force,
    )
