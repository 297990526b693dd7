"""ImageRewardDB: zips of WebP files with a JSON each, a row an image; and the group file of its code."""

from __future__ import annotations

import gzip
import json
import zipfile
from functools import partial
from pathlib import Path

from dataset_fixtures import Form, levels, picture

SHAPES = (4, 5, 7)
"""How many images the groups have, in turn."""


def groups(count: int, flip: bool) -> list[list[tuple[int, int]]]:
    """The brightness and the rank of each image of each group. One rank is left out, and two images tie."""
    found = []
    for group in range(count):
        size = SHAPES[group % len(SHAPES)]
        _, dark = levels(group, False)
        shades = [dark + 12 * ((place * 3 + group) % size) for place in range(size - 1)]
        shades.append(shades[0])
        order = sorted(set(shades), reverse=not flip)
        found.append([(shade, 1 + order.index(shade) + (order.index(shade) > 1)) for shade in shades])
    return found


def write(
    folder: Path,
    count: int,
    flip: bool = False,
    *,
    split: str = "test",
    parts: int = 2,
    packed: bool = True,
    inner: str = "",
) -> None:
    """The hub's form; the rows of a prompt do not all stand together. ``inner`` is a folder in the zips."""
    shards: list[list[tuple[str, dict, bytes]]] = [[] for _ in range(parts)]
    for number, group in enumerate(groups(count, flip)):
        part = number * parts // count
        name = f"{split}_{part + 1}"
        for place, (shade, rank) in enumerate(group):
            file = f"{number:04d}{place}-{shade:03d}.webp"
            row = {
                "image_path": f"images/{split}/{name}/{file}",
                "prompt_id": f"{number:06d}-0040",
                "prompt": f"a portal, no. {number}",
                "classification": "People",
                "image_amount_in_total": len(group),
                "rank": rank,
                "overall_rating": 7 - min(rank, 6),
                "image_text_alignment_rating": 5,
                "fidelity_rating": 6,
            }
            shards[part].append((file, row, picture(shade, "WEBP")))
    for part, shard in enumerate(shards, start=1):
        name = f"{split}_{part}"
        # The first image of each group of a shard, then the second ones, and so on.
        rows = [row for _, row, _ in sorted(shard, key=lambda entry: entry[0][4])]
        files = {file: data for file, _, data in shard} | {f"{name}.json": json.dumps(rows).encode()}
        target = folder / "images" / split
        if packed:
            target.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(target / f"{name}.zip", "w") as archive:
                for file, data in files.items():
                    archive.writestr(f"{inner}{file}", data)
        else:
            (target / name).mkdir(parents=True)
            for file, data in files.items():
                (target / name / file).write_bytes(data)


def write_groups(folder: Path, count: int, flip: bool = False, *, name: str = "data/test.json") -> None:
    """The group file of the code's repository, with its images beside it."""
    entries = []
    for number, group in enumerate(groups(count, flip)):
        paths = [
            f"part-{number:06d}/images/{place}-{shade:03d}.webp" for place, (shade, _) in enumerate(group)
        ]
        for path, (shade, _) in zip(paths, group, strict=True):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture(shade, "WEBP"))
        ranking = [rank for _, rank in group]
        entry = {"id": f"{number:06d}-0040", "prompt": "p", "generations": paths, "ranking": ranking}
        entries.append(entry)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(entries).encode()
    target.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)


FORMS = (
    Form("imagerewarddb zips", "imagerewarddb:test", write, rows=12),
    Form(
        "imagerewarddb unpacked", "imagerewarddb:train", partial(write, split="train", packed=False), rows=12
    ),
    Form("imagerewarddb group file", "imagerewarddb:test", write_groups, rows=12),
    Form(
        "imagerewarddb group file, gzip",
        "imagerewarddb:test",
        partial(write_groups, name="test.json.gz"),
        rows=12,
    ),
)
