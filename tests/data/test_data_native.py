"""The native pair format: every key of its table, every problem at its line, and flat memory."""

import base64
import io
import itertools
import json
import tracemalloc
from pathlib import Path

import pytest
import yaml
from PIL import Image

from arrkit.data import checking
from arrkit.data.fields import split_source
from arrkit.data.keys import parse_task, slip_of, task_named
from arrkit.data.native import NativePairs, check_pairs, open_pairs
from arrkit.data.pairs import ImageUnreadable, Label, Passage, PreferencePair, Task, dataset_digest
from arrkit.data.rows import Row, RowRules, parse_row
from arrkit.errors import InputError

T2I = {"prompt": "a kite", "response": ["a.png", "b.png"], "label_rank": [1, 2]}
EDIT = {
    "query": "remove it",
    "source_image": "s.png",
    "edited_images": ["a.png", "b.png"],
    "label_rank": [2, 1],
}


def rules(task: Task | None = None, *, allow_remote: bool = False) -> RowRules:
    return RowRules("pairs.jsonl", Path("pairs.jsonl"), Path("root"), task, allow_remote)


def pair_of(value: object, task: Task | None = None, *, allow_remote: bool = False) -> PreferencePair:
    parsed = parse_row(Row(3, 14, value), rules(task, allow_remote=allow_remote))
    assert parsed.problems == ()
    assert parsed.pair is not None
    return parsed.pair


def problems_of(value: object, task: Task | None = None, repeated: tuple[str, ...] = ()) -> list[str]:
    parsed = parse_row(Row(3, 14, value, repeated), rules(task))
    assert parsed.pair is None
    assert all(problem.where == "pairs.jsonl:14" for problem in parsed.problems)
    return [problem.what for problem in parsed.problems]


def names(pair: PreferencePair) -> tuple[str | None, str, str]:
    source = Path(pair.sources[0].name).name if pair.sources else None
    return source, Path(pair.a.name).name, Path(pair.b.name).name


