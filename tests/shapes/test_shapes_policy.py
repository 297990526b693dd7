"""The embedded policy: a policy like any other, whose shipped weights paint, and whose adapters come back."""

from __future__ import annotations

import json
from collections import Counter
from statistics import mean

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from PIL import Image
from safetensors import safe_open
from torch import nn

from arrkit.backends.registry import make_policy
from arrkit.data.pairs import Picture, Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError, RunError
from arrkit.rpo.lora import adapter_parameters, add_adapter
from arrkit.rpo.policy import Part
from arrkit.rpo.recipe import Preset, Recipe, recipe_for
from arrkit.shapes.assess import is_correct
from arrkit.shapes.look import look_at
from arrkit.shapes.policy import model
from arrkit.shapes.policy.slots import CHANNELS, SLOTS, decode_scene

pytestmark = pytest.mark.xdist_group("torch")

TASKS = ["t2i", "edit"]


def loaded(task="t2i", **options):
    policy = make_policy(
        "&".join([f"shapes?task={task}", *(f"{key}={value}" for key, value in options.items())])
    )
    policy.load(set(Part), device=torch.device("cpu"), dtype=torch.float32)
    return policy


@pytest.fixture(scope="module", params=TASKS)
def policy(request):
    """Loaded, shared, not to be changed."""
    return loaded(request.param)


@torch.no_grad()
def velocity(policy, count=6):
    conditions = policy.encode(policy.prompts("test")[:count])
    latents = torch.randn(6, SLOTS, CHANNELS, generator=torch.Generator().manual_seed(0))[:count]
    return policy.velocity(latents, policy.grid(8, conditions[0]).timesteps[3], policy.collate(conditions))


@torch.no_grad()
def paint(policy, prompts, steps=8):
    conditions = policy.encode(prompts)
    grid, batch = policy.grid(steps, conditions[0]), policy.collate(conditions)
    generator = torch.Generator().manual_seed(0)
    latents = torch.stack([policy.noise(each, generator) for each in conditions])
    for step in range(grid.steps):
        v = policy.velocity(latents, grid.timesteps[step], batch)
        latents = latents + (grid.sigmas[step + 1] - grid.sigmas[step]) * v
    return policy.decode(latents, conditions)


def adapted(policy, rank=4, alpha=8.0):
    """The policy with an adapter that does something."""
    add_adapter(policy.transformer, rank=rank, alpha=alpha, targets=policy.targets, seed=0)
    for number, each in enumerate(adapter_parameters(policy.transformer).values()):
        nn.init.normal_(each, std=0.05, generator=torch.Generator().manual_seed(number))
    return policy


def test_the_shipped_model_paints_two_thirds_of_what_it_is_asked():
    policy = loaded()
    prompts = policy.prompts("test")[:240]
    right = mean(
        is_correct(Task.T2I, prompt.text, image)
        for prompt, image in zip(prompts, paint(policy, prompts), strict=True)
    )
    # 480 prompts and fresh noise gave 0.65; three standard errors of 240 are 0.09. Chance is near 0.01.
    assert 0.56 < right < 0.75


def test_held_out_prompts_are_many_in_each_family_and_never_trained_on(policy):
    train, test = policy.prompts("train"), policy.prompts("test")
    assert len({prompt.id for prompt in (*train, *test)}) == len(train) + len(test)
    families = Counter(prompt.metadata["category"] for prompt in test)
    assert len(families) == 6
    assert min(families.values()) >= 60
    assert not {prompt.digest for prompt in train[:200]} & {prompt.digest for prompt in test[:200]}
    assert all(prompt.task is policy.task for prompt in (*train, *test))
    if policy.task is Task.T2I:
        assert not {prompt.text for prompt in train} & {prompt.text for prompt in test}


def test_the_first_few_held_out_prompts_hold_all_families():
    assert len({prompt.metadata["category"] for prompt in loaded().prompts("test")[:32]}) == 6


def test_latents_and_velocities_have_one_shape(policy):
    found = velocity(policy)
    assert found.shape == (6, SLOTS, CHANNELS)
    assert found.dtype == torch.float32


def test_a_sample_does_not_depend_on_its_batch(policy):
    torch.testing.assert_close(velocity(policy, 2), velocity(policy, 6)[:2], rtol=0, atol=1e-5)


def test_the_grid_is_the_schedulers_own(policy):
    grid = policy.grid(8, policy.encode(policy.prompts("test")[:1])[0])
    torch.testing.assert_close(grid.sigmas, torch.linspace(1, 0, 9))
    torch.testing.assert_close(grid.timesteps, grid.sigmas[:-1] * 1000)


