"""Policies over diffusers pipelines against the pipelines themselves: the same numbers, bit for bit."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import numpy as np
import tiny_pipelines
from diffusers import DiffusionPipeline
from diffusers.pipelines.flux import pipeline_flux_kontext
from PIL import Image

from arrkit.backends.policies import kontext
from arrkit.backends.policies.flux import make_flux
from arrkit.backends.policies.kontext import make_kontext
from arrkit.backends.policies.pipeline import PipelinePolicy, quiet
from arrkit.backends.policies.sd35 import make_sd35
from arrkit.backends.spec import Spec
from arrkit.data.pairs import Picture, Task
from arrkit.data.prompts import Prompt
from arrkit.rpo.policy import Condition, Part

pytestmark = pytest.mark.xdist_group("torch")

CPU = torch.device("cpu")
TEXT = "a red cube, 2 dogs"
STEPS = 3


@dataclass(frozen=True)
class Case:
    """One pipeline class with the policy for it, and what one call of the pipeline is told."""

    build: Callable[..., Path]
    make: Callable[..., PipelinePolicy]
    options: dict[str, Any]
    call: dict[str, Any]
    build_options: dict[str, Any]


def case(build: Any, make: Any, options: Any, call: Any, **build_options: Any) -> Case:
    return Case(build, make, options, call, build_options)


SOURCE = Image.fromarray(np.arange(40 * 24 * 3, dtype=np.uint8).reshape(24, 40, 3))

CASES = {
    "flux": case(
        tiny_pipelines.tiny_flux,
        make_flux,
        {"width": 32, "height": 48, "max_sequence_length": 40},
        {"width": 32, "height": 48, "max_sequence_length": 40},
    ),
    "flux told its guidance": case(
        tiny_pipelines.tiny_flux,
        make_flux,
        {"size": 32, "guidance": 1.5},
        {"width": 32, "height": 32, "guidance_scale": 1.5},
    ),
    "schnell": case(
        tiny_pipelines.tiny_flux, make_flux, {"size": 32}, {"width": 32, "height": 32}, guidance=False
    ),
    "sd35": case(
        tiny_pipelines.tiny_sd35,
        make_sd35,
        {"width": 64, "height": 32, "negative": "dull"},
        {"width": 64, "height": 32, "negative_prompt": "dull"},
    ),
    "sd35 without guidance": case(
        tiny_pipelines.tiny_sd35,
        make_sd35,
        {"size": 64, "cfg": 1.0, "max_sequence_length": 40},
        {"width": 64, "height": 64, "guidance_scale": 1.0, "max_sequence_length": 40},
    ),
    "sd35 without T5": case(
        tiny_pipelines.tiny_sd35, make_sd35, {"size": 32}, {"width": 32, "height": 32}, t5=False
    ),
    "kontext": case(
        tiny_pipelines.tiny_kontext,
        make_kontext,
        {"width": 32, "height": 16, "source_size": 24},
        # 24 x 24 pixels in the aspect of the source, cut to multiples of 4.
        {"image": SOURCE.resize((28, 16), Image.Resampling.LANCZOS), "_auto_resize": False}
        | {"width": 32, "height": 16, "max_area": 512},
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Path]:
    """The folder of a case's model, built once."""
    built: dict[str, Path] = {}

    def folder(case: Case) -> Path:
        name = f"{case.build.__name__}{json.dumps(case.build_options)}"
        if name not in built:
            with quiet():
                built[name] = case.build(tmp_path_factory.mktemp("model"), **case.build_options)
        return built[name]

    return folder


def made(case: Case, folder: Path, **changes: Any) -> PipelinePolicy:
    options = {**case.options, **changes}
    texts = {key: str(value) for key, value in options.items()}
    return case.make(Spec("it", str(folder), texts), **options)


def prompt(case: Case, text: str = TEXT, source: Image.Image = SOURCE) -> Prompt:
    if case.make is make_kontext:
        return Prompt("1", Task.EDIT, text, (Picture("source", lambda: source),))
    return Prompt("1", Task.T2I, text)


