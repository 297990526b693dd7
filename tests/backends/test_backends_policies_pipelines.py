"""Policies over diffusers pipelines against the pipelines themselves: the same numbers, bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import numpy as np
import tiny_pipelines
from diffusers import DiffusionPipeline
from PIL import Image

from arrkit.backends.policies.flux import make_flux
from arrkit.backends.policies.kontext import make_kontext
from arrkit.backends.policies.pipeline import PipelinePolicy, quiet
from arrkit.backends.policies.sd35 import make_sd35
from arrkit.backends.spec import Spec
from arrkit.data.pairs import ImageUnreadable, Picture, Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError
from arrkit.rpo.policy import Part

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