def save(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def paint(folder: Path, **colours: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in colours.items():
        Image.new("RGB", (4, 3), colour).save(folder / f"{name}.png")


# What the keys mean


def test_a_row_becomes_a_pair() -> None:
    pair = pair_of({**T2I, "id": "kite-1", "category": "counting", "tries": 7, "metadata": {"model": "m1"}})
    assert (pair.id, pair.task, pair.prompt, pair.label) == ("kite-1", Task.T2I, "a kite", Label.A)
    assert (pair.a.name, pair.b.name, pair.sources) == ("root/a.png", "root/b.png", ())
    assert pair.metadata == {"category": "counting", "tries": 7, "model": "m1"}
    assert pair.origin == "pairs.jsonl:14"


@pytest.mark.parametrize("key", ["query", "prompt", "instruction"])
def test_keys_of_the_instruction(key: str) -> None:
    assert pair_of({key: "a kite", "response": ["a.png", "b.png"], "label": "A"}).prompt == "a kite"


T2I_KEYS = ["image_paths", "response", "responses", "images", "image", "generated_image", "generated_images"]
EDIT_KEYS = [f"{word}_image{s}" for word in ("edited", "target", "output", "result") for s in ("", "s")]
FALLBACK_KEYS = ["response", "responses", "images", "image_paths", "image"]
SOURCE_KEYS = [f"{word}_image" for word in ("source", "base", "original", "input", "reference", "ref")]


@pytest.mark.parametrize("key", T2I_KEYS)
def test_keys_of_t2i_candidates(key: str) -> None:
    assert names(pair_of({"prompt": "x", key: ["a.png", "b.png"], "label": "B"})) == (None, "a.png", "b.png")


@pytest.mark.parametrize("key", EDIT_KEYS)
def test_keys_of_edited_candidates(key: str) -> None:
    pair = pair_of({"prompt": "x", key: ["a.png", "b.png"], "label": "B"})
    assert (pair.task, *names(pair)) == (Task.EDIT, None, "a.png", "b.png")


@pytest.mark.parametrize("key", FALLBACK_KEYS)
@pytest.mark.parametrize("source", SOURCE_KEYS)
def test_keys_of_the_source_and_plain_candidates_of_an_edit(source: str, key: str) -> None:
    for value in ("s.png", ["s.png", "other.png"]):
        pair = pair_of({"prompt": "x", source: value, key: ["a.png", "b.png"], "label": "A"})
        assert (pair.task, *names(pair)) == (Task.EDIT, "s.png", "a.png", "b.png")


def in_order(keys: list[str]) -> list[tuple[str, str]]:
    return list(itertools.pairwise(keys))


@pytest.mark.parametrize(("first", "second"), in_order(["query", "prompt", "instruction"]))
def test_order_of_instruction_keys(first: str, second: str) -> None:
    row = {second: "second", first: "first", "response": ["a.png", "b.png"], "label": "A"}
    assert pair_of(row).prompt == "first"
    assert pair_of({**row, first: ""}).prompt == "second"
    assert pair_of({**row, first: None}).prompt == "second"


@pytest.mark.parametrize(
    ("first", "second", "task"),
    [
        *((a, b, Task.T2I) for a, b in in_order(T2I_KEYS)),
        *((a, b, Task.EDIT) for a, b in in_order(EDIT_KEYS + FALLBACK_KEYS)),
    ],
)
def test_order_of_image_keys(first: str, second: str, task: Task) -> None:
    row = {"prompt": "x", second: ["c.png", "d.png"], first: ["a.png", "b.png"], "label": "A"}
    assert names(pair_of(row, task)) == (None, "a.png", "b.png")
    for nothing in ([], None, [None], ""):
        assert names(pair_of({**row, first: nothing}, task)) == (None, "c.png", "d.png")


@pytest.mark.parametrize(("first", "second"), in_order(SOURCE_KEYS))
def test_order_of_source_keys(first: str, second: str) -> None:
    row = {"prompt": "x", second: "t.png", first: "s.png", "edited_images": ["a.png", "b.png"], "label": "A"}
    assert names(pair_of(row))[0] == "s.png"
    assert names(pair_of({**row, first: []}))[0] == "t.png"


def test_null_entries_of_a_list_are_dropped() -> None:
    assert names(pair_of({**T2I, "response": [None, "a.png", None, "b.png"]})) == (None, "a.png", "b.png")


@pytest.mark.parametrize(
    ("count", "ranks", "scored", "base", "source"),
    [
        (3, 2, False, False, True),  # (a) one image more than ranks
        (2, 2, False, True, False),  # (a) decides before (c)
        (4, 2, False, False, False),  # (a) decides before (d)
        (3, 3, True, True, False),
        (2, 1, False, False, True),
        (2, None, True, False, True),  # (b)
        (1, None, True, True, False),
        (2, None, False, True, True),  # (c)
        (1, None, False, True, False),
        (3, None, False, False, True),  # (d)
        (3, None, True, False, True),
        (2, None, False, False, False),  # (e)
        (1, None, True, False, False),
        (0, None, False, True, False),
    ],
)
def test_where_the_source_of_an_edit_stands(
    count: int, ranks: int | None, scored: bool, base: bool, source: bool
) -> None:
    images = [f"{n}.png" for n in range(count)]
    found = split_source(images, ranks=ranks, labelled=False, scored=scored, includes_base=base)
    assert found == ((images[0], images[1:]) if source else (None, images))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"response": ["s.png", "a.png", "b.png"], "label_rank": [1, 2]}, ("s.png", "a.png", "b.png")),
        ({"response": ["a.png", "b.png"], "label_rank": [1, 2]}, (None, "a.png", "b.png")),
        ({"response": ["s.png", "a.png", "b.png"], "label": "A"}, ("s.png", "a.png", "b.png")),
        ({"response": ["a.png", "b.png"], "label": "A", "label_score": [4, 2]}, (None, "a.png", "b.png")),
        (
            {"response": ["a.png", "b.png"], "label_rank": [1, 2], "response_includes_base": True},
            (None, "a.png", "b.png"),
        ),
        ({"output_images": ["a.png", "b.png"], "label": "B"}, (None, "a.png", "b.png")),
    ],
)
def test_edits_without_a_source_key(row: dict[str, object], expected: tuple[str | None, str, str]) -> None:
    assert names(pair_of({"prompt": "x", **row}, Task.EDIT)) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ({"label_rank": [1, 2]}, Label.A),
        ({"label_rank": [2, 1]}, Label.B),
        ({"label": "A"}, Label.A),
        ({"label": "b"}, Label.B),
        ({"label": " TIE "}, Label.TIE),
        ({"label": "tie", "label_rank": [1, 1]}, Label.TIE),
        ({"label": "B", "label_rank": [2, 1]}, Label.B),
    ],
)
def test_labels(label: dict[str, object], expected: Label) -> None:
    assert pair_of({"prompt": "x", "response": ["a.png", "b.png"], **label}).label is expected


