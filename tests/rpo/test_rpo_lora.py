"""Adapters: named rightly, fresh ones change nothing, off is the base model, and seeds decide alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from arrkit.rpo import lora

pytestmark = pytest.mark.xdist_group("torch")


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.to_q = nn.Linear(6, 6)
        self.to_out = nn.ModuleList([nn.Linear(6, 6), nn.Dropout(0.5)])

    def forward(self, x):
        return x + self.to_out[1](self.to_out[0](torch.tanh(self.to_q(x))))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.proj = nn.Linear(6, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.proj(x)


def model(dtype=None):
    torch.manual_seed(0)
    return Model().to(dtype or torch.float32).eval()


def adapted(seed=0, dtype=None, **changes):
    module = model(dtype)
    lora.add_adapter(
        module, **{"rank": 2, "alpha": 4.0, "targets": ("to_q", "to_out.0"), "seed": seed, **changes}
    )
    return module


def trained(module):
    """Adapters that do something."""
    for number, parameter in enumerate(lora.adapter_parameters(module).values()):
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(number))
    return module


X = torch.linspace(-1, 1, 12).view(2, 6)


@pytest.mark.parametrize("targets", [("to_q",), ("to_out.0", "proj"), ("blocks.1.to_q",)])
def test_targets_that_modules_end_with_are_right_also_on_the_meta_device(targets):
    with torch.device("meta"):
        skeleton = Model()
    assert lora.check_targets(skeleton, targets) == []


def test_every_unknown_target_is_a_problem_of_its_own_with_near_names():
    first, second = lora.check_targets(model(), ("to_k", "to_q", "poj"))
    assert '"to_k"' in first.what
    assert "to_q" in first.hint
    assert "proj" in second.hint


def test_a_part_of_a_name_is_not_a_match():
    (problem,) = lora.check_targets(model(), ("q",))
    assert '"q"' in problem.what


def test_no_targets_at_all_is_a_problem():
    (problem,) = lora.check_targets(model(), ())
    assert problem.where == "--targets"


def test_a_target_that_is_no_linear_layer_is_told_what_is_inside():
    (problem,) = lora.check_targets(model(), ("blocks.0",))
    assert "Block" in problem.what
    assert "to_q" in problem.hint


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fresh_adapter_changes_nothing_and_is_float32(dtype):
    module = adapted(dtype=dtype)
    assert torch.equal(module(X.to(dtype)), model(dtype)(X.to(dtype)))
    parameters = lora.adapter_parameters(module)
    assert {parameter.dtype for parameter in parameters.values()} == {torch.float32}
    assert lora.adapter_norm(module) == 0
    assert [name for name, p in module.named_parameters() if p.requires_grad and name not in parameters] == []
    assert all(parameter.requires_grad for parameter in parameters.values())


def test_only_the_seed_decides_the_numbers_and_the_global_generator_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    module = model()
    torch.manual_seed(1)
    lora.add_adapter(module, rank=2, alpha=4, targets=("to_q", "to_out.0"), seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    assert lora.adapter_hash(module) == lora.adapter_hash(adapted(7)) != lora.adapter_hash(adapted(8))


def test_a_second_adapter_is_refused():
    with pytest.raises(ValueError, match="already"):
        lora.add_adapter(adapted(), rank=2, alpha=4, targets=("to_q",), seed=0)


def test_parameters_come_in_the_order_of_their_names():
    names = list(lora.adapter_parameters(adapted()))
    assert names == sorted(names)
    assert len(names) == 8
    with pytest.raises(ValueError, match="no adapter"):
        lora.adapter_parameters(model())


def test_the_reference_is_the_base_model_and_everything_comes_back():
    module = trained(adapted())
    before, frozen = module(X), next(iter(lora.adapter_parameters(module).values()))
    frozen.requires_grad_(False)
    assert not torch.allclose(before, model()(X))
    with lora.reference(module):
        assert torch.equal(module(X), model()(X))
        with lora.reference(module):
            assert torch.equal(module(X), model()(X))
        assert torch.equal(module(X), model()(X))
    assert torch.equal(module(X), before)
    assert not frozen.requires_grad
    assert [p.requires_grad for p in lora.adapter_parameters(module).values()][1:] == [True] * 7


def test_the_adapter_comes_back_after_an_error():
    module = trained(adapted())
    before = module(X)
    with pytest.raises(RuntimeError, match="judge"), lora.reference(module):
        raise RuntimeError("judge")
    assert torch.equal(module(X), before)


def test_a_model_without_an_adapter_cannot_be_its_own_reference():
    with pytest.raises(ValueError, match="no adapter"), lora.reference(model()):
        pass


def test_the_norm_is_that_of_what_is_added_to_the_weights():
    module = trained(adapted())
    added = []
    for name in ("blocks.0.to_q", "blocks.0.to_out.0", "blocks.1.to_q", "blocks.1.to_out.0"):
        layer = module.get_submodule(name)
        added.append(layer.get_delta_weight("default").detach().flatten())
    assert lora.adapter_norm(module) == pytest.approx(float(torch.cat(added).norm()), rel=1e-6)


def test_the_hash_sees_one_bit_and_names():
    module = trained(adapted())
    before = lora.adapter_hash(module)
    parameter = lora.adapter_parameters(module)["blocks.0.to_q.lora_B.default.weight"]
    with torch.no_grad():
        parameter[0, 0] = torch.nextafter(parameter[0, 0], torch.tensor(9.0))
    assert lora.adapter_hash(module) != before
    a, b = torch.ones(2), torch.zeros(2)
    assert lora.tensors_hash({"a": a, "b": b}) != lora.tensors_hash({"b": a, "a": b})


def test_an_adapter_fits_a_model_of_diffusers_and_keeps_rank_and_alpha():
    from diffusers import FluxTransformer2DModel

    tiny = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=1,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        axes_dims_rope=(4, 4, 8),
    )
    assert lora.check_targets(tiny, ("attn.to_q", "attn.to_out.0")) == []
    (problem,) = lora.check_targets(tiny, ("attn.to_queue",))
    assert "attn.to_q" in problem.hint
    lora.add_adapter(tiny, rank=3, alpha=5.0, targets=("attn.to_q", "attn.to_out.0"), seed=0)
    assert (tiny.peft_config["default"].r, tiny.peft_config["default"].lora_alpha) == (3, 5)
    assert len(lora.adapter_parameters(tiny)) == 6
    with lora.reference(tiny):
        pass


def test_the_average_follows_and_stands_in_for_the_adapter():
    module = adapted()
    parameters = lora.adapter_parameters(module)
    average = lora.Average(parameters, 0.5)
    name = "blocks.0.to_q.lora_B.default.weight"
    with torch.no_grad():
        for value in (1.0, 2.0):
            parameters[name].fill_(value)
            average.update()
    # Decays of the first two updates: 1/10, 2/11.
    expected = 2 / 11 * (0.9 * 1.0) + 9 / 11 * 2.0
    with average.swapped():
        assert parameters[name][0, 0].item() == pytest.approx(expected)
    assert parameters[name][0, 0].item() == 2.0


def test_an_average_goes_on_where_another_stopped():
    module = trained(adapted())
    average = lora.Average(lora.adapter_parameters(module), 0.9)
    average.update()
    state = {name: value.clone() for name, value in average.state().items()}
    other = lora.Average(lora.adapter_parameters(adapted()), 0.9)
    other.restore(state, average.count)
    assert lora.tensors_hash(other.state()) == lora.tensors_hash(average.state())
    assert other.count == 1
    with pytest.raises(ValueError, match="another adapter"):
        other.restore({}, 1)
