"""The public sets of edits: groups and ties, forms, votes, and one taken for another."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from dataset_fixtures import edits, picture
from hypothesis import given
from hypothesis import strategies as st

from arrkit.backends.registry import make_dataset
from arrkit.data.pairs import ImageUnreadable, Label, Task
from arrkit.errors import InputError
from arrkit.judge.answered import Choice, answered
from arrkit.judge.metrics.official import OFFICIAL

pytest.importorskip("pyarrow")

from arrkit.backends.datasets.editreward_bench import group_rule, ranks_in

CONFORMANCE = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "editreward"
ROWS = 27
BENCH = {
    "folders": edits.write_bench,
    "table": edits.write_bench_table,
    "json": edits.write_bench_json,
}


def opened(spec, folder, **options):
    query = "&".join(f"{key}={value}" for key, value in {"data": folder, **options}.items())
    return make_dataset(f"{spec}?{query}")


# --- TIGER-Lab's EditReward-Bench


@given(st.permutations("ABCD"), st.lists(st.sampled_from(">="), min_size=3, max_size=3), st.integers(2, 4))
def test_a_ranking_gives_each_letter_its_rank(letters, signs, size):
    text = letters[0] + "".join(sign + letter for sign, letter in zip(signs, letters[1:], strict=True))
    text = text[: 2 * size - 1]
    ranks = ranks_in(text)
    assert list(ranks) == list(letters[:size])
    for place in range(size - 1):
        step = ranks[letters[place + 1]] - ranks[letters[place]]
        assert step == (signs[place] == ">")
    assert ranks_in(text[::-1].replace(">", "<")) == ranks


@pytest.mark.parametrize("text", ["A=B=Good", "A=B=Bad", "a = b"])
def test_a_tie_is_a_tie_however_good_both_are(text):
    assert ranks_in(text) == {"A": 1, "B": 1}


@pytest.mark.parametrize("text", ["", "A", "A>", "AB", "A>A", "A>B<C", "A>B C", "left", "A>B=Ugly", "1>2"])
def test_what_orders_nothing_is_no_ranking(text):
    assert ranks_in(text) is None


@pytest.mark.parametrize("form", BENCH)
def test_each_form_gives_the_same_groups(tmp_path, form):
    BENCH[form](tmp_path, ROWS)
    pairs = list(opened("editreward-bench", tmp_path))
    assert Counter(pair.metadata["dataset"] for pair in pairs) == {"2pair": 9, "3pair": 27, "4pair": 54}
    groups: dict[str, list] = {}
    for pair in pairs:
        assert pair.task is Task.EDIT
        assert pair.sources[0].load().getpixel((0, 0)) == (edits.SOURCE,) * 3
        assert pair.metadata["num_candidates"] == int(str(pair.metadata["dataset"])[0])
        groups.setdefault(pair.group or pair.id, []).append(pair)
    assert len(groups) == ROWS
    for group in groups.values():
        size = group[0].metadata["num_candidates"]
        wanted = {f"{first}vs{second}" for first, second in combinations("ABCD"[:size], 2)}
        assert {pair.metadata["comparison_type"] for pair in group} == wanted
        assert len({pair.prompt for pair in group}) == 1
    ties = [pair for pair in pairs if pair.label is Label.TIE]
    assert {pair.metadata["dataset"] for pair in ties} == {"2pair"}
    assert len(ties) == 3


@pytest.mark.parametrize("form", BENCH)
@pytest.mark.parametrize(("part", "count"), [("2pair", 9), ("3pair", 27), ("4pair", 54)])
def test_a_part_is_read_alone(tmp_path, form, part, count):
    BENCH[form](tmp_path, ROWS)
    dataset = opened(f"editreward-bench:{part}", tmp_path)
    pairs = list(dataset)
    assert ({pair.metadata["dataset"] for pair in pairs}, len(pairs)) == ({part}, count)
    assert dataset.size() == (count if form == "folders" else None)
    whole = {pair.id: (pair.label, pair.group) for pair in opened("editreward-bench", tmp_path)}
    assert all(whole[pair.id] == (pair.label, pair.group) for pair in pairs)


def test_a_part_that_is_not_there_is_refused(tmp_path):
    edits.write_bench_json(tmp_path, 3)
    (tmp_path / "EditReward_Bench_3pair.json").unlink()
    assert len(list(opened("editreward-bench:all", tmp_path))) == 7
    with pytest.raises(InputError, match=r"no EditReward_Bench_3pair\.json"):
        opened("editreward-bench:3pair", tmp_path)


def test_the_models_and_scores_of_both_are_kept(tmp_path):
    edits.write_bench(tmp_path, 4)
    pair = next(pair for pair in opened("editreward-bench:4pair", tmp_path) if pair.id.endswith("BvsD"))
    known = {key: pair.metadata[key] for key in ("model_a", "model_b", "score_a", "score_b")}
    assert known == {"model_a": "m1", "model_b": "m3", "score_a": 5, "score_b": 7}


def test_the_pairs_of_the_json_form_stand_in_order_with_their_ranks(tmp_path):
    edits.write_bench_json(tmp_path, 3)
    pairs = list(opened("editreward-bench:4pair", tmp_path))
    assert [pair.metadata["comparison_type"] for pair in pairs] == [
        *("AvsB", "AvsC", "AvsD", "BvsC", "BvsD", "CvsD")
    ]
    for pair in pairs:
        better = pair.metadata["rank_a"] < pair.metadata["rank_b"]
        assert (pair.label is Label.A) is better


@pytest.mark.parametrize("name", ["{:04x}_{}", "{:010d}-{}", "item_{:04x}_{}"])
def test_groups_are_whole_whatever_the_ids_look_like(tmp_path, name):
    edits.write_bench(tmp_path, ROWS, name=name)
    sizes = Counter(pair.group for pair in opened("editreward-bench:4pair", tmp_path))
    assert set(sizes.values()) == {6}
    assert len(sizes) == 9


def test_the_full_id_may_be_that_of_the_group():
    letters = ("AvsB", "AvsC", "BvsC")
    rows = [(f"a_b_{group}", pair) for group in range(3) for pair in letters]
    assert group_rule(rows, 3)("a_b_1") == "a_b_1"
    assert group_rule([("a_1", "AvsB"), ("a_1", "AvsB")], 2) is None


def test_rows_that_fit_no_group_are_read_by_the_rule_of_the_authors(tmp_path):
    rows = edits.bench_rows(4, False)["3pair"][:-1]
    edits.save(tmp_path / "3pair" / "train-00000-of-00001.parquet", rows)
    pairs = list(opened("editreward-bench:3pair", tmp_path))
    assert sorted(Counter(pair.group for pair in pairs).values()) == [2]
    assert {pair.group for pair in pairs} == {"3pair:0001"}


def test_a_perfect_judge_gets_all_groups_right_and_one_slip_costs_its_group(tmp_path):
    edits.write_bench(tmp_path, ROWS)
    answers = [answered(pair, Choice(pair.label.value)) for pair in opened("editreward-bench", tmp_path)]
    official = OFFICIAL["editreward-bench"].metric
    value = official(answers)
    assert (value.rate.value, value.rate.n) == (1, ROWS)
    slip = next(place for place, answer in enumerate(answers) if "4pair" in answer.id)
    answers[slip] = replace(answers[slip], ab=answers[slip].ab.swapped)
    assert official(answers).rate.value == pytest.approx((ROWS - 1) / ROWS)


BROKEN = [
    ("ranking", "C>D", "ranking does not order"),
    ("ranking", "", "no ranking"),
    ("comparison_type", "A against B", "does not name two candidates"),
    ("comparison_type", "AvsA", "does not name two candidates"),
    ("candidate_2", None, "no image in candidate_2"),
    ("instruction", " ", "no instruction"),
]


@pytest.mark.parametrize(("key", "value", "says"), BROKEN)
def test_a_row_that_cannot_be_used_is_counted_and_named(tmp_path, key, value, says):
    rows = edits.bench_rows(9, False)["2pair"]
    rows[1][key] = value
    edits.save(tmp_path / "2pair" / "train-00000-of-00001.parquet", rows)
    dataset = opened("editreward-bench", tmp_path)
    assert len(list(dataset)) == len(rows) - 1
    [skipped] = dataset.skipped
    assert says in skipped.reason
    assert skipped.origin == "2pair/train-00000-of-00001.parquet:2"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"paths_generated": ["a.png"]}, "fewer than two"),
        ({"human_vote": None}, "no human_vote"),
        ({"human_vote": {"ranking": "A>C"}}, "does not order its candidates"),
        ({"path_src": ""}, "no path_src"),
    ],
)
def test_a_group_that_cannot_be_used_is_counted_and_named(tmp_path, row, says):
    good = {
        "prompt": "p",
        "path_src": "s.png",
        "paths_generated": ["a.png", "b.png"],
        "human_vote": {"ranking": "B>A"},
    }
    (tmp_path / "EditReward_Bench_2pair.json").write_text(json.dumps([good, {**good, **row}]))
    dataset = opened("editreward-bench", tmp_path)
    [pair] = dataset
    assert pair.label is Label.B
    assert [(says in each.reason, each.origin.rpartition(":")[0]) for each in dataset.skipped] == [
        (True, "EditReward_Bench_2pair.json")
    ]


def test_the_images_of_the_json_form_may_be_elsewhere(tmp_path):
    edits.write_bench_json(tmp_path, 3)
    (tmp_path / "elsewhere").mkdir()
    for name in ("src", "gen"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    pair = next(iter(opened("editreward-bench", tmp_path)))
    with pytest.raises(ImageUnreadable, match="no such file"):
        pair.a.load()
    pair = next(iter(opened("editreward-bench", tmp_path, images=tmp_path / "elsewhere")))
    assert pair.a.load().size == (8, 8)


# --- EditScore's EditReward-Bench


def test_the_first_output_is_preferred_in_each_dimension(tmp_path):
    edits.write_score(tmp_path, 39)
    found = {each: list(opened(f"editscore-bench:{each}", tmp_path)) for each in (*edits.DIMENSIONS, "all")}
    assert [len(found[each]) for each in (*edits.DIMENSIONS, "all")] == [13, 13, 13, 39]
    for each in edits.DIMENSIONS:
        assert {pair.metadata["task_type"] for pair in found[each]} == set(edits.TASK_TYPES)
        assert {pair.metadata["dimension"] for pair in found[each]} == {each}
    assert {pair.label for pair in found["all"]} == {Label.A}
    pair = found["all"][0]
    assert pair.a.load().getpixel((0, 0)) > pair.b.load().getpixel((0, 0))
    assert [pair.id for pair in opened("editscore-bench", tmp_path)] == [pair.id for pair in found["overall"]]


def test_pairs_with_the_same_keys_have_different_ids(tmp_path):
    rows = edits.score_rows(6, False)
    for row in rows:
        row["key"] = ["x", "y"]
    rows[5]["key"] = ["x"]
    edits.save(tmp_path / "train.parquet", rows)
    assert len({pair.id for pair in opened("editscore-bench:all", tmp_path)}) == 6


def test_a_row_without_two_outputs_is_counted(tmp_path):
    rows = edits.score_rows(4, False)
    rows[2]["output_images"].pop()
    edits.save(tmp_path / "train.parquet", rows)
    dataset = opened("editscore-bench:all", tmp_path)
    assert len(list(dataset)) == 3
    assert dataset.left_out == {"output_images does not hold two images": 1}


# --- one set given for another


@pytest.mark.parametrize(
    ("write", "spec", "called", "right"),
    [
        (edits.write_bench, "editscore-bench", "TIGER-Lab's EditReward-Bench", "editreward-bench"),
        (edits.write_bench_table, "editscore-bench", "TIGER-Lab's EditReward-Bench", "editreward-bench"),
        (edits.write_bench_json, "editscore-bench", "TIGER-Lab's EditReward-Bench", "editreward-bench"),
        (edits.write_score, "editreward-bench", "EditScore's EditReward-Bench", "editscore-bench"),
        (edits.write_score, "editreward-bench:3pair", "EditScore's EditReward-Bench", "editscore-bench"),
        (edits.write_data, "editreward-bench", "EditReward-Data", "editreward-data"),
        (edits.write_data, "editscore-bench", "EditReward-Data", "editreward-data"),
        (edits.write_bench, "editreward-data", "TIGER-Lab's EditReward-Bench", "editreward-bench"),
        (edits.write_bench_json, "editreward-data", "TIGER-Lab's EditReward-Bench", "editreward-bench"),
        (edits.write_score, "editreward-data", "EditScore's EditReward-Bench", "editscore-bench"),
    ],
)
def test_a_set_of_the_same_name_is_refused_by_its_own(tmp_path, write, spec, called, right):
    write(tmp_path, 6)
    with pytest.raises(InputError) as refused:
        list(opened(spec, tmp_path))
    [problem] = refused.value.problems
    assert f"holds {called}" in problem.what
    assert problem.hint == f"For these files: --dataset {right}"


@pytest.mark.parametrize("spec", ["editreward-bench", "editscore-bench", "editreward-data"])
def test_columns_that_nobody_knows_are_named(tmp_path, spec):
    edits.save(tmp_path / "train.parquet", [{"prompt": "p", "image_1": b"x"}])
    with pytest.raises(InputError) as refused:
        list(opened(spec, tmp_path))
    assert "prompt, image_1" in str(refused.value)


# --- EditReward-Data


def test_votes_are_labels_and_scores_are_not(tmp_path):
    edits.write_data(tmp_path, 12)
    dataset = opened("editreward-data", tmp_path)
    pairs = list(dataset)
    assert dataset.size() == len(pairs) == 12
    assert [pair.label for pair in pairs[:3]] == [Label.A, Label.B, Label.TIE]
    assert pairs[0].metadata == {
        "category": "remove",
        "model_a": "m1",
        "model_b": "m2",
        "following_a": 4,
        "following_b": 2,
        "overall_a": 2,
        "overall_b": 8,
    }
    for pair in pairs:
        a, b, source = (each.load().getpixel((0, 0))[0] for each in pair.pictures)
        assert (pair.label.decided, source) == (a != b, edits.SOURCE)


def test_an_unknown_vote_is_counted_and_not_guessed(tmp_path):
    rows = edits.data_rows(3, False)
    rows[0]["vote_type"] = "abstain"
    edits.save(tmp_path / "train.parquet", rows)
    dataset = opened("editreward-data", tmp_path)
    assert len(list(dataset)) == 2
    assert "vote_type is none of leftvote" in dataset.skipped[0].reason


def test_a_tie_case_carries_no_preference_and_path1_is_preferred_else(tmp_path):
    edits.write_trainer(tmp_path, 8)
    pairs = list(opened("editreward-data", tmp_path))
    assert [pair.label for pair in pairs] == [Label.A, Label.A, Label.A, Label.TIE] * 2
    first = pairs[0]
    assert first.metadata["overall_a"] < first.metadata["overall_b"]
    assert (first.confidence, first.votes) == (None, None)


def test_the_form_of_the_trainer_may_come_as_parquet(tmp_path):
    rows, images = edits.trainer_rows(4, False)
    for row in rows:
        for key in ("path_src", "path1", "path2"):
            row[key] = {"bytes": images[row[key]], "path": row[key]}
    edits.save(tmp_path / "data" / "train.parquet", rows)
    pairs = list(opened("editreward-data", tmp_path))
    assert [pair.label for pair in pairs] == [Label.A, Label.A, Label.A, Label.TIE]
    assert len({pair.a.name for pair in pairs} & {pair.b.name for pair in pairs}) == 4


def test_one_file_may_be_named_and_train_json_goes_before_others(tmp_path):
    edits.write_trainer(tmp_path, 4)
    edits.write_trainer(tmp_path, 7, name="valid.json")
    assert len(list(opened("editreward-data", tmp_path))) == 4
    pairs = list(opened("editreward-data", tmp_path / "valid.json"))
    assert [pair.id for pair in pairs][:2] == ["valid-1", "valid-2"]
    assert pairs[6].a.load().size == (8, 8)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"tie_case": "yes"}, "tie_case is neither"),
        ({"path2": "a.png"}, "the same image"),
        ({"path_src": None}, "no image in path_src"),
        ({"prompt": ""}, "no prompt"),
    ],
)
def test_a_row_of_the_trainer_that_cannot_be_used_is_counted(tmp_path, row, says):
    good = {"prompt": "p", "path_src": "s.png", "path1": "a.png", "path2": "b.png", "confidence": 0.75}
    (tmp_path / "train.json").write_text(json.dumps([{**good, **row}, good]))
    dataset = opened("editreward-data", tmp_path)
    [pair] = dataset
    assert (pair.label, pair.confidence) == (Label.A, 0.75)
    assert says in dataset.skipped[0].reason


def test_a_missing_image_is_named_when_it_is_looked_at(tmp_path):
    edits.write_trainer(tmp_path, 2)
    (tmp_path / "k" / "source.png").unlink()
    pair = next(iter(opened("editreward-data", tmp_path)))
    assert pair.a.load().size == (8, 8)
    with pytest.raises(ImageUnreadable, match=r"k/source\.png: there is no such file"):
        pair.sources[0].load()


@pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="the files of ../shared/conformance are not here")
def test_the_real_rows_load_with_their_sources(tmp_path):
    file = CONFORMANCE / "valid_dataset_1_first60.json"
    pairs = list(opened("editreward-data", file, images=tmp_path))
    assert len(pairs) == 60
    assert {pair.label for pair in pairs} == {Label.A}
    for pair, row in zip(pairs, json.loads(file.read_text()), strict=True):
        named = tuple(each.name for each in pair.pictures)
        assert named == (row["path1"], row["path2"], row["path_src"])
        assert pair.prompt == row["prompt"]
        assert pair.metadata["model_a"] == row["model1"]
    agrees = [pair.metadata["overall_a"] > pair.metadata["overall_b"] for pair in pairs]
    assert 20 < sum(agrees) < 40
    target = tmp_path / pairs[0].sources[0].name
    target.parent.mkdir(parents=True)
    target.write_bytes(picture(edits.SOURCE))
    assert pairs[0].sources[0].load().getpixel((0, 0)) == (edits.SOURCE,) * 3
