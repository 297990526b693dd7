"""Every kind of policy through the three commands: its model is tiny, all else is as for the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import numpy as np
import tiny_bagel
import tiny_pipelines
import tiny_qwen
from diffusers import DiffusionPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from forked import ADAPTER, adapter_of, rows
from PIL import Image

from arrkit.backends.policies.pipeline import quiet
from arrkit.rpo.rollout import seed_of

pytestmark = pytest.mark.xdist_group("torch")

SIDE = 128
"""Of the images that the edit models make, and of the sources that they read."""

WIDE, TALL = (
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
    for seed, (width, height) in enumerate([(40, 24), (40, 70)])
)


@dataclass(frozen=True)
class Case:
    """A tiny model, the options of its policy, and what its own pipeline is told to paint the same.

    A model without a pipeline has no ``call``; ``sources`` are those of an edit.
    """

    build: Callable[[Path], object]
    options: str
    call: dict[str, Any] = field(default_factory=dict)
    sources: tuple[Image.Image, ...] = ()


def saved(make: Callable[[], Any]) -> Callable[[Path], object]:
    return lambda folder: tiny_qwen.save(make(), folder)


CASES = {
    "flux": Case(
        tiny_pipelines.tiny_flux,
        "size=16&max_sequence_length=24",
        {"width": 16, "height": 16, "max_sequence_length": 24},
    ),
    "flux-kontext": Case(
        tiny_pipelines.tiny_kontext,
        "width=32&height=16&source_size=24&max_sequence_length=24",
        # 24 x 24 pixels in the aspect of the source, cut to multiples of 4.
        {"image": WIDE.resize((28, 16), Image.Resampling.LANCZOS), "_auto_resize": False}
        | {"width": 32, "height": 16, "max_area": 512, "max_sequence_length": 24},
        sources=(WIDE,),
    ),
    "sd35": Case(
        tiny_pipelines.tiny_sd35,
        "size=32&max_sequence_length=24",
        {"width": 32, "height": 32, "max_sequence_length": 24},
    ),
    "qwen-image": Case(
        saved(tiny_qwen.qwen_image),
        "size=64",
        {"width": 64, "height": 64, "true_cfg_scale": 4.0, "negative_prompt": " "},
    ),
    "qwen-edit": Case(
        saved(tiny_qwen.qwen_edit),
        f"size={SIDE}&cfg=1",
        {"image": TALL, "width": 96, "height": 160, "true_cfg_scale": 1.0},
        sources=(TALL,),
    ),
    "qwen-edit-plus": Case(
        saved(tiny_qwen.qwen_edit_plus),
        f"size={SIDE}&cfg=1",
        {"image": [TALL, WIDE], "width": 160, "height": 96, "true_cfg_scale": 1.0},
        sources=(TALL, WIDE),
    ),
    "bagel": Case(tiny_bagel.write_weights, f"path={tiny_bagel.CODE}&size=64"),
}

COMPARED = ("flux", "qwen-edit-plus", "bagel")
"""Those whose run is also made undisturbed: the three kinds of checkpoints, which the others have too."""

TEXTS = ("a red cube", "make it blue", "2 dogs")
STEPS = 3


@pytest.mark.parametrize("kind", CASES)
def test_it_is_prepared_trained_killed_resumed_and_painted_with(kind, arrkit, fork, vivid, folder):
    case = CASES[kind]
    policy, train_prompts, eval_prompts = prepared(case, kind, folder)
    ok(arrkit("rpo", "preprocess", *policy, "--prompts", train_prompts, "--out", "data", *FP32))
    train = train_command(case, policy, vivid, "--data", "data", "--eval-prompts", eval_prompts)
    torn = fork(*train, "--out", "run", before=KILL)
    assert torn.wait() == -signal.SIGKILL, torn.said.read_text()
    assert (folder / "run/checkpoint-1").exists()
    assert not (folder / "run" / ADAPTER).exists()
    resumed = ok(arrkit(*train, "--out", "run", "--resume", "--json"))
    assert "Going on after update 1" in resumed.stderr
    report = json.loads(resumed.stdout)
    assert report["updates"] == 2
    assert report["evaluation"]["training"]["ties"] == 0  # it paints another image than the base model
    assert [row["step"] for row in rows(folder / "run/metrics.jsonl")] == [1, 2]
    if kind in COMPARED:
        ok(arrkit(*train, "--out", "whole"))
        assert adapter_of(folder / "run") == adapter_of(folder / "whole")

    painted = folder / "painted/00000-0.png"
    paint = (
        "rpo",
        "sample",
        *policy,
        "--prompts",
        eval_prompts,
        "--steps",
        str(STEPS),
        "--seed",
        noise("held out"),
    )
    ok(arrkit(*paint, "--lora", "run", "--out", "painted", *FP32))
    trainers = pixels(folder / "run/images/1.png")
    assert pixels(painted) == trainers
    if case.call:
        assert of_diffusers(folder / "model", folder / "run", case.call) == trainers


def test_two_processes_train_it_and_one_held_out_prompt_is_enough(fork_two, vivid, folder):
    case = CASES["bagel"]
    policy, train_prompts, eval_prompts = prepared(case, "bagel", folder)
    train = train_command(case, policy, vivid, "--prompts", train_prompts, "--eval-prompts", eval_prompts)
    # The second time there is nothing to do but to show it again.
    for resume in ((), ("--resume",)):
        both = fork_two(*train, "--max-steps", "1", "--out", "run", *resume)
        assert [process.wait() for process in both] == [0, 0], both[0].said.read_text()
        assert "after 1 update " in both[0].said.read_text()
        assert both[1].said.read_text() == ""
    assert (folder / "run/images/1.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
@pytest.mark.skipif("TEST_LAUNCH" not in os.environ, reason="two minutes; make test-launch runs it")
def test_accelerate_launches_two_processes_of_it(kind, vivid, folder):
    case = CASES[kind]
    policy, train_prompts, eval_prompts = prepared(case, kind, folder)
    train = train_command(case, policy, vivid, "--prompts", train_prompts, "--eval-prompts", eval_prompts)
    launch = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "-m", "arrkit")
    # The judge of the example package, where this process finds it too.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, *launch, *train, "--out", "run"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "2 processes on cpu over gloo" in done.stderr
    assert adapter_of(folder / "run")


def prepared(case: Case, kind: str, folder: Path) -> tuple[tuple[str, str], str, str]:
    """Build the model and the files of prompts; the policy's option, and the names of the files."""
    with quiet():
        case.build(folder / "model")
    files = [prompt_file(folder, case, *texts) for texts in (TEXTS[:2], TEXTS[2:])]
    return ("--policy", f"{kind}:model?{case.options}"), *files