@pytest.mark.parametrize(
    "name", ["t2i", "text_to_image", "text2image", "image_generation", "gen", "Text-To-Image"]
)
def test_names_of_t2i(name: str) -> None:
    assert task_named(name) is Task.T2I
    assert pair_of({**T2I, "task": name}).task is Task.T2I


@pytest.mark.parametrize(
    "name", ["edit", "image_edit", "image_editing", "i2i", "image_to_image", "IMAGE-EDITING", " edit "]
)
def test_names_of_edit(name: str) -> None:
    assert parse_task(name) is Task.EDIT
    assert pair_of({**T2I, "task": name}).task is Task.EDIT


def test_an_unknown_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r'unknown task "editt" \(did you mean "edit"\?\)'):
        parse_task("editt")


def test_the_task_of_a_row_without_one() -> None:
    assert pair_of(T2I).task is Task.T2I
    assert pair_of(EDIT).task is Task.EDIT
    assert pair_of(T2I, Task.EDIT).task is Task.EDIT
    assert parse_row(Row(1, 1, {**T2I, "task": "t2i"}), rules(Task.EDIT)).pair is None


def test_ids() -> None:
    assert pair_of(T2I).id == "row-3"
    assert pair_of({**T2I, "id": 7}).id == "7"
    assert pair_of({**T2I, "id": None}).id == "row-3"


def test_metadata_of_every_kind() -> None:
    row = {**T2I, "tries": [12, 7], "nothing": None, "ok": True, "meta": {"b": {"c": 1}}, "prompt_id": "p1"}
    assert pair_of(row).metadata == {
        "tries": "[12, 7]",
        "ok": True,
        "meta": '{"b": {"c": 1}}',
        "prompt_id": "p1",
    }
    dated = yaml.safe_load("{prompt: x, response: [a, b], label: A, day: 2024-02-29}")
    assert pair_of(dated).metadata == {"day": "2024-02-29"}


def test_what_people_said_beside_the_label() -> None:
    bare = pair_of(T2I)
    assert (bare.group, bare.votes, bare.confidence) == ("", None, None)
    told = pair_of({**T2I, "group": 7, "votes": [9, 0], "confidence": 1, "metadata": {"group": "mine"}})
    assert (told.group, told.votes, told.confidence) == ("7", (9, 0), 1.0)
    assert told.metadata == {"group": "mine"}
    nothing = pair_of({**T2I, "group": None, "votes": None, "confidence": None})
    assert (nothing.group, nothing.votes, nothing.confidence) == ("", None, None)


def test_a_pair_that_is_bad_on_both_sides() -> None:
    row = {**T2I, "label": "both_bad", "label_rank": None}
    assert pair_of(row).label is Label.BOTH_BAD
    assert pair_of({**row, "label_rank": [1, 1]}).label is Label.BOTH_BAD


def test_several_sources() -> None:
    row = {**EDIT, "source_images": ["s.png", "t.png"]}
    assert [Path(source.name).name for source in pair_of(row).sources] == ["s.png", "t.png"]
    alone = {"prompt": "x", "source_images": ["s.png"], "images": ["a.png", "b.png"], "label": "A"}
    assert names(pair_of(alone)) == ("s.png", "a.png", "b.png")
    assert pair_of(alone).task is Task.EDIT
    # As the tool has it whose format this is: of a list under the singular, the first.
    assert names(pair_of({**EDIT, "source_image": ["s.png", "t.png"]})) == ("s.png", "a.png", "b.png")


