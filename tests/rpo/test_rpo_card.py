"""The model card and the page of a training run: what they say, and that no words of others break them."""

from __future__ import annotations

import ast
import re

import pytest
import yaml
from PIL import Image

from arrkit.commands.inputs import open_rubrics
from arrkit.commands.rpo_page import TrainingFacts, training_page, verdict
from arrkit.data.pairs import Task
from arrkit.judge.stats import wilson
from arrkit.rpo.against import Comparison, Evaluation, evaluation_metrics
from arrkit.rpo.card import CardFacts, CardPicture, model_card
from arrkit.rpo.history import History
from arrkit.rpo.looks import Drift
from arrkit.rpo.recipe import PRESETS, Preset, Recipe
from arrkit.rpo.sheet import SheetRow
from arrkit.runs.page import render_page

HOSTILE = 'a "red" | circle\n---\n# <b>`x`</b> [y](z) \\ é 圆'


def evaluation(update: int = 25, share: float = 0.8, **more) -> Evaluation:
    rate = wilson(share * 50, 50)
    found = Comparison(40, 2, 8, 3, rate, wilson(45, 50), wilson(26, 50), {"colour": wilson(30, 50)})  # type: ignore[dict-item]
    return Evaluation(update, found, **more)


def facts(**more) -> CardFacts:
    known: dict[str, object] = {
        "policy": "flux:black-forest-labs/FLUX.1-dev?size=512",
        "task": Task.T2I,
        "base_model": "black-forest-labs/FLUX.1-dev",
        "judge": "vllm:Qwen/Qwen3-VL-8B-Instruct",
        "rubric": "mine",
        "digest": "sha256:abc",
        "criteria": {"colour": "Colours are those | that the prompt names."},
        "recipe": PRESETS[Preset.PAPER],
        "updates": 300,
        "seed": 7,
        "evaluation": evaluation(),
        "sheet": "sheets/last.png",
        "pictures": (CardPicture("a red circle", "pictures/0.png"),),
    }
    return CardFacts(**(known | more))  # type: ignore[arg-type]


def front(card: str) -> dict[str, object]:
    head, body = card.removeprefix("---\n").split("\n---\n", 1)
    assert body
    return yaml.safe_load(head)


