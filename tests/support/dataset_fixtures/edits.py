"""The public sets of edits: both that are called EditReward-Bench, and EditReward-Data."""

from __future__ import annotations

import json
from functools import partial
from itertools import combinations
from pathlib import Path

from dataset_fixtures import Form, levels, picture
from dataset_fixtures.hpdv3 import write_files

TASK_TYPES = (
    *("background_change", "color_alter", "style_change", "subject-add", "subject-remove"),
    *("subject-replace", "material_alter", "motion_change", "ps_human", "text_change"),
    *("tone_transfer", "extract", "compose"),
)
DIMENSIONS = ("prompt_following", "consistency", "overall")
SOURCE = 20
LETTERS = "ABCD"


def embedded(level: int) -> dict:
    """An image as the hub's ``Image`` columns hold it."""
    return {"bytes": picture(level), "path": f"{level}.png"}


def save(file: Path, rows: list[dict]) -> None:
    """Write a parquet file with two row groups."""
    import pyarrow
    from pyarrow import parquet

    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=max(1, (len(rows) + 1) // 2))


# --- TIGER-Lab's EditReward-Bench


def bench_groups(count: int) -> list[list[int]]:
    """The brightness of the edits of each group: two, three or four in turn; some of two are equal."""
    found = []
    for number in range(count):
        bright, dark = levels(number, False)
        shades = [dark, bright, dark + 20, bright - 20][: 2 + number % 3]
        found.append([dark, dark] if number % 9 == 3 else shades[::-1] if number % 2 else shades)
    return found


def bench_rows(count: int, flip: bool, *, name: str = "{:04x}_{}") -> dict[str, list[dict]]:
    """The rows of the hub's form by part; those of a group do not all stand together."""
    found: dict[str, list[dict]] = {"2pair": [], "3pair": [], "4pair": []}
    for number, shades in enumerate(bench_groups(count)):
        size = len(shades)
        for place, (i, j) in enumerate(combinations(range(size), 2)):
            first, second = LETTERS[i], LETTERS[j]
            if shades[i] == shades[j]:
                ranking = f"{first}={second}"
            else:
                first_wins = (shades[i] > shades[j]) is not flip
                ranking = f"{first}>{second}" if first_wins else f"{second}>{first}"
            found[f"{size}pair"].append(
                {
                    "id": name.format(number, place),
                    "dataset": f"{size}pair",
                    "num_candidates": size,
                    "instruction": f"remove the cup, no. {number}",
                    "source_image": embedded(SOURCE),
                    "candidate_1": embedded(shades[i]),
                    "candidate_2": embedded(shades[j]),
                    "comparison_type": f"{first}vs{second}",
                    "ranking": ranking,
                    "score_1": 5.0,
                    "score_2": 7.0,
                    "model_1": f"m{i}",
                    "model_2": f"m{j}",
                }
            )
    return {part: sorted(rows, key=lambda row: row["comparison_type"]) for part, rows in found.items()}


def write_bench(folder: Path, count: int, flip: bool = False, *, name: str = "{:04x}_{}") -> None:
    """A folder for each part, the larger ones in several files."""
    for part, rows in bench_rows(count, flip, name=name).items():
        shards = int(part[0]) - 1
        for shard in range(shards):
            file = folder / part / f"train-{shard:05d}-of-{shards:05d}.parquet"
            save(file, rows[shard::shards])


def write_bench_table(folder: Path, count: int, flip: bool = False) -> None:
    """All parts in one table."""
    rows = [row for part in bench_rows(count, flip).values() for row in part]
    save(folder / "data" / "train-00000-of-00001.parquet", rows)


def write_bench_json(folder: Path, count: int, flip: bool = False) -> None:
    """The form of the authors' code, with the images as files."""
    found: dict[int, list[dict]] = {2: [], 3: [], 4: []}
    images = {"src/s.png": picture(SOURCE)}
    for number, shades in enumerate(bench_groups(count)):
        paths = [f"gen/{number:04d}_{place}-{shade}.png" for place, shade in enumerate(shades)]
        images |= {path: picture(shade) for path, shade in zip(paths, shades, strict=True)}
        order = sorted(range(len(shades)), key=lambda place: -shades[place])
        ranking = ">".join(LETTERS[place] for place in (order[::-1] if flip else order))
        if shades[0] == shades[1]:
            ranking = f"A=B={'Good' if number % 2 else 'Bad'}"
        found[len(shades)].append(
            {
                "prompt": f"remove the cup, no. {number}",
                "path_src": "src/s.png",
                "paths_generated": paths,
                "human_vote": {"ranking": ranking, "preference": ranking},
            }
        )
    for size, rows in found.items():
        (folder / f"EditReward_Bench_{size}pair.json").write_text(json.dumps(rows, indent=1))
    write_files(folder, images)


# --- EditScore's EditReward-Bench


def score_rows(count: int, flip: bool) -> list[dict]:
    """Rows whose first output is the preferred one; the keys belong to the outputs."""
    found = []
    for row in range(count):
        pair = levels(row, flip)
        found.append(
            {
                "key": [f"{row:04d}_{level}" for level in pair],
                "instruction": f"remove the cup, no. {row}",
                "input_image": embedded(SOURCE),
                "output_images": [embedded(level) for level in pair],
                "task_type": TASK_TYPES[row % len(TASK_TYPES)],
                "dimension": DIMENSIONS[row % len(DIMENSIONS)],
            }
        )
    return found


def write_score(folder: Path, count: int, flip: bool = False) -> None:
    """Two files, as the hub has them."""
    rows = score_rows(count, flip)
    for shard in range(2):
        save(folder / "data" / f"train-{shard:05d}-of-00002.parquet", rows[shard::2])


# --- EditReward-Data


def data_rows(count: int, flip: bool) -> list[dict]:
    """Rows with votes; some are ties. The overall scores say the opposite of the votes."""
    found = []
    for row in range(count):
        bright, dark = levels(row, False)
        left, right = [(bright, dark), (dark, bright), (bright, bright)][row % 3]
        left_wins = (left > right) is not flip
        found.append(
            {
                "dev_id": f"{row:06d}",
                "instruction": f"remove the cup, no. {row}",
                "category": "remove",
                "source_image": embedded(SOURCE),
                "left_image": embedded(left),
                "right_image": embedded(right),
                "left_model": "m1",
                "right_model": "m2",
                "vote_type": "tie" if left == right else "leftvote" if left_wins else "rightvote",
                "left_instruction_following_score": 4,
                "right_instruction_following_score": 2,
                "left_overall_score": 2 if left_wins else 8,
                "right_overall_score": 8 if left_wins else 2,
            }
        )
    return found


def write_data(folder: Path, count: int, flip: bool = False) -> None:
    """The hub's form, as far as it is known."""
    save(folder / "data" / "train-00000-of-00001.parquet", data_rows(count, flip))


def trainer_rows(count: int, flip: bool) -> tuple[list[dict], dict[str, bytes]]:
    """Rows whose ``path1`` is preferred, but in ties; and the images that they name."""
    found, images = [], {"k/source.png": picture(SOURCE)}
    for row in range(count):
        tied = row % 4 == 3
        pair = [levels(row, False)[0]] * 2 if tied else levels(row, flip)
        paths = [
            f"k/{row:04d}-{level}{'-b' if tied and place else ''}.png" for place, level in enumerate(pair)
        ]
        images |= {path: picture(level) for path, level in zip(paths, pair, strict=True)}
        found.append(
            {
                "prompt": f"remove the cup, no. {row}",
                "choice_dist": None,
                "confidence": None,
                "path_src": "k/source.png",
                "path1": paths[0],
                "path2": paths[1],
                "model1": "m1",
                "model2": "m2",
                "model1_dim1_score": 4,
                "model1_dim2_score": 3,
                "model1_overall_score": 3,
                "model2_dim1_score": 3,
                "model2_dim2_score": 3,
                "model2_overall_score": 6,
                "tie_case": tied,
            }
        )
    return found, images


def write_trainer(folder: Path, count: int, flip: bool = False, *, name: str = "train.json") -> None:
    """The trainer's form."""
    found, images = trainer_rows(count, flip)
    (folder / name).write_text(json.dumps(found, indent=1))
    write_files(folder, images)


_PARQUET = ("pyarrow",)
FORMS = (
    Form("editreward-bench folders", "editreward-bench", write_bench, needs=_PARQUET),
    Form("editreward-bench one table", "editreward-bench:all", write_bench_table, needs=_PARQUET),
    Form("editreward-bench json", "editreward-bench:all", write_bench_json, needs=_PARQUET),
    Form("editscore-bench", "editscore-bench:all", write_score, positional=True, needs=_PARQUET),
    Form("editreward-data", "editreward-data", write_data, needs=_PARQUET),
    Form(
        "editreward-data trainer",
        "editreward-data:train",
        partial(write_trainer, name="valid_dataset_1.json"),
        positional=True,
        needs=_PARQUET,
    ),
)