def test_answers_of_text_and_images() -> None:
    answer = [{"text": "First,"}, {"image": "a.png"}, {"text": ""}]
    row = {"task": "interleaved", "prompt": "x", "candidates": [answer, "b.png"], "label": "A"}
    pair = pair_of({**row, "source_images": ["s.png"], "images": ["not.png", "these.png"]})
    assert isinstance(pair.a, Passage)
    assert [part if isinstance(part, str) else part.name for part in pair.a.parts] == [
        "First,",
        "root/a.png",
        "",
    ]
    assert (pair.b.name, [source.name for source in pair.sources]) == ("root/b.png", ["root/s.png"])
    parsed = parse_row(Row(1, 1, row), rules())
    assert [file.name for file in parsed.files] == ["a.png", "b.png"]
    same = [{"text": "No."}]
    assert pair_of({**row, "candidates": [same, same]}).a.name == "No."


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"votes": [1]}, "votes [1] are not two counts, for A and for B"),
        ({"votes": [1.0, 2]}, "votes [1.0, 2] are not two counts, for A and for B"),
        ({"votes": [-1, 2]}, "votes [-1, 2] are not two counts, for A and for B"),
        ({"votes": [True, 2]}, "votes [true, 2] are not two counts, for A and for B"),
        ({"confidence": 1.01}, "confidence 1.01 is not a number from 0 to 1"),
        ({"confidence": True}, "confidence true is not a number from 0 to 1"),
        ({"confidence": "high"}, 'confidence "high" is not a number from 0 to 1'),
        ({"confidence": float("nan")}, "confidence NaN is not a number from 0 to 1"),
        ({"group": 1.5}, "group is a number, not text or a whole number"),
        ({"candidates": "a.png"}, "candidates is text, not a list of two"),
        ({"candidates": ["a.png"]}, "one candidate image, and a pair needs two"),
        ({"candidates": ["a.png", ""]}, "candidates holds an empty path where an image or a list of parts"),
        (
            {"candidates": ["a.png", []]},
            "candidates holds nothing where an image or a list of parts should be",
        ),
        (
            {"candidates": ["a.png", {"text": "x"}]},
            "candidates holds an object where an image or a list of parts",
        ),
        ({"candidates": ["a.png", [{"txt": "x"}]]}, "an answer with a part that is neither text nor image"),
        ({"candidates": ["a.png", [{"image": ""}]]}, "an answer with a part that is neither text nor image"),
        ({"candidates": ["a.png", ["x"]]}, "an answer with a part that is neither text nor image"),
        ({"label": "both_bad"}, 'label "both_bad" and label_rank [1, 2] contradict each other'),
        ({"vote": [1, 2]}, 'unknown key "vote" (did you mean "votes"?)'),
        ({"source_images": ["s.png"]}, "source_images belongs to an edit, and the task of the row is t2i"),
    ],
)
def test_what_is_wrong_with_what_people_said(changes: dict[str, object], problem: str) -> None:
    found = problems_of({**T2I, "task": "t2i", **changes})
    assert any(problem in each for each in found), found