def code(card: str) -> str:
    (found,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    return found


class TestCard:
    def test_the_front_matter_is_what_the_hub_expects(self):
        assert front(model_card(facts())) == {
            "base_model": "black-forest-labs/FLUX.1-dev",
            "base_model_relation": "adapter",
            "library_name": "diffusers",
            "pipeline_tag": "text-to-image",
            "tags": [
                "text-to-image",
                "diffusers",
                "diffusers-training",
                "lora",
                "template:sd-lora",
                "rpo",
                "arrkit",
            ],
            "widget": [{"text": "a red circle", "output": {"url": "pictures/0.png"}}],
        }

    def test_it_says_how_good_it_is_and_how_it_was_made(self):
        card = model_card(facts(alarms=("things are smaller",)))
        assert "**80.0 % (95 % interval 67.0 to 88.8, n 50)**: 40 won, 2 tied, 8 lost, 3 without" in card
        assert "| Colours are those \\| that the prompt names. | 60.0 %" in card
        assert "| rubric digest | `sha256:abc` |" in card
        assert "| noise | `dance` |" in card
        assert "| lose | `-0.1` |" in card
        assert "![Before and after training](sheets/last.png)" in card
        assert "Look at these before you use it:**\n\n- things are smaller" in card

    def test_a_watched_rubric_is_told(self):
        watched = Comparison(5, 0, 5, 0, wilson(5, 10))
        card = model_card(facts(evaluation=evaluation(watched=watched)))
        assert "which it was not trained on: 50.0 %" in card

    def test_without_a_comparison_it_claims_nothing(self):
        card = model_card(facts(evaluation=None))
        assert "It was not compared with its base model." in card
        assert "%" not in card

    @pytest.mark.parametrize("task", [Task.T2I, Task.EDIT])
    def test_the_code_loads_the_adapter(self, task):
        source = code(model_card(facts(task=task, pictures=(CardPicture(HOSTILE, "0.png"),))))
        calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        assert "DiffusionPipeline.from_pretrained" in calls
        assert "pipe.load_lora_weights" in calls
        assert ("load_image" in calls) == (task is Task.EDIT)

    def test_a_model_outside_diffusers_is_used_with_arrkit(self):
        card = model_card(facts(base_model="", policy="shapes?size=96&x=1", pictures=()))
        assert "```python" not in card
        assert "arrkit rpo sample --policy 'shapes?size=96&x=1' --lora . --prompt" in card
        assert front(card)["library_name"] == "arrkit"
        assert "base_model" not in front(card)

    def test_a_folder_is_no_name_on_the_hub(self, tmp_path, monkeypatch):
        assert "base_model" not in front(model_card(facts(base_model=str(tmp_path))))
        monkeypatch.chdir(tmp_path)
        assert "base_model" in front(model_card(facts(base_model="models/flux")))
        (tmp_path / "models" / "flux").mkdir(parents=True)
        assert "base_model" not in front(model_card(facts(base_model="models/flux")))

    def test_words_of_others_stay_words(self):
        card = model_card(
            facts(
                pictures=(CardPicture(HOSTILE, "0.png"),),
                criteria={"colour": HOSTILE},
                alarms=(HOSTILE,),
                judge="vllm:a|b`c",
            )
        )
        assert front(card)["widget"] == [{"text": HOSTILE, "output": {"url": "0.png"}}]
        prose = card.split("\n---\n", 1)[1].replace(code(card), "")
        assert not re.search(r"(?<!\\)<b", prose)
        assert "\n# \\<b" not in card
        tables = [line for line in card.splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {3}


def history(**drifts: Drift) -> History:
    rows: list[dict[str, float]] = [
        {
            "step": step,
            "loss": 1 / step,
            "judge/pairs": 8,
            "judge/failures": step == 3,
            "judge/tie_rate": 0.25,
            "judge/consistency": 0.9,
            "judge/first_rate": 0.5,
            "log_ratio/1": 0.0,
            "log_ratio/10": 0.1,
            "seconds": 2.0,
            "seconds/rollout": 1.0,
            "seconds/train": 0.5,
            "skipped": step == 2,
        }
        for step in range(1, 6)
    ]
    rows[1] |= evaluation_metrics(evaluation(2, 0.5))
    rows[4] |= evaluation_metrics(evaluation(5, 0.8, drifts=drifts))
    return History.from_rows(rows)


def page_facts(**more) -> TrainingFacts:
    known: dict[str, object] = {
        "policy": "shapes",
        "judge": "shapes",
        "started_at": "2026-01-02T03:04:05Z",
        "recipe": Recipe(max_steps=5),
        "seed": 0,
        "rubrics": open_rubrics(["shapes-t2i"]),
    }
    return TrainingFacts(**(known | more))  # type: ignore[arg-type]


class TestPage:
    def test_it_shows_curves_tables_and_pictures(self):
        row = SheetRow(
            HOSTILE, Image.new("RGB", (9, 9)), Image.new("RGB", (9, 9), "red"), won=True, judged=True
        )
        page = training_page(history(), page_facts(pictures=[row]))
        curves = {plot.title: plot for plot in page.curves}
        assert [point for point, _ in curves["Win-rate against the base model"].curves[0].points] == [2, 5]
        assert [curve.label for curve in curves["Log-ratio to the policy that sampled"].curves] == [
            "step 1",
            "step 10",
        ]
        assert "Clipped transitions" not in curves
        comparisons, time = page.tables
        assert [each[0] for each in comparisons.rows] == [2, 5]
        assert time.rows == (("rollout", 5.0, 0.5), ("train", 2.5, 0.25))
        assert [image.caption for image in page.galleries[0].rows[0].images] == ["base", "trained"]
        assert ("Images judged", "80") in page.facts
        assert "1 of 40 training pairs got no ruling from the judge." in page.notes
        assert any(note.startswith("Updates skipped: 1.") for note in page.notes)
        html = render_page(page)
        assert "<b>`" not in html
        assert html.count("<svg viewBox") == 6

    def test_alarms_come_first_among_the_notes(self):
        shrunk = Drift(0.2, 0.1, -0.5, -0.6, -0.4, 50)
        page = training_page(history(coverage=shrunk), page_facts())
        assert page.notes[0].startswith("Alarm after 5 updates: While the win-rate rose to 80%")
        assert "The alarm went off (coverage)" in page.summary

    def test_a_run_that_has_hardly_begun_has_a_page(self):
        page = training_page(History(()), page_facts(rubrics=()))
        assert page.summary == "After 0 updates the policy has not been compared with its base model."
        render_page(page)

    @pytest.mark.parametrize(
        ("share", "said"), [(0.8, "beats its base"), (0.55, "cannot be told"), (0.2, "is worse than")]
    )
    def test_the_verdict_keeps_to_its_interval(self, share, said):
        assert said in verdict(25, [evaluation(25, share)])
