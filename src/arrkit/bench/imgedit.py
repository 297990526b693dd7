"""ImgEdit-Bench: nine types of edits under three marks each, edits that take understanding, edits in turns.

*Basic.* A judge marks each edit by three criteria of its type, from 1 to 5. Official arithmetic: an edit's
score is the mean of the marks that were found, however few, a type's the mean of its edits', each rounded to
two decimals; edits without a mark are dropped. No official script prints one number for all:
``overall_types`` is the mean of the types, ``overall_items`` that of the edits (as in ByteDance-Seed/Bagel:
eval/gen/imgedit/step2_typescore.py). Strict numbers take 0 for each of three marks that is lost, and round
nothing.

*UGE.* One mark. The official reader cannot read what its own prompt leads a judge to write, so the judge is
asked for a line with the score: ``imgedit-uge[arrkit-parse]``.

*Multi-turn.* People judge these; they are painted and laid out, and there is no number.

Source: PKU-YuanGroup/ImgEdit, Benchmark/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from arrkit.backends.spec import Spec
from arrkit.bench.cells import Tally, scores
from arrkit.bench.images import write_image
from arrkit.bench.imgedit_scoring import BasicScorer, UgeScorer, read_basic, read_uge
from arrkit.bench.imgedit_sets import basic_items, multiturn_items, open_files, uge_items
from arrkit.bench.imgedit_table import basic_tallies, uge_tallies
from arrkit.bench.imgedit_words import Words, official_words, own_words, uge_words
from arrkit.bench.model import Asker, Benchmark, Item, Score, Scorer, Unit
from arrkit.bench.sources import canonical_name, items_digest
from arrkit.canonical import Json, digest, pretty_json, write_atomic
from arrkit.data.files import Files
from arrkit.errors import InputError


class _Part:
    """What the three parts of the benchmark share."""

    def __init__(
        self, name: str, metric: str, read: Callable[[Files], Iterator[Item]], data: str, revision: str
    ) -> None:
        self.name = name
        self.metric = metric
        self._read = read
        self._data = data
        self._revision = revision

    @property
    def identity(self) -> Mapping[str, Json]:
        """Part, revision, and the digests of the instructions and of the words to the judge."""
        return {
            "benchmark": self.metric.partition("[")[0],
            "revision": self._files.revision,
            "prompts": items_digest(self.items()),
        }

    def items(self) -> Sequence[Item]:
        """The edits in the order of the file."""
        return self._items

    def aggregate(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Score, ...]:
        """The table."""
        return scores(self.tallies(items, units))

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """What each item adds to each number."""
        raise NotImplementedError

    def lay_out(self, folder: Path) -> None:
        """The official scripts find sources and instructions elsewhere: nothing belongs beside the images."""

    @cached_property
    def _files(self) -> Files:
        return open_files(self._data, self._revision)

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        return tuple(self._read(self._files))


class BasicBenchmark(_Part):
    """The single edits of nine types; a :class:`~arrkit.bench.model.Benchmark`. See :func:`make`."""

    def __init__(self, name: str, *, data: str, revision: str, told: Words) -> None:
        metric = "imgedit" if told.official else "imgedit[arrkit-prompt]"
        super().__init__(name, metric, basic_items, data, revision)
        self._told = told

    @property
    def identity(self) -> Mapping[str, Json]:
        return {**super().identity, **_told(self._told)}

    def scorer(self, asker: Asker | None) -> Scorer:
        """Three marks from a judge for each edit."""
        return BasicScorer(_required(asker), self._told)

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """The mean of the types, that of the edits, then each type."""
        return basic_tallies(self.metric, items, units)

    def read_answers(self, file: Path) -> list[Unit]:
        """The official ``result.json``: from keys to what the judge said, or to an error."""
        return read_basic(file, self.items())


class UgeBenchmark(_Part):
    """The edits that take understanding; a :class:`~arrkit.bench.model.Benchmark`. See :func:`make`."""

    def __init__(self, name: str, *, data: str, revision: str) -> None:
        super().__init__(name, "imgedit-uge[arrkit-parse]", uge_items, data, revision)
        self._told = uge_words()

    @property
    def identity(self) -> Mapping[str, Json]:
        return {**super().identity, **_told(self._told)}

    def scorer(self, asker: Asker | None) -> Scorer:
        """One mark from a judge for each edit."""
        return UgeScorer(_required(asker), self._told)

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:
        """The mean of the marks."""
        return uge_tallies(self.metric, items, units)

    def read_answers(self, file: Path) -> list[Unit]:
        """The official ``result.json``, read by arrkit's rule."""
        return read_uge(file, self.items())