def test_noise_follows_its_generator(policy):
    condition = policy.encode(policy.prompts("test")[:1])[0]
    one, same, other = (policy.noise(condition, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_pictures_have_the_size_that_was_asked_for():
    policy = loaded(size=128)
    (image,) = paint(policy, policy.prompts("test")[:1])
    assert image.size == (128, 128)
    assert policy.encode(policy.prompts("test")[:1])[0].width == 128
    assert not look_at(image).world


@pytest.mark.parametrize("size", [63, 257])
def test_sizes_that_cannot_be_are_refused(size):
    with pytest.raises(InputError, match="size"):
        make_policy(f"shapes?size={size}")


def test_what_decides_the_conditions_is_in_the_identity():
    identities = [make_policy(spec).identity for spec in ("shapes", "shapes?size=64", "shapes?task=edit")]
    assert len({json.dumps(dict(each)) for each in identities}) == 3


def test_the_source_of_an_edit_is_read_from_its_pixels():
    policy = loaded("edit")
    prompt = policy.prompts("test")[0]
    source = decode_scene(policy.encode([prompt])[0].tensors["source"].numpy())
    seen = look_at(prompt.sources[0].load())
    assert [(each.shape, each.colour) for each in source.things] == [
        (o.shape, o.colour) for o in seen.objects
    ]
    assert source.background is seen.background


def test_the_velocity_of_an_edit_depends_on_the_source():
    policy = loaded("edit")
    first, second = policy.prompts("test")[:2]
    other = Prompt("x", Task.EDIT, first.text, second.sources)
    one, two = (policy.collate(policy.encode([each])) for each in (first, other))
    latents = torch.zeros(1, SLOTS, CHANNELS)
    with torch.no_grad():
        found = [policy.velocity(latents, torch.tensor(500.0), each) for each in (one, two)]
    assert not torch.equal(*found)


@pytest.mark.parametrize(
    ("text", "sources", "why"),
    [
        ("remove the red circle", 0, "edits one source image, not 0"),
        ("remove the red circle", 2, "edits one source image, not 2"),
        ("remove the red circle", 1, "not of the shapes world"),
        ("remove the red dog", 1, "does not know 'dog'"),
    ],
)
def test_edits_that_cannot_be_told_to_the_model_are_unusable(text, sources, why):
    grey = Picture("grey", lambda: Image.new("RGB", (96, 96), (90, 90, 90)))
    with pytest.raises(PromptUnusable, match=why):
        loaded("edit").encode([Prompt("x", Task.EDIT, text, (grey,) * sources)])


def test_the_skeleton_has_the_modules_and_no_weights(policy):
    skeleton = policy.skeleton()
    assert all(each.device.type == "meta" for each in skeleton.parameters())
    assert {name for name, _ in skeleton.named_modules()} == {
        name for name, _ in policy.transformer.named_modules()
    }


def test_every_target_names_linear_layers_of_the_transformer(policy):
    modules = dict(policy.skeleton().named_modules())
    for target in policy.targets:
        found = [each for name, each in modules.items() if name.endswith(f".{target}")]
        assert found, target
        assert all(isinstance(each, nn.Linear) for each in found), target


def test_the_suggested_recipe_is_one(policy):
    names = set(Recipe.__dataclass_fields__)
    suggested = {name: value for name, value in policy.suggested.items() if name in names}
    assert recipe_for(Preset.RECOMMENDED, suggested, {}).pairs == suggested["pairs"]


@pytest.mark.parametrize("task", TASKS)
def test_an_adapter_comes_back_with_its_rank_and_alpha(task, tmp_path):
    trained = adapted(loaded(task), rank=4, alpha=12.0)
    file = trained.save(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["pytorch_lora_weights.safetensors"]
    again = loaded(task)
    before = velocity(again)
    again.restore(file)
    assert torch.equal(velocity(again), velocity(trained))
    assert not torch.equal(before, velocity(again))
    config = again.transformer.peft_config["default"]
    assert (config.r, config.lora_alpha) == (4, 12.0)


def test_diffusers_own_loader_takes_the_file(tmp_path):
    trained = adapted(loaded())
    file = trained.save(tmp_path)
    other = loaded()
    other.transformer.load_lora_adapter(tmp_path, prefix="transformer", weight_name=file.name)
    assert torch.equal(velocity(other), velocity(trained))
    with safe_open(file, framework="pt") as opened:
        assert all(name.startswith("transformer.") for name in opened.keys())  # noqa: SIM118


def test_whoever_trains_an_adapter_keeps_its_parameters_when_it_is_restored(tmp_path):
    file = adapted(loaded()).save(tmp_path)
    policy = loaded()
    add_adapter(policy.transformer, rank=4, alpha=8.0, targets=policy.targets, seed=9)
    held = list(adapter_parameters(policy.transformer).values())
    policy.restore(file)
    now = list(adapter_parameters(policy.transformer).values())
    assert all(one is two for one, two in zip(held, now, strict=True))
    assert any(bool(each.detach().any()) for each in held)


def test_an_adapter_of_another_rank_is_replaced(tmp_path):
    trained = adapted(loaded(), rank=8)
    file = trained.save(tmp_path)
    policy = adapted(loaded(), rank=4)
    policy.restore(file)
    assert torch.equal(velocity(policy), velocity(trained))


def test_files_that_are_no_adapter_of_this_model_are_refused(tmp_path):
    from safetensors.torch import save_file

    strange = tmp_path / "strange.safetensors"
    save_file({"transformer.blocks.0.attn1.to_q.lora_A.weight": torch.zeros(2, 2)}, strange)
    with pytest.raises(InputError, match="no adapter of the embedded policy"):
        loaded().restore(strange)
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(b"not safetensors")
    with pytest.raises(InputError, match="cannot read"):
        loaded().restore(torn)


def test_an_earlier_adapter_outlives_a_disk_that_takes_no_other(tmp_path, monkeypatch):
    policy = adapted(loaded())
    before = policy.save(tmp_path).read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("arrkit.shapes.policy.adapter.os.fsync", full)
    with pytest.raises(RunError, match="No space left"):
        policy.save(tmp_path)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [before]


def test_an_install_without_weights_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(model.resources, "files", lambda _: tmp_path)
    with pytest.raises(RunError, match="without the weights"):
        loaded()


def test_parts_that_were_let_go_are_gone():
    policy = loaded()
    policy.unload({Part.ENCODERS, Part.TRANSFORMER})
    with pytest.raises(AssertionError, match="not loaded"):
        policy.encode(policy.prompts("test")[:1])
    with pytest.raises(AssertionError, match="not loaded"):
        policy.transformer  # noqa: B018
