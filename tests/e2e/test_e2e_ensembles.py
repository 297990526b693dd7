"""Several embedded judges as one, from the command line."""

from __future__ import annotations

import json

import pytest

NOISY, KEEN = "shapes?noise=0.3", "shapes"
BOTH = ("--judge", NOISY, "--judge", KEEN)


def test_a_cascade_of_embedded_judges_is_measured_and_resumed(arrkit, folder):
    command = ("judge", "eval", *BOTH, "--ensemble", "cascade", "--rubric", "t2i-general", "--limit", "24")
    command += ("--margin", "0.02", "--out", "run")
    told = arrkit(*command, COLUMNS="160")
    assert told.exit_code == 0, told.output
    report = json.loads((folder / "run" / "report.json").read_text())
    assert report["judge"] == f"cascade of {NOISY}, then {KEEN}"
    for row in report["rows"]:
        first, second = row["stages"]
        assert (first["judge"], second["judge"]) == (NOISY, KEEN)
        assert first["stats"]["pairs"] == 24
        assert 0 < second["stats"]["pairs"] < 24
        left = round((1 - first["settled"]["value"]) * 24)
        assert second["stats"]["pairs"] == left
        assert first["cost"]["calls"] == 2.0
        assert second["cost"]["calls"] == pytest.approx(2 * left / 24)
    bare, ruled = report["rows"]
    assert bare["calibration"] == []
    assert [each["kind"] for each in ruled["calibration"]] == ["margin", "P(yes)"]
    assert "settled %" in told.output
    assert "expected error %" in told.output
    page = (folder / "run" / "report.html").read_text()
    assert "P(yes) for each criterion and image" in page

    again = arrkit(*command, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["rows"] == report["rows"]
    assert json.loads(again.stdout)["asked"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (BOTH, "nothing says how they decide together"),
        (("--judge", KEEN, "--ensemble", "mean"), "needs at least two judges"),
        (("--ensemble", "majority"), "needs at least two judges"),
        (("--judge", KEEN, "--judge", KEEN, "--ensemble", "mean"), "named twice"),
        ((*BOTH, "--ensemble", "mean", "--margin", "0.2"), "--margin is for a cascade"),
        ((*BOTH, "--ensemble", "mean", "--dry-run"), "sends nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused(arrkit, folder, options, said):
    result = arrkit("judge", "eval", *options)
    assert result.exit_code == 2
    assert said in result.output
    assert not (folder / "runs").exists()


def test_a_config_file_and_the_environment_may_name_one_judge_or_several(arrkit, folder):
    command = ("judge", "eval", "--limit", "2", "--json")
    (folder / "arrkit.toml").write_text(f'[defaults]\njudge = "{NOISY}"\n')
    assert json.loads(arrkit(*command).stdout)["judge"] == NOISY
    assert json.loads(arrkit(*command, "--judge", KEEN).stdout)["judge"] == KEEN
    assert json.loads(arrkit(*command, ARRKIT_JUDGE=KEEN).stdout)["judge"] == KEEN
    (folder / "arrkit.toml").write_text(f'[judge.bias]\njudge = ["{NOISY}", "{KEEN}"]\nensemble = "mean"\n')
    report = json.loads(arrkit("judge", "bias", "--limit", "2", "--json").stdout)
    assert report["judge"] == f"mean of {NOISY}, {KEEN}"
