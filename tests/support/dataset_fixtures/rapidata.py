"""Rapidata's image sets: parquet with counted votes, or with weighted shares for several questions."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from dataset_fixtures import Form, levels, picture


def rows(count: int, flip: bool, *, weighted: bool) -> list[dict]:
    """Image 1 is the brighter one where the row is odd; every fifth row is a tie."""
    found = []
    for row in range(count):
        bright, dark = levels(row, row % 2 == 0)
        if row % 5 == 4:
            dark, votes = bright, (13, 13)
        else:
            votes = (20, 6) if (row % 2 == 1) is not flip else (6, 20)
        one = {
            "prompt": f"a fox, no. {row}",
            "image1": {"bytes": picture(bright), "path": None},
            "image2": {"bytes": picture(dark), "path": None},
            "model1": "flux",
            "model2": "sd3",
        }
        if weighted:
            for side, value in enumerate(votes, start=1):
                one[f"weighted_results_image{side}_preference"] = value / 26
                one[f"weighted_results_image{side}_alignment"] = 0.5
                one[f"weighted_results_image{side}_coherence"] = 0.25 * side
            one["detailed_results_preference"] = json.dumps([])
        else:
            one |= {"votes_image1": votes[0], "votes_image2": votes[1]}
            one |= {"image1_path": f"flux/{row}.jpg", "image2_path": f"sd3/{row}.jpg"}
            one["detailed_results"] = json.dumps({"votes": []})
        found.append(one)
    return found


def write(folder: Path, count: int, flip: bool = False, *, weighted: bool = False) -> None:
    """A set in two files."""
    import pyarrow
    from pyarrow import parquet

    found = rows(count, flip, weighted=weighted)
    (folder / "data").mkdir()
    half = -(-count // 2)
    for number, some in enumerate((found[:half], found[half:]), start=1):
        name = f"train-{number - 1:05d}-of-00002" if weighted else f"train_{number:04d}-00000-of-00001"
        parquet.write_table(pyarrow.Table.from_pylist(some), folder / "data" / f"{name}.parquet")


FORMS = (
    Form("rapidata with votes", "rapidata:train", write, needs=("pyarrow",)),
    Form("rapidata with shares", "rapidata:train", partial(write, weighted=True), needs=("pyarrow",)),
)
