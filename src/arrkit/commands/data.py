"""``data check`` and ``data convert``: look at preference pairs before a judge does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from arrkit.backends.datasets.common import SetPairs
from arrkit.backends.listing import Group, list_plugins
from arrkit.backends.registry import make_dataset
from arrkit.commands.forms import recognised
from arrkit.commands.options import CheckOptions, ConvertOptions, TakeOptions
from arrkit.commands.sources import named_spec, selection, take
from arrkit.data.checking import CheckRules, PairCheck, check_dataset
from arrkit.data.filters import left_out
from arrkit.data.native import NativePairs
from arrkit.data.pairs import PairDataset, PreferencePair, Task
from arrkit.data.write import write_pairs
from arrkit.errors import InputError
from arrkit.progress import Progress, Watch, unwatched


@dataclass(frozen=True, slots=True)
class Converted:
    """What ``data convert`` wrote: the JSONL file and how many pairs are in it.

    ``unusable`` names the pairs that could not be written, each with the reason; ``left_out`` counts what the
    source or the options left out before.
    """

    pairs: str
    written: int
    unusable: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


def check_pairs(options: CheckOptions, *, watch: Watch = unwatched) -> PairCheck:
    """Check a file of pairs or a dataset; raises ``InputError`` with all that is wrong."""
    rules = CheckRules(strict=options.strict, open_images=options.open, thorough=True)
    source = _source(options.source, options, options.task)
    chosen = selection(options)
    if isinstance(source, NativePairs):
        if chosen == replace(chosen, where=(), min_confidence=None, sample=None, limit=None):
            return source.check(rules)
        source.check()
    return check_dataset(take(source, chosen), rules, watch=watch)


def convert_pairs(options: ConvertOptions, *, watch: Watch = unwatched) -> Converted:
    """Write pairs as JSONL with their images as PNG files beside it.

    A pair that cannot be written, since an image cannot be read, is left out and counted; with ``strict`` it
    is an error, as is a row that the set's reader cannot use.

    Raises:
        InputError: the source cannot be read, or the target exists already.
    """
    source = _source(options.source, options, None)
    if isinstance(source, NativePairs):
        source.check(CheckRules(strict=options.strict))
    elif isinstance(source, SetPairs):
        source.strict = options.strict
    dataset = take(source, selection(options))
    lost: list[str] = []
    read = 0

    def counted() -> Iterator[PreferencePair]:
        nonlocal read
        for pair in _watched(dataset, watch):
            read += 1
            yield pair

    def refused(pair: PreferencePair, why: str) -> None:
        lost.append(f"{pair.origin or pair.id}: {why}")

    path = write_pairs(
        counted(), options.out, force=options.force, on_unusable=None if options.strict else refused
    )
    return Converted(str(path), read - len(lost), tuple(lost), left_out(dataset))


def _source(text: str, options: TakeOptions, task: Task | None) -> PairDataset:
    """What a source names: a file in the native format, a file of a public set, or a dataset."""
    path = Path(text).expanduser()
    if path.is_dir() and not _is_dataset(text):
        raise InputError(
            f"{text} is a folder, not a file of pairs",
            hint=f"Name a file in it, or the dataset whose files are there: NAME --data {text}",
        )
    if not path.is_file() and (_is_dataset(text) or not _looks_like_a_file(text)):
        return make_dataset(named_spec(text, split=options.split, data=options.data))
    if options.data is not None or options.split:
        flag = "--data" if options.data is not None else "--split"
        raise InputError(f"{flag} is for a dataset, and {text} is a file", hint=f"Leave {flag} out.")
    spec = recognised(path) if path.is_file() else None
    if spec is not None:
        return make_dataset(spec)
    return NativePairs(text, task, options.image_root, options.allow_remote)


def _is_dataset(text: str) -> bool:
    name = text.partition("?")[0].partition(":")[0]
    return any(listing.name == name for listing in list_plugins(Group.DATASETS))


def _looks_like_a_file(text: str) -> bool:
    return "/" in text.partition("?")[0] or Path(text).suffix in (".json", ".jsonl", ".yaml", ".yml")


def _watched(dataset: PairDataset, watch: Watch) -> Iterator[PreferencePair]:
    total = dataset.size()
    for number, pair in enumerate(dataset, start=1):
        yield pair
        watch(Progress("writing", number, total))
