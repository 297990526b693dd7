"""HPDv2: ``test`` with ranks of several images and ``train`` with 0/1 lists; images in a tar.gz each."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from dataset_fixtures import Form, levels, picture
from dataset_fixtures.hpdv3 import split_tar, write_files


def ranked_rows(count: int, flip: bool, *, annotated: bool = True) -> tuple[list, dict[str, bytes]]:
    """Groups of three images in one order; the third is as bright as the second."""
    found, images = [], {}
    for row in range(count):
        bright, dark = levels(row, False)
        group = [dark, bright, dark] if row % 2 else [bright, dark, dark]
        names = [f"{row:05d}_{place}.jpg" for place in range(3)]
        images |= {f"test/{name}": picture(level, "JPEG") for name, level in zip(names, group, strict=True)}
        ranks = [1 if (level == bright) is not flip else 2 for level in group]
        row_ = {"prompt": f"a tower, no. {row}", "image_path": names, "rank": ranks}
        if annotated:
            row_["raw_annotations"] = [
                {"rank": ranks, "user_hash": "h1"},
                {"rank": ranks, "user_hash": "h2"},
                {"rank": [3, 2, 1], "user_hash": "h3"},
            ]
        found.append(row_)
    return found, images


def paired_rows(count: int, flip: bool) -> tuple[list, dict[str, bytes]]:
    """Pairs in one order whatever people preferred."""
    found, images = [], {}
    for row in range(count):
        pair = levels(row, bool(row % 2))
        names = [f"{row:05d}_{place}.jpg" for place in range(2)]
        images |= {f"train/{name}": picture(level, "JPEG") for name, level in zip(names, pair, strict=True)}
        better = int((pair[1] > pair[0]) is not flip)
        preference = [int(place == better) for place in range(2)]
        found.append({"prompt": f"a lake, no. {row}", "file_path": names, "human_preference": preference})
    return found, images


def write(
    folder: Path,
    count: int,
    flip: bool = False,
    *,
    split: str = "test",
    packed: bool = True,
    annotated: bool = True,
) -> None:
    """HPDv2 with one split."""
    if split == "test":
        found, images = ranked_rows(count, flip, annotated=annotated)
    else:
        found, images = paired_rows(count, flip)
    (folder / f"{split}.json").write_text(json.dumps(found))
    if packed:
        split_tar(folder, images, f"{split}.tar.gz", "w:gz", [""])
    else:
        write_files(folder, images)


FORMS = (
    Form("hpdv2 test", "hpdv2:test", write, rows=30),
    Form("hpdv2 train", "hpdv2:train", partial(write, split="train")),
    Form("hpdv2 unpacked", "hpdv2:test", partial(write, packed=False, annotated=False), rows=30),
)
