"""``arrkit bench``: what is painted, what is scored, what is kept, and what is said of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs arrkit[rpo]")
pytest.importorskip("diffusers", reason="needs arrkit[rpo]")

from judged_files import write_unigen
from loopback import Action, Seen
from typer.testing import CliRunner, Result
from wire_openai import Wire, chat, failure

from arrkit.backends.registry import make_policy
from arrkit.bench.model import Item, Unit
from arrkit.bench.units import UnitFile
from arrkit.commands import bench_paint
from arrkit.commands.bench_judging import AtWork, Background, Table
from arrkit.commands.bench_paint import Painter
from arrkit.data.images import picture_from_path
from arrkit.data.pairs import Task
from arrkit.errors import RunError
from arrkit.progress import unwatched
from arrkit.rpo.lora import add_adapter
from arrkit.rpo.policy import Part
from arrkit.rpo.processes import Processes
from arrkit.shapes.benchmark import ShapesScorer
from arrkit.shapes.prompts import embedded_prompts

pytestmark = pytest.mark.xdist_group("torch")

QUICK = ("--policy", "shapes", "--limit", "6", "--steps", "2")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return tmp_path


@pytest.fixture
def arrkit() -> Callable[..., Result]:
    from arrkit.cli.app import app

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, ["bench", *(str(each) for each in arguments)])

    return run


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes what the embedded policy paints, drawn at random."""
    policy = make_policy("shapes")
    policy.load([Part.TRANSFORMER], device=torch.device("cpu"), dtype=torch.float32)
    add_adapter(policy.transformer, rank=2, alpha=8.0, targets=policy.targets, seed=0)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in policy.transformer.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.5, generator=generator)
    return policy.save(tmp_path_factory.mktemp("adapter"))