# What is wrong


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({**T2I, "label_rank": [1, 1]}, "label_rank [1, 1] does not order the two images"),
        ({**T2I, "label_rank": [1, 3]}, "label_rank [1, 3] is not made of the ranks 1 and 2"),
        ({**T2I, "label_rank": [0, 1]}, "label_rank [0, 1] is not made of the ranks 1 and 2"),
        ({**T2I, "label_rank": [1]}, "label_rank [1] has 1 ranks for 2 candidates"),
        ({**T2I, "label_rank": [1, 2, 3]}, "label_rank [1, 2, 3] has 3 ranks for 2 candidates"),
        ({**T2I, "label_rank": []}, "label_rank [] has 0 ranks for 2 candidates"),
        ({**T2I, "label_rank": 1}, "label_rank 1 is not a list of whole numbers"),
        ({**T2I, "label_rank": ["1", "2"]}, 'label_rank ["1", "2"] is not a list of whole numbers'),
        ({**T2I, "label_rank": [True, 2]}, "label_rank [true, 2] is not a list of whole numbers"),
        ({**T2I, "label": "B"}, 'label "B" and label_rank [1, 2] contradict each other'),
        ({**T2I, "label": "tie"}, 'label "tie" and label_rank [1, 2] contradict each other'),
        ({**T2I, "label": "first"}, 'unknown label "first"'),
        ({**T2I, "label": 1}, "unknown label 1"),
        ({**T2I, "label_rank": None}, "no label"),
        ({**T2I, "prompt": None}, "no prompt"),
        ({**T2I, "prompt": "  "}, "no prompt"),
        ({**T2I, "prompt": 42}, "prompt is a number, not text"),
        ({**T2I, "prompt": False}, "prompt is true or false, not text"),
        ({**T2I, "prompt": ["a"]}, "prompt is a list, not text"),
        ({**T2I, "response": "a.png"}, "one candidate image, and a pair needs two"),
        ({**T2I, "response": ["a.png"]}, "one candidate image, and a pair needs two"),
        ({**T2I, "response": []}, "no candidate images"),
        (
            {**T2I, "response": ["a.png", 3]},
            "response holds a number where the path or URL of an image should be",
        ),
        (
            {**T2I, "response": {"a": 1}},
            "response holds an object where the path or URL of an image should be",
        ),
        ({**T2I, "response": ["a.png", ""]}, "response holds an empty path"),
        ({**T2I, "response": ["a.png", "a.png"]}, "both candidates are the same image"),
        ({**T2I, "response": ["a.png", "./x/../a.png"]}, "both candidates are the same image"),
        ({**T2I, "response": ["s.png", "a.png", "b.png"]}, "label_rank [1, 2] has 2 ranks for 3 images"),
        ({**T2I, "response": ["s3://x/a.png", "b.png"]}, "images cannot be read from s3:// URLs"),
        (
            {**T2I, "response": ["https://x.org/a.png", "b.png"]},
            "image 1 stands at a URL, and nothing is fetched from the network unasked",
        ),
        (
            {**EDIT, "task": "t2i", "images": ["a", "b"], "edited_images": None},
            "source_image belongs to an edit, and the task of the row is t2i",
        ),
        (
            {**EDIT, "source_image": 3},
            "source_image holds a number where the path or URL of an image should be",
        ),
        ({**T2I, "task": "video"}, 'unknown task "video"'),
        ({**T2I, "task": "i2ii"}, 'unknown task "i2ii" (did you mean "i2i"?)'),
        ({**T2I, "task": 2}, "task is a number, not text"),
        ({**T2I, "id": ""}, "id is empty"),
        ({**T2I, "id": 1.5}, "id is a number, not text or a whole number"),
        ({**T2I, "id": True}, "id is true or false, not text or a whole number"),
        ({**T2I, "label_ranks": [1, 2]}, 'unknown key "label_ranks" (did you mean "label_rank"?)'),
        ({**T2I, "Image": "c.png"}, 'unknown key "Image" (did you mean "image"?)'),
        ({**T2I, "metadata": [1]}, "metadata is a list, not an object"),
        ({**T2I, "n": 1, "metadata": {"n": 2}}, '"n" stands both in the row and in its metadata'),
        ({**T2I, "n": float("nan")}, "n is not a finite number"),
        ({**T2I, 5: "x"}, "key 5 is a number, not text"),
        ({**T2I, "prompt": "\ud800"}, '"prompt" holds half a character (a lone surrogate)'),
        ({**T2I, "metadata": {"a": ["\ud800"]}}, '"metadata" holds half a character (a lone surrogate)'),
        ([1, 2], "a row is a list, not an object with keys such as prompt"),
        ("text", "a row is text, not an object with keys such as prompt"),
        (None, "a row is null, not an object with keys such as prompt"),
    ],
)
def test_what_is_wrong_with_a_row(row: object, problem: str) -> None:
    assert problems_of(row) == [problem]


def test_a_misspelt_key_is_reported_once() -> None:
    imges = {"prompt": "x", "imges": ["a.png", "b.png"], "label": "A"}
    assert problems_of(imges) == ['unknown key "imges" (did you mean "images"?)']
    promt = {"promt": "x", "images": ["a.png", "b.png"], "label": "A"}
    assert problems_of(promt) == ['unknown key "promt" (did you mean "prompt"?)']
    lable = {"prompt": "x", "images": ["a.png", "b.png"], "lable": "A"}
    assert problems_of(lable) == ['no label, but a key "lable" (did you mean "label"?)']


@pytest.mark.parametrize(
    "key",
    [
        "category",
        "response_id",
        "model",
        "tags",
        "prompt_id",
        "image_id",
        "image_size",
        "split",
        "model_a",
        "source",
        "idx",
    ],
)
def test_keys_of_the_users_own_are_metadata(key: str) -> None:
    assert slip_of(key) is None
    assert pair_of({**T2I, key: "x"}).metadata == {key: "x"}


