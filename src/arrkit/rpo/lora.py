"""The adapter that is trained: put into a model, switched off for the reference, averaged, compared.

Adapters are peft's LoRA layers under the name ``default``, float32 whatever the frozen model's type. A fresh
one changes nothing: its second factor is zero.
"""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from arrkit.errors import Problem

if TYPE_CHECKING:
    from diffusers.loaders.peft import PeftAdapterMixin

ADAPTER = "default"
"""The adapter's name inside the model, which diffusers expects when it saves."""

_PREFIXES = ("transformer.", "base_model.model.")
"""What diffusers and peft put before the names of modules in the files of adapters."""

_ADAPTABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def check_targets(skeleton: nn.Module, targets: Sequence[str]) -> list[Problem]:
    """What is wrong with the module names that shall get adapters; empty where all can.

    ``skeleton`` may be on the meta device: no weight is looked at. A target names every module whose dotted
    name is it or ends with it, as in peft.
    """
    if not targets:
        return [Problem("no modules are named that get adapters", "--targets")]
    modules = {name: module for name, module in skeleton.named_modules() if name}
    problems = []
    for target in dict.fromkeys(targets):
        found = {name: modules[name] for name in modules if name == target or name.endswith(f".{target}")}
        wrong = next((module for module in found.values() if not isinstance(module, _ADAPTABLE)), None)
        if not found:
            problems.append(
                Problem(
                    f'no module of the transformer is called "{target}"', "--targets", _near(target, modules)
                )
            )
        elif wrong is not None:
            inside = sorted(
                {
                    part
                    for name in found
                    for part, module in found[name].named_modules()
                    if _adaptable(part, module)
                }
            )
            hint = f"Name what is inside it, such as {', '.join(inside[:3])}." if inside else ""
            kind = type(wrong).__name__
            problems.append(
                Problem(f'"{target}" is a {kind}, and adapters go into linear layers', "--targets", hint)
            )
    return problems


def check_adapter(skeleton: nn.Module, file: Path) -> list[Problem]:
    """What keeps the adapter of ``file`` out of a model; empty where it fits, or where only loading can tell.

    ``skeleton`` may be on the meta device, and of the file the header alone is read.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            shapes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        return [Problem(f"{file} is no adapter that can be read: {error}", "--lora")]
    modules = dict(skeleton.named_modules())
    wrong = []
    for name, shape in sorted(shapes.items()):
        path, found, factor = name.partition(".lora_")
        module = next((modules[each] for each in _bare(path) if each in modules), None)
        weight = getattr(module, "weight", None)
        side = {"A": 1, "B": 0}.get(factor[:1])
        if not found or side is None:
            continue
        if not isinstance(weight, Tensor):
            wrong.append(f"the model has no {path}")
        elif shape[side] != weight.shape[side]:
            verb = "takes" if side else "gives"
            wrong.append(f"{path} {verb} {weight.shape[side]} values and not {shape[side]}")
    if not wrong:
        return []
    more = f" ({len(wrong) - 1} more)" if len(wrong) > 1 else ""
    hint = "Name an adapter that was trained on this model."
    return [Problem(f"{file} does not fit the model: {wrong[0]}{more}", "--lora", hint)]


def _bare(path: str) -> list[str]:
    return [path, *(path.removeprefix(prefix) for prefix in _PREFIXES if path.startswith(prefix))]


def _adaptable(name: str, module: nn.Module) -> bool:
    return bool(name) and isinstance(module, _ADAPTABLE)


def _near(target: str, modules: Mapping[str, nn.Module]) -> str:
    """The names that were perhaps meant: the last one to three parts of adaptable modules."""
    known: dict[str, None] = {}
    for name, module in modules.items():
        if _adaptable(name, module):
            parts = name.split(".")
            # Below a number stand the names that all blocks share; what comes before it says only where.
            below = next((at + 1 for at in reversed(range(len(parts))) if parts[at].isdigit()), 0)
            tail = parts[below:] if below < len(parts) else parts
            known.update((".".join(tail[at:]), None) for at in range(len(tail)) if not tail[at].isdigit())
    close = difflib.get_close_matches(target, list(known), n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are {', '.join(list(known)[:8])}{' and more' if len(known) > 8 else ''}." if known else ""


def add_adapter(module: nn.Module, *, rank: int, alpha: float, targets: Sequence[str], seed: int) -> None:
    """Freeze ``module`` and put a trainable float32 adapter into its ``targets``, in place.

    The same seed gives the same numbers, whatever was drawn before, and nothing is drawn from the global
    generator. Raises ``ValueError`` where the module has an adapter already.
    """
    if _layers(module):
        raise ValueError("the module has an adapter already")
    whole = int(alpha) if float(alpha).is_integer() else alpha
    config = LoraConfig(r=rank, lora_alpha=whole, target_modules=list(targets), init_lora_weights=True)  # type: ignore[arg-type]
    # peft fills its layers from the global generator; that is undone, and the numbers are drawn anew below.
    with torch.random.fork_rng(devices=[]):
        if hasattr(module, "add_adapter"):
            cast("PeftAdapterMixin", module).add_adapter(config, adapter_name=ADAPTER)
        else:
            inject_adapter_in_model(config, module, adapter_name=ADAPTER)
    generator = torch.Generator().manual_seed(seed)
    make_trainable(module)
    for name, parameter in _named(module).items():
        value = torch.zeros(parameter.shape, dtype=torch.float32)
        if ".lora_A." in f".{name}":
            # As peft does it: uniform within 1 / sqrt(inputs).
            nn.init.kaiming_uniform_(value, a=math.sqrt(5), generator=generator)
        parameter.data.copy_(value)


def make_trainable(module: nn.Module) -> None:
    """Freeze all but the adapter, and make the adapter float32, wherever it came from."""
    module.requires_grad_(False)
    for parameter in adapter_parameters(module).values():
        parameter.data = parameter.data.float()
        parameter.requires_grad_(True)


def adapter_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The adapter's parameters by name, in the order of the names. Raises ``ValueError`` without one."""
    parameters = _named(module)
    if not parameters:
        raise ValueError("the module has no adapter")
    return parameters