def good(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def bad(result: Result) -> str:
    assert result.exit_code == 2, result.output
    return result.stderr


def images(folder: Path) -> dict[str, bytes]:
    """The images of a folder by their paths."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.png")}


def report(run: Path) -> dict[str, object]:
    return json.loads((run / "report.json").read_text())


def test_a_newcomers_quick_look_is_never_passed_off_as_the_whole(arrkit, folder):
    result = good(arrkit("run", "shapes", *QUICK, "--out", "run"))
    assert "6 of 480 prompts" in result.stdout
    assert (
        "A quick look at 6 of 480 prompts, spread over all groups: not a result of shapes." in result.stdout
    )
    assert "report: run/report.html" in result.stderr
    found = report(folder / "run")
    assert (found["prompts"], found["of"]) == (6, 480)
    assert "not a result" in found["note"]
    assert "not a result" in (folder / "run" / "report.html").read_text()
    (column,) = found["columns"]
    # One of each of the six categories.
    assert [score["expected"] for score in column["scores"]] == [6, 6, *[1] * 12]
    assert len(images(folder / "run" / "base" / "images")) == 6


def test_an_image_depends_on_its_item_and_not_on_what_is_painted_beside_it(arrkit, folder):
    good(arrkit("generate", "shapes?images=2", *QUICK, "--out", "one", "--batch", "1"))
    good(arrkit("generate", "shapes?images=2", *QUICK, "--out", "all", "--batch", "64", "--limit", "12"))
    one, many = images(folder / "one"), images(folder / "all")
    assert (len(one), len(many)) == (12, 24)
    assert one == {name: many[name] for name in one}
    assert len(set(one.values())) == 12  # also the two of one prompt
    good(arrkit("generate", "shapes?images=2", *QUICK, "--out", "seed", "--seed", "1"))
    other = images(folder / "seed")
    assert all(other[name] != one[name] for name in one)


def test_what_is_there_is_left_and_an_interrupted_run_ends_as_if_it_never_was(arrkit, folder, monkeypatch):
    good(arrkit("generate", "shapes", *QUICK, "--out", "whole", "--batch", "4"))
    saved = 0
    save = bench_paint.save_image

    def interrupted(file: Path, image: object) -> None:
        nonlocal saved
        saved += 1
        if saved == 3:
            raise KeyboardInterrupt
        save(file, image)

    monkeypatch.setattr(bench_paint, "save_image", interrupted)
    stopped = arrkit("generate", "shapes", *QUICK, "--out", "torn", "--batch", "4")
    assert stopped.exit_code == 130
    assert "All that is done so far is in torn. Run the same command again" in stopped.stderr
    assert len(images(folder / "torn")) == 2
    before = {file: file.stat().st_mtime_ns for file in (folder / "torn").rglob("*.png")}
    result = good(arrkit("generate", "shapes", *QUICK, "--out", "torn", "--batch", "4"))
    assert "4 of 6 images painted now" in result.stdout
    assert images(folder / "torn") == images(folder / "whole")
    assert all(file.stat().st_mtime_ns == when for file, when in before.items())


def test_images_of_another_model_are_never_mixed_in(arrkit, folder, adapter):
    good(arrkit("generate", "shapes", *QUICK, "--out", "images"))
    base = images(folder / "images")
    for other in (("--seed", "1"), ("--lora", adapter), ("--steps", "3")):
        said = bad(arrkit("generate", "shapes", *QUICK, "--out", "images", *other))
        assert "was painted by another model or with other options, and so were 5 others" in said
        assert "--force" in said
    assert images(folder / "images") == base
    good(arrkit("generate", "shapes", *QUICK, "--out", "images", "--lora", adapter, "--force"))
    trained = images(folder / "images")
    assert trained.keys() == base.keys()
    assert trained != base
    (folder / "images" / ".arrkit.json").unlink()
    assert "painted otherwise" in bad(arrkit("generate", "shapes", *QUICK, "--out", "images"))
    # More of the same is no other run.
    good(arrkit("generate", "shapes", *QUICK, "--out", "more"))
    good(arrkit("generate", "shapes", *QUICK, "--out", "more", "--limit", "12"))
    assert len(images(folder / "more")) == 12


def test_base_and_trained_are_painted_from_the_same_noise_and_compared(arrkit, folder, adapter):
    good(arrkit("run", "shapes", *QUICK, "--lora", adapter, "--out", "run", "--json"))
    good(arrkit("generate", "shapes", *QUICK, "--out", "base"))
    good(arrkit("generate", "shapes", *QUICK, "--out", "trained", "--lora", adapter))
    run = folder / "run"
    assert images(run / "base" / "images") == images(folder / "base")
    assert images(run / "trained" / "images") == images(folder / "trained")
    found = report(run)
    assert [column["name"] for column in found["columns"]] == ["base", "trained"]
    (first, *_) = found["differences"]
    scores = [column["scores"][0]["value"] for column in found["columns"]]
    assert [first["base"], first["other"]] == scores
    assert first["value"] == pytest.approx(scores[1] - scores[0])
    assert first["items"] == 6
    assert first["low"] <= first["value"] <= first["high"]
    # The same in two stages, and by the units that were kept.
    scored = good(
        arrkit("score", "shapes", "--limit", "6", "--images", "trained", "--base-images", "base", "--json")
    )
    assert json.loads(scored.stdout)["differences"] == found["differences"]
    for name, column in zip(("base", "trained"), found["columns"], strict=True):
        file = run / name / "units.jsonl"
        given = good(arrkit("score", "shapes", "--limit", "6", "--answers", file, "--json"))
        (told,) = json.loads(given.stdout)["columns"]
        assert told["scores"] == column["scores"]
    part = good(arrkit("score", "shapes", "--limit", "3", "--answers", file, "--out", "part", "--json"))
    assert json.loads(part.stdout)["columns"][0]["scores"][0]["scored"] == 3
    kept = good(arrkit("score", "shapes", "--limit", "3", "--answers", "part/units.jsonl", "--json"))
    assert json.loads(kept.stdout)["columns"] == json.loads(part.stdout)["columns"]
    table = json.loads(good(arrkit("table", "run", "--json")).stdout)
    rows = table[0]["rows"]
    assert [row["model"] for row in rows] == ["base", "trained"]
    assert rows[0]["strict_difference"] is None
    assert rows[1]["official_difference"] == first


def test_runs_that_cannot_be_compared_stand_side_by_side_all_the_same(arrkit, folder):
    good(arrkit("run", "shapes", *QUICK, "--out", "six"))
    good(arrkit("run", "shapes", *QUICK, "--limit", "3", "--out", "three"))
    good(arrkit("run", "shapes", *QUICK, "--seed", "1", "--out", "seed"))
    result = good(arrkit("table", "six", "three", "seed"))
    assert "three is not compared with six: its prompts are others" in result.stderr
    rows = json.loads(good(arrkit("table", "six", "three", "seed", "--json")).stdout)[0]["rows"]
    assert [row["strict_difference"] is None for row in rows] == [True, True, False]
    assert "3 of 480" in result.stdout
    (folder / "empty").mkdir()
    said = bad(arrkit("table", "empty", "six", "nowhere"))
    assert "empty holds no finished run" in said
    assert "nowhere holds no finished run" in said


def test_only_what_is_new_is_scored_and_the_result_is_that_of_one_start(arrkit, folder, monkeypatch):
    good(arrkit("generate", "shapes", *QUICK, "--out", "images"))
    asked = ("score", "shapes", "--limit", "6", "--images", "images", "--out")
    looked: list[str] = []
    look = ShapesScorer.score

    async def counted(self: ShapesScorer, item: Item, pictures: Sequence[object]) -> list[Unit]:
        looked.append(item.id)
        if len(looked) == 4:
            raise RunError("the judge is out of money")
        return await look(self, item, pictures)

    monkeypatch.setattr(ShapesScorer, "score", counted)
    stopped = arrkit(*asked, "torn")
    assert stopped.exit_code == 1
    assert "out of money" in stopped.stderr
    assert "All that is done so far is in torn." in stopped.stderr
    good(arrkit(*asked, "torn"))
    good(arrkit(*asked, "whole"))
    left_out = ("run", "judged_by")
    torn, whole = report(folder / "torn"), report(folder / "whole")
    assert {k: v for k, v in torn.items() if k not in left_out} == {
        k: v for k, v in whole.items() if k not in left_out
    }
    looked.clear()
    first, other, *_ = (folder / "images").rglob("*.png")
    good(arrkit(*asked, "whole"))
    assert looked == []
    first.write_bytes(other.read_bytes())
    good(arrkit(*asked, "whole"))
    assert len(looked) == 1
    first.unlink()
    result = good(arrkit(*asked, "whole"))
    assert "strict counts them as 0" in result.stdout
    scores = report(folder / "whole")["columns"][0]["scores"][:2]
    assert [(each["expected"], each["scored"], each["missing"]) for each in scores] == [(6, 5, 1)] * 2


def test_a_folder_that_another_run_takes_over_keeps_none_of_its_units(arrkit, folder):
    good(arrkit("run", "shapes", *QUICK, "--out", "run"))
    assert "holds another run" in bad(arrkit("run", "shapes", *QUICK, "--out", "run", "--seed", "1"))
    good(arrkit("run", "shapes", *QUICK, "--out", "run", "--seed", "1", "--force"))
    good(arrkit("run", "shapes", *QUICK, "--out", "fresh", "--seed", "1"))
    assert images(folder / "run") == images(folder / "fresh")
    assert report(folder / "run")["columns"] == report(folder / "fresh")["columns"]
    units = folder / "run" / "base" / "units.jsonl"
    assert len(units.read_text().splitlines()) == 6
    good(arrkit("run", "shapes", *QUICK, "--seed", "1", "--limit", "3", "--out", "run", "--force"))
    assert len(units.read_text().splitlines()) == 3


def test_own_prompts_are_judged_in_pairs(arrkit, folder, adapter):
    (folder / "p.txt").write_text("a red circle\ntwo blue squares\n")
    asked = ("run", "prompts", "--data", "p.txt", "--policy", "shapes", "--steps", "2", "--out", "run")
    assert "compares a trained model with its base" in bad(arrkit(*asked, "--judge", "shapes"))
    assert "no judge is named" in bad(arrkit(*asked, "--lora", adapter))
    good(arrkit(*asked, "--lora", adapter, "--judge", "shapes"))
    found = report(folder / "run")
    assert found["judge"] == "shapes"
    (column,) = found["columns"]
    assert column["scores"][0]["scored"] == column["scores"][0]["expected"] == 2
    pair = ("--images", "run/trained/images", "--base-images", "run/base/images")
    again = ("score", "prompts", "--data", "p.txt", "--judge", "shapes", "--json")
    assert json.loads(good(arrkit(*again, *pair)).stdout)["columns"] == [column]
    assert "--base-images" in bad(arrkit(*again, *pair[:2]))


def test_the_list_says_what_each_asks_without_loading_any(arrkit, python):
    listed = {each["name"]: each for each in json.loads(good(arrkit("list", "--json")).stdout)}
    assert listed.keys() >= {"shapes", "geneval", "dpg", "tiif", "unigenbench", "gedit", "imgedit", "prompts"}
    assert (listed["geneval"]["items"], listed["geneval"]["images"], listed["geneval"]["judged"]) == (
        *(553, 2212),
        False,
    )
    assert listed["gedit"]["judged"]
    assert listed["gedit"]["tasks"] == ["edit"]
    done = python(
        "-c",
        "import sys\nfrom arrkit.cli.app import app\n"
        "try: app(['bench', 'list'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m == 'torch' or m.startswith('arrkit.shapes.bench')])",
    )
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "shape", *QUICK), 'unknown benchmark "shape" (did you mean "shapes"?)'),
        (("run", "shapes", *QUICK, "--judge", "shapes"), "shapes asks no judge"),
        (("run", "shapes", *QUICK, "--data", "x"), "--data: shapes has no use for it"),
        (("run", "shapes?task=edit", *QUICK), "shapes?task=edit asks for edits, and shapes paints from text"),
        (("run", "shapes", "--policy", "shapes?task=edit"), "shapes asks for images for prompts"),
        (("run", "shapes", *QUICK, "--lora", "nowhere"), "nowhere does not exist"),
        (("run", "shapes", "--policy", ""), "no policy is named"),
        (("generate", "shapes", *QUICK, "--out", "file"), "cannot make file"),
        (("score", "shapes"), "--images and --answers are both missing"),
        (("score", "shapes", "--images", "a", "--answers", "b"), "--images and --answers are both given"),
        (("score", "shapes", "--images", "nowhere"), "nowhere is no folder"),
        (("score", "shapes", "--images", "."), ". holds no image of shapes"),
        (("score", "shapes", "--answers", "nowhere"), "--answers: nowhere does not exist"),
        (("score", "geneval", "--answers", "nowhere"), "--answers: nowhere does not exist"),
        (("score", "shapes", "--answers", "file"), "is no file of units of arrkit"),
        (("score", "shapes", "--answers", "file", "--judge", "shapes"), "--answers are given, so no judge"),
    ],
)
def test_one_sentence_says_what_is_wrong_before_anything_is_loaded(arrkit, folder, arguments, said):
    (folder / "file").write_text("nothing")
    assert said in bad(arrkit(*arguments))
    assert not (folder / "runs").exists()


def test_a_prompt_that_cannot_be_painted_is_named_and_counted_as_missing(arrkit, folder, adapter):
    (folder / "p.txt").write_text("a red circle\nan unheard-of walrus\n")
    result = arrkit(
        *("run", "prompts", "--data", "p.txt", "--policy", "shapes", "--steps", "2", "--out", "run"),
        *("--lora", adapter, "--judge", "shapes"),
    )
    assert result.exit_code == 1, result.output
    assert "not painted: " in result.stderr
    assert "walrus" in result.stderr
    score = report(folder / "run")["columns"][0]["scores"][0]
    assert (score["expected"], score["scored"], score["missing"]) == (2, 1, 1)


def edits(count: int) -> list[Item]:
    """One edit of each of some sources, and a second one of what comes out."""
    prompts = embedded_prompts(Task.EDIT, "test", 96)[:count]
    first = [
        Item(id=f"{p.id}-1", task=Task.EDIT, prompt=p.text, files=(f"{p.id}/1.png",), sources=p.sources)
        for p in prompts
    ]
    second = [
        Item(
            id=f"{p.id}-2",
            task=Task.EDIT,
            prompt="make the background blue",
            files=(f"{p.id}/2.png",),
            before=f"{p.id}-1",
        )
        for p in prompts
    ]
    return [*second, *first]


def edit_painter() -> Painter:
    policy = make_policy("shapes?task=edit")
    return Painter(policy, Processes(torch.device("cpu")), steps=2, seed=0, batch=8)


def test_an_edit_in_turns_takes_the_image_of_the_turn_before(folder):
    items = edits(3)
    heard: list[str] = []
    painter = edit_painter()
    made = painter.paint(items, folder / "turns", painted=lambda item: heard.append(item.id))
    assert not painter.problems
    assert (made, len(heard)) == (6, 6)
    assert {name[-2:] for name in heard[:3]} == {"-1"}
    alone = [
        Item(
            id=each.id,
            task=Task.EDIT,
            prompt=each.prompt,
            files=each.files,
            sources=(picture_from_path(folder / "turns" / each.files[0].replace("2.png", "1.png")),),
        )
        for each in items
        if each.before
    ]
    edit_painter().paint(alone, folder / "alone")
    for each in alone:
        assert (folder / "alone" / each.files[0]).read_bytes() == (
            folder / "turns" / each.files[0]
        ).read_bytes()


def test_a_turn_whose_source_is_not_there_is_a_problem_and_no_image(folder):
    items = edits(2)
    lost = [*items[:-1], replace(items[-1], prompt="an unheard-of walrus")]
    painter = edit_painter()
    painter.paint(lost, folder / "turns")
    assert [problem.where for problem in painter.problems] == [items[-1].id, items[1].id]
    assert len(images(folder / "turns")) == 2


def jobs(folder: Path, count: int) -> tuple[list[Item], Table]:
    items = [Item(id=str(n), task=Task.T2I, prompt="p", files=(f"{n}.png",)) for n in range(count)]
    return items, Table((folder,), UnitFile(folder / "units.jsonl"))


def test_no_more_items_are_looked_at_at_once_than_there_is_room_for(folder):
    items, table = jobs(folder, 12)
    now, most = 0, 0

    async def score(item: Item, pictures: object) -> list[Unit]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return [Unit(item=item.id, value=1.0)]

    with Background(AtWork(score, width=3), items) as background:
        for item in items:
            background.put(table, item)
        background.finish(unwatched)
        assert background.done == 12
    assert most == 3
    assert len(table.units.units([item.id for item in items])) == 12
    table.units.close()


def test_items_are_scored_while_others_are_painted(folder):
    items, table = jobs(folder, 2)
    first = asyncio.Event()
    until = time.monotonic() + 10

    async def score(item: Item, pictures: object) -> list[Unit]:
        first.set()
        return [Unit(item=item.id, value=1.0)]

    with Background(AtWork(score), items) as background:
        background.put(table, items[0])
        while not background.done:  # nobody has said that all are painted
            assert time.monotonic() < until
            time.sleep(0.001)
        background.put(table, items[1])
        background.finish(unwatched)
    table.units.close()


def test_what_stops_the_scoring_stops_the_painting_at_its_next_image(folder):
    items, table = jobs(folder, 200)
    closed: list[bool] = []

    async def score(item: Item, pictures: object) -> list[Unit]:
        raise RunError("the endpoint is down")

    async def close() -> None:
        closed.append(True)

    def paint() -> None:
        with Background(AtWork(score, close=close), items) as background:
            for item in items:
                time.sleep(0.005)
                background.put(table, item)

    began = time.monotonic()
    with pytest.raises(RunError, match="endpoint is down"):
        paint()
    assert closed == [True]
    assert time.monotonic() - began < 0.9  # not after all 200
    table.units.close()


def test_when_the_painting_fails_what_is_being_scored_is_given_up(folder):
    items, table = jobs(folder, 1)

    async def score(item: Item, pictures: object) -> list[Unit]:
        await asyncio.sleep(60)
        raise AssertionError

    def paint() -> None:
        with Background(AtWork(score), items) as background:
            background.put(table, items[0])
            raise RunError("out of memory")

    began = time.monotonic()
    with pytest.raises(RunError, match="out of memory"):
        paint()
    assert time.monotonic() - began < 5
    table.units.close()


def test_a_hosted_judge_that_breaks_off_is_asked_for_the_rest_and_told_of_in_all(arrkit, folder):
    texts = ("a red circle", "two blue squares", "a star above a circle", "three green triangles")
    write_unigen(folder / "data", "en", [(text, ["Style"]) for text in texts])
    answered = 0

    def reply(seen: Seen) -> Action:
        nonlocal answered
        answered += 1
        if answered == 3:
            return failure(401, "the key was taken back", code="invalid_api_key")
        words = '<checks><analysis>["well"]</analysis><score>[1]</score></checks>'
        return chat(words, model="old" if answered < 3 else "new")

    with Wire(reply) as wire:
        asked = (
            *("run", "unigenbench?images=1", "--data", "data", "--policy", "shapes", "--steps", "2"),
            *("--judge", f"vllm:tiny?base_url={wire.base_url}", "--concurrency", "1", "--out", "run"),
        )
        stopped = arrkit(*asked)
        assert stopped.exit_code == 1, stopped.output
        assert "the key was taken back" in stopped.stderr
        assert "All that is done so far is in run." in stopped.stderr
        painted = images(folder / "run")
        good(arrkit(*asked))
        assert answered == 5
    assert images(folder / "run") == painted
    found = report(folder / "run")
    assert found["columns"][0]["scores"][0]["scored"] == 4
    assert found["judged_by"]["snapshots"] == {"new": 2, "old": 2}
    assert found["judged_by"]["temperatures"]
