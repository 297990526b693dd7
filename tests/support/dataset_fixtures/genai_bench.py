"""GenAI-Bench: parquet for each configuration and edition; votes of four classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dataset_fixtures import Form, levels, picture

COUNTED = {
    "image_generation": {"leftvote": 643, "rightvote": 663, "tievote": 156, "bothbad_vote": 273},
    "image_edition": {"leftvote": 240, "rightvote": 263, "tievote": 24, "bothbad_vote": 392},
}
"""How often each vote stands in ``test_v1``."""


def vote(row: int, flip: bool) -> str:
    """The brighter image is the left one where the row is odd; every fifth row has no winner."""
    if row % 5 == 4:
        return "tievote" if row % 2 else "bothbad_vote"
    return "leftvote" if (row % 2 == 1) is not flip else "rightvote"


def rows(config: str, votes: Sequence[str]) -> list[dict]:
    """The rows with these votes."""
    found = []
    for row, voted in enumerate(votes):
        bright, dark = levels(row, row % 2 == 0)
        if voted in ("tievote", "bothbad_vote"):
            dark = bright
        left, right = ({"bytes": picture(level), "path": f"{level}.png"} for level in (bright, dark))
        about = {"left_model": "m1", "right_model": "m2", "vote_type": voted}
        if config == "image_generation":
            found.append({"prompt": f"a fox, no. {row}", "left_image": left, "right_image": right, **about})
        else:
            found.append(
                {
                    "source_prompt": "a fox",
                    "target_prompt": "a red fox",
                    "instruct_prompt": f"make it red, no. {row}",
                    "source_image": {"bytes": picture(5), "path": None},
                    "left_output_image": left,
                    "right_output_image": right,
                    **about,
                }
            )
    return found


def write(
    folder: Path,
    count: int,
    flip: bool = False,
    *,
    config: str,
    edition: str = "test_v1",
    votes: Sequence[str] = (),
) -> None:
    """One configuration; the other edition beside it has one row."""
    import pyarrow
    from pyarrow import parquet

    other = "test" if edition == "test_v1" else "test_v1"
    (folder / config).mkdir()
    for name, given in ((edition, votes or [vote(row, flip) for row in range(count)]), (other, ["tievote"])):
        table = pyarrow.Table.from_pylist(rows(config, given))
        parquet.write_table(table, folder / config / f"{name}-00000-of-00001.parquet", row_group_size=32)


FORMS = (
    Form(
        "genai-bench generation",
        "genai-bench:image_generation",
        partial(write, config="image_generation"),
        needs=("pyarrow",),
    ),
    Form(
        "genai-bench edition",
        "genai-bench:image_edition",
        partial(write, config="image_edition"),
        needs=("pyarrow",),
    ),
    Form(
        "genai-bench edition, later edition",
        "genai-bench:image_edition",
        partial(write, config="image_edition", edition="test"),
        needs=("pyarrow",),
        options={"edition": "test"},
    ),
)
