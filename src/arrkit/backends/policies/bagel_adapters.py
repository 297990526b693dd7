"""Adapters of models that diffusers does not know: peft's own names, settings in the file's metadata."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from arrkit.errors import InputError, RunError

ADAPTER = "default"
FILE = "pytorch_lora_weights.safetensors"

METADATA = "lora_adapter_metadata"
"""The key that diffusers, too, keeps an adapter's settings under."""

_PREFIX = "base_model.model."
"""What peft puts before the names of a model's modules in its files."""

_SETTINGS = ("r", "lora_alpha", "target_modules", "rank_pattern", "alpha_pattern", "use_rslora")


def save_adapter(model: nn.Module, folder: Path) -> Path:
    """Write the adapter to ``folder``, whole or not at all, and return the file.

    Raises :class:`~arrkit.errors.RunError` where the disk does not take it.
    """
    config = getattr(model, "peft_config")[ADAPTER]  # noqa: B009 (put there by peft)
    weights = get_peft_model_state_dict(model, adapter_name=ADAPTER)
    tensors = {f"{_PREFIX}{name}": each.detach().cpu().contiguous() for name, each in sorted(weights.items())}
    found = {name: getattr(config, name) for name in _SETTINGS}
    settings = {name: sorted(each) if isinstance(each, set) else each for name, each in found.items()}
    data = save(tensors, {"format": "pt", METADATA: json.dumps(settings, sort_keys=True)})
    file, aside = folder / FILE, folder / f".{FILE}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(file)
    except OSError as error:
        raise RunError(f"cannot write {file}: {error}", hint="Make room, then resume.") from error
    finally:
        aside.unlink(missing_ok=True)
    return file


def restore_adapter(model: nn.Module, file: Path) -> None:
    """Put the adapter of ``file`` into the model, float32; one of the same kind keeps its parameters.

    Raises :class:`~arrkit.errors.InputError` where the file cannot be read or does not fit.
    """
    tensors, settings = _read(file)
    modules = dict(model.named_modules())
    for name, tensor in tensors.items():
        path, _, factor = name.partition(".lora_")
        weight = getattr(modules.get(path), "weight", None)
        side = 1 if factor.startswith("A") else 0
        if not isinstance(weight, Tensor) or weight.shape[side] != tensor.shape[side]:
            raise InputError(
                f"the adapter {file} does not fit the model: its {path} does not",
                hint="Name an adapter that was trained on this model.",
            )
    if not _same_kind(model, tensors, settings):
        _remove(model)
        inject_adapter_in_model(LoraConfig(**settings), model, adapter_name=ADAPTER)
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                parameter.data = parameter.data.float()
    set_peft_model_state_dict(model, tensors, adapter_name=ADAPTER)


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {
                name.removeprefix(_PREFIX): opened.get_tensor(name)
                for name in opened.keys()  # noqa: SIM118 (not a dict)
            }
        settings = json.loads(metadata.get(METADATA, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"cannot read the adapter {file}: {error}") from error
    if not tensors or not set(_SETTINGS) <= settings.keys():
        raise InputError(
            f"{file} does not say its rank, alpha and modules",
            hint="Name an adapter that arrkit saved: diffusers neither saves nor loads any for this model.",
        )
    return tensors, {name: settings[name] for name in _SETTINGS}


def _same_kind(model: nn.Module, tensors: dict[str, Tensor], settings: dict[str, Any]) -> bool:
    config = getattr(model, "peft_config", {}).get(ADAPTER)
    if config is None:
        return False
    own = get_peft_model_state_dict(model, adapter_name=ADAPTER)
    shapes = {name: each.shape for name, each in own.items()}
    alike = all(getattr(config, name) == settings[name] for name in ("r", "lora_alpha"))
    return alike and shapes == {name: each.shape for name, each in tensors.items()}


def _remove(model: nn.Module) -> None:
    """Put the layers back that an adapter wrapped."""
    wrapped = [(name, each) for name, each in model.named_modules() if isinstance(each, BaseTunerLayer)]
    for name, layer in wrapped:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, layer.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
