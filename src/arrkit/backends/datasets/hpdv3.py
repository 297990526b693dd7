"""HPDv3 and HPDv3++: JSON arrays of pairs, images in one split archive.

HPDv3 (``MizzenAI/HPDv3``) has ``test.json``, ``train.json`` and ``all.json`` (all but the test pairs) beside
``images.tar.gz.*``; HPDv3++ (``Junjun2333/HPDv3-PlusPlus``) has ``test_aes.json`` and others beside
``images.tar.part*``. A folder may have the images unpacked, where the rows say (``images/...``). Rows of
``stage1_ref`` name HPDv3's images as ``images/hpdv3/...``, which are in no archive of HPDv3++: ``images`` may
be the folder of HPDv3.

``path1`` is always the preferred image [MizzenAI/HPSv3:README.md], so the label is A in each row and its
order must not be shown as it is. ``choice_dist`` counts votes; the authors' loader takes the larger one for
the preferred image, in whichever order they stand
[CodeGoat24/Pref-GRPO:fastvideo/models/hpsv3/dataset/pairwise_dataset.py], and so it is here. It and
``confidence`` are null for what was taken over from Midjourney and HPDv2, and absent in the test split.

Unverified: the number of rows of ``train.json`` and ``test.json``, and whether all images of the test split
are in the archive (users report some that are not).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from arrkit.backends.datasets import plugins
from arrkit.backends.datasets.common import (
    Images,
    Metadata,
    RowUnusable,
    SetPairs,
    Skips,
    number_of,
    pairs_in,
    text_of,
    unknown_size,
)
from arrkit.backends.datasets.source import find_files
from arrkit.backends.plugin import DatasetPlugin
from arrkit.backends.spec import Spec
from arrkit.data.pairs import Label, PreferencePair, Task

ARCHIVES = ("images.tar*",)


def make(spec: Spec, *, data: str, revision: str, stream: bool, images: str) -> SetPairs:
    """HPDv3: the split that ``spec`` names. Raises ``InputError`` where its files are not to be had."""
    return _open(plugins.hpdv3, spec, data, revision, stream, images)


def make_plusplus(spec: Spec, *, data: str, revision: str, stream: bool, images: str) -> SetPairs:
    """HPDv3++, as :func:`make`."""
    return _open(plugins.hpdv3_plusplus, spec, data, revision, stream, images)


def _open(record: DatasetPlugin, spec: Spec, data: str, revision: str, stream: bool, images: str) -> SetPairs:
    path = f"{spec.model}.json"
    files = find_files(record, spec, (path,), data=data, revision=revision, stream=stream)
    shelf = Images(files, ARCHIVES, images)
    stem = f"{spec.name}-{spec.model}"

    def parse(row: Mapping[str, object], number: int, origin: str) -> tuple[PreferencePair]:
        return (_pair(row, f"{stem}-{number}", origin, shelf),)

    def read(skips: Skips) -> Iterator[PreferencePair]:
        return pairs_in(files, path, skips, parse)

    return SetPairs(spec, Task.T2I, files, read, unknown_size)


def _pair(row: Mapping[str, object], name: str, origin: str, images: Images) -> PreferencePair:
    # Called a million times: what each row has is looked at in place, and passed on by position.
    prompt, path1, path2 = row.get("prompt"), row.get("path1"), row.get("path2")
    if not (isinstance(prompt, str) and isinstance(path1, str) and isinstance(path2, str) and prompt.strip()):
        prompt, path1, path2 = text_of(row, "prompt"), text_of(row, "path1"), text_of(row, "path2")
    if path1 == path2:
        raise RowUnusable("both candidates are the same image")
    model1, model2 = row.get("model1"), row.get("model2")
    metadata: Metadata = {}
    if isinstance(model1, str):
        metadata["model_a"] = model1
    if isinstance(model2, str):
        metadata["model_b"] = model2
    votes, confidence = row.get("choice_dist"), row.get("confidence")
    return PreferencePair(
        name,
        Task.T2I,
        prompt,
        images.picture(path1),
        images.picture(path2),
        Label.A,
        (),
        metadata,
        origin,
        "",
        None if votes is None else _votes(votes),
        None if confidence is None else number_of(confidence),
    )


def _votes(value: object) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    first, second = value
    if type(first) is not int or type(second) is not int or first < 0 or second < 0:
        return None
    return (first, second) if first > second else (second, first)