def _layers(module: nn.Module) -> list[BaseTunerLayer]:
    return [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]


def _named(module: nn.Module) -> dict[str, nn.Parameter]:
    found: dict[str, nn.Parameter] = {}
    for name, layer in module.named_modules():
        if isinstance(layer, BaseTunerLayer):
            for part in layer.adapter_layer_names:
                inner = getattr(layer, part, None)
                if isinstance(inner, nn.Module):
                    found.update(inner.named_parameters(prefix=f"{name}.{part}" if name else part))
    return dict(sorted(found.items()))


@contextmanager
def reference(module: nn.Module) -> Iterator[None]:
    """The model without its adapter, for as long as the block lasts: the reference policy.

    Raises ``ValueError`` where there is no adapter to switch off, since the policy would silently be its own
    reference. Afterwards everything is as before, also what was switched off already.
    """
    layers = [layer for layer in _layers(module) if not layer.disable_adapters]
    if not _layers(module):
        raise ValueError("the module has no adapter to switch off, so it cannot be its own reference")
    # Switching adapters off also stops their gradients, and on again starts them all.
    flags = [(parameter, parameter.requires_grad) for parameter in _named(module).values()]
    try:
        for layer in layers:
            layer.enable_adapters(False)
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def adapter_hash(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of the adapter: equal on all processes always."""
    return tensors_hash(adapter_parameters(module))


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, in the order of the names."""
    state = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        value = tensor.detach().cpu().contiguous()
        state.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return state.hexdigest()


@torch.no_grad()
def adapter_norm(module: nn.Module) -> float:
    """The Frobenius norm of all that the adapter adds to the model's weights: 0 for a fresh one.

    Of one layer it is ``|scale B A|``, whose square is ``scale^2 sum((B'B) * (A A'))``: only rank x rank
    matrices are made.
    """
    total = 0.0
    for layer in module.modules():
        if not isinstance(layer, LoraLayer):
            continue
        for name in layer.lora_A:
            a = cast("Tensor", layer.lora_A[name].weight).flatten(1).double()  # (rank, inputs)
            b = cast("Tensor", layer.lora_B[name].weight).flatten(1).double()  # (outputs, rank)
            total += float(layer.scaling[name]) ** 2 * float(((b.T @ b) * (a @ a.T)).sum())
    return math.sqrt(max(total, 0.0))


class Average:
    """A running average of the adapter, which is smoother than its last state.

    The decay begins low and rises to ``decay`` as ``(1 + n) / (10 + n)`` over updates n, so that the first
    states, which know nothing yet, are soon forgotten.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters = dict(parameters)
        self._decay = decay
        self.count = 0
        self._mean = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the adapter as it is now: once after every update."""
        decay = min(self._decay, (1 + self.count) / (10 + self.count))
        for name, parameter in self._parameters.items():
            self._mean[name].lerp_(parameter, 1 - decay)
        self.count += 1

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The average in the adapter's place, for as long as the block lasts: to evaluate and to save."""
        kept = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        put(self._parameters, self._mean)
        try:
            yield
        finally:
            put(self._parameters, kept)

    def state(self) -> dict[str, Tensor]:
        """The average by parameter name, as it is: copy before changing."""
        return dict(self._mean)

    def restore(self, state: Mapping[str, Tensor], count: int) -> None:
        """Go on from what :meth:`state` and ``count`` were. Raises ``ValueError`` where the names differ."""
        put(self._mean, state)
        self.count = count


@torch.no_grad()
def put(into: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy ``values`` into the tensors of the same names. Raises ``ValueError`` unless all fit."""
    if into.keys() != values.keys() or any(into[name].shape != values[name].shape for name in into):
        raise ValueError("these are the values of another adapter")
    for name, tensor in into.items():
        tensor.copy_(values[name])
