"""Policies over diffusers pipelines: what they load and free, what tells them apart, what they refuse."""

from __future__ import annotations

import gc
import importlib
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import huggingface_hub.constants
import tiny_pipelines
from PIL import Image
from safetensors.torch import load_file

from arrkit.backends.policies import plugins
from arrkit.backends.policies.flux import FluxPolicy, make_flux
from arrkit.backends.policies.kontext import make_kontext
from arrkit.backends.policies.pipeline import quiet
from arrkit.backends.policies.sd35 import make_sd35
from arrkit.backends.registry import make_policy
from arrkit.backends.spec import Spec
from arrkit.data.pairs import ImageUnreadable, Picture, Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError
from arrkit.rpo.policy import Condition, Part

pytestmark = pytest.mark.xdist_group("torch")

CPU = torch.device("cpu")
FP32 = torch.float32


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A built model by its name, such as flux."""
    built: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in built:
            with quiet():
                built[name] = BUILDERS[name](tmp_path_factory.mktemp(name))
        return built[name]

    return folder


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "flux": tiny_pipelines.tiny_flux,
    "schnell": lambda folder: tiny_pipelines.tiny_flux(folder, guidance=False),
    "kontext": tiny_pipelines.tiny_kontext,
    "sd35": tiny_pipelines.tiny_sd35,
    "sd35 without T5": lambda folder: tiny_pipelines.tiny_sd35(folder, t5=False),
}


def flux(folder: Path, **options: Any) -> FluxPolicy:
    return make_flux(Spec("flux", str(folder)), **{"size": 32, "max_sequence_length": 24, **options})


def without(folder: Path, copy: Path, *parts: str) -> Path:
    """A copy of a model whose ``parts`` have no weights."""
    shutil.copytree(folder, copy)
    for part in parts:
        for file in (copy / part).glob("*.safetensors"):
            file.unlink()
    return copy


ENCODERS = ("text_encoder", "text_encoder_2")


def test_each_part_is_loaded_without_the_others(models, tmp_path):
    model = models("flux")
    whole = flux(model)
    whole.load(list(Part), device=CPU, dtype=FP32)
    prompt = Prompt("1", Task.T2I, "a dog")
    [condition] = whole.encode([prompt])
    noise = whole.noise(condition, torch.Generator().manual_seed(0))

    bare = flux(without(model, tmp_path / "bare", *ENCODERS, "transformer", "vae"))
    assert torch.equal(bare.grid(4, condition).sigmas, whole.grid(4, condition).sigmas)
    assert torch.equal(bare.noise(condition, torch.Generator().manual_seed(0)), noise)

    encoders = flux(without(model, tmp_path / "encoders", "transformer", "vae"))
    encoders.load([Part.ENCODERS], device=CPU, dtype=FP32)
    assert torch.equal(encoders.encode([prompt])[0].tensors["prompt"], condition.tensors["prompt"])
    with pytest.raises(InputError, match=r"the transformer of .* cannot be loaded"):
        encoders.load([Part.TRANSFORMER], device=CPU, dtype=FP32)
    with pytest.raises(RuntimeError, match="the transformer is not loaded"):
        _ = encoders.transformer

    transformer = flux(without(model, tmp_path / "transformer", *ENCODERS, "vae"))
    transformer.load([Part.TRANSFORMER], device=CPU, dtype=FP32)
    timestep = torch.tensor(500.0)
    with torch.no_grad():
        velocities = [
            each.velocity(noise[None], timestep, each.collate([condition])) for each in (transformer, whole)
        ]
    assert torch.equal(*velocities)
    assert not any(parameter.requires_grad for parameter in transformer.transformer.parameters())
    assert not transformer.transformer.training

    decoder = flux(without(model, tmp_path / "decoder", *ENCODERS, "transformer"))
    decoder.load([Part.DECODER], device=CPU, dtype=FP32)
    images = [each.decode(noise[None], [condition])[0].tobytes() for each in (decoder, whole)]
    assert images[0] == images[1]
    with pytest.raises(RuntimeError, match="the encoders are not loaded"):
        decoder.encode([prompt])


def test_encoders_of_edits_bring_the_vae_and_not_the_transformer(models, tmp_path):
    model = without(models("kontext"), tmp_path / "model", "transformer")
    policy = make_kontext(Spec("flux-kontext", str(model)), size=32, source_size=16, max_sequence_length=24)
    policy.load([Part.ENCODERS], device=CPU, dtype=FP32)
    source = Picture("source", lambda: Image.new("RGB", (20, 20), "red"))
    prompt = Prompt("1", Task.EDIT, "make it blue", (source,))
    [condition] = policy.encode([prompt])
    assert condition.tensors["source"].shape == (16, 16)
    vae = weakref.ref(policy.vae)
    policy.load([Part.DECODER], device=CPU, dtype=FP32)
    policy.unload([Part.ENCODERS])
    assert policy.vae is vae()
    policy.unload([Part.DECODER])
    gc.collect()
    assert vae() is None


def test_unloading_frees_a_part_and_loading_brings_it_back(models):
    policy = flux(models("flux"))
    policy.load(list(Part), device=CPU, dtype=FP32)
    kept = weakref.ref(policy.transformer)
    freed = [weakref.ref(policy.encoding.text_encoder_2), weakref.ref(policy.vae)]
    policy.unload([Part.ENCODERS, Part.DECODER])
    assert [each() for each in freed] == [None, None]
    assert kept() is policy.transformer
    # What is loaded stays the same object, with whatever was put into it.
    policy.load([Part.TRANSFORMER, Part.ENCODERS], device=CPU, dtype=FP32)
    assert kept() is policy.transformer
    assert policy.encode([Prompt("1", Task.T2I, "a dog")])


def test_the_skeleton_has_the_modules_and_no_weights(models, tmp_path):
    bare = flux(without(models("flux"), tmp_path / "bare", *ENCODERS, "transformer", "vae"))
    skeleton = bare.skeleton()
    assert {parameter.device.type for parameter in skeleton.parameters()} == {"meta"}
    whole = flux(models("flux"))
    whole.load([Part.TRANSFORMER], device=CPU, dtype=FP32)
    shapes = [{name: p.shape for name, p in m.named_parameters()} for m in (skeleton, whole.transformer)]
    assert shapes[0] == shapes[1]
    names = [name for name, _ in skeleton.named_modules()]
    assert all(any(name.endswith(f".{target}") for name in names) for target in bare.targets)
    # Whoever puts adapters into one to try them spoils no other.
    assert bare.skeleton() is not skeleton


def test_a_model_is_known_by_its_files_and_not_by_its_place(models, tmp_path):
    first = flux(models("flux"))
    moved = shutil.copytree(models("flux"), tmp_path / "moved")
    (moved / "pytorch_lora_weights.ckpt").write_text("a note beside the model")
    assert flux(moved).identity == first.identity
    assert json.loads(json.dumps(first.identity)) == first.identity
    for change in ({"size": 64}, {"guidance": 2.0}, {"max_sequence_length": 32}):
        assert flux(moved, **change).identity != first.identity
    weights = moved / "transformer" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert flux(moved).identity != first.identity


def test_the_size_is_the_pipelines_unless_it_is_given(models):
    model = models("flux")
    assert make_flux(Spec("flux", str(model))).size == (256, 256)
    assert make_flux(Spec("flux", str(model)), width=64).size == (64, 256)
    assert make_sd35(Spec("sd35", str(models("sd35")))).size == (128, 128)


def hub(folder: Path, cache: Path, commit: str) -> None:
    """Lay a model into a hub cache as huggingface_hub does it."""
    repository = cache / "models--someone--tiny"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)


def test_a_model_of_the_hub_is_known_by_its_commit(models, tmp_path, monkeypatch):
    commit = "0123456789" * 4
    hub(models("flux"), tmp_path, commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    policy = flux(Path("someone/tiny"))
    assert policy.identity["model"] == f"someone/tiny@{commit}"
    policy.load(list(Part), device=CPU, dtype=FP32)
    assert policy.encode([Prompt("1", Task.T2I, "a dog")])
    with pytest.raises(InputError, match=r"cannot find model_index\.json of someone/tiny"):
        flux(Path("someone/tiny"), revision="v2").skeleton()
    with pytest.raises(InputError, match=r"cannot find model_index\.json of someone/other"):
        flux(Path("someone/other")).skeleton()


@pytest.mark.parametrize("make", [make_flux, make_sd35, make_kontext])
@pytest.mark.parametrize("model", ["./missing", "/no/such/place", "~/missing", "a/b/c", "missing"])
def test_a_missing_folder_is_refused_at_once(make, model):
    with pytest.raises(InputError, match="there is no folder"):
        make(Spec("it", model))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 30}, r"cannot be 30 pixels wide or high\n  Sides are multiples of 4, such as 32"),
        ({"size": 0, "width": 33}, "cannot be 33 pixels"),
        ({"size": 32, "width": 32}, "size is given, and width or height too"),
        ({"revision": "main"}, "a revision is given, but the model is a folder"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_loaded(options, message, models):
    with pytest.raises(InputError, match=message):
        flux(models("flux"), **options).load([], device=CPU, dtype=FP32)


def test_a_model_of_another_kind_is_refused_before_anything_is_loaded(models, tmp_path):
    with pytest.raises(InputError, match="is a StableDiffusion3Pipeline, not a FluxPipeline"):
        flux(models("sd35")).skeleton()
    with pytest.raises(InputError, match=r"has no model_index\.json\n  Name a folder that a diffusers"):
        flux(tmp_path).skeleton()
    changed = shutil.copytree(models("flux"), tmp_path / "changed")
    (changed / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "DDIMScheduler"}')
    with pytest.raises(InputError, match="its scheduler is DDIMScheduler"):
        flux(changed).load([], device=CPU, dtype=FP32)


def test_guidance_is_refused_by_a_model_that_takes_none(models):
    spec = Spec("flux", str(models("schnell")), {"guidance": "2"})
    with pytest.raises(InputError, match="takes no guidance"):
        make_flux(spec, guidance=2.0).load([], device=CPU, dtype=FP32)
    assert flux(models("schnell")).guidances(2) is None


def test_weights_of_another_shape_are_refused(models, tmp_path):
    smaller = shutil.copytree(models("flux"), tmp_path / "smaller")
    config = smaller / "transformer" / "config.json"
    text = json.loads(config.read_text())
    config.write_text(json.dumps({**text, "num_layers": 2}))
    with pytest.raises(InputError, match=r"the transformer of .* \d+ weights are missing, such as transf"):
        flux(smaller).load([Part.TRANSFORMER], device=CPU, dtype=FP32)
    config.write_text(json.dumps({**text, "joint_attention_dim": 48}))
    with pytest.raises(InputError, match=r"the transformer of .* cannot be loaded"):
        flux(smaller).load([Part.TRANSFORMER], device=CPU, dtype=FP32)


def test_weights_that_are_no_safetensors_are_not_opened(models, tmp_path):
    model = shutil.copytree(models("flux"), tmp_path / "pickled")
    for part in ("transformer", "vae"):
        weights = model / part / "diffusion_pytorch_model.safetensors"
        torch.save(load_file(weights), weights.with_suffix(".bin"))
        weights.unlink()
    for part in (Part.TRANSFORMER, Part.DECODER):
        with pytest.raises(InputError, match="cannot be loaded"):
            flux(model).load([part], device=CPU, dtype=FP32)


def test_sd35_refuses_what_its_places_and_its_guidance_do_not_allow(models):
    spec = Spec("sd35", str(models("sd35")))
    with pytest.raises(InputError, match=r"cannot be 264 pixels wide or high\n  At most 256"):
        make_sd35(spec, size=264).skeleton()
    with pytest.raises(InputError, match="a negative prompt is given, and cfg=1 uses none"):
        make_sd35(spec, cfg=1.0, negative="dull")
    long = make_sd35(spec, negative="long " * 20, max_sequence_length=24)
    with pytest.raises(InputError, match="the negative prompt has 101 tokens, and the encoder takes 24"):
        long.load([Part.ENCODERS], device=CPU, dtype=FP32)


def unreadable() -> Image.Image:
    raise ImageUnreadable("x.png: there is no such file")


RED = Picture("red", lambda: Image.new("RGB", (16, 16), "red"))


@pytest.mark.parametrize(
    ("model", "make", "text", "sources", "message"),
    [
        ("flux", make_flux, "x" * 23, (), "has 25 tokens, and the encoder takes 24"),
        ("flux", make_flux, "a dog", (RED,), "has 1 source image, and this model takes no source image"),
        ("sd35", make_sd35, "x" * 23, (), "has 25 tokens, and the encoder takes 24"),
        ("sd35 without T5", make_sd35, "x" * 90, (), "has 92 tokens, and the encoder takes 77"),
        ("kontext", make_kontext, "a dog", (), "has no source image"),
        ("kontext", make_kontext, "a dog", (RED, RED), "has 2 source images, and this model takes one"),
        ("kontext", make_kontext, "a dog", (Picture("x", unreadable),), r"x\.png: there is no such file"),
    ],
)
def test_a_prompt_that_cannot_be_encoded_whole_is_unusable(model, make, text, sources, message, models):
    policy = make(Spec("it", str(models(model))), size=32, max_sequence_length=24)
    policy.load([Part.ENCODERS], device=CPU, dtype=FP32)
    with pytest.raises(PromptUnusable, match=message) as caught:
        policy.encode([Prompt("1", policy.task, text, sources)])
    assert "\n" not in str(caught.value)


def test_specs_come_through_the_door_with_the_records_parameters(models):
    policy = make_policy(f"flux:{models('flux')}?size=64&guidance=2.5")
    assert isinstance(policy, FluxPolicy)
    assert policy.name == f"flux:{models('flux')}?guidance=2.5&size=64"
    assert policy.identity["guidance"] == 2.5
    assert policy.noise(Condition({}, *policy.size), torch.Generator()).shape == (256, 16)
    assert make_policy(f"sd35:{models('sd35')}?cfg=1").identity["cfg"] == 1.0
    kontext = make_policy(f"flux-kontext:{models('kontext')}?source_size=64")
    assert kontext.task is Task.EDIT
    assert kontext.identity["source_size"] == 64


@pytest.mark.parametrize(
    "name", ["flux", "flux_kontext", "sd35", "qwen_image", "qwen_edit", "qwen_edit_plus", "bagel"]
)
def test_a_record_and_its_factory_agree_on_names_and_defaults(name):
    record = getattr(plugins, name)
    module, _, factory = record.factory.partition(":")
    make = getattr(importlib.import_module(module), factory)
    assert make.__kwdefaults__ == {key: parameter.default for key, parameter in record.parameters.items()}