class MultiturnBenchmark(_Part):
    """Edits in two or three turns, each of what the turn before made. See :func:`make`."""

    def __init__(self, name: str, *, data: str, revision: str) -> None:
        super().__init__(name, "imgedit-multiturn", multiturn_items, data, revision)

    def lay_out(self, folder: Path) -> None:
        """Beside the turns of an edit its source, and what was asked in each, for those who judge them."""
        chain: list[Item] = []
        for item in [*self.items(), None]:
            if chain and (item is None or not item.before):
                first = folder / chain[0].files[0]
                if first.exists() and not (first.parent / "source.png").exists():
                    write_image(chain[0].sources[0], first.parent / "source.png")
                if first.exists():
                    asked = {Path(each.files[0]).stem: each.prompt for each in chain}
                    write_atomic(first.parent / "turns.json", pretty_json(asked))
                chain = []
            if item is not None:
                chain.append(item)

    def scorer(self, asker: Asker | None) -> Scorer:  # noqa: ARG002 - there is nothing to ask
        """There is none: raises :class:`~arrkit.errors.InputError`."""
        raise InputError(
            "ImgEdit-Bench has no scorer for edits in several turns: people judge them",
            hint='arrkit bench generate "imgedit?part=multiturn" paints them and lays them out.',
        )

    def tallies(self, items: Sequence[Item], units: Sequence[Unit]) -> tuple[Tally, ...]:  # noqa: ARG002
        """None."""
        return ()

    def read_answers(self, file: Path) -> list[Unit]:
        """There is no official script, so there are no files of its own."""
        raise InputError(f"{file} cannot be read: ImgEdit-Bench has no scorer for edits in several turns")


def _told(told: Words) -> Mapping[str, Json]:
    return {"judge_prompt": digest(told.record), "judge_prompt_official": told.official}


def _required(asker: Asker | None) -> Asker:
    if asker is None:
        raise InputError("ImgEdit-Bench is marked by a judge", hint="Name one: --judge openai:gpt-4.1")
    return asker


def make(
    spec: Spec, *, data: str = "", revision: str = "", prompt_dir: str = "", part: str = "basic"
) -> Benchmark:
    """The factory behind ``imgedit``.

    Args:
        spec: the name, which keeps all options but folders.
        data: folder with the images and instructions; the hub's cache where it is empty.
        revision: of the set on the hub.
        prompt_dir: a copy of the official repository, for its words to the judge of the basic part.
        part: ``basic``, ``uge`` or ``multiturn``.

    Raises:
        InputError: there is no such part, or it has no official words, or they are not where they should be.
    """
    name = canonical_name(spec)
    if part == "basic":
        told = official_words(prompt_dir) if prompt_dir else own_words()
        return BasicBenchmark(name, data=data, revision=revision, told=told)
    if prompt_dir:
        raise InputError(
            "only the basic part of ImgEdit-Bench takes the official words to the judge: those of UGE ask "
            "for no line with a score, and people judge edits in several turns",
            hint="Leave out --prompt-dir.",
        )
    if part == "uge":
        return UgeBenchmark(name, data=data, revision=revision)
    if part == "multiturn":
        return MultiturnBenchmark(name, data=data, revision=revision)
    raise InputError(f'ImgEdit-Bench has no part "{part}"', hint="Its parts: basic, uge, multiturn.")