def test_all_problems_of_a_row_are_reported() -> None:
    row = {"images": ["a.png"], "label_rank": "x", "id": [], "promt": "y"}
    assert problems_of(row, repeated=("images",)) == [
        'key "images" stands twice',
        'unknown key "promt" (did you mean "prompt"?)',
        "one candidate image, and a pair needs two",
        'label_rank "x" is not a list of whole numbers',
        "id is a list, not text or a whole number",
    ]


# Where images are


def test_paths_start_from_the_file_or_from_the_image_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(tmp_path / "data", a="red")
    paint(tmp_path / "other", a="blue")
    paint(tmp_path / "home", b="green")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    absolute = str(tmp_path / "data" / "a.png")
    file = save(
        tmp_path / "data" / "pairs.jsonl",
        {**T2I, "response": ["a.png", "~/b.png"]},
        {**T2I, "response": ["~/b.png", absolute]},
    )
    monkeypatch.chdir(tmp_path)
    first, second = open_pairs(file)
    assert first.a.load().getpixel((0, 0)) == (255, 0, 0)
    assert first.b.load().getpixel((0, 0)) == (0, 128, 0)
    first, second = open_pairs("data/pairs.jsonl", image_root="other")
    assert first.a.load().getpixel((0, 0)) == (0, 0, 255)
    assert second.b.load().getpixel((0, 0)) == (255, 0, 0)


def test_data_urls_need_no_file(tmp_path: Path) -> None:
    urls = []
    for colour in ("red", "blue"):
        stream = io.BytesIO()
        Image.new("RGB", (2, 2), colour).save(stream, "PNG")
        urls.append("data:image/png;base64," + base64.b64encode(stream.getvalue()).decode())
    file = save(tmp_path / "pairs.jsonl", {**T2I, "response": urls})
    (pair,) = open_pairs(file, strict=True)
    assert pair.b.load().getpixel((0, 0)) == (0, 0, 255)
    assert pair.b.name == f"{file}:1, image 2"


def test_urls_need_permission() -> None:
    row = {**T2I, "response": ["https://x.org/a.png", "HTTP://x.org/b.png"]}
    parsed = parse_row(Row(1, 1, row), rules())
    assert [problem.hint for problem in parsed.problems] == ["Pass --allow-remote to fetch it."] * 2
    assert names(pair_of(row, allow_remote=True)) == (None, "a.png", "b.png")


# The file as a whole


def test_every_format_gives_the_same_pairs(tmp_path: Path) -> None:
    rows = [{**T2I, "id": "a"}, {**EDIT, "id": 2, "n": 0.5}, {**T2I, "label_rank": None, "label": "tie"}]
    paint(tmp_path, a="red", b="blue", s="green")
    save(tmp_path / "p.jsonl", *rows)
    (tmp_path / "p.json").write_text(json.dumps(rows, indent=1))
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(rows))
    (tmp_path / "p.yml").write_text(yaml.dump(rows, default_flow_style=True, Dumper=yaml.SafeDumper))
    seen = []
    for name in ("p.jsonl", "p.json", "p.yaml", "p.yml"):
        pairs = open_pairs(tmp_path / name)
        assert pairs.size() == 3
        assert pairs.name == str(tmp_path / name)
        assert pairs.task is None
        seen.append([(p.id, p.task, p.prompt, p.label, dict(p.metadata), p.digest) for p in pairs])
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert [entry[0] for entry in seen[0]] == ["a", "2", "row-3"]


