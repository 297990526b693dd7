"""BAGEL's policy on a stand-in for its checkout, which has BAGEL's public names and hardly any weights."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import numpy as np
from PIL import Image
from safetensors import safe_open
from tiny_bagel import CODE, ask_bagel, write_weights

from arrkit.backends.policies.bagel import BagelPolicy, Guidance, make_bagel
from arrkit.backends.spec import Spec
from arrkit.data.pairs import Picture, Task
from arrkit.data.prompts import Prompt, PromptUnusable
from arrkit.errors import InputError
from arrkit.rpo.lora import adapter_parameters, add_adapter, check_targets, reference
from arrkit.rpo.policy import Condition, Part
from arrkit.rpo.sample import sample_latents

pytestmark = pytest.mark.xdist_group("torch")

CPU = torch.device("cpu")
STEPS = 3
SOURCE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("bagel"))


def policy(weights: Path, *parts: Part, dtype: Any = torch.float32, **options: Any) -> BagelPolicy:
    made = make_bagel(Spec("bagel", str(weights)), path=str(CODE), **{"size": 64, **options})
    made.load(parts or tuple(Part), device=CPU, dtype=dtype)
    return made


def prompt(text: str, edit: bool = False) -> Prompt:
    sources = (Picture("drawn", SOURCE.copy),) if edit else ()
    return Prompt(text, Task.EDIT if edit else Task.T2I, text, sources)


def first(made: BagelPolicy, conditions: Sequence[Condition]) -> Any:
    return torch.stack([made.noise(each, torch.Generator().manual_seed(3)) for each in conditions])


def gap(one: Any, other: Any) -> float:
    assert one.shape == other.shape
    return float((one - other).abs().max().detach())


def with_adapter(made: BagelPolicy, targets: tuple[str, ...] = ()) -> None:
    add_adapter(made.transformer, rank=3, alpha=5, targets=targets or made.targets, seed=1)
    for parameter in adapter_parameters(made.transformer).values():
        parameter.data.normal_(std=0.4, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("renorm", ["global", "channel", "text_channel"])
@pytest.mark.parametrize("edit", [False, True])
def test_a_rollout_without_noise_is_bagels_own(weights: Path, edit: bool, renorm: str) -> None:
    made = policy(weights, task="edit" if edit else "t2i", renorm=renorm, cfg_image=1.7, cfg_begin=0.5)
    conditions = made.encode([prompt("make it blue", edit)])
    noise = first(made, conditions)
    latents = sample_latents(made, conditions, noise, STEPS)
    expected = ask_bagel(
        made,
        "make it blue",
        SOURCE if edit else None,
        noise[0],
        STEPS,
        cfg_renorm_type=renorm,
        cfg_text_scale=4.0,
        cfg_img_scale=1.7,
        cfg_interval=(0.5, 1.0),
    )
    assert gap(latents[0], expected) == 0
    image = made.decode(latents, conditions)[0]
    assert image.size == ((64, 48) if edit else (64, 64))


def test_without_guidance_there_is_one_pass(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = policy(weights, cfg=1.0)
    conditions = made.encode([prompt("a red circle")])
    noise = first(made, conditions)
    expected = ask_bagel(made, "a red circle", None, noise[0], STEPS)
    assert gap(sample_latents(made, conditions, noise, STEPS)[0], expected) == 0
    batch, time = made.collate(conditions), torch.tensor(1.0)
    made.velocity(noise, time, batch)
    asked = []
    inner = made.transformer.forward_inference
    monkeypatch.setattr(
        made.transformer, "forward_inference", lambda *a, **b: (asked.append(1), inner(*a, **b))[1]
    )
    made.velocity(noise, time, batch)
    assert len(asked) == 1
    assert Guidance.of(Task.T2I, 4.0, 0.0, -1.0, "own") == Guidance(4.0, 1.5, 0.4, "global")
    assert Guidance.of(Task.EDIT, 4.0, 0.0, -1.0, "own") == Guidance(4.0, 2.0, 0.0, "text_channel")


def test_samples_of_a_batch_do_not_touch_each_other(weights: Path) -> None:
    made = policy(weights)
    conditions = made.encode([prompt("a red circle"), prompt("two green squares"), prompt("one")])
    noise = first(made, conditions)
    together = sample_latents(made, conditions, noise, STEPS)
    for row, condition in enumerate(conditions):
        assert gap(sample_latents(made, [condition], noise[row : row + 1], STEPS)[0], together[row]) == 0


def test_noise_and_readings_leave_the_global_generator_alone(weights: Path) -> None:
    made = policy(weights, task="edit")
    conditions = made.encode([prompt("make it blue", edit=True)])
    noise = first(made, conditions)
    torch.manual_seed(3)
    assert torch.equal(torch.randn(noise[0].shape), noise[0])
    state = torch.get_rng_state()
    one = made.velocity(noise, torch.tensor(1.0), made.collate(conditions))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, made.velocity(noise, torch.tensor(1.0), made.collate(conditions)))


@pytest.mark.parametrize(
    ("edit", "targets"), [(False, ()), (True, ()), (False, ("q_proj", "q_proj_moe_gen"))]
)
def test_gradients_reach_the_adapter_and_are_true(weights: Path, edit: bool, targets: Any) -> None:
    made = policy(weights, task="edit" if edit else "t2i", dtype=torch.float64)
    with_adapter(made, targets)
    conditions = made.encode([prompt("make it blue", edit)])
    noise, time = first(made, conditions)[0].double(), torch.tensor(0.8, dtype=torch.float64)
    parameters = adapter_parameters(made.transformer)
    for parameter in parameters.values():
        parameter.data = parameter.data.double()

    def loss() -> Any:
        return made._flow(noise, time, made.collate(conditions)[0]).square().mean()

    loss().backward()
    for name, parameter in parameters.items():
        assert parameter.grad is not None, name
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(4))
        found = []
        for step in (1e-5, -1e-5):
            parameter.data += step * direction
            found.append(float(loss().detach()))
            parameter.data -= step * direction
        slope = (found[0] - found[1]) / 2e-5
        assert float((parameter.grad * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-8), name


def test_what_was_read_follows_the_adapter(weights: Path) -> None:
    made = policy(weights, task="edit")
    conditions = made.encode([prompt("make it blue", edit=True)])
    noise, time, batch = first(made, conditions), torch.tensor(0.8), made.collate(conditions)
    before = made.velocity(noise, time, batch)
    with_adapter(made)
    assert gap(made.velocity(noise, time, batch), before) > 1e-3
    with reference(made.transformer):
        assert gap(made.velocity(noise, time, batch), before) == 0


def test_an_adapter_comes_back_with_rank_and_alpha(weights: Path, tmp_path: Path) -> None:
    made = policy(weights)
    conditions = made.encode([prompt("a red circle")])
    noise, time = first(made, conditions), torch.tensor(1.0)
    with_adapter(made)
    expected = made.velocity(noise, time, made.collate(conditions))
    file = made.save(tmp_path)
    assert file.name == "pytorch_lora_weights.safetensors"
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name]
    with safe_open(file, framework="pt") as opened:
        assert all(name.startswith("base_model.model.model.layers.") for name in opened.keys())  # noqa: SIM118
        assert '"r": 3' in opened.metadata()["lora_adapter_metadata"]
    other = policy(weights)
    other.restore(file)
    assert gap(other.velocity(noise, time, other.collate(conditions)), expected) == 0
    # An adapter of the same kind keeps its parameters, one of another kind makes room.
    kept = adapter_parameters(other.transformer)
    for parameter in kept.values():
        parameter.data.zero_()
    other.restore(file)
    assert all(parameter is kept[name] for name, parameter in adapter_parameters(other.transformer).items())
    third = policy(weights)
    add_adapter(third.transformer, rank=2, alpha=2, targets=("v_proj_moe_gen",), seed=0)
    third.restore(file)
    assert gap(third.velocity(noise, time, third.collate(conditions)), expected) == 0
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot read the adapter"):
        other.restore(tmp_path / "broken.safetensors")


def test_the_skeleton_has_the_targets_and_no_weights(weights: Path) -> None:
    made = make_bagel(Spec("bagel", str(weights)), path=str(CODE))
    skeleton = made.skeleton()
    assert all(parameter.is_meta for parameter in skeleton.parameters())
    assert check_targets(skeleton, made.targets) == []
    names = {name for name, _ in skeleton.named_modules()}
    made.load([Part.TRANSFORMER], device=CPU, dtype=torch.float32)
    assert {name for name, _ in made.transformer.named_modules()} == names
    made.unload([Part.TRANSFORMER])
    with pytest.raises(RuntimeError, match="not loaded"):
        made.transformer  # noqa: B018


def test_what_cannot_be_used_is_refused(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = Spec("bagel", str(weights))
    with pytest.raises(InputError, match=r"llm_config\.json, .* missing"):
        make_bagel(Spec("bagel", str(tmp_path)))
    with pytest.raises(InputError, match="has no modeling/bagel"):
        make_bagel(spec, path=str(tmp_path)).skeleton()
    with pytest.raises(InputError, match="cannot be 1040 pixels"):
        make_bagel(spec, size=1040)
    with pytest.raises(InputError, match="its source's width and height"):
        make_bagel(spec, task="edit", width=64, height=64)
    with pytest.raises(PromptUnusable, match="add task=edit"):
        policy(weights, Part.ENCODERS).encode([prompt("make it blue", edit=True)])
    with pytest.raises(PromptUnusable, match="no source image"):
        policy(weights, Part.ENCODERS, task="edit").encode([prompt("make it blue")])
    broken = shutil.copytree(weights, tmp_path / "broken")
    (broken / "ema.safetensors").write_bytes((weights / "ae.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"lacks .* of BAGEL's weights"):
        policy(broken, Part.TRANSFORMER)
    for name in [name for name in sys.modules if name.split(".")[0] in ("modeling", "data")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(CODE)])
    with pytest.raises(InputError, match="not importable: ModuleNotFoundError"):
        make_bagel(spec).skeleton()