def index(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model_index.json").read_text())


def pipeline(folder: Path, dtype: Any) -> Any:
    with quiet():
        without = [name for name, part in index(folder).items() if part == [None, None]]
        pipe = DiffusionPipeline.from_pretrained(folder, dtype=dtype, **dict.fromkeys(without))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def painted(pipe: Any, case: Case, output: str, text: str = TEXT) -> Any:
    generator = torch.Generator().manual_seed(5)
    with quiet():
        made = pipe(
            prompt=text, num_inference_steps=STEPS, generator=generator, output_type=output, **case.call
        )
    return made.images


def sampled(policy: PipelinePolicy, condition: Any, dtype: Any) -> Any:
    """Clean latents, by the scheduler's own steps on the policy's grid and velocities."""
    grid = policy.grid(STEPS, condition)
    scheduler = policy.scheduler()
    policy.set_steps(scheduler, STEPS, condition)
    latents = policy.noise(condition, torch.Generator().manual_seed(5))[None]
    batch = policy.collate([condition])
    for timestep in grid.timesteps:
        with torch.no_grad():
            velocity = policy.velocity(latents, timestep, batch)
        assert velocity.dtype == torch.float32
        # In the type that the pipeline keeps its latents in.
        latents = scheduler.step(velocity.to(dtype), timestep, latents, return_dict=False)[0].float()
    return latents


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", CASES)
def test_a_policy_without_noise_paints_what_its_pipeline_paints(name, dtype, folders):
    case = CASES[name]
    folder = folders(case)
    policy = made(case, folder)
    policy.load(list(Part), device=CPU, dtype=dtype)
    [condition] = policy.encode([prompt(case)])
    pipe = pipeline(folder, dtype)
    latents = sampled(policy, condition, dtype)
    assert torch.equal(latents, painted(pipe, case, "latent").float())
    [image] = policy.decode(latents, [condition])
    [expected] = painted(pipe, case, "pil")
    assert image.mode == "RGB"
    assert image.size == (condition.width, condition.height) == expected.size
    assert image.tobytes() == expected.tobytes()


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What diffusers and transformers log; their loggers do not pass it on."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    for library in ("diffusers", "transformers"):
        logging.getLogger(library).addHandler(handler)
    yield messages
    for library in ("diffusers", "transformers"):
        logging.getLogger(library).removeHandler(handler)


def test_a_prompt_that_clip_cuts_is_encoded_as_the_pipeline_does_it_and_nothing_is_said(folders, said, capfd):
    case = CASES["flux"]
    text = "a dog and " * 12
    policy = made(case, folders(case), max_sequence_length=200)
    policy.load([Part.ENCODERS], device=CPU, dtype=torch.float32)
    conditions = policy.encode([prompt(case, text), prompt(case)])
    assert capfd.readouterr() == ("", "")
    assert said == []
    pipe = pipeline(folders(case), torch.float32)
    for condition, alone in zip(conditions, [text, TEXT], strict=True):
        with torch.no_grad():
            states, pooled, _ = pipe.encode_prompt(alone, None, device=CPU, max_sequence_length=200)
        assert set(condition.tensors) == {"prompt", "pooled"}
        assert torch.equal(condition.tensors["prompt"], states[0])
        assert torch.equal(condition.tensors["pooled"], pooled[0])
        assert not condition.tensors["prompt"].requires_grad
    assert any("was truncated because CLIP" in message for message in said)


# As in the released models' own scheduler/scheduler_config.json.
_DYNAMIC = {"use_dynamic_shifting": True, "base_image_seq_len": 256, "base_shift": 0.5}
FLUX_GRID = {**_DYNAMIC, "max_image_seq_len": 4096, "max_shift": 1.15, "shift": 3.0}
QWEN_GRID = {**_DYNAMIC, "max_image_seq_len": 8192, "max_shift": 0.9, "shift": 1.0, "shift_terminal": 0.02}
SD35_GRID = {"use_dynamic_shifting": False, "shift": 3.0}

FLUX_1024_TOKENS = [1, 0.9293, 0.8492, 0.7578, 0.6525, 0.5298, 0.3849, 0.2115, 0]
QWEN_1024_TOKENS = [1, 0.9290, 0.8515, 0.7666, 0.6733, 0.5701, 0.4555, 0.3274, 0.1833, 0.0200, 0]
SD35_ANY = [1, 0.9601, 0.9133, 0.8577, 0.7904, 0.7073, 0.6022, 0.4649, 0.2780, 0.0089, 0]


@pytest.mark.parametrize(
    ("name", "config", "side", "expected"),
    [
        ("flux", FLUX_GRID, 4, FLUX_1024_TOKENS),
        ("flux", QWEN_GRID, 4, QWEN_1024_TOKENS),
        ("sd35", SD35_GRID, 8, SD35_ANY),
        ("sd35", {**_DYNAMIC, "max_image_seq_len": 4096, "max_shift": 1.16}, 8, None),
    ],
    ids=["flux", "qwen", "sd35", "sd35 dynamic"],
)
def test_the_grid_is_the_schedulers_own_at_any_size(name, config, side, expected, folders, tmp_path):
    case = CASES[name]
    folder = shutil.copytree(folders(case), tmp_path / "model")
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({"_class_name": "FlowMatchEulerDiscreteScheduler", **config}))
    pipe = pipeline(folder, torch.float32)
    steps = len(expected) - 1 if expected else 6
    # 1024 tokens, as an image of 512 pixels has in the released models; a wide one, and a smaller one.
    seen = set()
    for width, height in [(32 * side, 32 * side), (24 * side, 8 * side), (8 * side, 8 * side)]:
        policy = case.make(Spec("it", str(folder)), width=width, height=height)
        condition = Condition({}, width, height)
        grid = policy.grid(steps, condition)
        # The pipeline's loop is not needed: a transformer that says nothing leaves it the grid alone.
        pipe.transformer.forward = lambda hidden_states, **_: (torch.zeros_like(hidden_states),)
        painted_at(pipe, width, height, steps)
        assert torch.equal(grid.sigmas, pipe.scheduler.sigmas)
        assert torch.equal(grid.timesteps, pipe.scheduler.timesteps)
        assert grid.sigmas.dtype == grid.timesteps.dtype == torch.float32
        assert any(float(timestep) % 1 for timestep in grid.timesteps)
        if expected and (width, height) == (32 * side, 32 * side):
            assert [round(float(sigma), 4) for sigma in grid.sigmas] == expected
        seen.add(tuple(grid.sigmas.tolist()))
    assert len(seen) == (3 if config["use_dynamic_shifting"] else 1)


