"""The policy against its base: rates, the statistics of pictures, the alarm, and the history in the log."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import pytest
from PIL import Image
from scripted import FIRST, ScriptedJudge

from arrkit.backends.registry import make_judge
from arrkit.canonical import canonical_json
from arrkit.data.pairs import Label, Task
from arrkit.data.prompts import Prompt
from arrkit.judge.session import JudgeSession
from arrkit.judge.stats import wilson
from arrkit.rpo.against import (
    Comparison,
    Evaluation,
    Sitting,
    compare,
    compare_with_base,
    evaluation,
    evaluation_metrics,
    evaluation_of,
    sit,
)
from arrkit.rpo.alarm import TOLERANCES, AlarmKind, alarms, all_alarms, difference
from arrkit.rpo.history import History
from arrkit.rpo.looks import Drift, Looks, drifts, look
from arrkit.rpo.reward import Referee
from arrkit.rpo.ruling import Ruling, no_ruling
from arrkit.rubric.model import Criterion, Dimension, Rate
from arrkit.serial import from_json, to_json
from arrkit.shapes.render import render
from arrkit.shapes.scene import Background, Colour, Scene, Shape, Thing

PROMPTS = [Prompt(f"p{n}", Task.T2I, f"picture {n}") for n in range(4)]


def flat(value: int) -> Image.Image:
    return Image.new("RGB", (8, 8), (value, 0, 0))


def scenes(count: int = 24, seed: int = 0) -> list[Scene]:
    rng = random.Random(seed)

    def thing() -> Thing:
        x, y = 0.25 + 0.5 * rng.random(), 0.25 + 0.5 * rng.random()
        return Thing(rng.choice(list(Shape)), rng.choice(list(Colour)), x, y, 0.2 + 0.1 * rng.random())

    grounds = list(Background)
    return [Scene(tuple(thing() for _ in range(1 + n % 3)), grounds[n % len(grounds)]) for n in range(count)]


def resized(scene: Scene, factor: float) -> Scene:
    return replace(scene, things=tuple(replace(each, size=each.size * factor) for each in scene.things))


def looks(several: list[Scene]) -> list[Looks]:
    return [look(render(scene, 96)) for scene in several]


class TestLooks:
    @pytest.mark.parametrize("ground", list(Background))
    def test_a_bare_ground_is_bare_and_a_circle_is_measured(self, ground):
        bare = look(render(Scene((), ground), 96))
        assert bare.coverage == 0
        assert bare.thickness is None
        assert from_json(Looks, json.loads(canonical_json(to_json(bare)))) == bare  # as processes tell others
        circle = look(render(Scene((Thing(Shape.CIRCLE, Colour.RED, 0.5, 0.5, 0.4),), ground), 96))
        assert circle.coverage == pytest.approx(math.pi * 0.2**2, rel=0.06)
        # The outline of a circle on a grid is four times its diameter: area / outline = pi d / 16.
        assert circle.thickness == pytest.approx(math.pi * 0.4 / 16, rel=0.06)

    def test_what_reaches_over_the_edge_does_not_tilt_the_ground(self):
        thing = Thing(Shape.SQUARE, Colour.BLUE, 0.15, 0.15, 0.9)
        seen = look(render(Scene((thing,), Background.DAWN), 96))
        assert seen.coverage == pytest.approx((0.15 + 0.44 * 0.9) ** 2, rel=0.05)

    def test_blur_is_less_sharp_and_grey_is_not_saturated(self):
        image = render(scenes(1)[0], 96)
        small = image.resize((24, 24), Image.Resampling.BOX).resize((96, 96), Image.Resampling.BICUBIC)
        assert look(small).sharpness < 0.7 * look(image).sharpness
        assert look(image.convert("L")).saturation == 0

    def test_size_hardly_matters(self):
        one, large = (look(render(scenes(1)[0], size)) for size in (64, 256))
        assert large.coverage == pytest.approx(one.coverage, rel=0.1)
        assert large.thickness == pytest.approx(one.thickness, rel=0.1)

    @pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 300)])
    def test_any_size_is_measured(self, size):
        assert look(Image.new("RGB", size)).coverage == 0


class TestDrifts:
    def test_smaller_things_are_told_from_fewer(self):
        base = scenes()
        smaller = drifts(looks(base), looks([resized(scene, 0.85) for scene in base]))
        fewer = drifts(looks(base), looks([replace(scene, things=scene.things[:1]) for scene in base]))
        assert smaller["thickness"].change == pytest.approx(-0.15, abs=0.02)
        assert smaller["coverage"].change == pytest.approx(0.85**2 - 1, abs=0.03)
        assert fewer["coverage"].high < -0.2
        assert abs(fewer["thickness"].change) < 0.09

    def test_the_interval_says_how_much_pairs_vary(self):
        base = [Looks(0.2, 0.1, 0.5, 0.1)] * 2 + [Looks(0.4, 0.1, 0.5, 0.1)] * 2
        steady = drifts(base, [replace(each, coverage=0.9 * each.coverage) for each in base])["coverage"]
        assert (steady.change, steady.low, steady.high) == pytest.approx((-0.1, -0.1, -0.1))
        rough = drifts(base, [Looks(0.3, 0.1, 0.5, 0.1)] * 4)["coverage"]
        assert rough.change == pytest.approx(0)
        assert rough.low < -0.2 < 0.2 < rough.high

    def test_what_does_not_exist_is_left_out(self):
        bare = [Looks(0.0, None, 0.5, 0.1)] * 3
        assert set(drifts(bare, bare)) == {"saturation", "sharpness"}
        assert drifts([], []) == {}
        with pytest.raises(ValueError, match="1 pictures"):
            drifts(bare[:1], bare)


class TestCompare:
    def test_rates(self):
        rulings = [
            Ruling(Label.A, True, 1, 2, {"x": 1.0, "y": 0.0}),
            Ruling(Label.B, True, 1, 2, {"x": -1.0}),
            Ruling(Label.TIE, False, 2, 2, {"x": 0.5}),
            no_ruling("out"),
        ]
        found = compare(rulings)
        assert (found.wins, found.ties, found.losses, found.failures) == (1, 1, 1, 1)
        assert found.win_rate == wilson(1.5, 3)
        assert found.consistency == wilson(2, 3)
        assert found.first_rate == wilson(2, 3)
        assert found.criteria == {"x": wilson(1 + 0 + 0.75, 3), "y": wilson(0.5, 1)}

    def test_without_a_ruling_there_is_no_rate(self):
        found = compare([no_ruling("out")] * 3)
        assert (found.failures, found.win_rate, found.consistency, found.first_rate) == (3, None, None, None)

    def test_a_brighter_policy_wins_and_the_base_is_even_with_itself(self):
        base = [flat(50 + n) for n in range(4)]
        with Referee(JudgeSession(ScriptedJudge())) as referee:
            better = compare_with_base(
                PROMPTS, base, [flat(200 + n) for n in range(4)], referee.submit, update=3
            )
            same = compare_with_base(PROMPTS, base, base, referee.submit, update=0)
        assert better.training.win_rate == wilson(4, 4)
        assert better.update == 3
        assert better.watched is None
        assert same.training.win_rate == wilson(2, 4)
        assert all(drift.change == 0 for drift in same.drifts.values())

    def test_a_watched_judge_is_asked_too(self):
        base, trained = [flat(50)] * 4, [flat(200)] * 4
        with (
            Referee(JudgeSession(ScriptedJudge())) as referee,
            Referee(JudgeSession(ScriptedJudge(compares=lambda request: FIRST))) as other,
        ):
            found = compare_with_base(PROMPTS, base, trained, referee.submit, update=1, watch=other.submit)
        assert found.watched is not None
        assert (found.watched.ties, found.training.wins) == (4, 4)
        assert found.watched.first_rate is not None
        assert found.watched.first_rate.value == 1.0

    def test_parts_of_several_processes_are_one_sitting(self):
        base, trained = [flat(50 + n) for n in range(4)], [flat(200 + n) for n in range(4)]
        with Referee(JudgeSession(ScriptedJudge())) as referee:

            def part(which: slice) -> Sitting:
                return sit(PROMPTS[which], base[which], trained[which], referee.submit, update=1)

            whole, parts = part(slice(None)), [part(slice(0, None, 2)), part(slice(1, None, 2))]
        sent = [from_json(Sitting, json.loads(json.dumps(to_json(each)))) for each in parts]
        joined = evaluation(1, Sitting.joined(sent))
        assert joined.training == evaluation(1, whole).training
        assert joined.drifts["saturation"].n == 4

    def test_an_evaluation_can_be_read_from_the_log(self):
        rulings = [Ruling(Label.A, True, 1, 2, {"no-extras": 1.0, "x": 0.0})] * 5
        looks = ((Looks(share, 0.1, 0.1, 0.1),) * 5 for share in (0.1, 0.2))
        sitting = Sitting(tuple(rulings), (no_ruling("out"),) * 5, *looks)
        found = evaluation(7, sitting)
        row = json.loads(json.dumps(evaluation_metrics(found)))
        assert evaluation_of(7, row) == found
        assert row["eval/win_rate"] == 1.0
        assert evaluation_of(7, {"loss": 1.0}) is None


def rate(value: float, n: int = 64) -> Rate:
    found = wilson(value * n, n)
    assert found is not None
    return found


def point(update: int, training: float, watched: float | None = None, **drift: Drift) -> Evaluation:
    return Evaluation(
        update,
        Comparison(0, 0, 0, 0, rate(training)),
        None if watched is None else Comparison(0, 0, 0, 0, rate(watched)),
        drift,
    )


SHRUNK = Drift(0.2, 0.16, -0.2, -0.25, -0.15, 64)


class TestAlarm:
    def test_nothing_is_said_of_a_run_that_goes_well(self):
        history = [point(0, 0.5, 0.5), point(25, 0.7, 0.68), point(50, 0.85, 0.75)]
        assert alarms(history) == ()
        assert alarms([]) == ()

    def test_parting_from_the_base(self):
        history = [point(0, 0.5, 0.5), point(25, 0.8, 0.3)]
        (alarm,) = alarms(history)
        assert (alarm.kind, alarm.update, alarm.what) == (AlarmKind.PARTING, 25, "watched")
        assert "rose from 50% (the base model) to 80%" in alarm.message
        assert "fell from 50% to 30%" in alarm.message

    def test_parting_from_the_best_that_was_seen(self):
        history = [point(25, 0.7, 0.8), point(50, 0.9, 0.52)]
        (alarm,) = alarms(history)
        assert "rose from 70% (update 25) to 90%" in alarm.message
        assert "fell from 80% to 52%" in alarm.message

    @pytest.mark.parametrize(
        ("training", "watched"),
        [
            (0.8, 0.45),  # the watched one may have fallen by chance
            (0.55, 0.2),  # the policy is not better than its base
        ],
    )
    def test_what_chance_explains_is_no_alarm(self, training, watched):
        assert alarms([point(0, 0.5, 0.5), point(25, training, watched)]) == ()

    def test_both_falling_is_a_bad_run_and_not_a_hack(self):
        assert alarms([point(25, 0.95, 0.9), point(50, 0.7, 0.55)]) == ()

    def test_drift_is_told_with_numbers(self):
        (alarm,) = alarms([point(25, 0.8, coverage=SHRUNK)])
        assert (alarm.kind, alarm.what) == (AlarmKind.DRIFT, "coverage")
        assert "covers less of the picture" in alarm.message
        assert "coverage −20% (−25% to −15% over 64 prompts, 0.2 to 0.16)" in alarm.message

    @pytest.mark.parametrize(
        "drift",
        [
            replace(SHRUNK, change=-0.1),  # within what is allowed
            replace(SHRUNK, low=-0.45, high=0.05),  # may be chance
        ],
    )
    def test_small_or_doubtful_drift_is_none(self, drift):
        assert alarms([point(25, 0.8, coverage=drift)]) == ()

    def test_drift_without_a_gain_is_none(self):
        assert alarms([point(25, 0.5, coverage=SHRUNK)]) == ()

    def test_every_statistic_has_a_tolerance_and_words(self):
        for name, (least, most) in TOLERANCES.items():
            for change in (2 * least, 2 * most):
                drift = Drift(1.0, 1 + change, change, change - 0.01, change + 0.01, 50)
                assert alarms([point(25, 0.8, **{name: drift})])[0].message.count(name) >= 1
        assert set(TOLERANCES) == set(Looks.__dataclass_fields__)

    def test_an_alarm_that_goes_on_is_told_once(self):
        history = [
            point(0, 0.5),
            point(25, 0.8, coverage=SHRUNK),
            point(50, 0.8, coverage=SHRUNK),
            point(75, 0.8),
            point(100, 0.8, coverage=SHRUNK),
        ]
        assert [alarm.update for alarm in all_alarms(history)] == [25, 100]

    def test_the_interval_of_a_difference(self):
        # Newcombe's example: 56/70 and 48/80 differ by 0.2 (0.0524 to 0.3339) by his method 10.
        one, other = wilson(56, 70), wilson(48, 80)
        assert one is not None
        assert other is not None
        found = difference(one, other)
        assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)

    def test_the_hack_of_the_shapes_world_is_caught(self):
        """Things that are painted in the right colour but small please a rubric that speaks of colour."""

        def beside(size: float, colour: Colour = Colour.RED) -> Scene:
            one = Thing(Shape.CIRCLE, colour, 0.35, 0.5, size)
            return Scene((one, Thing(Shape.SQUARE, Colour.BLUE, 0.65, 0.5, size)), Background.MINT)

        def painted(scene: Scene) -> list[Image.Image]:
            return [render(scene, size) for size in range(64, 96, 2)]

        prompts = [
            Prompt(f"p{n}", Task.T2I, "a drawing of a red circle and a blue square on a mint background")
            for n in range(16)
        ]
        base, small, honest = (
            painted(beside(0.26, Colour.GREEN)),
            painted(beside(0.18)),
            painted(beside(0.26)),
        )
        colour = Criterion("colour", "The objects have the colours that the prompt asks for")
        dimensions = (Dimension("colour", "Colour", (colour,)),)
        with Referee(JudgeSession(make_judge("shapes")), dimensions) as referee:
            hacked = compare_with_base(prompts, base, small, referee.submit, update=25)
            fine = compare_with_base(prompts, base, honest, referee.submit, update=25)
        assert hacked.training.wins == fine.training.wins == 16
        assert {alarm.what for alarm in alarms([hacked])} == {"coverage", "thickness"}
        assert alarms([fine]) == ()


class TestHistory:
    def test_rows_of_one_update_are_one_and_numbers_alone_count(self):
        history = History.from_rows(
            [
                {"step": 1, "loss": 0.5, "note": "hello", "bad": math.nan},
                {"step": 2, "loss": 0.4},
                {"step": 2, "eval": {"wins": 3}},
                {"loss": 9.0, "seconds": {"judge": 1.0}},
            ]
        )
        assert history.rows == ({"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.4, "eval/wins": 3})
        assert history.series("loss") == [(1, 0.5), (2, 0.4)]
        assert history.keys("eval/") == ("eval/wins",)
        assert (history.updates, history.total("loss")) == (2, pytest.approx(0.9))

    def test_what_a_resumed_run_did_again_counts_once(self):
        first = [{"step": n, "loss": float(n)} for n in range(1, 8)]
        again = [{"step": n, "loss": float(-n)} for n in range(6, 7)]
        assert [row["loss"] for row in History.from_rows([*first, *again]).rows] == [1, 2, 3, 4, 5, -6]

    def test_a_log_that_is_still_written_to(self, tmp_path):
        path = tmp_path / "metrics.jsonl"
        assert History.from_jsonl(path).rows == ()
        found = point(2, 0.8, 0.4, coverage=SHRUNK)
        rows = [{"step": 1, "loss": 1.0}, {"step": 2} | evaluation_metrics(found)]
        path.write_text("\n".join(map(json.dumps, rows)) + '\n{"step": 3, "lo')
        history = History.from_jsonl(path)
        assert history.updates == 2
        assert history.evaluations == (found,)
