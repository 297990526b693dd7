"""Pick-a-Pic: parquet with the JPEG bytes of both images in each row."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from dataset_fixtures import Form, levels, picture


def rows(count: int, flip: bool) -> list[dict]:
    """The bright image is in turn image 0 and image 1; every fifth row is a tie, every seventh unlabelled."""
    found = []
    for row in range(count):
        bright, dark = levels(row, False)
        pair = [bright, bright] if row % 5 == 4 else [bright, dark] if row % 2 else [dark, bright]
        better = 0.5 if pair[0] == pair[1] else float((pair[0] > pair[1]) is not flip)
        labelled = row % 7 != 6
        found.append(
            {
                "are_different": True,
                "best_image_uid": f"uid-{row}",
                "caption": f"a fox in snow, no. {row}",
                "created_at": "2023-01-01",
                "has_label": labelled,
                "image_0_uid": f"uid-{row}-0",
                "image_1_uid": f"uid-{row}-1",
                "jpg_0": picture(pair[0], "JPEG"),
                "jpg_1": picture(pair[1], "JPEG"),
                "label_0": better if labelled else None,
                "label_1": 1 - better if labelled else None,
                "model_0": "m0",
                "model_1": "m1",
                "ranking_id": row,
                "user_id": 7,
                "num_example_per_prompt": 3,
                "__index_level_0__": row,
            }
        )
    return found


def write(
    folder: Path,
    count: int,
    flip: bool = False,
    *,
    split: str = "test_unique",
    parts: int = 2,
    as_struct: bool = False,
    labelled: bool = False,
) -> None:
    """One split in several files; ``as_struct`` puts the images into dicts, as some mirrors do."""
    import pyarrow
    from pyarrow import parquet

    found = rows(count, flip)
    if labelled:
        found = [row for row in found if row["has_label"]]
    if as_struct:
        for row in found:
            for column in ("jpg_0", "jpg_1"):
                row[column] = {"bytes": row[column], "path": None}
    (folder / "data").mkdir()
    step = -(-len(found) // parts)
    for part in range(parts):
        table = pyarrow.Table.from_pylist(found[part * step : (part + 1) * step])
        file = folder / "data" / f"{split}-{part:05d}-of-{parts:05d}-0123456789abcdef.parquet"
        parquet.write_table(table, file, row_group_size=16)


FORMS = (
    Form("pickapic", "pickapic:test_unique", write, needs=("pyarrow",)),
    Form(
        "pickapic v1 with dicts",
        "pickapic:train",
        partial(write, split="train", as_struct=True),
        needs=("pyarrow",),
        options={"version": "v1"},
        hub="yuvalkirstain/pickapic_v1",
    ),
)
