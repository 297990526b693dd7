"""Adapters of policies in diffusers' file: out into a fresh pipeline, back into a fresh policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import tiny_pipelines
from diffusers import FluxPipeline, StableDiffusion3Pipeline
from peft import LoraConfig, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from arrkit.backends.policies.flux import FluxPolicy, make_flux
from arrkit.backends.policies.pipeline import PipelinePolicy, quiet
from arrkit.backends.policies.sd35 import make_sd35
from arrkit.backends.spec import Spec
from arrkit.data.pairs import Task
from arrkit.data.prompts import Prompt
from arrkit.errors import InputError, RunError
from arrkit.rpo.policy import Part

pytestmark = pytest.mark.xdist_group("torch")

CPU = torch.device("cpu")
NAME = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet():
        return tiny_pipelines.tiny_flux(tmp_path_factory.mktemp("flux"))


@pytest.fixture(scope="module")
def sd35(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet():
        return tiny_pipelines.tiny_sd35(tmp_path_factory.mktemp("sd35"))


def flux_policy(folder: Path, dtype: Any = torch.float32) -> FluxPolicy:
    policy = make_flux(Spec("flux", str(folder)), size=32, max_sequence_length=24)
    policy.load(list(Part), device=CPU, dtype=dtype)
    return policy


def adapt(policy: PipelinePolicy, rank: int = 2, alpha: int = 16, targets: Any = None, seed: int = 1) -> None:
    """An adapter that changes something, float32 as when it is trained."""
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets or policy.targets))
    policy.transformer.add_adapter(config, adapter_name="default")
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(policy.transformer.named_parameters()):
        if ".lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) / 4


def adapter(policy: PipelinePolicy) -> dict[str, Any]:
    return get_peft_model_state_dict(policy.transformer, adapter_name="default")


def velocity(policy: PipelinePolicy) -> Any:
    [condition] = policy.encode([Prompt("1", Task.T2I, "a red dog")])
    noise = policy.noise(condition, torch.Generator().manual_seed(3))[None]
    timestep = policy.grid(4, condition).timesteps[1]
    with torch.no_grad():
        return policy.velocity(noise, timestep, policy.collate([condition]))


def latents_of(pipe: Any, **options: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    options |= {"num_inference_steps": 2, "max_sequence_length": 24, "output_type": "latent"}
    with quiet():
        return pipe(prompt="a red dog", generator=generator, **options).images


def sampled(policy: PipelinePolicy) -> Any:
    [condition] = policy.encode([Prompt("1", Task.T2I, "a red dog")])
    scheduler = policy.scheduler()
    policy.set_steps(scheduler, 2, condition)
    x = policy.noise(condition, torch.Generator().manual_seed(3))[None]
    for timestep in policy.grid(2, condition).timesteps:
        with torch.no_grad():
            v = policy.velocity(x, timestep, policy.collate([condition]))
        x = scheduler.step(v, timestep, x, return_dict=False)[0]
    return x


@pytest.mark.parametrize("kind", ["flux", "sd35"])
def test_a_fresh_pipeline_with_the_saved_adapter_paints_what_the_policy_paints(kind, request, tmp_path):
    folder = request.getfixturevalue(kind)
    pipeline_class: Any
    if kind == "flux":
        policy: PipelinePolicy = flux_policy(folder)
        pipeline_class, options = FluxPipeline, {"width": 32, "height": 32}
    else:
        policy = make_sd35(Spec("sd35", str(folder)), size=32, cfg=1.0, max_sequence_length=24)
        policy.load(list(Part), device=CPU, dtype=torch.float32)
        pipeline_class, options = StableDiffusion3Pipeline, {"width": 32, "height": 32, "guidance_scale": 1.0}
    base = sampled(policy)
    adapt(policy)
    file = policy.save(tmp_path / "run")
    assert file == tmp_path / "run" / NAME
    assert [path.name for path in file.parent.iterdir()] == [NAME]
    with quiet():
        pipe = pipeline_class.from_pretrained(folder)
        pipe.load_lora_weights(tmp_path / "run")
    painted = latents_of(pipe, **options)
    assert torch.equal(painted, sampled(policy))
    assert not torch.allclose(painted, base, atol=1e-3)
    # Alpha is eight times the rank here: a loader that did not find it would take it for equal.
    assert pipe.transformer.peft_config["default_0"].lora_alpha == 16


def test_a_saved_adapter_is_the_same_file_every_time(flux, tmp_path):
    policy = flux_policy(flux)
    adapt(policy)
    first = policy.save(tmp_path / "a").read_bytes()
    assert policy.save(tmp_path / "b").read_bytes() == first
    with safe_open(tmp_path / "a" / NAME, framework="pt") as opened:
        settings = json.loads(opened.metadata()["lora_adapter_metadata"])
    assert settings["transformer.target_modules"] == sorted(policy.targets)


def test_a_fresh_policy_takes_a_saved_adapter_with_its_rank_and_alpha(flux, tmp_path):
    first, second = flux_policy(flux), flux_policy(flux)
    adapt(first, targets=("to_q", "add_k_proj"))
    second.restore(first.save(tmp_path))
    assert second.transformer.peft_config["default"].r == 2
    assert second.transformer.peft_config["default"].lora_alpha == 16
    assert torch.equal(velocity(second), velocity(first))
    # And it saves as the same adapter.
    assert second.save(tmp_path / "again").is_file()
    third = flux_policy(flux)
    third.restore(tmp_path / "again" / NAME)
    assert torch.equal(velocity(third), velocity(first))


def test_an_adapter_stays_float32_on_a_bfloat16_model(flux, tmp_path):
    first, second = flux_policy(flux, torch.bfloat16), flux_policy(flux, torch.bfloat16)
    adapt(first)
    second.restore(first.save(tmp_path))
    assert {tensor.dtype for tensor in adapter(second).values()} == {torch.float32}
    assert all(torch.equal(tensor, adapter(first)[name]) for name, tensor in adapter(second).items())
    assert next(second.transformer.x_embedder.parameters()).dtype == torch.bfloat16
    assert torch.equal(velocity(second), velocity(first))


@pytest.mark.parametrize(("rank", "alpha"), [(4, 4), (2, 8)])
def test_an_adapter_of_the_same_kind_keeps_its_parameters_and_another_is_replaced(
    rank, alpha, flux, tmp_path
):
    source = flux_policy(flux)
    adapt(source)
    file = source.save(tmp_path)
    same, other = flux_policy(flux), flux_policy(flux)
    adapt(same, seed=2)
    before = dict(same.transformer.named_parameters())
    same.restore(file)
    after = dict(same.transformer.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    adapt(other, rank=rank, alpha=alpha, seed=2)
    other.restore(file)
    assert other.transformer.peft_config["default"].r == 2
    assert torch.equal(velocity(same), velocity(source))
    assert torch.equal(velocity(other), velocity(source))


def tensors(**changes: Any) -> dict[str, Any]:
    """The tensors of an adapter of one module, rank 2; None leaves one out."""
    name = "transformer.transformer_blocks.0.attn.to_q.lora_"
    made = {f"{name}A.weight": torch.zeros(2, 32), f"{name}B.weight": torch.zeros(32, 2), **changes}
    return {name: tensor for name, tensor in made.items() if tensor is not None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not an adapter", "cannot read the adapter"),
        (tensors(**{"transformer.blocks.9.to_q.lora_A.weight": torch.zeros(2, 32)}), "has no blocks.9.to_q"),
        (
            tensors(**{"transformer.transformer_blocks.0.attn.to_q.lora_A.weight": torch.zeros(2, 64)}),
            "transformer_blocks.0.attn.to_q takes 32 values and not 64",
        ),
        (
            tensors(**{"transformer.transformer_blocks.0.attn.to_q.lora_B.weight": torch.zeros(48, 2)}),
            "transformer_blocks.0.attn.to_q gives 32 values and not 48",
        ),
        (tensors(**{"text_encoder.layer.lora_A.weight": torch.zeros(2, 4)}), "it has text_encoder.layer"),
        ({"lora_unet_double_blocks_0.alpha": torch.zeros(1)}, "it has lora_unet_double_blocks_0.alpha"),
        ({}, "it is empty"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_and_changes_nothing(content, message, flux, tmp_path):
    file = tmp_path / "adapter.safetensors"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        save_file(content, file)
    policy = flux_policy(flux)
    before = velocity(policy)
    with pytest.raises(InputError, match=message):
        policy.restore(file)
    assert torch.equal(velocity(policy), before)
    with pytest.raises(InputError, match="cannot read the adapter"):
        policy.restore(tmp_path / "missing.safetensors")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("I/O error")])
def test_a_full_disk_leaves_the_earlier_adapter(error, flux, tmp_path, monkeypatch):
    policy = flux_policy(flux)
    adapt(policy)
    before = policy.save(tmp_path).read_bytes()

    def fail(*_: object, **__: object) -> None:
        (Path(_[0]) / NAME).write_bytes(b"half")
        raise error

    monkeypatch.setattr(FluxPipeline, "save_lora_weights", fail)
    with pytest.raises(RunError, match="cannot write"):
        policy.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == before
