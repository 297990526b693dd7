"""Adapters in the file that diffusers' pipelines save and load."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY, LORA_WEIGHT_NAME_SAFE
from diffusers.training_utils import _collate_lora_metadata
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from arrkit.errors import InputError, Problem, RunError

ADAPTER = "default"
"""The adapter's name inside the transformer, which diffusers expects when it saves."""

_PREFIX = "transformer."


def save_adapter(transformer: nn.Module, folder: Path, pipeline_class: Any) -> Path:
    """Write the adapter to ``folder/pytorch_lora_weights.safetensors``, whole or not at all; return the file.

    Raises :class:`~arrkit.errors.RunError` where the disk does not take it; an earlier file is then still
    there.
    """
    weights = get_peft_model_state_dict(transformer, adapter_name=ADAPTER)
    # Rank and alpha go into the file's metadata: without them a loader takes alpha for equal to the rank.
    metadata = _collate_lora_metadata({"transformer": transformer})
    settings = {
        key: sorted(value) if isinstance(value, set) else value
        for key, value in metadata["transformer_lora_adapter_metadata"].items()
    }
    file = folder / LORA_WEIGHT_NAME_SAFE
    aside = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder, prefix=".lora-"))
        pipeline_class.save_lora_weights(
            aside,
            transformer_lora_layers={
                name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()
            },
            transformer_lora_adapter_metadata=settings,
        )
        with (aside / file.name).open("rb+") as stream:
            _order_header(stream)
            stream.flush()
            os.fsync(stream.fileno())
        (aside / file.name).replace(file)
    except (OSError, SafetensorError) as error:
        raise RunError(Problem(f"cannot write {file}: {error}", hint="Make room, then resume.")) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
    return file


def _order_header(stream: IO[bytes]) -> None:
    """Sort the names in a safetensors header, which come in random order: equal adapters, equal files."""
    length = int.from_bytes(stream.read(8), "little")
    header = json.loads(stream.read(length))
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert len(text) <= length, "sorting makes nothing longer"
    stream.seek(8)
    stream.write(text.ljust(length))


def restore_adapter(transformer: Any, file: Path) -> None:
    """Put the adapter of ``file`` into the transformer, float32 whatever the model's type.

    An adapter of the same modules, rank and alpha gets the file's numbers, so that whoever trains it keeps
    its parameters; another one is replaced. Raises :class:`~arrkit.errors.InputError` where the file cannot
    be read or does not fit.
    """
    tensors, settings = _read(file)
    _check_fit(transformer, tensors, file)
    if not _same_kind(transformer, tensors, settings):
        if ADAPTER in getattr(transformer, "peft_config", {}):
            transformer.delete_adapters(ADAPTER)
        prefixed = {f"{_PREFIX}{name}": tensor for name, tensor in tensors.items()}
        metadata = {f"{_PREFIX}{name}": value for name, value in settings.items()} or None
        try:
            transformer.load_lora_adapter(
                prefixed, prefix="transformer", adapter_name=ADAPTER, metadata=metadata
            )
        except (RuntimeError, ValueError, TypeError) as error:
            raise InputError(f"the adapter {file} does not fit the model: {error}") from error
        for name, parameter in transformer.named_parameters():
            if ".lora_" in name:
                parameter.data = parameter.data.float()
    # Also after loading, which rounds the numbers to the model's type.
    set_peft_model_state_dict(transformer, tensors, adapter_name=ADAPTER)


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and settings of an adapter file, both without the transformer's prefix."""
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
        settings = json.loads(metadata.get(LORA_ADAPTER_METADATA_KEY, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"cannot read the adapter {file}: {error}") from error
    strange = [name for name in tensors if not name.startswith(_PREFIX) or ".lora_" not in name]
    if strange or not tensors:
        what = f"it has {sorted(strange)[0]}" if strange else "it is empty"
        hint = "Load it into its diffusers pipeline and write it with save_lora_weights."
        raise InputError(Problem(f"{file} is no adapter of a diffusers transformer alone: {what}", hint=hint))
    return (
        {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()},
        {name.removeprefix(_PREFIX): value for name, value in settings.items() if name.startswith(_PREFIX)},
    )


def _check_fit(transformer: nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    modules = dict(transformer.named_modules())
    wrong = []
    for name, tensor in sorted(tensors.items()):
        module, _, factor = name.partition(".lora_")
        base = modules.get(module)
        weight = getattr(getattr(base, "base_layer", base), "weight", None)
        if not isinstance(weight, Tensor):
            wrong.append(f"the model has no {module}")
        elif factor.startswith("A") and tensor.shape[1] != weight.shape[1]:
            wrong.append(f"{module} takes {weight.shape[1]} values and not {tensor.shape[1]}")
        elif factor.startswith("B") and tensor.shape[0] != weight.shape[0]:
            wrong.append(f"{module} gives {weight.shape[0]} values and not {tensor.shape[0]}")
    if wrong:
        more = f" ({len(wrong) - 1} more)" if len(wrong) > 1 else ""
        hint = "Name an adapter that was trained on this model."
        raise InputError(Problem(f"the adapter {file} does not fit the model: {wrong[0]}{more}", hint=hint))


def _same_kind(transformer: nn.Module, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> bool:
    config = getattr(transformer, "peft_config", {}).get(ADAPTER)
    if config is None:
        return False
    own: Mapping[str, torch.Tensor] = get_peft_model_state_dict(transformer, adapter_name=ADAPTER)
    return (
        {name: tensor.shape for name, tensor in own.items()} == {name: t.shape for name, t in tensors.items()}
        and settings.get("r") == config.r
        and settings.get("lora_alpha") == config.lora_alpha
    )
