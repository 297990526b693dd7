"""The benchmarks of images from files to a table: painted by a tiny FLUX, judged over loopback."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs arrkit[rpo]")
pytest.importorskip("diffusers", reason="needs arrkit[rpo]")

from judged_files import write_tiif, write_unigen
from loopback import Seen
from PIL import Image
from tiny_detector import tiny_clip, tiny_mask2former
from tiny_pipelines import tiny_flux
from typer.testing import CliRunner, Result
from wire_openai import Wire, chat, texts_of

from arrkit.bench.geneval import detector

pytestmark = pytest.mark.xdist_group("torch")

SIZE = 16
STEPS = 2

Numbers = dict[tuple[str, str], Mapping[str, object]]
"""The scores of a run, by the last part of their names and the mode."""


@dataclass(frozen=True, slots=True)
class Models:
    """Folders of tiny models."""

    flux: Path
    detector: Path
    clip: Path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    return Models(
        tiny_flux(folder / "flux"), tiny_mask2former(folder / "tiny-m2f"), tiny_clip(folder / "tiny-clip")
    )


@pytest.fixture
def arrkit(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``arrkit bench run NAME --data DATA ... --out run``."""
    from arrkit.cli.app import app

    monkeypatch.chdir(tmp_path)
    policy = f"flux:{models.flux}?size={SIZE}&max_sequence_length=48"

    def run(name: str, data: Path, *more: str) -> Result:
        asked = ["bench", "run", name, "--data", str(data), "--policy", policy, "--steps", str(STEPS)]
        return CliRunner().invoke(app, [*asked, *more, "--out", "run"])

    return run


def judged_by(wire: Wire) -> tuple[str, str]:
    return "--judge", f"vllm:tiny?base_url={wire.base_url}"


