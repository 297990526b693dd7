"""The benchmarks of edits from files to a table: painted by the embedded policy, judged over loopback."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from loopback import Seen
from PIL import Image
from wire_openai import Wire, chat, images_of, system_of, texts_of

from arrkit.bench.gedit_marks import GROUPS
from arrkit.bench.imgedit_words import KINDS
from arrkit.bench.model import Mode
from arrkit.commands.bench_generate import generate_images
from arrkit.commands.bench_options import BenchGenerateOptions, BenchScoreOptions
from arrkit.commands.bench_report import BenchReport
from arrkit.commands.bench_score import score_benchmark
from arrkit.data.pairs import Task
from arrkit.shapes.prompts import embedded_prompts

pytest.importorskip("torch")
pa = pytest.importorskip("pyarrow")

POLICY = "shapes?task=edit"
FIRST = next(iter(embedded_prompts(Task.EDIT, "test", 96)))


def png(size: int = 96) -> bytes:
    """What the first instruction is about."""
    stream = io.BytesIO()
    FIRST.sources[0].load().resize((size, size)).save(stream, "PNG")
    return stream.getvalue()


def gedit(folder: Path) -> str:
    from pyarrow import parquet

    rows = [
        {
            "task_type": group,
            "key": "k",
            "instruction": FIRST.text,
            "instruction_language": "en",
            "input_image": {"bytes": png(48), "path": None},
            "input_image_raw": {"bytes": png(), "path": None},
            "Intersection_exist": True,
        }
        for group in GROUPS
    ]
    folder.mkdir()
    parquet.write_table(pa.Table.from_pylist(rows), folder / "train-00000-of-00001.parquet")
    return str(folder)


def imgedit(folder: Path) -> str:
    (folder / "singleturn").mkdir(parents=True)
    (folder / "singleturn/a.png").write_bytes(png())
    rows = {
        str(number): {"id": "a.png", "prompt": FIRST.text, "edit_type": kind}
        for number, kind in enumerate(KINDS, start=22)
    }
    (folder / "basic_edit.json").write_text(json.dumps(rows))
    for category in ("content_memory", "content_understand", "version_backtrace"):
        (folder / "multiturn" / category).mkdir(parents=True)
        (folder / "multiturn" / category / "a.png").write_bytes(png())
        turns = {"id": "a.png", "turn1": FIRST.text, "turn2": FIRST.text}
        (folder / "multiturn" / category / "annotation.json").write_text(json.dumps(turns))
    return str(folder)


def paint(name: str, data: str, out: Path, painted: int | None = None) -> None:
    made = generate_images(
        BenchGenerateOptions(benchmark=name, data=data, policy=POLICY, steps=2, out=out, device="cpu")
    )
    assert made.problems == ()
    assert made.painted == (made.images if painted is None else painted)


def score(name: str, data: str, images: Path, wire: Wire, out: Path) -> BenchReport:
    judge = f"vllm:Qwen/Qwen3-VL-8B-Instruct?base_url={wire.base_url}"
    return score_benchmark(BenchScoreOptions(benchmark=name, data=data, images=images, judge=judge, out=out))


def numbers(report: BenchReport, mode: Mode) -> dict[str, float | None]:
    return {each.name: each.value for column in report.columns for each in column.scores if each.mode is mode}


def test_gedit_from_photos_to_a_table(tmp_path):
    data, images = gedit(tmp_path / "data"), tmp_path / "method"
    paint("gedit", data, images)
    assert (images / "fullset/ps_human/en/k.png").exists()
    assert (images / "fullset/ps_human/en/k_SRCIMG.png").exists()

    def reply(seen: Seen) -> object:
        return chat('{"score": [9, 4]}' if len(images_of(seen)) == 2 else '{"score": [9, 10]}')

    with Wire() as wire:
        wire.respond = reply
        report = score("gedit", data, images, wire, tmp_path / "run")
        assert len(wire.requests) == 2 * len(GROUPS)
        sizes = {Image.open(io.BytesIO(data)).size for seen in wire.requests for data in images_of(seen)}
    assert sizes == {(48, 48)}
    assert "en/G_O of the model is 6.00" in (tmp_path / "run/report.html").read_text()
    for mode in Mode:
        found = numbers(report, mode)
        assert found["gedit[arrkit-prompt]/en/G_SC"] == 4.0
        assert found["gedit[arrkit-prompt]/en/G_PQ"] == 9.0
        assert found["gedit[arrkit-prompt]/en/G_O"] == 6.0


def test_imgedit_from_sources_to_a_table(tmp_path):
    data, images = imgedit(tmp_path / "data"), tmp_path / "images"
    paint("imgedit", data, images)
    lost = images / "22.png"
    lost.unlink()

    def reply(seen: Seen) -> object:
        assert texts_of(seen)[0].endswith(FIRST.text)
        names = next(kind.names for kind in KINDS.values() if f"{kind.names[2]}: N" in system_of(seen))
        return chat("\n".join(f"{name}: {mark}" for name, mark in zip(names, (4, 3, 5), strict=True)))

    with Wire() as wire:
        wire.respond = reply
        report = score("imgedit", data, images, wire, tmp_path / "run")
    official, strict = numbers(report, Mode.OFFICIAL), numbers(report, Mode.STRICT)
    assert official["imgedit[arrkit-prompt]/overall_types"] == 4.0
    assert strict["imgedit[arrkit-prompt]/overall_types"] == pytest.approx(4.0 * 8 / 9)


def test_each_turn_is_painted_from_the_turn_before(tmp_path):
    data, images = imgedit(tmp_path / "data"), tmp_path / "images"
    paint("imgedit?part=multiturn", data, images)
    first, second = (images / f"content_memory/1/turn{turn}.png" for turn in (1, 2))
    assert (images / "content_memory/1/turns.json").exists()
    painted = second.read_bytes()
    # Another first turn gives another second one.
    second.unlink()
    Image.open(io.BytesIO(png())).save(first)
    paint("imgedit?part=multiturn", data, images, painted=1)
    assert second.read_bytes() != painted
