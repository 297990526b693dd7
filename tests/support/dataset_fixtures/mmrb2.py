"""MMRB2: the hub's parquet with texts that have marks for images, and the local JSON with its folders."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from dataset_fixtures import Form, levels, picture

PARTS = ("t2i", "edit", "interleaved", "reasoning")
COUNTED = {"t2i": 532, "edit": 555, "interleaved": 575, "reasoning": 475}
"""How many of the 1,000 pairs of each part say A."""

Content = list  # of texts and levels of brightness


def contents(part: str, row: int) -> tuple[Content, Content, Content]:
    """The prompt, and the answers A and B; A is the brighter one where the row is odd."""
    bright, dark = levels(row, row % 2 == 0)
    question = f"Prompt no. {row} of {part}."
    if part == "t2i":
        return [question], [bright], [dark]
    if part == "edit":
        two = [20, f"beside no. {row}", 30] if row % 2 else ["Put", 20, "into", 30, f"as in no. {row}."]
        prompt = [10, question] if row % 3 else two
        return prompt, [bright, bright, bright] if row == 7 else [bright], [dark]
    if part == "interleaved":
        return [question, 10], ["First:", bright, "then:", bright], [dark, "and nothing else"]
    if row % 5 == 4:
        return ["Compare", 10, "with", 20], ["They are alike."], ["I see </response> two."]
    return ["What is this?", 10], ["A thought,", bright], ["Another,", dark]


def chosen(row: int, flip: bool) -> str:
    """The letter of the brighter answer; of the other with ``flip``."""
    return "A" if (row % 2 == 1) is not flip else "B"


def annotations(part: str, letter: str) -> object:
    """What three people said who agree with the label."""
    if part == "reasoning":
        grades = {"A": ["A", "A", "B"], "B": []}
        other = "B" if letter == "A" else "A"
        return {f"response_{letter.lower()}_ratings": grades["A"], f"response_{other.lower()}_ratings": []}
    return [6, 5, 3] if letter == "A" else [1, 2, 4]


def name_of(part: str, row: int) -> str:
    """The id of a pair; unique in its part."""
    return f"{part}_{row}_m1_1_m2_2"


def hub_row(part: str, row: int, letter: str) -> dict:
    """One row of the parquet; the numbers in its marks say nothing."""
    found: dict = {
        "pair_id": name_of(part, row),
        "chosen": letter.lower() if row % 10 == 3 else letter,
        "prompt_source": "emu-edit" if row % 2 else "dreambench",
        "prompt_metadata": json.dumps({"id": row, "category": "object"}),
        "human_annotations": json.dumps(annotations(part, letter)),
        "response_a_model": "m1",
        "response_b_model": "m2",
    }
    for key, content in zip(("prompt", "response_a", "response_b"), contents(part, row), strict=True):
        shades = [each for each in content if isinstance(each, int)]
        texts = [each if isinstance(each, str) else "<image_9>" for each in content]
        # An image behind the text, and images alone, need no mark.
        bare = content[-len(shades) :] == shades if shades else True
        found[f"{key}_text"] = " ".join(texts[: len(texts) - len(shades)] if bare else texts)
        found[f"{key}_images"] = [{"bytes": picture(shade), "path": None} for shade in shades]
    return found


def write_hub(folder: Path, count: int, flip: bool = False, *, part: str, letters: str = "") -> None:
    """One part under its name, in two files; ``letters`` are the labels where they are given."""
    import pyarrow
    from pyarrow import parquet

    image = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    kinds = {key: pyarrow.string() for key in hub_row(part, 0, "A")}
    kinds |= {key: pyarrow.list_(image) for key in kinds if key.endswith("_images")}
    found = [hub_row(part, row, letters[row] if letters else chosen(row, flip)) for row in range(count)]
    (folder / part).mkdir()
    half = -(-count // 2)
    for number, rows in enumerate((found[:half], found[half:])):
        table = pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(kinds))
        parquet.write_table(table, folder / part / f"test-{number:05d}-of-00002.parquet", row_group_size=16)


def local_row(part: str, row: int, letter: str, folder: Path) -> dict:
    """One element of ``pairs``; writes its images."""

    def listed(content: Content, place: str, stem: str) -> list:
        found = []
        for index, each in enumerate(content):
            if isinstance(each, str):
                found.append(["text", each])
            else:
                path = f"{place}/{part}_{row}_{stem}_{index}.png"
                (folder / path).write_bytes(picture(each))
                found.append(["image", path])
        return found

    asked, first, second = contents(part, row)
    return {
        "id": name_of(part, row),
        "prompt_content": listed(asked, "input_images", "prompt"),
        "prompt_source": "emu-edit" if row % 2 else "dreambench",
        "prompt_metadata": {"id": row, "category": "object"},
        "response_a": {"model_name": "m1", "response_content": listed(first, "images", "a")},
        "response_b": {"model_name": "m2", "response_content": listed(second, "images", "b")},
        "chosen": letter,
        "human_annotations": annotations(part, letter),
    }


def write_local(folder: Path, count: int, flip: bool = False, *, part: str) -> None:
    """``{part}.json`` with the folders of its images."""
    for place in ("input_images", "images"):
        (folder / place).mkdir(exist_ok=True)
    rows = [local_row(part, row, chosen(row, flip), folder) for row in range(count)]
    (folder / f"{part}.json").write_text(json.dumps({"pairs": rows}))


def write_bare(folder: Path, *, part: str, as_name: str = "") -> None:
    """The form without prompts: image entries are bare names of files."""
    row = {
        "id": name_of(part, 0),
        "response_a": {"model_name": "m1", "response_content": [["image", "a.png"]]},
        "response_b": {"model_name": "m2", "response_content": [["image", "b.png"]]},
        "chosen": "A",
        "human_annotations": [6, 6, 6],
    }
    (folder / (as_name or f"{part}_response_only.json")).write_text(json.dumps({"pairs": [row]}))


FORMS = (
    *(
        Form(f"mmrb2 {part} of the hub", f"mmrb2:{part}", partial(write_hub, part=part), needs=("pyarrow",))
        for part in PARTS
    ),
    *(
        Form(
            f"mmrb2 {part} in its local form",
            f"mmrb2:{part}",
            partial(write_local, part=part),
            needs=("pyarrow",),
        )
        for part in ("edit", "interleaved")
    ),
)
