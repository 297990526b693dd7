"""The statistics, against a judge whose faults have a known size; the whole loop, from pairs to a gain."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def measured(arrkit):
    """The rows of a ``judge`` command's report."""

    def run(*arguments):
        result = arrkit("judge", *arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["rows"]

    return run


def stats(rows):
    return rows[-1]["stats"]


def holds(rate, value):
    return rate["low"] <= value <= rate["high"]


def test_a_preference_for_the_first_image_is_found_at_its_size(measured):
    found = stats(measured("bias", "--judge", "shapes?primacy=0.4"))
    assert holds(found["gap"], 0.4)
    assert found["gap"]["low"] > 0.25
    assert holds(found["first_rate"], 0.7)
    assert holds(found["consistency"], 0.6)
    assert found["mean"]["value"] == pytest.approx(
        (found["forward"]["value"] + found["reverse"]["value"]) / 2, abs=1e-12
    )


def test_a_judge_without_the_fault_shows_none(measured):
    found = stats(measured("bias", "--limit", "100"))
    assert found["gap"]["value"] == 0
    assert found["consistency"]["value"] == 1
    assert holds(found["first_rate"], 0.5)


def test_a_judge_that_always_says_first_is_unmasked(measured, arrkit):
    command = ("bias", "--judge", "shapes?primacy=1", "--limit", "100")
    found = stats(measured(*command))
    assert found["mean"]["value"] == pytest.approx(0.5)
    assert found["gap"]["value"] == 1
    assert found["consistency"]["value"] == 0
    assert found["first_rate"]["value"] == 1
    assert found["both_right"]["value"] == 0
    said = arrkit("judge", *command).stdout
    assert "a severe bias for the image shown first (100.0 points)" in said


def test_noise_takes_accuracy_and_no_coverage(measured):
    under = ("--rubric", "edit-general", "--no-baseline", "--dataset", "shapes-edit:test?noise=0")
    clear = stats(measured("eval", *under, "--limit", "50"))
    noisy = stats(measured("eval", *under, "--limit", "50", "--judge", "shapes?noise=1"))
    assert clear["accuracy"]["low"] > 0.5
    assert holds(noisy["accuracy"], 0.5)
    assert noisy["coverage"]["value"] >= clear["coverage"]["value"]


def test_an_outage_takes_coverage_and_no_accuracy(measured):
    data = ("--limit", "100", "--concurrency", "64")
    sound = stats(measured("eval", *data))
    # Each call is tried three times, so that 0.8 ** 3 of the judgments fail for good.
    failing = stats(measured("eval", *data, "--judge", "shapes?fail=0.8"))
    assert sound["coverage"]["value"] > 0.95
    assert holds(failing["coverage"], sound["coverage"]["value"] * (1 - 0.8**3))
    ends = failing["outcomes"]
    assert ends["failed"] > 0
    assert sum(ends.values()) == failing["expected"]
    assert ends["ok"] + ends["tie"] == failing["decided"]
    assert holds(failing["accuracy"], sound["accuracy"]["value"])
    assert failing["accuracy"]["n"] < sound["accuracy"]["n"]
    assert failing["consistency"]["value"] == sound["consistency"]["value"] == 1


@pytest.mark.parametrize(("task", "pairs"), [("edit", 100), ("t2i", 200)])
def test_a_rubric_learned_from_pairs_lifts_accuracy_by_more_than_its_interval(arrkit, measured, task, pairs):
    built = arrkit("rubric", "build", "--task", task, "--limit", pairs, "--json")
    assert built.exit_code == 0, built.output
    report = json.loads(built.stdout)
    assert report["held_out"]["rows"][1]["change"]["difference"]["low"] > 0
    assert report["rubric"]["metrics"]["difference"]["low"] > 0

    bare, under = measured("bias", "--rubric", f"rubric-{task}.json", "--limit", "100")
    assert under["change"]["difference"]["low"] > 0
    assert under["stats"]["accuracy"]["low"] > bare["stats"]["accuracy"]["high"]
