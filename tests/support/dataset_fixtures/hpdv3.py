"""HPDv3 and HPDv3++: a JSON array for each split, ``path1`` preferred, images as files or in a split tar."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from dataset_fixtures import Form, levels, picture

PARTS = 3


def rows(
    count: int, flip: bool, *, split: str = "test", folder: str = "images"
) -> tuple[list, dict[str, bytes]]:
    """The rows of a split and the image files that they name; ``test`` has neither votes nor confidence."""
    found, images = [], {}
    for row in range(count):
        paths = []
        for level in levels(row, flip):
            path = f"{folder}/{level:03d}{row:05x}-aa.jpg"
            images[path] = picture(level, "JPEG")
            paths.append(path)
        names = dict(zip(("path1", "path2"), paths, strict=True))
        votes = {}
        if split != "test":
            imported = row % 4 == 3
            votes = {
                "choice_dist": None if imported else [12, 7],
                "confidence": None if imported else 0.5 + (row % 50) / 100,
            }
        models = {"model1": "flux", "model2": "infinity"}
        found.append({"prompt": f"a red kite, no. {row}", **votes, **names, **models})
    return found, images


def split_tar(folder: Path, images: Mapping[str, bytes], stem: str, mode: str, numbers: list[str]) -> None:
    """Write a tar in as many parts as there are numbers, cut without regard to its members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, data in images.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    data = stream.getvalue()
    step = -(-len(data) // len(numbers))
    for place, number in enumerate(numbers):
        (folder / f"{stem}{number}").write_bytes(data[place * step : (place + 1) * step])


def write_files(folder: Path, images: Mapping[str, bytes]) -> None:
    """Write each image where its name says."""
    for name, data in images.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def write(folder: Path, count: int, flip: bool = False, *, split: str = "test", packed: bool = True) -> None:
    """HPDv3 with one split."""
    found, images = rows(count, flip, split=split)
    (folder / f"{split}.json").write_text(json.dumps(found))
    if packed:
        split_tar(folder, images, "images.tar.gz.", "w:gz", [f"{part:03d}" for part in range(PARTS)])
    else:
        write_files(folder, images)


def write_plusplus(folder: Path, count: int, flip: bool = False, *, split: str = "test_aes") -> None:
    """HPDv3++ with one split."""
    found, images = rows(count, flip, folder="images/qwen_image")
    for row in found:
        del row["model1"], row["model2"]
    (folder / f"{split}.json").write_text(json.dumps(found, indent=1))
    split_tar(folder, images, "images.tar.part", "w:", ["aa", "ab"])


FORMS = (
    Form("hpdv3 split tar.gz", "hpdv3:test", write, positional=True),
    Form("hpdv3 unpacked", "hpdv3:train", partial(write, split="train", packed=False), positional=True),
    Form("hpdv3-plusplus split tar", "hpdv3-plusplus:test_aes", write_plusplus, positional=True),
)
