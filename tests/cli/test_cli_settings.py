"""Where an option's value comes from: the command line, the environment, the config file, the default."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from arrkit.cli.app import app
from arrkit.cli.bind import COMMANDS
from arrkit.options import declared


@pytest.fixture
def arrkit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, **variables):
        return CliRunner().invoke(app, arguments, env=variables)

    return run


def values(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def shown(arrkit, *arguments, **variables):
    return values(arrkit("judge", "eval", "--show-config", "--json", *arguments, **variables))


def test_the_command_line_wins_then_the_environment_then_the_file(arrkit, tmp_path):
    (tmp_path / "arrkit.toml").write_text("[defaults]\nseed = 1\n[judge.eval]\nlimit = 10\nseed = 2\n")
    assert shown(arrkit)["seed"] == {"value": 2, "from": "arrkit.toml"}
    assert shown(arrkit, ARRKIT_SEED="3")["seed"] == {"value": 3, "from": "ARRKIT_SEED"}
    assert shown(arrkit, "--seed", "4", ARRKIT_SEED="3")["seed"] == {"value": 4, "from": "command line"}
    assert shown(arrkit)["limit"] == {"value": 10, "from": "arrkit.toml"}
    assert shown(arrkit)["concurrency"] == {"value": 8, "from": "default"}


def test_a_named_config_file_replaces_the_one_in_the_folder(arrkit, tmp_path):
    (tmp_path / "arrkit.toml").write_text("[defaults]\nseed = 1\n")
    (tmp_path / "other.toml").write_text('[defaults]\njudge = "shapes?noise=0.1"\nby = ["category"]\n')
    told = shown(arrkit, "--config", "other.toml")
    assert told["seed"]["from"] == "default"
    assert told["judge"] == {"value": ["shapes?noise=0.1"], "from": "other.toml"}
    assert told["by"] == {"value": ["category"], "from": "other.toml"}


def test_hyphens_and_underscores_are_one(arrkit, tmp_path):
    (tmp_path / "arrkit.toml").write_text("[judge.eval]\ntie-credit = 0.0\nimage_root = 'x'\n")
    told = shown(arrkit)
    assert told["tie-credit"]["value"] == 0.0
    assert told["image-root"]["value"] == "x"


def test_every_problem_of_a_config_file_is_told_at_once(arrkit, tmp_path):
    (tmp_path / "arrkit.toml").write_text(
        "[defaults]\nsead = 1\n[judge.eval]\nlimits = 3\n[judge.evil]\n[juge]\n"
        "[judge.bias]\norders = 'both'\n"
    )
    result = arrkit("judge", "eval")
    assert result.exit_code == 2
    for said in (
        'unknown key "sead" in [defaults] (did you mean "seed"?)',
        'unknown key "limits" in [judge.eval] (did you mean "limit"?)',
        'no command is called judge evil (did you mean "eval"?)',
        'unknown table or key "juge" (did you mean "judge"?)',
        'unknown key "orders" in [judge.bias]',
        "5 problems.",
    ):
        assert said in result.stderr


def test_an_option_where_a_table_belongs_is_explained(arrkit, tmp_path):
    (tmp_path / "arrkit.toml").write_text('judge = "shapes"\n')
    result = arrkit("judge", "eval")
    assert result.exit_code == 2
    assert "[defaults]" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"), [("[[[", "is not TOML"), (None, "cannot read")], ids=["broken", "missing"]
)
def test_an_unusable_config_file_is_one_sentence(arrkit, tmp_path, content, said):
    if content is not None:
        (tmp_path / "my.toml").write_text(content)
    result = arrkit("judge", "eval", "--config", "my.toml")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_bad_value_names_the_option(arrkit):
    result = arrkit("judge", "eval", "--limit", "0")
    assert result.exit_code == 2
    assert "--limit" in result.stderr


def test_every_command_has_an_example_and_every_option_a_help(arrkit):
    for command, options in COMMANDS.items():
        text = arrkit(*command.split(), "--help").stdout
        assert "Example: arrkit " in text
        for each in declared(options):
            assert each.opt.help, f"{command} {each.name}"


def test_completion_knows_the_commands(arrkit):
    result = arrkit(_ARRKIT_COMPLETE="complete_bash", COMP_WORDS="arrkit rubric b", COMP_CWORD="2")
    assert result.stdout.split() == ["build"]