def held(folder: Path = Path("run/base/images")) -> dict[str, float]:
    """The files that an evaluator is given, with the time of their last change."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime for path in paths}


def numbers(metric: str) -> Numbers:
    report = json.loads(Path("run/report.json").read_text())
    (column,) = report["columns"]
    assert all(score["name"].startswith(f"{metric}/") for score in column["scores"])
    assert report["metric"] == metric
    return {(score["name"].removeprefix(f"{metric}/"), score["mode"]): score for score in column["scores"]}


def counts(score: Mapping[str, object]) -> Sequence[object]:
    return [score[name] for name in ("expected", "scored", "missing", "unparsed")]


def units(item: str = "") -> list[Mapping[str, object]]:
    """What was found, of one item or of all."""
    rows = map(json.loads, Path("run/base/units.jsonl").read_text().splitlines())
    return [unit for row in rows for unit in row.get("units", ()) if item in ("", row["item"])]


def nothing_new(first: Result, again: Result, files: Mapping[str, float]) -> None:
    """The same command came to the same result, and painted nothing."""
    assert (again.exit_code, again.stdout) == (first.exit_code, first.stdout), again.output
    assert held() == files


def test_geneval_is_painted_looked_at_and_put_in_a_table(arrkit, models, tmp_path, monkeypatch):
    monkeypatch.setattr(detector, "SHORT", 64)
    # Random models see what they like, but no hundred of a kind.
    prompts = [
        {"tag": "single_object", "prompt": "dogs", "include": [{"class": "dog", "count": 100}]},
        {
            "tag": "counting",
            "prompt": "less than a hundred cups",
            "include": [],
            "exclude": [{"class": "cup", "count": 100}],
        },
        {"tag": "colors", "prompt": "blue", "include": [{"class": "cat", "count": 1, "color": "blue"}]},
    ]
    data = tmp_path / "geneval"
    (data / "prompts").mkdir(parents=True)
    lines = [json.dumps(prompt) for prompt in prompts]
    (data / "prompts/evaluation_metadata.jsonl").write_text("\n".join(lines) + "\n")
    spec = f"geneval?images=2&detector={models.detector}&clip={models.clip}&device=cpu"
    made = arrkit(spec, data)
    assert made.exit_code == 0, made.output

    files = held()
    wanted = {f"{number:05}/samples/{image:05}.png" for number in range(3) for image in range(2)}
    assert set(files) == wanted | {f"{number:05}/metadata.jsonl" for number in range(3)}
    assert json.loads(Path("run/base/images/00001/metadata.jsonl").read_text()) == prompts[1]
    with Image.open("run/base/images/00002/samples/00001.png") as image:
        assert image.size == (SIZE, SIZE)
    assert any(unit["answer"]["details"] for unit in units())

    metric = json.loads(Path("run/report.json").read_text())["metric"]
    assert re.fullmatch(r"geneval\[mask2former-hf:tiny-m2f\+tiny-clip,prompts=[0-9a-f]{8}\]", metric)
    found = numbers(metric)
    blue = sum(unit["value"] for unit in units("00002")) / 2
    for mode in ("official", "strict"):
        assert found["single_object", mode]["value"] == 0
        assert found["counting", mode]["value"] == 1
        assert found["overall", mode]["value"] == pytest.approx((1 + blue) / 3)
        assert counts(found["overall", mode]) == [6, 6, 0, 0]
    assert "official and strict agree" in made.stdout
    assert metric in Path("run/report.html").read_text()

    monkeypatch.setattr(detector.Detector, "look", None)
    nothing_new(made, arrkit(spec, data), files)


def dpg(folder: Path) -> Path:
    """Three prompts; whether something is red is asked of what is there."""
    prompts = folder / "dpg_bench/prompts"
    prompts.mkdir(parents=True)
    columns = "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple"
    with (folder / "dpg_bench/dpg_bench.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*columns.split(","), "question_natural_language"])
        for name, thing in (("cocomid1", "car"), ("posescript2", "dog"), ("whoops3", "cup")):
            (prompts / f"{name}.txt").write_text(f"a red {thing}\n")
            kinds = (f"entity - whole ({thing})", f"attribute - color ({thing}, red)")
            asked = (f"Is there a {thing}?", f"Is the {thing} red?")
            for number, (kind, ask) in enumerate(zip(kinds, asked, strict=True)):
                writer.writerow(
                    [name, "", "", number + 1, number, *kind.split(" (")[0].split(" - "), kind, ask]
                )
    return folder


def test_dpg_is_painted_asked_about_and_put_in_a_table(arrkit, tmp_path):
    data = dpg(tmp_path / "ELLA")

    def reply(seen: Seen) -> object:
        text = "\n".join(texts_of(seen))
        return chat("Hard to say." if "cup red" in text else "No." if "a dog" in text else "Yes.")

    with Wire() as wire:
        wire.respond = reply
        made = arrkit("dpg?images=4", data, *judged_by(wire))
        assert made.exit_code == 0, made.output
        files, asked = held(), len(wire.requests)
        nothing_new(made, arrkit("dpg?images=4", data, *judged_by(wire)), files)
        assert len(wire.requests) == asked
    names = ("cocomid1", "posescript2", "whoops3")
    assert set(files) == {f"images/{name}/{image}.png" for name in names for image in range(4)} | {
        f"grids/{name}.png" for name in names
    }
    with Image.open("run/base/images/grids/whoops3.png") as grid:
        assert grid.size == (2 * SIZE, 2 * SIZE)
    found = numbers("dpg[vllm:tiny]")
    # Of the cars all, of the dogs nothing though red, of the cups half. The official script loses the
    # first row, and with it the prompt whose second question hangs on it.
    assert found["overall", "official"]["value"] == 25
    assert found["overall", "strict"]["value"] == 50
    for mode in ("official", "strict"):
        assert counts(found["overall", mode]) == [24, 20, 0, 4]
    assert "a red cup" in Path("run/report.html").read_text()
    assert "official: what is missing" in made.stdout
    assert "strict: what is missing" in made.stdout


def test_tiif_is_painted_asked_about_and_put_in_a_table(arrkit, tmp_path):
    data = write_tiif(tmp_path / "TIIF-Bench")

    def reply(seen: Seen) -> object:
        text = "\n".join(texts_of(seen))
        asked = re.findall(r"^Is (\S+) \d\.\d there\?$", text, re.MULTILINE)
        if asked[0] == "numeracy":
            return chat("I cannot tell")
        right = ("Yes, it is", "No, it is not") if asked[0] == "shape+color" else ("Yes, it is",) * 2
        return chat("\n".join(right))

    with Wire() as wire:
        wire.respond = reply
        quick = ("tiif?length=short", data, "--limit", "9", *judged_by(wire))
        made = arrkit(*quick)
        assert made.exit_code == 0, made.output
        files, asked = held(), len(wire.requests)
        nothing_new(made, arrkit(*quick), files)
        assert len(wire.requests) == asked
    assert len(files) == 9
    assert all(re.fullmatch(r"[\w+]+/arrkit/short_description/\d\.png", name) for name in files)
    found = numbers("tiif[arrkit-prompt]")
    # Of six groups one is right, one lost, and of the others every second answer is right.
    assert found["overall-short", "official"]["value"] == pytest.approx((1 + 4 * 0.5) / 5)
    assert found["overall-short", "strict"]["value"] == pytest.approx((1 + 4 * 0.5) / 6)
    for mode in ("official", "strict"):
        assert counts(found["overall-short", mode]) == [18, 16, 0, 2]
        assert counts(found["short/basic/reasoning", mode]) == [2, 0, 0, 2]
        assert f"{mode}: what is missing" in made.stdout
    assert "A quick look at 9 of 78 prompts" in made.stdout
    assert "A quick look at 9 of 78 prompts" in Path("run/report.html").read_text()


def test_unigenbench_is_painted_asked_about_and_put_in_a_table(arrkit, tmp_path):
    rows = [
        ("a painted cat", ["Style", "Attribute - Color"]),
        ("two dogs", ["Attribute - Quantity"]),
        ("much " * 20, ["Style"]),
    ]
    data = write_unigen(tmp_path / "UniGenBench", "en", rows)

    def reply(seen: Seen) -> object:
        text = "\n".join(texts_of(seen))
        if "two dogs" in text:
            return chat("I would rather not say.")
        return chat('<checks><analysis>["in oil", "grey"]</analysis><score>[1, 0]</score></checks>')

    with Wire() as wire:
        wire.respond = reply
        quick = ("unigenbench?images=3", data, *judged_by(wire))
        made = arrkit(*quick)
        # The third prompt is longer than the encoder reads.
        assert made.exit_code == 1, made.output
        assert "not painted: " in made.stderr
        files, asked = held(), len(wire.requests)
        nothing_new(made, arrkit(*quick), files)
        assert len(wire.requests) == asked
    assert set(files) == {f"en/arrkit/{index}_{image}.png" for index in range(2) for image in range(3)}
    found = numbers("unigenbench[arrkit-prompt]")
    for mode in ("official", "strict"):
        assert counts(found["en/micro", mode]) == [12, 6, 3, 3]
    assert found["en/micro", "official"]["value"] == 0.5
    assert found["en/micro", "strict"]["value"] == 0.25
    assert found["en/Style", "official"]["value"] == 1
    assert found["en/Style", "strict"]["value"] == 0.5
    assert found["en/macro", "official"]["value"] == 0.5
    lacking = "6 of 12 answers of base are lacking (3 without an image, 3 unreadable or failed)"
    assert lacking in made.stdout
    assert lacking in Path("run/report.html").read_text()
