"""Judgments in files: arrkit's own, and the forms that other tools write, put to the pairs of a dataset."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import pair, unreadable

from arrkit.data.pairs import Label, Task
from arrkit.errors import InputError, RunError
from arrkit.judge.answered import Answered, Choice, answered, choice_of, read_judgments, write_judgments
from arrkit.judge.matching import match_replies
from arrkit.judge.protocol import Order, Outcome, Side, Verdict
from arrkit.judge.replies import labelled_answers, read_choice, read_label, read_replies

A, B, TIE, MISSING, NOT_ASKED = Choice.A, Choice.B, Choice.TIE, Choice.MISSING, Choice.NOT_ASKED

words = st.text(st.characters(), min_size=1, max_size=8)


@settings(max_examples=30)
@given(
    rows=st.lists(
        st.builds(
            Answered,
            words,
            st.sampled_from(Label),
            st.sampled_from([choice for choice in Choice if choice is not NOT_ASKED]),
            st.sampled_from(Choice),
            st.sampled_from(["none", "edit-general"]),
            st.sampled_from([None, *Task]),
            words,
            st.none() | st.floats(-9, 9),
            st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)),
            st.none() | st.floats(0, 1),
            st.dictionaries(words, words | st.integers() | st.booleans(), max_size=2),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("judgments") / "judgments.jsonl"
    with write_judgments(path) as write:
        for row in rows:
            write(row)
    assert list(read_judgments(path)) == rows
    assert list(read_judgments(path, "none")) == [row for row in rows if row.rubric == "none"]
    assert [entry.name for entry in path.parent.iterdir()] == ["judgments.jsonl"]


def test_a_run_that_fails_leaves_no_half_file(tmp_path):
    def fail() -> None:
        with write_judgments(tmp_path / "judgments.jsonl") as write:
            write(Answered("1", Label.A, A))
            raise OSError("of the judge")

    with pytest.raises(OSError, match="of the judge"):  # not taken for trouble with the file
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    with (
        pytest.raises(RunError, match="cannot write"),
        write_judgments(tmp_path / "absent" / "judgments.jsonl"),
    ):
        pass


def test_a_pair_shown_in_no_order_is_no_judgment():
    with pytest.raises(ValueError, match="no order"):
        Answered("1", Label.A)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_verdict_is_saved_in_the_terms_of_the_pair(outcome):
    verdict = Verdict(outcome, Side.FIRST if outcome is Outcome.OK else None)
    ab, ba = choice_of(Order.AB, verdict), choice_of(Order.BA, verdict)
    assert (ab.decided, ab.came) == (outcome.decided, outcome is not Outcome.FAILED)
    assert ba is ab.swapped
    assert (ab is A) is (outcome is Outcome.OK)
    assert choice_of(Order.AB, None) is NOT_ASKED


def test_a_judgment_keeps_what_the_dataset_says():
    shown = pair(1, group="g", votes=(3, 1), confidence=0.75, metadata={"kind": "x"})
    saved = answered(shown, A, TIE, rubric="r", margin=0.5)
    assert saved == Answered("pair-1", Label.A, A, TIE, "r", Task.T2I, "g", 0.5, (3, 1), 0.75, {"kind": "x"})
    assert saved.swapped.swapped == saved
    assert saved.swapped.votes == (1, 3)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("[[A>B]]", A),
        ("I think so: [[ A >> B ]].", A),
        ("[[B>A]]", B),
        ("[[Right>Left]]", B),
        ("[[A=B]]", TIE),
        ("A=B", TIE),
        ("[[A=B=Good]]", Choice.BOTH_GOOD),
        ("[[A=B=Bad]]", Choice.BOTH_BAD),
        ("bothbad_vote", Choice.BOTH_BAD),
        ("B", B),
        (" tie ", TIE),
        ("[[A>B]] or rather [[B>A]]", None),
        ("A is nice", None),
        ("[[C]]", None),
        ("", None),
    ],
)
def test_a_choice_is_read_from_a_vote(text, choice):
    assert read_choice(text) is choice


def test_a_label_is_read_from_a_vote():
    votes = {
        "leftvote": "A",
        "rightvote": "B",
        "tievote": "tie",
        "bothbad_vote": "both_bad",
        "A=B=Good": "tie",
    }
    assert {text: str(read_label(text)) for text in votes} == votes
    assert read_label("unparsed") is None


@pytest.fixture
def read(tmp_path):
    """Read rows of a JSONL file, or one value of a JSON file."""

    def run(*rows, name="answers.jsonl"):
        path = Path(tmp_path, name)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return read_replies(path)

    return run


def match(replies, pairs, **options):
    [matched] = match_replies(pairs, replies, **options)
    return matched


def orders(matched):
    return [(each.ab, each.ba) for each in matched.answers]


PAIRS = [pair(0), pair(1, Label.B), pair(2, Label.TIE)]


def test_plain_rows_answer_with_a_shown_first(read):
    replies = read(
        {"id": "pair-1", "choice": "B"}, {"id": "pair-0", "vote": "what?"}, {"pair_id": "x", "answer": "A"}
    )
    matched = match(replies, PAIRS)
    assert orders(matched) == [(Choice.UNPARSED, NOT_ASKED), (B, NOT_ASKED), (MISSING, NOT_ASKED)]
    assert matched.missing == ("pair-2",)
    assert matched.unknown == ("x",)
    assert [each.label for each in matched.answers] == [Label.A, Label.B, Label.TIE]


def test_an_empty_answer_is_a_missing_one(read):
    matched = match(read({"id": "pair-0", "choice": None}, {"id": "pair-1", "choice": ""}), PAIRS[:2])
    assert orders(matched) == [(MISSING, NOT_ASKED)] * 2
    assert matched.missing == ()


def test_predictions_of_mmrb2_name_places(read):
    replies = read(
        {
            "pair-0": {"forward": [{"judgement": "A"}, {"judgement": "B"}], "reverse": [{"judgement": "B"}]},
            "pair-1": {"forward": [], "reverse": [{"judgement": "neither"}]},
        },
        name="predictions.json",
    )
    matched = match(replies, PAIRS)
    assert orders(matched) == [(A, A), (MISSING, Choice.OTHER), (MISSING, MISSING)]
    tied = read({"pair-0": {"forward": [{"judgement": "tie"}]}}, name="tied.json")
    assert orders(match(tied, PAIRS[:1])) == [(TIE, NOT_ASKED)]


def test_rows_of_genai_bench_go_by_their_place(read):
    replies = read(
        {"idx": 1, "human_vote": "rightvote", "model_vote": "[[B>A]]", "correct": True},
        {"idx": 0, "human_vote": "bothbad_vote", "model_vote": "[[A=B=Bad]]", "correct": True},
    )
    matched = match(replies, PAIRS[:2])
    assert orders(matched) == [(Choice.BOTH_BAD, NOT_ASKED), (B, NOT_ASKED)]
    assert matched.relabelled == ("pair-0",)  # the dataset says A; its label counts
    assert replies.labelled
    assert [each.label for each in labelled_answers(replies, "")] == [Label.B, Label.BOTH_BAD]


def test_rows_without_ids_go_by_their_place(read):
    matched = match(read({"vote": "[[B>A]]"}, {"vote": "[[A=B]]"}), PAIRS)
    assert orders(matched) == [(B, NOT_ASKED), (TIE, NOT_ASKED), (MISSING, NOT_ASKED)]


def test_letters_of_a_larger_group_are_those_of_its_pair(read):
    replies = read(
        {"id": "pair-0", "comparison_type": "BvsD", "vote": "[[D>B]]", "ranking": "B>D"},
        {"id": "pair-1", "comparison_type": "AvsB", "vote": "[[A>B]]", "ranking": "B>A"},
    )
    assert orders(match(replies, PAIRS[:2])) == [(B, NOT_ASKED), (A, NOT_ASKED)]
    assert [each.label for each in labelled_answers(replies, "")] == [Label.A, Label.B]


def test_scores_of_two_images_are_a_choice_and_a_margin(read):
    replies = read(
        {"id": "pair-0", "score_a": 0.75, "score_b": 0.25},
        {"id": "pair-1", "scores": [1, 1]},
        {"id": "pair-2", "scores": [0.5, None]},
    )
    matched = match(replies, PAIRS)
    assert orders(matched) == [(A, NOT_ASKED), (TIE, NOT_ASKED), (MISSING, NOT_ASKED)]
    assert [each.margin for each in matched.answers] == [0.5, 0, None]


def test_scores_of_a_group_are_those_of_all_its_pairs(read):
    group = [pair(number, group="g") for number in range(3)]
    matched = match(read({"id": "g", "scores": [0.5, 0.25, 0.75]}), group)
    assert [each.margin for each in matched.answers] == [0.25, -0.25, -0.5]
    assert matched.unknown == ()
    with pytest.raises(InputError, match=r"answers.jsonl:1: 3 scores make 3 pairs, and the group g has more"):
        match(read({"id": "g", "scores": [0.5, 0.25, 0.75]}), [*group, pair(3, group="g")])


def test_scores_of_a_group_go_by_the_candidates_that_an_id_names_in_whatever_order_pairs_come(read):
    numbers = [replace(pair(0, group="g"), id=f"g-{i}-{j}") for i, j in ((2, 3), (1, 3))]
    letters = [
        replace(pair(0, group="4pair:h"), id=f"4pair:h_{n}:{two}") for n, two in enumerate(("CvsD", "AvsC"))
    ]
    replies = read({"id": "g", "scores": [8, 4, 1]}, {"id": "4pair:h", "scores": [8, 4, 1, 0.5]})
    found = match(replies, [*numbers, *letters])
    assert [each.margin for each in found.answers] == [3, 7, 0.5, 7]
    (thinned,) = match_replies(numbers, replies, thinned=True)
    assert [each.margin for each in thinned.answers] == [3, 7]
    with pytest.raises(InputError, match=r'nothing tells which two of them are those of the pair "pair-0"'):
        match_replies([pair(0, group="g")], replies, thinned=True)
    with pytest.raises(InputError, match="2 scores make 1 pair, and the group g has more"):
        match(read({"id": "g", "scores": [1, 2]}), numbers)


def test_own_rows_are_read_for_each_rubric(read):
    rows = [
        {"id": "pair-0", "label": "A", "ab": "A", "ba": "tie", "rubric": "none"},
        {"id": "pair-0", "label": "A", "ab": "B", "ba": "B", "rubric": "r"},
    ]
    bare, under = match_replies(PAIRS[:1], read(*rows))
    assert (bare.rubric, orders(bare)) == ("none", [(A, TIE)])
    assert (under.rubric, orders(under)) == ("r", [(B, B)])
    assert next(iter(labelled_answers(read(*rows), "r"))) == Answered("pair-0", Label.A, B, B, "r")


def test_only_the_fields_asked_for_are_kept_and_no_image_is_opened(read):
    shown = pair(0, a=unreadable(), b=unreadable(), metadata={"kind": "x", "other": "y"})
    matched = match(read({"id": "pair-0", "choice": "A"}), [shown], fields={"kind", "absent"})
    assert matched.answers[0].metadata == {"kind": "x"}


def test_rows_said_twice_are_counted_and_contradictions_refused(read):
    replies = read({"id": "a", "choice": "A"}, {"id": "a", "choice": "[[A>B]]"})
    assert [Path(where).name for where in replies.repeated] == ["answers.jsonl:2"]
    with pytest.raises(InputError) as caught:
        read({"id": "a", "choice": "A"}, {"id": "b", "choice": "A"}, {"id": "a", "choice": "B"})
    assert 'answers.jsonl:3: "a" is answered differently at' in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a"}], "a row without an answer"),
        ([{"id": "a", "choice": 3}], "choice is text, not int"),
        ([{"id": "a", "scores": [1]}], "scores are two or more numbers"),
        ([{"id": "a", "score_a": "1", "score_b": 2}], "scores are two or more numbers"),
        ([{"id": "a", "margin": "x"}], "margin 'x' is not a number"),
        ([{"id": "a", "human_vote": "who knows", "choice": "A"}], 'human_vote "who knows" is no label'),
        ([{"id": "a", "label": "A", "ab": "first"}], "'first' is not a valid Choice"),
        ([{"id": "a", "choice": "A"}, {"choice": "A"}], "some rows have an id and some do not"),
        ([[1]], "a row of answers is an object"),
        ([], "holds no answers"),
    ],
)
def test_rows_that_are_no_answers_are_problems(read, rows, message):
    with pytest.raises(InputError) as caught:
        read(*rows)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"a": {"choice": "A"}}', "an entry of an object of predictions has forward and reverse"),
        ("[1, 2]", "a row of answers is an object"),
    ],
)
def test_files_that_hold_no_answers_are_problems(tmp_path, text, message):
    (tmp_path / "answers.json").write_text(text)
    with pytest.raises(InputError) as caught:
        read_replies(tmp_path / "answers.json")
    assert message in str(caught.value)
    with pytest.raises(InputError, match="cannot read"):
        read_replies(tmp_path / "absent.json")


def test_answers_for_other_pairs_are_refused(read):
    with pytest.raises(InputError) as caught:
        match(read({"id": "x", "choice": "A"}), PAIRS)
    assert "is for one of the 3 pairs" in str(caught.value)
    assert "It answers for x; the pairs are pair-0, pair-1, pair-2." in str(caught.value)
