"""EditReward-Bench of TIGER-Lab: two, three or four edits of an image, compared by people each with each.

On the hub (gated) it is parquet, a row for each two candidates: in folders ``2pair/``, ``3pair/`` and
``4pair/``, or in one table with a column ``dataset`` of these values. ``candidate_1`` belongs to the first
letter of ``comparison_type`` (``BvsC``), ``candidate_2`` to the second, and ``ranking`` orders the letters
(``C>B``); with two candidates it may be ``A=B``. The authors' code reads another form,
``EditReward_Bench_{2,3,4}pair.json``: an array with all candidates of a group in ``paths_generated`` and one
``ranking`` of them all in ``human_vote``, such as ``C>A>B`` or ``A=B=Bad``. Both ``A=B=Good`` and ``A=B=Bad``
are ties, as they are to the authors' scorer.

Which rows of the hub's form belong to one group, only ``id`` tells. The authors' script takes what stands
before the first ``_``, or ten characters where there is none. Unverified is the shape of real ids: that rule
is used where it gives whole groups, else the first of some others that does (:func:`group_rule`). Unverified
too is what the paths of the JSON form start from; ``?images=DIR`` names it.

Sources: TIGER-AI-Lab/EditReward, EditReward/evaluate/README.md, inference_{2,3,4}pair_hf.py, eval_bench.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

from arrkit.backends.datasets.common import (
    Images,
    Metadata,
    RowUnusable,
    SetPairs,
    Skips,
    by_rank,
    pairs_in,
    text_of,
    texts_of,
    unknown_size,
)
from arrkit.backends.datasets.edit_forms import (
    BENCH,
    BENCH_FILES,
    open_table,
    picture_of,
    renamed,
    rows_of,
)
from arrkit.backends.datasets.plugins import editreward_bench
from arrkit.backends.datasets.source import find_files
from arrkit.backends.spec import Spec
from arrkit.data.files import Files, matching
from arrkit.data.pairs import Picture, PreferencePair, Task
from arrkit.data.tables import Table
from arrkit.errors import InputError, Problem

PARTS = ("2pair", "3pair", "4pair")
NEEDED = ("id", "instruction", "source_image", "candidate_1", "candidate_2", "comparison_type", "ranking")
MEANINGS = {"model_1": "model_a", "model_2": "model_b", "score_1": "score_a", "score_2": "score_b"}
COLUMNS = (*NEEDED, "dataset", "num_candidates", *MEANINGS)

Rule = Callable[[str], str]
"""From the id of a row to what all rows of its group have in common."""

Pictures = dict[tuple[str, str], Picture]
"""The images of whole groups by group and letter (``source`` for that), so that all pairs share them."""

_ORDER = re.compile(r"[A-Z]([<=>][A-Z])+")
_LETTERS = re.compile(r"\s*([A-D])\s*vs\.?\s*([A-D])\s*", re.IGNORECASE)


def make(
    spec: Spec, *, data: str = "", revision: str = "", stream: bool = False, images: str = ""
) -> SetPairs:
    """The part that ``spec`` names, or all three. Raises ``InputError`` where its files are not to be had."""
    needs = [("*.parquet", BENCH_FILES)]
    files = find_files(editreward_bench, spec, needs, data=data, revision=revision, stream=stream)
    part = "" if spec.model in ("", "all") else spec.model
    if tables := matching(files, "*.parquet"):
        own = [path for path in tables if part and f"{part}/" in path]
        table = open_table(files, own or tables, BENCH, NEEDED, spec)
        read = partial(_read_table, table, part)
        return SetPairs(spec, Task.EDIT, files, read, unknown_size if part and not own else table.size)
    paths = [path for path in matching(files, BENCH_FILES) if not part or path.endswith(f"_{part}.json")]
    if not paths:
        what = f"{files.name} holds other parts of the set, and no EditReward_Bench_{part}.json"
        raise InputError(Problem(what, f"dataset {spec.name}"))
    return SetPairs(
        spec, Task.EDIT, files, partial(_read_json, files, paths, Images(files, "", images)), unknown_size
    )


def ranks_in(ranking: str) -> dict[str, int] | None:
    """The rank of each letter of ``C>A>B``, ``A=B`` or ``A=B=Good``, 1 for the best; None for other texts."""
    text = re.sub(r"=(GOOD|BAD)$", "", "".join(ranking.upper().split()))
    if not _ORDER.fullmatch(text) or ("<" in text and ">" in text):
        return None
    letters, signs = text[::2], text[1::2]
    if "<" in text:
        letters, signs = letters[::-1], signs[::-1]
    if len(set(letters)) < len(letters):
        return None
    ranks = {letters[0]: 1}
    for before, sign, letter in zip(letters, signs, letters[1:], strict=False):
        ranks[letter] = ranks[before] + (sign != "=")
    return ranks


# --- the hub's form


def group_rule(rows: Iterable[tuple[str, str]], candidates: int) -> Rule | None:
    """How groups of so many candidates are told apart, given the id and the two letters of each row.

    The first rule with which each group compares each two candidates once; None where there is none, and then
    the authors' own is the best guess.
    """
    held = list(rows)
    for rule in (_before_underscore, _whole, _before_last_underscore, _before_last_number):
        groups = Counter(rule(name) for name, _ in held)
        once = len({(rule(name), letters) for name, letters in held}) == len(held)
        if once and set(groups.values()) == {candidates * (candidates - 1) // 2}:
            return rule
    return None


def _before_underscore(name: str) -> str:
    head, mark, _ = name.partition("_")
    return head if mark else name[:10]


def _whole(name: str) -> str:
    return name


def _before_last_underscore(name: str) -> str:
    return name.rpartition("_")[0] or name


def _before_last_number(name: str) -> str:
    return re.sub(r"[-_.]?\d+$", "", name) or name


def _read_table(table: Table, part: str, skips: Skips) -> Iterator[PreferencePair]:
    rules = _rules(table)
    pictures: Pictures = {}
    seen: set[str] = set()
    for number, origin, row in rows_of(table, COLUMNS):
        found = _part_of(row, origin)
        if part and found != part:
            continue
        try:
            pair = _pair(row, found, origin)
        except RowUnusable as error:
            skips.add(origin, str(error))
            continue
        if pair.id in seen:
            pair = replace(pair, id=f"{pair.id}:{number}")
        seen.add(pair.id)
        yield _in_group(pair, rules.get(found), str(row["id"]), pictures) if found != "2pair" else pair


def _in_group(pair: PreferencePair, rule: Rule | None, name: str, pictures: Pictures) -> PreferencePair:
    group = f"{pair.metadata['dataset']}:{(rule or _before_underscore)(name)}"
    if rule is None:
        return replace(pair, group=group)
    first, _, second = str(pair.metadata["comparison_type"]).partition("vs")
    return replace(
        pair,
        group=group,
        a=pictures.setdefault((group, first), pair.pictures[0]),
        b=pictures.setdefault((group, second), pair.pictures[1]),
        sources=(pictures.setdefault((group, "source"), pair.sources[0]),),
    )


def _rules(table: Table) -> dict[str, Rule | None]:
    # The table is gone through without its images, which takes milliseconds: 1,524 short rows.
    names: dict[str, list[tuple[str, str]]] = {part: [] for part in PARTS}
    for _, origin, row in rows_of(table, ("id", "comparison_type", "dataset", "num_candidates")):
        part = _part_of(row, origin)
        if part in names:
            names[part].append((str(row["id"]), str(row["comparison_type"])))
    return {part: group_rule(rows, int(part[0])) for part, rows in names.items()}


def _part_of(row: Mapping[str, object], origin: str) -> str:
    if isinstance(named := row.get("dataset"), str) and named in PARTS:
        return named
    for part in PARTS:
        if f"{part}/" in origin:
            return part
    return f"{row.get('num_candidates')}pair"


def _pair(row: Mapping[str, object], part: str, origin: str) -> PreferencePair:
    name, instruction, ranking = text_of(row, "id"), text_of(row, "instruction"), text_of(row, "ranking")
    letters = _LETTERS.fullmatch(text_of(row, "comparison_type"))
    if letters is None or letters[1].upper() == letters[2].upper():
        raise RowUnusable("comparison_type does not name two candidates")
    first, second = letters[1].upper(), letters[2].upper()
    ranks = ranks_in(ranking)
    if ranks is None or not {first, second} <= set(ranks):
        raise RowUnusable("ranking does not order the two candidates of comparison_type")
    metadata: Metadata = {"dataset": part, "comparison_type": f"{first}vs{second}", **renamed(row, MEANINGS)}
    if part in PARTS:
        metadata["num_candidates"] = int(part[0])
    return PreferencePair(
        id=f"{part}:{name}:{first}vs{second}",
        task=Task.EDIT,
        prompt=instruction,
        a=picture_of(row, "candidate_1"),
        b=picture_of(row, "candidate_2"),
        label=by_rank(ranks[first], ranks[second]),
        sources=(picture_of(row, "source_image"),),
        metadata=metadata,
        origin=origin,
    )


# --- the form of the code


def _read_json(files: Files, paths: Sequence[str], images: Images, skips: Skips) -> Iterator[PreferencePair]:
    for path in paths:
        yield from pairs_in(files, path, skips, partial(_group, images))


def _group(images: Images, row: Mapping[str, object], number: int, origin: str) -> Iterator[PreferencePair]:
    prompt, source, paths = text_of(row, "prompt"), text_of(row, "path_src"), texts_of(row, "paths_generated")
    vote = row.get("human_vote")
    if not isinstance(vote, Mapping):
        raise RowUnusable("it has no human_vote")
    ranking = text_of(vote, "ranking")
    letters = "ABCDEFGH"[: len(paths)]
    ranks = ranks_in(ranking)
    if ranks is None or set(ranks) != set(letters):
        raise RowUnusable("ranking does not order its candidates")
    part = f"{len(paths)}pair"
    pictures, sources = [images.picture(path) for path in paths], (images.picture(source),)
    for i, j in combinations(range(len(paths)), 2):
        a, b = letters[i], letters[j]
        yield PreferencePair(
            id=f"{part}:{number}:{a}vs{b}",
            task=Task.EDIT,
            prompt=prompt,
            a=pictures[i],
            b=pictures[j],
            label=by_rank(ranks[a], ranks[b]),
            sources=sources,
            metadata={
                "dataset": part,
                "num_candidates": len(paths),
                "comparison_type": f"{a}vs{b}",
                "human_vote": ranking,
                "rank_a": ranks[a],
                "rank_b": ranks[b],
            },
            origin=origin,
            group=f"{part}:{number}" if len(paths) > 2 else "",
        )