def painted_at(pipe: Any, width: int, height: int, steps: int) -> None:
    options = {"width": width, "height": height, "num_inference_steps": steps, "output_type": "latent"}
    with quiet():
        pipe(prompt=TEXT, max_sequence_length=20, **options)


@pytest.mark.parametrize("name", ["flux", "sd35", "kontext"])
def test_a_batch_is_its_samples_and_gradients_change_no_number(name, folders):
    case = CASES[name]
    policy = made(case, folders(case))
    policy.load([Part.ENCODERS, Part.TRANSFORMER], device=CPU, dtype=torch.float32)
    # For edits, sources of two sizes in an order that grouping by size changes.
    tall = SOURCE.transpose(Image.Transpose.ROTATE_90)
    texts = [("red", SOURCE), ("two blue dogs", tall), ("a", SOURCE)]
    conditions = policy.encode([prompt(case, text, source) for text, source in texts])
    noise = torch.stack([policy.noise(each, torch.Generator().manual_seed(5)) for each in conditions])
    timestep = policy.grid(4, conditions[0]).timesteps[1]
    batch = policy.collate(conditions)
    with torch.no_grad():
        together = policy.velocity(noise, timestep, batch)
        for at, condition in enumerate(conditions):
            alone = policy.velocity(noise[at : at + 1], timestep, policy.collate([condition]))
            assert torch.allclose(together[at], alone[0], atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-3)
    x = noise.clone().requires_grad_()
    again = policy.velocity(x, timestep, batch)
    assert torch.equal(again, together)
    again.square().sum().backward()
    assert x.grad is not None
    assert (x.grad.flatten(1).abs().sum(1) > 0).all()


def test_kontext_scales_a_source_to_the_pipelines_nearest_size(folders, monkeypatch):
    case = CASES["kontext"]
    # The real ones have a megapixel, which is 65,536 tokens of a tiny VAE.
    for module in (kontext, pipeline_flux_kontext):
        monkeypatch.setattr(module, "PREFERRED_KONTEXT_RESOLUTIONS", [(16, 48), (32, 32), (44, 28)])
    policy = made(case, folders(case), source_size=0)
    policy.load(list(Part), device=CPU, dtype=torch.float32)
    [condition] = policy.encode([prompt(case)])
    assert condition.facts == {"rows": 7, "columns": 11}
    told = {**case.call, "image": SOURCE, "_auto_resize": True}
    pipe = pipeline(folders(case), torch.float32)
    expected = painted(pipe, replace(case, call=told), "latent")
    assert torch.equal(sampled(policy, condition, torch.float32), expected)