def train_command(case: Case, policy: tuple[str, str], judge: str, *more: str) -> tuple[str, ...]:
    rubric = "edit-general" if case.sources else "t2i-general"
    command = ("rpo", "train", *policy, *more, "--judge", judge, "--rubric", rubric, "--pairs", "2")
    command += ("--max-steps", "2", "--steps", str(STEPS), "--rank", "2", "--alpha", "6")
    return (*command, "--checkpoint-every", "1", "--warmup", "0", "--learning-rate", "0.02")


FP32 = ("--precision", "fp32")


def prompt_file(folder: Path, case: Case, *texts: str) -> str:
    name = f"prompts-{len(texts)}.jsonl"
    rows: list[dict[str, object]] = [{"prompt": text} for text in texts]
    if case.sources:
        for at, image in enumerate(case.sources):
            image.save(folder / f"source-{at}.png")
        files = [f"source-{at}.png" for at in range(len(case.sources))]
        rows = [{"instruction": text, "source": files} for text in texts]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def ok(result: Any) -> Any:
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return result


KILL = """
import os, signal
import arrkit.rpo.trainer as module
inner, calls = module.finish_update, []
def finish_update(*arguments, **options):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(*arguments, **options)
module.finish_update = finish_update
"""
"""In the middle of the second update."""


def noise(*names: str) -> str:
    """The seed that makes ``rpo sample`` begin from the noise of the held-out prompts."""
    return str(seed_of(0, *names))


def pixels(file: Path) -> tuple[tuple[int, int], bytes]:
    with Image.open(file) as image:
        return image.size, image.convert("RGB").tobytes()


def of_diffusers(model: Path, run: Path, call: dict[str, Any]) -> tuple[tuple[int, int], bytes]:
    """What a pipeline that knows nothing of arrkit paints with the adapter of a run."""
    index = json.loads((model / "model_index.json").read_text())
    parts: dict[str, Any] = {name: None for name, part in index.items() if part == [None, None]}
    if "processor" in index:
        parts["processor"] = tiny_qwen.processor()  # the usual one needs torchvision
    with quiet(), pytest.MonkeyPatch.context() as patch:
        # The edit pipelines scale every source to 1024 x 1024 pixels' area, which no option changes.
        dimensions = pipeline_qwenimage_edit.calculate_dimensions
        patch.setattr(
            pipeline_qwenimage_edit,
            "calculate_dimensions",
            lambda area, ratio: dimensions(SIDE**2 if area == 1024**2 else area, ratio),
        )
        patch.setattr(pipeline_qwenimage_edit_plus, "VAE_IMAGE_SIZE", SIDE**2)
        pipe = DiffusionPipeline.from_pretrained(model, **parts)
        pipe.load_lora_weights(run)
        pipe.set_progress_bar_config(disable=True)
        seed = seed_of(seed_of(0, "held out"), "sample", 0, 0)
        generator = torch.Generator().manual_seed(seed)
        image = pipe(prompt=TEXTS[2], num_inference_steps=STEPS, generator=generator, **call).images[0]
    return image.size, image.convert("RGB").tobytes()
