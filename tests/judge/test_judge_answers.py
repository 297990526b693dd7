"""From a model's words to values: what is read, what is mended, and what is refused as ambiguous."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from arrkit.judge.answers.extract import Unreadable, extract_object, read_json
from arrkit.judge.answers.fits import fits
from arrkit.judge.answers.read import (
    ANSWERS,
    SIDES,
    read_proposal,
    read_ranking,
    read_scores,
    read_structure,
    read_verdict,
)
from arrkit.judge.answers.schemas import (
    CHOICES,
    CRITERION_ANSWERS,
    LETTERS,
    proposal_schema,
    ranking_schema,
    scores_schema,
    structure_schema,
    verdict_schema,
)
from arrkit.judge.asking import total_usage
from arrkit.judge.pooling import CHUNK, split
from arrkit.judge.protocol import Answer, Draft, Side, Usage
from arrkit.judge.scoring import likeliest, shares

IDS = ("bright", "sharp", "count-2")
DRESSES = (
    "{}",
    "```json\n{}\n```",
    "```\n{}\n```",
    "Here is my verdict:\n\n{}\n\nI hope it helps {{and}} that {{}} is fine.",
    '<think>First I thought {{"verdict": "B"}}.</think>\n{}',
    "  \n{}\n  ",
    "{}\n{}",
)


def verdict(answers: Sequence[str], choice: str, override: str = "", reasoning: str = "Look.") -> dict:
    entries = [
        {"id": name, "evidence": f"seen {name}", "answer": answer}
        for name, answer in zip(IDS, answers, strict=False)
    ]
    return {"reasoning": reasoning, "criteria": entries, "override": override, "verdict": choice}


# --- one object, or none


def dressed(dress: str, text: str) -> str:
    return dress.replace("{}", "\0").replace("{{", "{").replace("}}", "}").replace("\0", text)


@given(
    st.lists(st.sampled_from(CRITERION_ANSWERS), min_size=3, max_size=3),
    st.sampled_from(CHOICES),
    st.text(max_size=40),
    st.sampled_from([dress for dress in DRESSES if "{{}}" not in dress]),
    st.permutations(range(3)),
    st.booleans(),
)
def test_every_verdict_comes_back_as_it_was_written(answers, choice, reasoning, dress, order, ascii_only):
    record = verdict(answers, choice, "for a reason", reasoning)
    record["criteria"] = [record["criteria"][place] for place in order]
    text = json.dumps(record, ensure_ascii=ascii_only)
    read = read_verdict(dressed(dress, text), IDS)
    assert read.preferred is SIDES[choice]
    assert [(each.criterion, each.answer) for each in read.findings] == [
        (name, ANSWERS[answer]) for name, answer in zip(IDS, answers, strict=True)
    ]
    assert read.rationale.startswith(reasoning.strip())


@given(st.text())
@example("{" * 100_000)
@example("[" * 100_000)
@example('{"a":' * 100_000)
def test_no_text_breaks_the_reader(text):
    with contextlib.suppress(Unreadable):
        assert isinstance(extract_object(text), dict)


@given(st.integers(min_value=1))
def test_no_cut_answer_passes_for_an_answer(cut):
    text = json.dumps(verdict(["A", "B", "equal"], "A"))
    with pytest.raises(Unreadable):
        read_verdict(text[: cut % len(text)], IDS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("<think>hm</think>", "empty"),
        ("Image A.", "no JSON object"),
        ("[]", "must be a JSON object"),
        ('"A"', "must be a JSON object"),
        ('[{"verdict": "A"}]', "must be a JSON object"),
        ('{"verdict": "A"} or {"verdict": "B"}', "2 different JSON objects"),
        ('{"verdict": "A", "verdict": "B"}', '"verdict" stands twice'),
        ('Well: {"verdict": "A", "why": {"verdict": "B"}', "breaks off"),
        ('{"score": NaN}', "NaN"),
    ],
)
def test_what_is_ambiguous_or_broken_is_refused(text, said):
    with pytest.raises(Unreadable, match=said):
        extract_object(text)


def test_the_same_object_twice_is_one():
    assert extract_object('Draft: {"a": 1}\nFinal: {"a": 1}') == {"a": 1}


def test_line_breaks_inside_strings_are_forgiven():
    assert extract_object('{"a": "one\ntwo"}') == {"a": "one\ntwo"}


def test_a_message_names_the_place_and_is_short():
    record = verdict(["A", "B", "maybe"], "C")
    del record["reasoning"]
    with pytest.raises(Unreadable) as trouble:
        read_verdict(json.dumps(record), IDS)
    said = str(trouble.value)
    assert "criteria.2.answer: 'maybe' is not one of" in said
    assert "'reasoning' is a required property" in said
    with pytest.raises(Unreadable) as trouble:
        read_json(json.dumps({"x" * 5000: 1}), verdict_schema(()))
    assert len(str(trouble.value)) < 1000


def test_half_a_surrogate_pair_does_not_reach_a_file():
    text = '{"reasoning": "\\ud800", "verdict": "A"}'
    read_verdict(text, ()).rationale.encode()


# --- what no schema says


@pytest.mark.parametrize(
    ("answers", "choice", "fine"),
    [
        (("A", "A", "equal"), "A", True),
        (("A", "A", "equal"), "B", False),
        (("A", "A", "equal"), "tie", False),
        (("B", "cannot_tell", "equal"), "A", False),
        (("A", "B", "equal"), "B", True),
        (("A", "B", "equal"), "tie", True),
        (("equal", "equal", "cannot_tell"), "B", True),
    ],
)
def test_a_choice_against_all_decisive_criteria_says_why(answers, choice, fine):
    read_verdict(json.dumps(verdict(answers, choice, "It is cut in half.")), IDS)
    if fine:
        read_verdict(json.dumps(verdict(answers, choice)), IDS)
        return
    with pytest.raises(Unreadable, match="does not say why"):
        read_verdict(json.dumps(verdict(answers, choice, "  ")), IDS)


def test_every_criterion_is_answered_once():
    record = verdict(["A", "A", "A"], "A")
    record["criteria"][2]["id"] = "bright"
    with pytest.raises(Unreadable, match='"bright" 2 times, "count-2" 0 times'):
        read_verdict(json.dumps(record), IDS)


@given(st.integers(3, 8).flatmap(lambda count: st.permutations(LETTERS[:count])))
def test_a_ranking_gives_each_candidate_its_place(letters):
    text = json.dumps({"reasoning": "", "ranking": list(letters)})
    ranks = read_ranking(text, (), len(letters)).ranks
    assert sorted(ranks) == list(range(1, len(letters) + 1))
    assert [letters[rank - 1] for rank in ranks] == list(LETTERS[: len(letters)])


@pytest.mark.parametrize(
    "ranking", [["A", "A", "B"], ["A", "B"], ["A", "B", "C", "A"], ["A", "B", "D"], [1, 2, 3], "ABC"]
)
def test_tied_short_and_strange_rankings_are_refused(ranking):
    with pytest.raises(Unreadable):
        read_ranking(json.dumps({"reasoning": "", "ranking": ranking}), (), 3)


@pytest.mark.parametrize("score", [-1, 11, 3.5, "7", True, [7]])
def test_scores_off_the_scale_are_refused(score):
    text = json.dumps({"criteria": [{"id": "bright", "evidence": "", "score": score}]})
    with pytest.raises(Unreadable):
        read_scores(text, ("bright",), 0, 10)


@pytest.mark.parametrize(
    "statement",
    ["", "Image A is bright.", "The first image is bright.", "图像A更亮。", "第二张图里有狗。", "左图更清晰"],
)
def test_a_proposal_without_one_usable_statement_is_refused(statement):
    def proposal(*statements):
        return json.dumps(
            {
                "reasoning": "",
                "criteria": [{"statement": each, "guidance": "", "dimension": ""} for each in statements],
            }
        )

    with pytest.raises(Unreadable):
        read_proposal(proposal(statement), 5)
    assert read_proposal(proposal(statement, "The sky is blue."), 5) == (Draft("The sky is blue."),)


def structure(*members: list[int], name="Light", statement="It is lit."):
    criteria = [{"statement": statement, "guidance": "", "members": each} for each in members]
    return json.dumps({"dimensions": [{"name": name, "description": "", "criteria": criteria}]})


def test_members_are_used_once_and_may_be_left_out():
    (dimension,) = read_structure(structure([3, 1], [4, 4]), 5, 2)
    assert [each.members for each in dimension.criteria] == [(2, 0), (3,)]
    for text in (
        structure([1], [1]),
        structure([0]),
        structure([6]),
        structure([]),
        structure([1], name=" "),
        structure([1], statement=""),
    ):
        with pytest.raises(Unreadable):
            read_structure(text, 5, 2)


# --- schemas


ALLOWED = {
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "enum",
}


@pytest.mark.parametrize(
    "schema",
    [
        verdict_schema(()),
        verdict_schema(IDS),
        ranking_schema(IDS, 5),
        scores_schema(IDS, 0, 10),
        proposal_schema(5),
        structure_schema(150, 5),
    ],
)
def test_schemas_keep_to_the_dialect_that_all_endpoints_share(schema):
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"

    def walk(node):
        assert set(node) <= ALLOWED
        if node["type"] == "object":
            assert node["required"] == list(node["properties"])
            assert node["additionalProperties"] is False
            for child in node["properties"].values():
                walk(child)
        if node["type"] == "array":
            walk(node["items"])
        if "enum" in node:
            assert all(isinstance(word, str) for word in node["enum"])

    walk(schema)


def test_reasoning_leads_and_the_choice_comes_last():
    assert list(verdict_schema(IDS)["properties"]) == ["reasoning", "criteria", "override", "verdict"]
    entry = verdict_schema(IDS)["properties"]["criteria"]["items"]["properties"]
    assert list(entry) == ["id", "evidence", "answer"]


def test_answers_and_choices_are_all_understood():
    assert set(ANSWERS) == set(CRITERION_ANSWERS)
    assert set(ANSWERS.values()) == set(Answer)
    assert set(SIDES) == set(CHOICES)
    assert {SIDES["A"], SIDES["B"]} == set(Side)


# --- probabilities, usage, pools


@given(st.dictionaries(st.sampled_from(["A", "B", "tie", "C"]), st.floats(0, 1)))
def test_shares_sum_to_one_or_do_not_exist(found):
    part = shares(found, ("A", "B", "tie"))
    if part is None:
        assert not any(found.get(word, 0) for word in ("A", "B", "tie"))
    else:
        assert sum(part.values()) == pytest.approx(1)
        assert part[likeliest(part, "tie")] == max(part.values()) or len(set(part.values())) < 3


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_exchanging_the_letters_exchanges_the_choice(a, b, tie):
    there = shares({"A": a, "B": b, "tie": tie}, CHOICES)
    back = shares({"A": b, "B": a, "tie": tie}, CHOICES)
    assert (there is None) == (back is None)
    if there and back:
        flipped = {"A": "B", "B": "A", "tie": "tie"}
        assert likeliest(back, "tie") == flipped[likeliest(there, "tie")]


def test_a_sum_with_an_unknown_part_is_unknown():
    known = Usage(1, 2, 3, 4, 0.5)
    assert total_usage([known, known]) == Usage(2, 4, 6, 8, 1.0)
    assert total_usage([known, Usage(1)]) == Usage(2, None, None, None, None)
    assert total_usage([]) == Usage()


@given(st.lists(st.sampled_from(["light", "Light", "colour", ""]), min_size=1, max_size=700))
def test_a_split_pool_is_whole_balanced_and_within_bounds(hints):
    chunks = split([Draft("x", dimension=hint) for hint in hints])
    assert sorted(index for chunk in chunks for index in chunk) == list(range(len(hints)))
    sizes = [len(chunk) for chunk in chunks]
    assert max(sizes) <= CHUNK
    assert max(sizes) - min(sizes) <= 1


# --- the quick look

ODD = st.sampled_from([None, True, 1.0, 0, 99, "", "A", "tie", [], {}])


@st.composite
def nearly(draw, schema):
    """A value that ``schema`` allows, or one that departs from it in places."""
    if draw(st.integers(0, 19)) == 0:
        return draw(ODD)
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    kinds = schema["type"]
    if kinds == "string":
        return draw(st.text(max_size=3))
    if kinds == "array":
        low, high = schema["minItems"], min(4, schema["maxItems"])
        size = draw(st.integers(max(0, low - draw(st.sampled_from([0, 0, 0, 1]))), max(low, high)))
        return [draw(nearly(schema["items"])) for _ in range(size)]
    if kinds == "object":
        made = {name: draw(nearly(each)) for name, each in schema["properties"].items()}
        if draw(st.integers(0, 19)) == 0:
            made.pop(draw(st.sampled_from(sorted(made))))
        if draw(st.integers(0, 19)) == 0:
            made["more"] = "text"
        return made
    if "null" in kinds and draw(st.booleans()):
        return None
    return draw(st.integers(schema["minimum"] - 1, schema["maximum"]))


SCHEMAS = st.sampled_from(
    [
        verdict_schema(IDS),
        verdict_schema(()),
        ranking_schema(IDS, 3),
        scores_schema(IDS, 0, 10),
        proposal_schema(2),
        structure_schema(3, 2),
    ]
)


@given(SCHEMAS.flatmap(lambda schema: st.tuples(st.just(schema), nearly(schema))))
def test_the_quick_look_agrees_with_the_validator(case):
    schema, value = case
    assert fits(value, schema) is Draft202012Validator(schema).is_valid(value)


def test_the_quick_look_leaves_to_the_validator_what_it_does_not_know():
    assert fits("ab", {"type": "string"})
    assert not fits("ab", {"type": "string", "minLength": 1})
    assert not fits({}, {"type": "object", "properties": {}})
    assert not fits("ab", {})