def test_all_problems_of_a_file_are_listed_by_line(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    lines = [
        json.dumps({**T2I, "id": "x"}),
        '{"prompt": ',
        json.dumps({**T2I, "label_rank": [1, 1]}),
        "",
        json.dumps({**T2I, "task": "video"}),
        json.dumps({**T2I, "id": "x"}),
        json.dumps({"prompt": "x", "imges": ["a.png"], "label": "A"}),
    ]
    file.write_text("\n".join(lines))
    with pytest.raises(InputError) as caught:
        open_pairs(file)
    assert [(p.where, p.what) for p in caught.value.problems] == [
        (f"{file}:2", "not JSON: expecting value at column 12"),
        (f"{file}:3", "label_rank [1, 1] does not order the two images"),
        (f"{file}:5", 'unknown task "video"'),
        (f"{file}:6", 'id "x" stands on line 1 already'),
        (f"{file}:7", 'unknown key "imges" (did you mean "images"?)'),
    ]
    assert caught.value.exit_code == 2
    assert str(caught.value).endswith("5 problems. Nothing was sent to a judge.")
    assert 'mark the pair as a tie with "label": "tie".' in str(caught.value)


def test_ids_must_differ_from_those_that_rows_get(tmp_path: Path) -> None:
    file = save(tmp_path / "p.jsonl", T2I, {**T2I, "id": "row-1"}, {**T2I, "id": 5}, {**T2I, "id": "5"})
    with pytest.raises(InputError) as caught:
        check_pairs(file)
    assert [problem.what for problem in caught.value.problems] == [
        'id "row-1" stands on line 1 already',
        'id "5" stands on line 3 already',
    ]


def test_rows_that_are_no_pairs_are_told_in_one_sentence(tmp_path: Path) -> None:
    scored = {"query": "x", "response": "a.png", "label_score": 4}
    group = {"query": "x", "response": ["a.png", "b.png", "c.png"], "label_rank": [1, 2, 3]}
    file = save(tmp_path / "p.jsonl", scored, group, scored, T2I, scored, group)
    with pytest.raises(InputError) as caught:
        check_pairs(file)
    assert [(p.where, p.what) for p in caught.value.problems] == [
        (f"{file}:1", "label_score rates one image, and arrkit learns from pairs (and 2 more such rows)"),
        (f"{file}:2", "more than two candidates (and 1 more such rows)"),
    ]
    assert all(problem.hint for problem in caught.value.problems)


def test_empty_files_and_files_of_ties(tmp_path: Path) -> None:
    for name in ("p.jsonl", "p.json", "p.yaml"):
        (tmp_path / name).write_text("")
        with pytest.raises(InputError, match="holds no pairs"):
            open_pairs(tmp_path / name)
    tie = {**T2I, "label_rank": None, "label": "tie"}
    with pytest.raises(InputError, match=r"^all 2 pairs of .* are ties") as caught:
        open_pairs(save(tmp_path / "t.jsonl", tie, tie))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"^the only pair of .* is a tie"):
        open_pairs(save(tmp_path / "t.jsonl", tie))
    assert open_pairs(save(tmp_path / "t.jsonl", tie, T2I)).check().ties == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jsonl does not exist"):
        open_pairs(tmp_path / "gone.jsonl")
    with pytest.raises(InputError, match="is a folder"):
        open_pairs(tmp_path)
    file = save(tmp_path / "p.jsonl", T2I)
    with pytest.raises(InputError, match=r"the image folder .* does not exist"):
        open_pairs(file, image_root=tmp_path / "nowhere")


def test_rows_of_another_task_are_left_out_and_counted(tmp_path: Path) -> None:
    file = save(tmp_path / "p.jsonl", {**T2I, "task": "t2i"}, EDIT, {**EDIT, "task": "edit"})
    pairs = open_pairs(file, task=Task.EDIT)
    assert (pairs.size(), pairs.task, pairs.check().other_task) == (2, Task.EDIT, 1)
    assert [pair.id for pair in pairs] == ["row-2", "row-3"]
    file = save(tmp_path / "q.jsonl", {**T2I, "task": "t2i"})
    with pytest.raises(InputError, match="holds no pairs for the task edit: its one row names another task"):
        open_pairs(file, task=Task.EDIT)
    assert open_pairs(file).task is Task.T2I


def test_missing_images_are_counted_and_the_run_goes_on(tmp_path: Path) -> None:
    paint(tmp_path, a="red", b="blue")
    gone = {**T2I, "response": ["a.png", "gone.png"]}
    file = save(tmp_path / "p.jsonl", T2I, gone, {**gone, "response": ["c.png", "d.png"]})
    pairs = open_pairs(file)
    check = pairs.check()
    assert (check.pairs, check.missing_pairs) == (3, 2)
    assert [problem.where for problem in check.missing] == [f"{file}:2", f"{file}:3"]
    good, bad, _ = pairs
    assert len(good.digest) == 64
    with pytest.raises(ImageUnreadable, match=r"gone\.png: there is no such file"):
        bad.b.load()
    with pytest.raises(InputError) as caught:
        open_pairs(file, strict=True)
    assert [problem.where for problem in caught.value.problems] == [f"{file}:2", f"{file}:3", f"{file}:3"]


def test_metadata_keys_are_known_after_the_check(tmp_path: Path) -> None:
    file = save(tmp_path / "p.jsonl", {**T2I, "split": "x"}, {**T2I, "category": "y"})
    assert check_pairs(file).metadata_keys == ("category", "split")


def test_a_hopeless_file_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "MOST_PROBLEMS", 5)
    file = save(tmp_path / "p.jsonl", *[{"x": 1}] * 100)
    with pytest.raises(InputError) as caught:
        check_pairs(file)
    assert caught.value.problems[-1].what == "the rest of the file was not checked"
    assert len(caught.value.problems) < 10


def test_a_file_that_changed_after_the_check_stops_the_pass(tmp_path: Path) -> None:
    file = save(tmp_path / "p.jsonl", T2I, T2I)
    pairs = open_pairs(file)
    save(file, T2I, {**T2I, "label_rank": [3, 4]})
    with pytest.raises(InputError, match=r"p\.jsonl:2: label_rank"):
        list(pairs)


def test_pairs_without_a_check(tmp_path: Path) -> None:
    file = save(tmp_path / "p.jsonl", T2I, {**T2I, "label": "x"})
    pairs = NativePairs(file, Task.T2I)
    assert next(iter(pairs)).id == "row-1"
    assert pairs.task is Task.T2I
    with pytest.raises(InputError):
        pairs.size()


# Digests


def test_a_digest_covers_prompt_files_and_label_and_nothing_else(tmp_path: Path) -> None:
    paint(tmp_path, a="red", b="blue", s="green")
    (tmp_path / "again.img").write_bytes((tmp_path / "a.png").read_bytes())

    def digest(row: object) -> str:
        (pair,) = open_pairs(save(tmp_path / "p.jsonl", row), strict=True)
        return pair.digest

    same = {**T2I, "id": "other", "response": ["again.img", "b.png"], "category": "x"}
    assert digest(same) == digest(T2I)
    changed = [
        {**T2I, "prompt": "a kite."},
        {**T2I, "response": ["s.png", "b.png"]},
        {**T2I, "label_rank": [2, 1]},
        {**T2I, "task": "edit"},
        {**T2I, "task": "edit", "response": ["s.png", "a.png", "b.png"]},
    ]
    assert len({digest(row) for row in (T2I, *changed)}) == 6


def test_the_digest_of_a_dataset(tmp_path: Path) -> None:
    paint(tmp_path, a="red", b="blue")
    second = {**T2I, "prompt": "two"}

    def digest(*rows: object) -> str:
        return dataset_digest(open_pairs(save(tmp_path / "p.jsonl", *rows)))

    assert digest(T2I, second) == digest(T2I, {**second, "id": "other"})
    assert digest(T2I, second) != digest(second, T2I)
    assert digest(T2I, second) != digest(T2I)
    gone = {**T2I, "response": ["a.png", "gone.png"]}
    assert digest(T2I, gone) != digest(T2I)


# Memory


def peak_of(file: Path, rows: int, *, checked: bool) -> int:
    tracemalloc.start()
    try:
        pairs = open_pairs(file) if checked else NativePairs(file)
        assert sum(1 for _ in pairs) == rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("suffix", "checked", "few", "many"),
    [("jsonl", False, 500, 4000), ("json", False, 500, 2000), ("jsonl", True, 500, 2000)],
)
def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, suffix: str, checked: bool, few: int, many: int
) -> None:
    def peak(rows: int) -> int:
        file = tmp_path / f"{rows}.{suffix}"
        lines = [json.dumps({**T2I, "id": f"pair-{n}", "category": "c"}) for n in range(rows)]
        file.write_text("\n".join(lines) if suffix == "jsonl" else f"[{','.join(lines)}]")
        return peak_of(file, rows, checked=checked)

    peak(10)
    # The check keeps eight bytes a row to tell ids apart, and sorts a copy of them.
    # Some kilobytes come and go with the interpreter's own caches; growth with the rows would be megabytes.
    assert peak(many) < peak(few) * 1.1 + checked * 4 * 8 * many + 16_384


def test_memory_does_not_grow_with_a_yaml_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        file = tmp_path / f"{rows}.yaml"
        file.write_text("".join(f"- {{prompt: x{n}, response: [a, b], label: A}}\n" for n in range(rows)))
        return peak_of(file, rows, checked=False)

    peak(10)
    assert peak(800) < peak(200) * 1.2
